use uuid::Uuid;

use super::*;

fn named(username: &str, email: Option<&str>) -> Account {
    let username = Username::parse(username).unwrap();
    let account = Account::new(AccountId(Uuid::from_u128(1)), username, Timestamp(1));
    Account { email: email.map(str::to_owned), ..account }
}

#[test]
fn a_user_name_is_visible_ascii_that_no_list_and_no_basic_credential_ends_at() {
    for good in
        ["a", "Ann", "ann@example.com", "a.b-c_d+e", "~!#$%&'()*;<=>?[]^`{|}", &"a".repeat(254)]
    {
        assert!(Username::parse(good).is_ok(), "{good}");
    }
    for bad in ["", " ", "a b", "a:b", "a,b", "a\"b", "a\\b", "a/b", "a\n", "é", &"a".repeat(255)]
    {
        assert!(Username::parse(bad).is_err(), "{bad:?}");
    }
    assert_eq!(Username::parse("Ann").unwrap().canonical(), "ann");
    assert_eq!(Username::parse("Ann").unwrap().as_str(), "Ann");
}

#[test]
fn an_email_address_is_a_local_part_and_a_domain_with_a_dot() {
    let longest = format!("{}@example.com", "a".repeat(254 - 12));
    for good in ["a@b.c", "ann@example.com", "a+b@sub.example.com", &longest] {
        assert!(is_plausible_email(good), "{good}");
    }
    for bad in [
        "",
        "@",
        "ann",
        "ann@",
        "@example.com",
        "ann@example",
        "ann@.com",
        "ann@example.",
        "ann@example..com",
        "a@b@example.com",
        "a b@example.com",
        "ann@exa mple.com",
        "ann@example.com\r\nbcc:x",
        "é@example.com",
        "a,b@example.com",
        "<ann@example.com>",
        "a\"b@example.com",
        "a/b@example.com",
        "a:b@example.com",
        "a\\b@example.com",
        "a(b)@example.com",
        &format!("a{longest}"),
    ] {
        assert!(!is_plausible_email(bad), "{bad:?}");
    }
}

#[test]
fn a_persons_name_is_something_to_read_on_one_line() {
    for good in ["A", "Ann", "Ann Example", "Zoë", " Ann ", &"a".repeat(200)] {
        assert!(is_valid_person_name(good), "{good}");
    }
    for bad in ["", " ", "\u{3000}", "a\n", "a\u{9b}", "\0", &"a".repeat(201)] {
        assert!(!is_valid_person_name(bad), "{bad:?}");
    }
}

#[test]
fn a_name_in_parts_and_a_whole_one_are_the_same_to_whoever_shows_it() {
    let parts = |name: &PersonName| {
        let (first, last) = name.parts();
        format!("{first}|{last}")
    };
    let whole = PersonName::whole("Ann van  Example");
    assert_eq!(
        (whole.full().as_str(), parts(&whole).as_str()),
        ("Ann van  Example", "Ann|van  Example")
    );
    assert_eq!(parts(&PersonName::whole("Ann  Example")), "Ann|Example");
    assert_eq!(parts(&PersonName::whole("Ann")), "Ann|");
    let in_parts = PersonName::in_parts("Ann", "van Example");
    assert_eq!(
        (in_parts.full().as_str(), parts(&in_parts).as_str()),
        ("Ann van Example", "Ann|van Example")
    );
    let first = PersonName { first: Some("Ann".to_owned()), ..PersonName::default() };
    assert_eq!((first.full().as_str(), parts(&first).as_str()), ("Ann", "Ann|"));
    let last = PersonName { last: Some("Example".to_owned()), ..PersonName::default() };
    assert_eq!((last.full().as_str(), parts(&last).as_str()), ("Example", "|Example"));
    let nothing = PersonName::default();
    assert_eq!((nothing.full().as_str(), parts(&nothing).as_str()), ("", "|"));
}

#[test]
fn the_first_role_is_the_main_one() {
    let with = |roles: &[&str]| {
        let roles = roles.iter().map(|&role| role.to_owned()).collect();
        Account { roles, ..named("ann", None) }
    };
    assert_eq!(named("ann", None).roles, [DEFAULT_ROLE]);
    assert_eq!(with(&["ops", "dev"]).main_role(), "ops");
    assert_eq!(with(&[]).main_role(), DEFAULT_ROLE);
    assert!(with(&["ops", "admin"]).is_admin() && !with(&["ops"]).is_admin());
}

#[test]
fn an_address_is_verified_only_where_there_is_one() {
    let mut ann = named("ann", Some("ann@example.com"));
    assert_eq!(ann.verified_email(), None);
    for (verified, expected) in [
        (None, None),
        (Some(true), Some("ann@example.com")),
        (None, Some("ann@example.com")),
        (Some(false), None),
    ] {
        ann.verify_email(verified);
        assert_eq!(ann.verified_email(), expected, "{verified:?}");
    }
    let mut without = named("ann", None);
    without.verify_email(Some(true));
    assert!(!without.email_verified && without.verified_email().is_none());
}

