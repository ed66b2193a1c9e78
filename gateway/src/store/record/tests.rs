//! Stored forms across versions.

use proptest::prelude::*;
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

/// Addresses of an account that a version before reads: it keeps what it does not know,
/// and by a change of the password alone they end.
#[test]
fn addresses_are_read_as_they_were_written_and_at_most_as_many_as_are_kept() {
    let of_before = account(&former(true));
    assert_eq!(of_before.known, KnownAddresses::default(), "an older record knows none");
    let known = of_before.known_from(Source::V4(0xc000_0201), Timestamp(5));
    let known = known.known_from(Source::V6(0x2001_0db8_0000_0001), Timestamp(6));
    let written: Value = serde_json::from_slice(&known.encode().unwrap()).unwrap();
    let stored = json!({ "version": 2, "addresses": [["192.0.2.1", 5], ["2001:db8:0:1::", 6]] });
    assert_eq!(written["known"], stored);
    assert_eq!(account(&written), known);
    let mut crowded = former(true);
    let many: Vec<_> = (0..40).map(|last| json!([format!("192.0.2.{last}"), 5])).collect();
    crowded["known"] = json!({ "version": 2, "addresses": many });
    assert_eq!(account(&crowded).known.addresses.len(), MAX_KNOWN);
    crowded["version"] = 3.into();
    assert_eq!(account(&crowded).known_addresses(Timestamp(6)).count(), 0);
}

/// As the version before wrote it, which knew nothing of clients.
fn former_session() -> Value {
    let minted = json!({
        "access": Uuid::from_u128(4), "refresh": Uuid::from_u128(5), "issued_at": 1, "access_ttl": 60,
    });
    json!({
        "id": Uuid::from_u128(3), "account": Uuid::from_u128(1), "created": 1, "expires": 2,
        "current": minted,
    })
}

fn session(record: &[u8]) -> Session {
    Session::decode(record, "session").unwrap()
}

#[test]
fn a_session_of_the_version_before_is_of_an_unknown_client() {
    let former = session(former_session().to_string().as_bytes());
    assert_eq!(former.client, None);
    let written: Value = serde_json::from_slice(&former.encode().unwrap()).unwrap();
    assert_eq!(written, former_session(), "and is written as it was");
}

#[test]
fn the_client_of_a_session_is_two_members_that_the_version_before_passes_over() {
    let user_agent = UserAgent::read(b"curl/7.88.1");
    let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
    let client = Some(SessionClient { address, user_agent });
    let opened = Session { client, ..session(former_session().to_string().as_bytes()) };
    let mut written: Value = serde_json::from_slice(&opened.encode().unwrap()).unwrap();
    assert_eq!(session(written.to_string().as_bytes()), opened);
    let members = written.as_object_mut().unwrap();
    assert_eq!(members.remove("address"), Some(json!("2001:db8::1")));
    assert_eq!(members.remove("user_agent"), Some(json!("curl/7.88.1")));
    assert_eq!(written, former_session());
}

#[test]
fn what_a_stored_session_calls_its_client_is_bounded_and_seen_whoever_wrote_it() {
    let mut record = former_session();
    record["address"] = "192.0.2.1".into();
    record["user_agent"] = format!("a\u{202e}{}", "b".repeat(8 << 10)).into();
    let client = session(record.to_string().as_bytes()).client.unwrap();
    let name = client.user_agent.unwrap();
    assert!(name.as_str().starts_with("a\u{fffd}bb") && name.as_str().len() <= 192);
    record["user_agent"] = "".into();
    assert_eq!(session(record.to_string().as_bytes()).client.unwrap().user_agent, None);
    assert!(!reads::<Session>(&with(former_session(), "address", json!("nowhere"))));
}

/// A record must not bring to memory what an engine keeps beside it.
#[test]
fn what_is_kept_beside_a_record_is_in_an_export_and_not_in_the_record() {
    let at = Some(Timestamp(5));
    let ann = Account { last_sign_in: at, ..account(&former(true)) };
    let used = Session { last_used: at, ..session(former_session().to_string().as_bytes()) };
    assert_eq!(
        account(&serde_json::from_slice(&ann.encode().unwrap()).unwrap()).last_sign_in,
        None
    );
    assert_eq!(session(&used.encode().unwrap()).last_used, None);
    let exported = [json!(ann.to_exported()), json!(used.to_exported())];
    assert_eq!((&exported[0]["last_sign_in"], &exported[1]["last_used"]), (&json!(5), &json!(5)));
    assert_eq!(account(&exported[0]), ann);
    assert_eq!(session(exported[1].to_string().as_bytes()), used);
}

