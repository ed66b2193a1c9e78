use uuid::Uuid;

use crate::auth::account::Username;
use crate::auth::account::ended::EndedSessions;

use super::*;

const NOW: Timestamp = Timestamp(4_000_000_000_000);

fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

fn ann() -> Account {
    Account {
        email: Some("ann@example.com".to_owned()),
        password: Some(HashedPassword("old".to_owned())),
        version: 4,
        ..Account::new(AccountId(Uuid::from_u128(1)), Username::parse("ann").unwrap(), NOW)
    }
}

#[test]
fn an_administrators_change_ends_sessions_only_where_it_disables() {
    let (enabled, disabled) = (Some(AccountState::Enabled), Some(AccountState::Disabled));
    let roles = || Some(vec!["staff".to_owned()]);
    let sessions = Some(Ends::Sessions { but: None });
    for (case, before, roles, state, email_verified, ends) in [
        ("nothing", enabled, None, None, None, None),
        ("what it is already", enabled, None, enabled, Some(false), None),
        ("other roles", enabled, roles(), None, None, Some(Ends::Nothing)),
        ("a verified address", enabled, None, None, Some(true), Some(Ends::Nothing)),
        ("disabled", enabled, None, disabled, None, sessions),
        ("disabled already", disabled, None, disabled, None, None),
        ("disabled already, with other roles", disabled, roles(), None, None, Some(Ends::Nothing)),
        ("enabled", disabled, None, enabled, None, Some(Ends::Nothing)),
    ] {
        let account = Account { state: before.unwrap(), ..ann() };
        let unchanged = AccountChange::of(account.id, Administration::MayEnd, NOW);
        let change = AccountChange { roles, state, email_verified, ..unchanged };
        let update = account.apply(&change);
        assert_eq!(update.as_ref().map(|update| update.ends), ends, "{case}");
        assert!(update.is_none_or(|update| update.account != account), "{case}");
    }
}

#[test]
fn another_administrator_is_needed_where_one_ceases_to_be_and_somebody_must_remain() {
    let admin = Account { roles: vec!["admin".to_owned()], ..ann() };
    let disabled = Account { state: AccountState::Disabled, ..admin.clone() };
    let (must, may) = (Administration::MustRemain, Administration::MayEnd);
    for (case, administration, before, after, needs) in [
        ("removed", must, &admin, None, true),
        ("removed by an operator", may, &admin, None, false),
        ("demoted", must, &admin, Some(&ann()), true),
        ("disabled", must, &admin, Some(&disabled), true),
        ("disabled by an operator", may, &admin, Some(&disabled), false),
        ("changed otherwise", must, &admin, Some(&admin), false),
        ("was none", must, &ann(), None, false),
        ("could not sign in", must, &disabled, None, false),
    ] {
        assert_eq!(administration.needs_another(before, after), needs, "{case}");
    }
}

fn password(expected_version: Option<u64>, verify_email: bool) -> PasswordChange {
    PasswordChange {
        account: ann().id,
        expected_version,
        replacement: HashedPassword("new".to_owned()),
        former: Some(FormerPassword { mac: [7; 32], ends: NOW }),
        verify_email,
        keep: Some(session(5)),
        now: NOW,
    }
}

#[test]
fn a_password_is_replaced_at_its_version_and_ends_keys_only_where_it_verifies_the_address() {
    let but = Some(session(5));
    let (sessions, keys) = (Ends::Sessions { but }, Ends::SessionsAndKeys { but });
    for (case, verified, version, verify, ends) in [
        ("whatever there is", false, None, false, Some(sessions)),
        ("the one that was checked", false, Some(4), false, Some(sessions)),
        ("another one", false, Some(3), false, None),
        ("one to come", false, Some(5), true, None),
        ("with the address", false, Some(4), true, Some(keys)),
        ("with an address that was verified", true, Some(4), true, Some(sessions)),
    ] {
        let registered_from = Some(Box::new([1; 32]));
        let before = Account { email_verified: verified, registered_from, ..ann() };
        let update = before.replace_password(&password(version, verify));
        assert_eq!(update.as_ref().map(|update| update.ends), ends, "{case}");
        let Some(AccountUpdate { account, .. }) = update else { continue };
        let expected = Account {
            password: Some(HashedPassword("new".to_owned())),
            former: password(version, verify).former,
            registered_from: None,
            email_verified: verified || verify,
            version: 5,
            ..before
        };
        assert_eq!(account, expected, "{case}");
    }
}