#[test]
fn a_name_in_the_form_of_an_address_is_the_accounts_own_only_when_that_is_verified() {
    for (username, email, verified, unverified) in [
        ("ann", None, false, false),
        ("ann@home", None, false, false),
        ("ceo@corp.example", None, false, true),
        ("ceo@corp.example", Some("ceo@corp.example"), false, true),
        ("ceo@corp.example", Some("ceo@corp.example"), true, false),
        ("CEO@corp.example", Some("ceo@corp.example"), true, false),
        ("ceo@corp.example", Some("ann@example.com"), true, true),
    ] {
        let mut account = named(username, email);
        account.verify_email(Some(verified));
        assert_eq!(account.is_named_by_unverified_email(), unverified, "{username} {email:?}");
    }
}

#[test]
fn the_names_of_an_account_are_each_there_once() {
    let with_github = Account { github: Some(77), ..named("Ann", Some("Ann@Example.com")) };
    assert_eq!(with_github.login_names(), ["ann", "ann@example.com"]);
    assert_eq!(with_github.names(), ["ann", "ann@example.com", "github/77"]);
    assert_eq!(named("Ann@Example.com", Some("ann@example.com")).names(), ["ann@example.com"]);
    assert!(is_login_name("ann") && !is_login_name("github/77"));
}

/// With the version everything ends that was begun under it: too little growth leaves a
/// door open, too much shuts out people whose roles were only added to.
#[test]
fn the_version_grows_with_the_state_and_where_nobody_vouches_for_the_address_any_more() {
    use crate::auth::ports::{AccountChange, Administration};

    let (enabled, disabled) = (Some(AccountState::Enabled), Some(AccountState::Disabled));
    let roles = || Some(vec!["staff".to_owned()]);
    for (verified, roles, state, email_verified, grows) in [
        (false, None, None, None, false),
        (true, None, None, None, false),
        (false, roles(), None, None, false),
        (true, roles(), enabled, None, false),
        (false, None, disabled, None, true),
        (true, roles(), disabled, None, true),
        (false, None, None, Some(false), false),
        (false, None, None, Some(true), false),
        (true, None, None, Some(true), false),
        (true, None, None, Some(false), true),
        (true, None, disabled, Some(false), true),
    ] {
        let before = Account { email_verified: verified, ..named("ann", Some("ann@example.com")) };
        let change = AccountChange::of(before.id, Administration::MustRemain, Timestamp(2));
        let change = AccountChange { roles: roles.clone(), state, email_verified, ..change };
        let after = before.apply(&change).map_or(before.clone(), |update| update.account);
        assert_eq!(after.version - before.version, u64::from(grows), "{verified} {change:?}");
        assert_eq!(after.roles, roles.unwrap_or(before.roles));
        assert_eq!(after.state, state.unwrap_or(before.state));
        assert_eq!(after.email_verified, email_verified.unwrap_or(verified));
    }
}

#[test]
fn what_has_ended_stays_so_whatever_is_told_of_the_account_later() {
    let session = |number| SessionId(Uuid::from_u128(number));
    let mut known =
        Account::new(AccountId(Uuid::nil()), Username::parse("ann").unwrap(), Timestamp(0));
    let told = known.clone();
    assert!(!known.has_ended(session(0)));
    known.end_sessions(session(7), Some(session(5)));
    let ended =
        |account: &Account| [4, 5, 6, 7, 8].map(|number| account.has_ended(session(number)));
    assert_eq!(ended(&known), [true, false, true, true, false]);
    let mut later = told.clone();
    later.keep_ended(&known);
    assert_eq!(ended(&later), ended(&known), "told without");
    known.end_sessions(session(6), Some(session(4)));
    assert_eq!(ended(&known), [true, true, true, true, false], "no mark goes back, none revives");
    later.keep_ended(&known);
    assert_eq!(ended(&later), [true, false, true, true, false], "what is told with it counts");
}

/// An end that the store hears of late says nothing about who came after it.
#[test]
fn an_end_of_all_up_to_a_moment_leaves_the_session_that_a_later_one_kept() {
    let kept = SessionId(Uuid::from_u128(SessionId::last_of(Timestamp(2_000)).0.as_u128() - 1));
    let last = SessionId::last_of(Timestamp(2_000));
    let changed = || {
        let mut account = named("ann", None);
        account.end_sessions(last, Some(kept));
        account
    };
    let mut late = changed();
    late.end_up_to(Timestamp(1_000));
    assert!(!late.has_ended(kept) && late.has_ended(last));
    let mut later = changed();
    later.end_up_to(Timestamp(2_000));
    assert!(later.has_ended(kept));
}

#[test]
fn a_name_that_somebody_has_is_told_by_its_kind() {
    let account = Account { github: Some(77), ..named("Ann", Some("Ann@Example.com")) };
    for (name, taken) in [
        ("ann", Creation::NameTaken),
        ("ann@example.com", Creation::EmailTaken),
        ("github/77", Creation::GithubTaken),
    ] {
        assert_eq!(account.taken_by(name), taken, "{name}");
    }
    let both = named("ann@example.com", Some("ann@example.com"));
    assert_eq!(both.taken_by("ann@example.com"), Creation::EmailTaken);
}
