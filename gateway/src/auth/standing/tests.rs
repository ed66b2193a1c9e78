//! Memory by itself: what is found, counted, dropped and forgotten.

use proptest::prelude::*;
use uuid::Uuid;

use super::super::account::Username;
use super::super::api_key::AtomicTimestamp;
use super::super::time::Seconds;
use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn account_id(number: u128) -> AccountId {
    AccountId(Uuid::from_u128(number))
}

fn account(number: u128, name: &str) -> Account {
    Account::new(account_id(number), Username::parse(name).unwrap(), NOW)
}

fn key(number: u128, owner: u128) -> ApiKey {
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(&number.to_be_bytes());
    ApiKey {
        id: KeyId(Uuid::from_u128(number)),
        owner: account_id(owner),
        name: String::new(),
        shown: String::new(),
        digest,
        server: None,
        scopes: Vec::new(),
        created: NOW,
        expires: None,
        superseded: AtomicTimestamp::default(),
        last_used: AtomicTimestamp::default(),
    }
}

fn server_id(number: u128) -> ServerId {
    ServerId(Uuid::from_u128(number))
}

fn server(number: u128) -> Server {
    Server { id: server_id(number), name: String::new(), owner: None, created: NOW }
}

fn workspace_id(number: u128) -> WorkspaceId {
    WorkspaceId(Uuid::from_u128(number))
}

fn workspace(number: u128) -> Workspace {
    Workspace { id: workspace_id(number), name: String::new(), created: NOW }
}

/// Who is in a workspace, as numbers and roles.
fn members(standing: &Standing, workspace: u128) -> Vec<(u128, String)> {
    let members = standing.members(workspace_id(workspace)).into_iter();
    members.map(|(account, role)| (account.0.as_u128(), role.to_string())).collect()
}

fn just_before(at: Timestamp) -> Timestamp {
    Timestamp(at.0 - 1)
}

#[test]
fn a_key_is_found_by_its_digest_and_by_its_id_until_it_is_removed() {
    let standing = Standing::default();
    let (one, two) = (key(1, 7), key(2, 7));
    for key in [&two, &one] {
        standing.put_key(key.clone());
    }
    for key in [&one, &two] {
        assert_eq!(standing.key(&key.digest).as_deref(), Some(key));
        assert_eq!(standing.key_by_id(key.id).as_deref(), Some(key));
    }
    assert_eq!(standing.key_by_id(key(3, 7).id), None);
    standing.note_use(&standing.key(&one.digest).unwrap(), NOW);
    standing.remove_key(&one.digest);
    assert_eq!(standing.key(&one.digest), None);
    assert_eq!(standing.key_by_id(one.id), None);
    assert_eq!(standing.take_uses(), [], "of a key that is gone nothing is written down");
    for keys in [standing.keys(None), standing.keys(Some(account_id(7)))] {
        assert_eq!(keys, [Arc::new(two.clone())], "the owner's other key stays");
    }
}

/// With so many some lie beside each other in the table.
#[test]
fn however_many_keys_there_are_none_is_taken_for_another() {
    let standing = Standing::default();
    let keys: Vec<ApiKey> = (0..10_000).map(|number| key(number, 7)).collect();
    for key in &keys {
        standing.put_key(key.clone());
    }
    assert_eq!(standing.sizes().keys, keys.len());
    for key in &keys {
        assert_eq!(standing.key(&key.digest).map(|found| found.id), Some(key.id));
    }
}

#[test]
fn accounts_and_keys_are_counted_by_what_they_are() {
    let standing = Standing::default();
    for (number, name) in [(1, "ann"), (2, "ben"), (3, "carol"), (4, "dan"), (5, "eve")] {
        let state = if number > 3 { AccountState::Disabled } else { AccountState::Enabled };
        standing.put_account(Account { state, ..account(number, name) });
        let server = (number > 3).then(|| server_id(1));
        standing.put_key(ApiKey { server, ..key(number, number) });
    }
    assert_eq!(standing.count_accounts(|_| true), 5);
    assert_eq!(standing.count_accounts(|account| account.state == AccountState::Enabled), 3);
    assert_eq!(standing.count_accounts(|account| account.email.is_some()), 0);
    assert_eq!(standing.count_keys(|_| true), 5);
    assert_eq!(standing.count_keys(|key| key.server.is_some()), 2);
    assert_eq!(standing.count_keys(|key| key.expires.is_some()), 0);
}