/// A record with one member more or other; `null` takes it out.
fn with(record: Value, member: &str, value: Value) -> Vec<u8> {
    let mut record = record;
    record[member] = value;
    record.to_string().into_bytes()
}

fn key() -> Value {
    json!({
        "id": Uuid::from_u128(2), "owner": Uuid::from_u128(1), "name": "ci", "shown": "sk_live_abc",
        "digest": vec![3; 32], "scopes": ["deploy"], "created": 1,
    })
}

fn named() -> Value {
    json!({ "id": Uuid::from_u128(3), "name": "web", "created": 1 })
}

fn reads<R: Record>(record: &[u8]) -> bool {
    match R::decode(record, "record") {
        Ok(_) => true,
        Err(StoreError::Damaged(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_an_upstream_could_not_be_told_unaltered_is_damage() {
    let sound = [["user", "a-b_c.d:e/f"]; 1];
    for words in sound {
        assert!(reads::<Account>(&with(former(true), "roles", json!(words))));
        assert!(reads::<ApiKey>(&with(key(), "scopes", json!(words))));
    }
    for word in ["", "a,b", "a b", "a\r\nb", "a\u{0}", "ä", "\u{202e}a", &"a".repeat(65)] {
        assert!(!reads::<Account>(&with(former(true), "roles", json!(["user", word]))), "{word:?}");
        assert!(!reads::<ApiKey>(&with(key(), "scopes", json!([word]))), "{word:?}");
        assert!(check_member_role(word).is_err(), "{word:?}");
    }
    for email in ["", "a", "a@b", "a@b.c\r\nX: y", "a@b.c,d@e.f", "a b@c.d", "ä@b.c", "a@b.c\u{7f}"]
    {
        assert!(!reads::<Account>(&with(former(false), "email", json!(email))), "{email:?}");
    }
    for name in ["", "a:b", "github/1", "a\r\nb", "a b", "ä"] {
        assert!(!reads::<Account>(&with(former(false), "username", json!(name))), "{name:?}");
    }
}

/// Rules for new names may be stricter than what is stored already.
#[test]
fn a_name_with_control_characters_is_damage_and_any_other_reads() {
    for (name, sound) in
        [("", true), ("Büro 1", true), ("a\u{202e}b", true), ("a\nb", false), ("a\u{1b}", false)]
    {
        assert_eq!(reads::<ApiKey>(&with(key(), "name", json!(name))), sound, "{name:?}");
        assert_eq!(reads::<Server>(&with(named(), "name", json!(name))), sound, "{name:?}");
        assert_eq!(reads::<Workspace>(&with(named(), "name", json!(name))), sound, "{name:?}");
    }
}

proptest! {
    /// Stored and read again, everything that is injected is what it was.
    #[test]
    fn what_is_written_reads_as_it_was(
        role in "\\PC{0,6}|[a-z,: ]{1,6}|[\\x00-\\x7f]{1,4}",
        email in proptest::option::of("[ -~]{1,3}@[a-z,\r]{1,3}\\.[a-z]{1,2}"),
        scope in "[ -~]{0,4}",
    ) {
        let account = Account {
            roles: vec!["user".to_owned(), role.clone()],
            email: email.clone(),
            ..account(&former(false))
        };
        match account.encode() {
            Ok(bytes) => {
                prop_assert!(is_valid_role(&role));
                prop_assert_eq!(Account::decode(&bytes, "account").unwrap(), account);
            }
            Err(_) => {
                let email_reads = email.as_deref().is_none_or(is_plausible_email);
                prop_assert!(!is_valid_role(&role) || !email_reads);
            }
        }
        let key = ApiKey::decode(key().to_string().as_bytes(), "key").unwrap();
        let key = ApiKey { scopes: vec![scope.clone()], ..key };
        prop_assert_eq!(key.encode().is_ok(), is_valid_role(&scope));
    }
}
