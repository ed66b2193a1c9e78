//! Stored forms across versions.

use serde_json::{Value, json};

use super::*;

/// As the version before wrote it, when the member was `email_proven`.
fn former(proven: bool) -> Value {
    let mut record = json!({
        "id": Uuid::from_u128(1), "username": "ann", "email": "ann@example.com",
        "roles": ["user"], "disabled": false, "created": 1, "version": 2,
    });
    if proven {
        record["email_proven"] = true.into();
    }
    record
}

fn account(record: &Value) -> Account {
    Account::decode(record.to_string().as_bytes(), "account").unwrap()
}

#[test]
fn a_proven_address_of_the_version_before_is_a_verified_one() {
    assert!(account(&former(true)).email_verified);
    assert!(!account(&former(false)).email_verified, "nobody vouched for it then either");
}

#[test]
fn a_verified_address_is_written_so_that_both_versions_read_it() {
    let written: Value = serde_json::from_slice(&account(&former(true)).encode().unwrap()).unwrap();
    assert_eq!(
        (&written["email_verified"], &written["email_proven"]),
        (&json!(true), &json!(true))
    );
    assert!(account(&written).email_verified, "two names are no duplicate");
}

/// An older replica links GitHub to a record of this version: it sets its own name only
/// and keeps what it does not know.
#[test]
fn what_an_older_replica_proves_is_verified() {
    let mut record = former(true);
    record["email_verified"] = false.into();
    assert!(account(&record).email_verified);
}

#[test]
fn what_is_no_longer_verified_is_so_under_both_names() {
    let before = account(&former(true)).encode().unwrap();
    let after = Account { email_verified: false, ..account(&former(true)) };
    let written: Value =
        serde_json::from_slice(&after.encode_over(Some(&before)).unwrap()).unwrap();
    assert_eq!((written.get("email_verified"), written.get("email_proven")), (None, None));
}