#[test]
fn administrators_are_enabled_and_have_the_role() {
    let standing = Standing::default();
    for (number, role, state) in [
        (1, "admin", AccountState::Enabled),
        (2, "admin", AccountState::Disabled),
        (3, "user", AccountState::Enabled),
    ] {
        let roles = vec!["ops".to_owned(), role.to_owned()];
        standing.put_account(Account { roles, state, ..account(number, &format!("user{number}")) });
    }
    assert_eq!(standing.administrators(), [account_id(1)]);
}

#[test]
fn keys_of_a_server_are_those_bound_to_it_in_order_of_creation() {
    let standing = Standing::default();
    for (number, bound) in [(3, Some(1)), (1, Some(1)), (2, Some(2)), (4, None)] {
        standing.put_key(ApiKey { server: bound.map(server_id), ..key(number, 7) });
    }
    let bound = |number| {
        let keys = standing.keys_of_server(server_id(number)).into_iter();
        keys.map(|key| key.id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!((bound(1), bound(2), bound(3)), (vec![1, 3], vec![2], vec![]));
    standing.remove_key(&key(3, 7).digest);
    assert_eq!((bound(1), bound(2)), (vec![1], vec![2]));
}

#[test]
fn registration_is_open_unless_and_for_as_long_as_it_is_closed() {
    let standing = Standing::default();
    assert_eq!(standing.registration(), Registering::Open);
    for registering in [Registering::Closed, Registering::Open] {
        standing.set_registration(registering);
        assert_eq!(standing.registration(), registering);
    }
}

#[test]
fn everything_is_listed_in_order_of_creation() {
    let standing = Standing::default();
    for number in [3, 1, 2] {
        standing.put_account(account(number, &format!("user{number}")));
        standing.put_key(key(number, 7));
        standing.put_server(server(number));
        standing.put_workspace(workspace(number));
        standing.put_member(workspace_id(9), account_id(number), Some("member"));
    }
    let numbers = [1, 2, 3].map(Uuid::from_u128);
    assert!(standing.accounts().iter().map(|account| account.id.0).eq(numbers));
    assert!(standing.keys(None).iter().map(|key| key.id.0).eq(numbers));
    assert!(standing.servers().iter().map(|server| server.id.0).eq(numbers));
    assert!(standing.workspaces().iter().map(|workspace| workspace.id.0).eq(numbers));
    let members = standing.members(workspace_id(9));
    assert!(members.iter().map(|(account, _)| account.0).eq(numbers));
}

#[test]
fn servers_and_workspaces_are_there_until_they_are_removed() {
    let standing = Standing::default();
    for number in [1, 2] {
        standing.put_server(server(number));
        standing.put_workspace(workspace(number));
    }
    assert_eq!(standing.server(server_id(1)).as_deref(), Some(&server(1)));
    assert_eq!(standing.workspace(workspace_id(1)).as_deref(), Some(&workspace(1)));
    let renamed = Workspace { name: "renamed".to_owned(), ..workspace(1) };
    standing.put_workspace(renamed.clone());
    assert_eq!(standing.workspace(workspace_id(1)).as_deref(), Some(&renamed));
    standing.remove_server(server_id(1));
    standing.remove_workspace(workspace_id(1));
    assert_eq!(standing.server(server_id(1)), None);
    assert_eq!(standing.workspace(workspace_id(1)), None);
    assert_eq!(standing.servers(), [Arc::new(server(2))]);
    assert_eq!(standing.workspaces(), [Arc::new(workspace(2))]);
}

#[test]
fn a_member_has_its_present_role_until_it_or_the_workspace_goes() {
    let standing = Standing::default();
    for (workspace, account, role) in [(1, 1, "owner"), (1, 2, "guest"), (2, 1, "guest")] {
        standing.put_member(workspace_id(workspace), account_id(account), Some(role));
    }
    let role = |workspace, account| {
        let found = standing.membership(workspace_id(workspace), account_id(account));
        found.map(|found| {
            assert_eq!(found.workspace, workspace_id(workspace));
            found.role.to_string()
        })
    };
    assert_eq!(role(1, 1).as_deref(), Some("owner"));
    assert_eq!(role(2, 1).as_deref(), Some("guest"));
    assert_eq!(role(2, 2), None);
    standing.put_member(workspace_id(1), account_id(2), Some("member"));
    assert_eq!(members(&standing, 1), [(1, "owner".to_owned()), (2, "member".to_owned())]);
    standing.put_member(workspace_id(1), account_id(2), None);
    assert_eq!(members(&standing, 1), [(1, "owner".to_owned())]);
    standing.remove_workspace(workspace_id(1));
    assert_eq!(role(1, 1), None);
    assert_eq!(members(&standing, 2), [(1, "guest".to_owned())], "another workspace's stay");
}

#[test]
fn what_a_token_of_a_workspace_opened_ends_when_the_account_leaves_it() {
    let standing = Standing::default();
    let ann = Arc::new(account(1, "ann"));
    standing.put_account((*ann).clone());
    for number in [1, 2] {
        standing.put_member(workspace_id(number), ann.id, Some("member"));
    }
    let everywhere = Principal::new(Arc::clone(&ann), Proof::Password);
    let workspace = standing.membership(workspace_id(1), ann.id);
    let scoped = Principal { workspace, ..everywhere.clone() };
    let judge = |principal| standing.still_good(principal, NOW).map(drop);
    assert_eq!(judge(&scoped), Ok(()));
    standing.put_member(workspace_id(2), ann.id, None);
    assert_eq!(judge(&scoped), Ok(()), "that was another workspace");
    standing.put_member(workspace_id(1), ann.id, None);
    assert_eq!(judge(&scoped), Err(Refusal::WorkspaceLeft));
    assert_eq!(judge(&everywhere), Ok(()));
}

#[test]
fn a_removed_account_is_found_by_no_name_and_in_no_workspace() {
    let standing = Standing::default();
    for (number, name) in [(1, "ann"), (2, "ben")] {
        let email = Some(format!("{name}@example.com"));
        let github = u64::try_from(number).ok();
        standing.put_account(Account { email, github, ..account(number, name) });
        standing.put_member(workspace_id(1), account_id(number), Some("member"));
    }
    let found = |number: u64, name: &str| {
        let id = account_id(u128::from(number));
        [
            standing.account(id),
            standing.account_by_name(name),
            standing.account_by_name(&format!("{name}@example.com")),
            standing.account_by_github(number),
        ]
        .map(|account| account.is_some_and(|account| account.id == id))
    };
    assert_eq!((found(1, "ann"), found(2, "ben")), ([true; 4], [true; 4]));
    standing.remove_account(account_id(1));
    assert_eq!((found(1, "ann"), found(2, "ben")), ([false; 4], [true; 4]));
    assert_eq!(members(&standing, 1), [(2, "member".to_owned())]);
}

/// Memory may hear of the new owner of a name before it hears that the old one is gone.
#[test]
fn a_name_that_is_somebody_elses_by_now_stays_when_an_account_is_removed() {
    let standing = Standing::default();
    for number in [1, 2] {
        let email = Some("ann@example.com".to_owned());
        standing.put_account(Account { email, github: Some(5), ..account(number, "ann") });
    }
    standing.remove_account(account_id(1));
    for found in [
        standing.account_by_name("ann"),
        standing.account_by_name("ann@example.com"),
        standing.account_by_github(5),
    ] {
        assert_eq!(found.map(|account| account.id), Some(account_id(2)));
    }
}

#[test]
fn the_use_of_a_key_is_noted_once_a_second() {
    let standing = Standing::default();
    standing.put_key(key(1, 7));
    let key = standing.key(&key(1, 7).digest).unwrap();
    for (after, noted) in [(0, true), (0, false), (999, false), (1000, true), (1999, false)] {
        let at = Timestamp(NOW.0 + after);
        standing.note_use(&key, at);
        let expected = if noted { vec![(key.id, at)] } else { Vec::new() };
        assert_eq!(standing.take_uses(), expected, "{after} ms");
    }
    assert_eq!(key.last_used.get(), Some(Timestamp(NOW.0 + 1000)));
}

#[test]
fn uses_that_could_not_be_written_are_kept_unless_there_are_later_ones() {
    let standing = Standing::default();
    for number in [1, 2] {
        standing.put_key(key(number, 7));
    }
    let [one, two] = [1, 2].map(|number| standing.key(&key(number, 7).digest).unwrap());
    standing.note_use(&one, NOW);
    standing.note_use(&two, NOW);
    let unwritten = standing.take_uses();
    assert_eq!(unwritten.len(), 2);
    let later = NOW.plus(Seconds(1));
    standing.note_use(&one, later);
    standing.return_uses(unwritten);
    let mut uses = standing.take_uses();
    uses.sort_unstable();
    assert_eq!(uses, [(one.id, later), (two.id, NOW)]);
}

#[test]
fn a_use_that_another_gateway_saw_counts_if_it_is_the_latest() {
    let standing = Standing::default();
    for number in [1, 2, 3] {
        standing.put_key(key(number, 7));
    }
    let keys = [1, 2, 3].map(|number| standing.key(&key(number, 7).digest).unwrap());
    standing.note_use(&keys[0], NOW);
    assert_eq!(standing.take_uses(), [(keys[0].id, NOW)]);
    let (earlier, later) = (just_before(NOW), NOW.plus(Seconds(1)));
    for (heard, known) in [(earlier, NOW), (later, later), (NOW, later)] {
        standing.hear_uses(&HashMap::from([(keys[0].id, heard), (keys[1].id, heard)]));
        assert_eq!(keys[0].last_used.get(), Some(known), "heard {heard:?}");
    }
    assert_eq!(keys[1].last_used.get(), Some(later), "it was not used here");
    assert_eq!(keys[2].last_used.get(), None, "nobody has used it");
    assert_eq!(standing.take_uses(), [], "whoever saw it writes it down");
}

#[test]
fn an_address_is_locked_out_until_its_time_comes_or_it_is_unlocked() {
    let standing = Standing::default();
    let (locked, other) = (Source::V4(1), Source::V6(1));
    let until = NOW.plus(Seconds(60));
    assert_eq!(standing.verdict(locked, NOW), Verdict::Allowed);
    standing.lock_out(locked, until);
    for (at, expected) in [
        (NOW, Verdict::LockedOut(until)),
        (just_before(until), Verdict::LockedOut(until)),
        (until, Verdict::Allowed),
        (until.plus(Seconds(1)), Verdict::Allowed),
    ] {
        assert_eq!(standing.verdict(locked, at), expected, "{at:?}");
        assert_eq!(standing.verdict(other, at), Verdict::Allowed);
    }
    standing.unlock(locked);
    assert_eq!(standing.verdict(locked, NOW), Verdict::Allowed);
}

#[test]
fn what_is_refused_is_forgotten_when_it_would_have_ended_and_not_before() {
    let standing = Standing::default();
    let until = NOW.plus(Seconds(60));
    let (token, session) = (TokenId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(2)));
    let (other_token, other_session) = (TokenId(Uuid::nil()), SessionId(Uuid::nil()));
    let source = Source::V4(1);
    standing.revoke_token(token, until);
    standing.end_sessions(&[(session, until)]);
    standing.lock_out(source, until);
    assert_eq!(standing.check_token(other_token, other_session), Ok(()));
    for at in [NOW, just_before(until)] {
        standing.sweep(at, at);
        let revoked = standing.check_token(token, other_session);
        assert_eq!(revoked, Err(Refusal::TokenRevoked), "{at:?}");
        let ended = standing.check_token(other_token, session);
        assert_eq!(ended, Err(Refusal::SessionEnded), "{at:?}");
        assert_eq!(standing.verdict(source, at), Verdict::LockedOut(until));
    }
    standing.sweep(just_before(until.plus(SWEEP_SLACK)), just_before(until.plus(SWEEP_SLACK)));
    assert_eq!(standing.check_token(token, other_session), Err(Refusal::TokenRevoked));
    assert_eq!(standing.check_token(other_token, session), Err(Refusal::SessionEnded));
    standing.sweep(until.plus(SWEEP_SLACK), until.plus(SWEEP_SLACK));
    let Sizes { revoked, ended, lockouts, .. } = standing.sizes();
    assert_eq!((revoked, ended, lockouts), (0, 0, 0));
}

/// Three of each kind, and every account in every workspace.
fn everything() -> Vec<Gone> {
    let pairs = (0..3).flat_map(|workspace| (0..3).map(move |account| (workspace, account)));
    (0..3)
        .flat_map(|number| {
            [
                Gone::Account(account_id(number)),
                Gone::Key(key(number, 0).digest),
                Gone::Server(server_id(number)),
                Gone::Workspace(workspace_id(number)),
            ]
        })
        .chain(pairs.map(|(w, a)| Gone::Member(workspace_id(w), account_id(a))))
        .collect()
}

fn full() -> Standing {
    let standing = Standing::default();
    for number in 0..3 {
        standing.put_account(account(number, &format!("user{number}")));
        standing.put_key(key(number, number));
        standing.put_server(server(number));
        standing.put_workspace(workspace(number));
        for member in 0..3 {
            standing.put_member(workspace_id(number), account_id(member), Some("member"));
        }
    }
    standing
}

fn found(present: impl Fn(Gone) -> bool) -> Found {
    let mut found = Found::default();
    for thing in everything().into_iter().filter(|thing| present(*thing)) {
        match thing {
            Gone::Account(id) => drop(found.accounts.insert(id)),
            // The number of a key is the beginning of its digest, see `key`.
            Gone::Key(digest) => {
                let id = u128::from_be_bytes(*digest.first_chunk().unwrap());
                found.keys.insert(KeyId(Uuid::from_u128(id)));
            }
            Gone::Server(id) => drop(found.servers.insert(id)),
            Gone::Workspace(id) => drop(found.workspaces.insert(id)),
            Gone::Member(workspace, account) => drop(found.members.insert((workspace, account))),
        }
    }
    found
}

fn holds(standing: &Standing, thing: Gone) -> bool {
    match thing {
        Gone::Account(id) => standing.account(id).is_some(),
        Gone::Key(digest) => standing.key(&digest).is_some(),
        Gone::Server(id) => standing.server(id).is_some(),
        Gone::Workspace(id) => standing.workspace(id).is_some(),
        Gone::Member(workspace, account) => standing.membership(workspace, account).is_some(),
    }
}

/// A member stays no longer than its account and its workspace.
fn should_hold(thing: Gone, kept: &impl Fn(Gone) -> bool) -> bool {
    kept(thing)
        && match thing {
            Gone::Member(workspace, account) => {
                kept(Gone::Workspace(workspace)) && kept(Gone::Account(account))
            }
            _ => true,
        }
}

proptest! {
    #[test]
    fn what_was_not_found_is_dropped_unless_it_is_spared(
        fates in prop::collection::vec((any::<bool>(), any::<bool>()), everything().len()),
    ) {
        let all = everything();
        let fate = |thing| fates[all.iter().position(|known| *known == thing).unwrap()];
        let (is_found, is_spared) = (|thing| fate(thing).0, |thing| fate(thing).1);
        let kept = |thing| is_found(thing) || is_spared(thing);
        let (sparing, strict) = (full(), full());
        sparing.keep_only_unless(&found(is_found), is_spared);
        strict.keep_only(&found(is_found));
        for thing in all.iter().copied() {
            prop_assert_eq!(holds(&sparing, thing), should_hold(thing, &kept), "{:?}", thing);
            prop_assert_eq!(holds(&strict, thing), should_hold(thing, &is_found), "{:?}", thing);
        }
    }
}

fn proven(account: &Account, proof: Proof) -> Principal {
    Principal::new(Arc::new(account.clone()), proof)
}

#[test]
fn a_change_wakes_whom_it_concerns_and_a_stream_that_ends_leaves_nothing() {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    type Change<'a> = &'a dyn Fn(&Standing);
    let standing = full();
    let (ann, ben) = (account(0, "user0"), account(1, "user1"));
    let token = |number: u128| Proof::AccessToken {
        token: TokenId(Uuid::from_u128(number)),
        session: SessionId(Uuid::from_u128(number + 100)),
        expires: NOW.plus(Seconds(60)),
    };
    let principals = [
        proven(&ann, Proof::Password),
        proven(&ann, token(1)),
        proven(&ann, token(2)),
        proven(&ben, token(3)),
        proven(&ben, Proof::Key(Arc::new(key(1, 1)))),
    ];
    let until = NOW.plus(Seconds(60));
    let changed = || Account { version: 2, ..account(0, "user0") };
    let changes: [(&str, Change<'_>, &[usize]); 10] = [
        ("an account", &|standing| standing.put_account(changed()), &[0, 1, 2]),
        ("a token", &|standing| standing.revoke_token(TokenId(Uuid::from_u128(1)), until), &[1]),
        (
            "a session",
            &|standing| standing.end_sessions(&[(SessionId(Uuid::from_u128(102)), until)]),
            &[2],
        ),
        ("a key's end", &|standing| standing.put_key(key(1, 1)), &[4]),
        (
            "a member",
            &|standing| standing.put_member(workspace_id(0), account_id(1), None),
            &[3, 4],
        ),
        ("a workspace", &|standing| standing.remove_workspace(workspace_id(0)), &[0, 1, 2]),
        ("a key", &|standing| standing.remove_key(&key(1, 1).digest), &[4]),
        ("an account that goes", &|standing| standing.remove_account(account_id(1)), &[3, 4]),
        ("somebody else", &|standing| standing.remove_account(account_id(2)), &[]),
        ("a new reading", &|standing| standing.keep_only(&Found::default()), &[0, 1, 2, 3, 4]),
    ];
    for (what, change, concerned) in changes {
        let subscriptions: Vec<_> =
            principals.iter().map(|principal| standing.subscribe(principal)).collect();
        let waiting: Vec<_> = subscriptions.iter().map(Subscription::changed).collect();
        let before = standing.generation();
        change(&standing);
        assert!(standing.generation() > before, "{what}");
        let mut woken = Vec::new();
        for (index, changed) in waiting.into_iter().enumerate() {
            if pin!(changed).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(()) {
                woken.push(index);
            }
        }
        assert_eq!(woken, concerned, "{what}");
    }
    assert_eq!(standing.subscribers.len(), 0);
}

/// An end that is held here may be noted while the store's word of another change of the
/// account arrives: neither undoes the other.
#[test]
fn an_end_and_another_change_of_an_account_at_once_are_both_kept() {
    let standing = Standing::default();
    standing.put_account(account(1, "ann"));
    let known = || standing.account(account_id(1)).expect("it is there");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 1..=20_000 {
                standing.put_account(Account { version, ..account(1, "ann") });
                assert_eq!(known().version, version, "an end has brought back the one before");
            }
        });
        scope.spawn(|| {
            for moment in 1..=20_000 {
                let now = NOW.plus(Seconds(moment));
                standing.end_all_sessions(account_id(1), now);
                let ended = known().ended.expect("something has ended").up_to;
                assert_eq!(ended, SessionId::last_of(now), "a change has undone the end");
            }
        });
    });
}
