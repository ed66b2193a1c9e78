use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::auth::account::{AccountId, Username, is_plausible_email, is_valid_role};
use crate::auth::principal::Proof;
use crate::auth::time::Timestamp;
use crate::config::identity::preset;
use crate::dialect::notation::envelope_user;

fn account(name: &str, email: Option<&str>, email_verified: bool) -> Account {
    Account {
        email: email.map(str::to_owned),
        email_verified,
        ..Account::new(AccountId(Uuid::from_u128(7)), Username::parse(name).unwrap(), Timestamp(0))
    }
}

/// The name and the address that an upstream learns.
fn injected(account: Account, unverified_email: UnverifiedEmail) -> (String, Option<String>) {
    let names = IdentityHeaders { unverified_email, ..preset("portcullis").unwrap() };
    let mut headers = HeaderMap::new();
    inject(&mut headers, &names, &Principal::new(Arc::new(account), Proof::Password)).unwrap();
    let field = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    (field("x-portcullis-username").unwrap(), field("x-portcullis-email"))
}

#[test]
fn an_address_is_injected_when_somebody_vouches_for_it() {
    const ANN: &str = "ann@example.com";
    let id = envelope_user(AccountId(Uuid::from_u128(7)));
    let of_somebody = id.replace(['a', 'b'], "c");
    // Name, address, whether it is verified; the name and the address that are injected.
    let cases = [
        ("ann", None, false, "ann", None),
        ("ann", Some(ANN), false, "ann", None),
        ("ann", Some(ANN), true, "ann", Some(ANN)),
        (ANN, Some(ANN), false, &id, None),
        (ANN, Some(ANN), true, ANN, Some(ANN)),
        ("Ann@Example.com", Some(ANN), true, "Ann@Example.com", Some(ANN)),
        (ANN, None, false, &id, None),
        // Vouched for is the address, not the name.
        ("ceo@example.com", Some(ANN), true, &id, Some(ANN)),
        // No address: it has no domain.
        ("ann@host", None, false, "ann@host", None),
        (&of_somebody, None, false, &id, None),
        (&of_somebody.to_ascii_uppercase(), None, false, &id, None),
    ];
    for (name, email, verified, injected_name, injected_email) in cases {
        let (name_then, email_then) =
            injected(account(name, email, verified), UnverifiedEmail::Withheld);
        assert_eq!(
            (name_then.as_str(), email_then.as_deref()),
            (injected_name, injected_email),
            "{name}"
        );
        // As before, when the operator wants it.
        let all = injected(account(name, email, verified), UnverifiedEmail::Injected);
        assert_eq!((all.0.as_str(), all.1.as_deref()), (name, email), "{name}");
    }
}

#[test]
fn what_no_field_can_hold_as_it_is_ends_the_request() {
    let names = preset("portcullis").unwrap();
    for role in ["", " ", "a b", "a\r\nx: y", "ä", "a\t"] {
        let account = Account { roles: vec![role.to_owned()], ..account("ann", None, false) };
        let principal = Principal::new(Arc::new(account), Proof::Password);
        assert!(inject(&mut HeaderMap::new(), &names, &principal).is_err(), "{role:?}");
    }
}

proptest! {
    /// Whatever the store lets in is injected as it is, or not at all.
    #[test]
    fn what_is_injected_is_unaltered(
        name in "[!-~]{1,12}",
        email in "[a-z!#+.-]{1,5}@[a-z-]{1,3}\\.[a-z]{1,3}",
        roles in proptest::collection::vec("[A-Za-z0-9_.:/-]{1,8}", 0..4),
    ) {
        let Ok(username) = Username::parse(&name) else { return Ok(()) };
        prop_assume!(is_plausible_email(&email) && roles.iter().all(|role| is_valid_role(role)));
        let account = Account { roles: roles.clone(), ..account(username.as_str(), Some(&email), true) };
        let id = envelope_user(account.id);
        let mut headers = HeaderMap::new();
        let names = preset("portcullis").unwrap();
        inject(&mut headers, &names, &Principal::new(Arc::new(account), Proof::Password)).unwrap();
        let field = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        let injected = field("x-portcullis-username").unwrap();
        prop_assert!(injected == name || injected == id);
        prop_assert_eq!(field("x-portcullis-email"), Some(email.as_str()));
        let injected: Vec<&str> =
            field("x-portcullis-roles").map(|list| list.split(',').collect()).unwrap_or_default();
        prop_assert_eq!(injected, roles);
    }

    /// Whatever an account is called and says its address is, an upstream learns no
    /// address that nobody vouches for, under any name.
    #[test]
    fn no_unverified_address_is_injected(
        name in "[a-z]{1,3}(@[a-z]{1,3}\\.[a-z]{2,3})?|[!-~]{1,12}",
        email in proptest::option::of("[a-c]{1,2}@[a-c]{1,2}\\.[a-c]{2}"),
        verified: bool,
    ) {
        let Ok(username) = Username::parse(&name) else { return Ok(()) };
        let account = account(username.as_str(), email.as_deref(), verified && email.is_some());
        let vouched = account.verified_email().map(str::to_owned);
        let (name, email) = injected(account, UnverifiedEmail::Withheld);
        prop_assert_eq!(&email, &vouched);
        if is_plausible_email(&name) {
            prop_assert!(vouched.is_some_and(|email| email.eq_ignore_ascii_case(&name)));
        }
    }
}