#[test]
fn a_hash_is_upgraded_where_it_is_the_one_that_was_checked() {
    let [old, other, better] = ["old", "other", "better"].map(|it| HashedPassword(it.to_owned()));
    let upgraded = Account { password: Some(better.clone()), ..ann() };
    assert_eq!(ann().upgrade_hash(&old, &better), Some(upgraded));
    assert_eq!(ann().upgrade_hash(&other, &better), None);
    assert_eq!(Account { password: None, ..ann() }.upgrade_hash(&old, &better), None);
}

#[test]
fn a_github_number_is_linked_at_the_version_that_was_looked_at_and_once() {
    let link = |version, takeover, avatar: Option<&str>| {
        let (account, avatar) = (ann().id, avatar.map(str::to_owned));
        GithubLink { account, version, number: 77, avatar, takeover, now: NOW }
    };
    let pictured = Account { avatar: Some("before".to_owned()), ..ann() };
    let linked = Account { github: Some(77), email_verified: true, ..pictured.clone() };
    let update = |account, ends| Some(AccountUpdate { account, ends });
    assert_eq!(pictured.link(&link(4, false, None)), update(linked.clone(), Ends::Nothing));
    let shown = Account { avatar: Some("new".to_owned()), ..linked.clone() };
    assert_eq!(pictured.link(&link(4, false, Some("new"))), update(shown, Ends::Nothing));
    let former = Some(FormerPassword { mac: [7; 32], ends: NOW });
    let taken_over = Account { password: None, version: 5, ..linked.clone() };
    assert_eq!(
        Account { former, ..pictured.clone() }.link(&link(4, true, None)),
        update(taken_over, Ends::SessionsAndKeys { but: None }),
    );
    assert_eq!(pictured.link(&link(3, false, None)), None, "it has changed");
    assert_eq!(linked.link(&link(4, false, None)), None, "it has one");
}

#[test]
fn what_is_kept_for_a_while_is_forgotten_once() {
    assert_eq!(ann().forget_registration(), None);
    let registered = Account { registered_from: Some(Box::new([1; 32])), ..ann() };
    assert_eq!(registered.forget_registration(), Some(ann()));
    let kept = Account { former: Some(FormerPassword { mac: [7; 32], ends: NOW }), ..ann() };
    assert_eq!(kept.forget_former(Timestamp(NOW.0 - 1)), None);
    assert_eq!(kept.forget_former(NOW), Some(ann()));
    assert_eq!(ann().forget_former(NOW), None);
}

#[test]
fn what_was_proven_holds_at_its_version_while_the_account_is_enabled() {
    let disabled = Account { state: AccountState::Disabled, ..ann() };
    for (case, account, version, current) in [
        ("as it was", ann(), 4, true),
        ("before a change", ann(), 3, false),
        ("after none", ann(), 5, false),
        ("disabled", disabled, 4, false),
    ] {
        assert_eq!(account.is_current(version), current, "{case}");
    }
}

#[test]
fn a_session_opens_behind_none_that_has_ended() {
    let mark =
        |up_to, but: Option<u128>| EndedSessions { up_to: session(up_to), but: but.map(session) };
    for (case, ended, oldest, new, expected) in [
        ("the first", None, &[][..], 1, (Ok(()), None)),
        ("room was made", None, &[3, 4], 9, (Ok(()), Some(mark(4, None)))),
        ("older than the oldest", None, &[3, 4], 4, (Err(session(4)), None)),
        ("after all ended", Some(mark(7, None)), &[], 8, (Ok(()), Some(mark(7, None)))),
        ("no later", Some(mark(7, None)), &[], 7, (Err(session(7)), Some(mark(7, None)))),
        (
            "no later than what gives way",
            Some(mark(7, Some(5))),
            &[5, 9],
            8,
            (Err(session(9)), Some(mark(7, Some(5)))),
        ),
        ("one went on", Some(mark(7, Some(5))), &[8], 9, (Ok(()), Some(mark(8, Some(5))))),
        ("and gives way", Some(mark(7, Some(5))), &[5], 9, (Ok(()), Some(mark(7, None)))),
    ] {
        let mut account = Account { ended, ..ann() };
        let oldest: Vec<_> = oldest.iter().map(|number| session(*number)).collect();
        let made = account.make_room_for(session(new), &oldest);
        assert_eq!((made, account.ended), expected, "{case}");
    }
}
