//! Keys of anybody.

use super::*;
use crate::auth::api_key::{ApiKey, KeyId};
use crate::auth::error::StoreError;

fn listing(owner: Option<&str>, server: Option<Uuid>) -> Request {
    Request::ListKeys { owner: owner.map(named), server, page: Span::default() }
}

impl Bench {
    async fn listed(&self, owner: Option<&str>, server: Option<Uuid>) -> Vec<Uuid> {
        let page = self.page(listing(owner, server)).await;
        let ids = page.items.iter().map(|record| match record {
            Record::Key(key) => key.id,
            other => panic!("{other:?}"),
        });
        ids.collect()
    }

    async fn rotate(&self, id: Uuid, overlap: u64) -> Result<Reply, Error> {
        self.ask(Request::RotateKey { id, overlap }).await
    }
}

#[tokio::test]
async fn a_key_acts_as_its_owner_with_the_scopes_it_was_given() {
    let bench = Bench::new();
    let ann = bench.add("ann").await;
    let server = bench.add_server("web", None).await;
    let expires = Some(1_800_000_060_000);
    let scopes = texts(&["deploy", "read"]);
    let new = NewKey { scopes, expires, server: Some(server), ..key_of("ann@example.com") };
    let (key, text) = new_key(bench.ask(Request::CreateKey(new)).await.unwrap());
    assert_eq!((key.owner, key.name.as_str(), key.server), (ann, "ci", Some(server)));
    assert_eq!(key.scopes, ["deploy", "read"]);
    assert_eq!(key.expires.as_deref(), Some("2027-01-15T08:01:00.000Z"));
    let principal = bench.core.verify_key(&text).unwrap();
    assert_eq!(principal.account_id().0, ann);
    assert_eq!(principal.key().map(|key| key.scopes.clone()), Some(texts(&["deploy", "read"])));
    bench.pass(59);
    bench.judge_key(&text).unwrap();
    bench.pass(1);
    assert_eq!(bench.judge_key(&text), Err(Refusal::KeyExpired));
}

#[tokio::test]
async fn a_key_that_breaks_a_rule_is_not_made() {
    let bench = Bench::with_ann().await;
    let create = async |new| bench.ask(Request::CreateKey(new)).await;
    let new = NewKey { name: "x".repeat(201), ..key_of("ann") };
    assert_error!(create(new).await, Error::Name(Name::Label));
    let new = NewKey { scopes: texts(&["with space"]), ..key_of("ann") };
    assert_error!(create(new).await, Error::Name(Name::Scope));
    let new = NewKey { expires: Some(1_800_000_000_000), ..key_of("ann") };
    assert_error!(create(new).await, Error::Past);
    let new = NewKey { server: Some(NOBODY), ..key_of("ann") };
    assert_error!(create(new).await, Error::Unknown(Entity::Server));
    assert!(bench.listed(None, None).await.is_empty());
    create(key_of("ann")).await.unwrap();
}

#[tokio::test]
async fn a_user_has_no_more_keys_than_the_limit_and_keys_that_ended_make_room() {
    let bench = Bench::with_limits(AccountLimits { keys: 2, ..AccountLimits::default() });
    bench.add("ann").await;
    bench.add("ben").await;
    let (first, _) = bench.add_key("ann", None).await;
    let short = NewKey { expires: Some(1_800_000_010_000), ..key_of("ann") };
    let (second, _) = new_key(bench.ask(Request::CreateKey(short)).await.unwrap());
    let full = bench.ask(Request::CreateKey(key_of("ann"))).await;
    assert_error!(full, Error::TooMany(Entity::Key));
    assert_error!(bench.rotate(first.id, 60).await, Error::TooMany(Entity::Key));
    bench.add_key("ben", None).await;
    bench.rotate(first.id, 0).await.unwrap();
    bench.pass(10);
    bench.add_key("ann", None).await;
    assert_eq!(bench.listed(Some("ann"), None).await.len(), 2);
    assert!(!bench.listed(Some("ann"), None).await.contains(&second.id));
}

#[tokio::test]
async fn keys_are_listed_of_an_owner_of_a_server_of_both_or_all() {
    let bench = Bench::with_ann().await;
    bench.add("ben").await;
    let (web, other) = (bench.add_server("web", None).await, bench.add_server("db", None).await);
    let mut ids = Vec::new();
    for (owner, server) in [("ann", None), ("ann", Some(web)), ("ben", Some(web)), ("ben", None)] {
        ids.push(bench.add_key(owner, server).await.0.id);
    }
    for (owner, server, expected) in [
        (None, None, &[0, 1, 2, 3][..]),
        (Some("ann"), None, &[0, 1]),
        (Some("ben"), None, &[2, 3]),
        (None, Some(web), &[1, 2]),
        (Some("ann"), Some(web), &[1]),
        (Some("ben"), Some(web), &[2]),
        (None, Some(other), &[]),
        (Some("ann"), Some(other), &[]),
    ] {
        let expected: Vec<Uuid> = expected.iter().map(|&index| ids[index]).collect();
        assert_eq!(bench.listed(owner, server).await, expected, "{owner:?} {server:?}");
    }
    let names = bench.page(listing(None, None)).await.names;
    assert_eq!(names.values().collect::<Vec<_>>(), ["ann", "ben"]);
    for owner in [None, Some("ann"), Some("nobody")] {
        let unknown = bench.ask(listing(owner, Some(NOBODY))).await;
        assert_error!(unknown, Error::Unknown(Entity::Server));
    }
}

/// In an incident a key is looked for, whatever the store does.
#[tokio::test]
async fn keys_are_listed_from_memory_while_the_store_does_not_answer() {
    let bench = Bench::with_ann().await;
    let ids = [bench.add_key("ann", None).await.0.id, bench.add_key("ann", None).await.0.id];
    bench.store.lose(true);
    assert_eq!(bench.listed(None, None).await, ids);
    assert_eq!(bench.listed(Some("ann"), None).await, ids);
}

#[tokio::test]
async fn a_key_is_shown_with_its_last_use_and_without_its_text() {
    let bench = Bench::with_ann().await;
    let (key, text) = bench.add_key("ann", None).await;
    let show = async |id| match bench.ask(Request::ShowKey { id }).await? {
        Reply::Found(Record::Key(key)) => Ok(key),
        other => panic!("{other:?}"),
    };
    assert_eq!(show(key.id).await.unwrap().last_used, None);
    bench.pass(60);
    bench.judge_key(&text).unwrap();
    let shown = show(key.id).await.unwrap();
    assert_eq!(shown.last_used.as_deref(), Some("2027-01-15T08:01:00.000Z"));
    assert_eq!(shown.shown, text[..14]);
    assert_error!(show(NOBODY).await, Error::Unknown(Entity::Key));
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_the_overlap_and_its_successor_for_the_same_purpose() {
    let bench = Bench::with_ann().await;
    let server = bench.add_server("web", None).await;
    let new = NewKey { scopes: texts(&["deploy"]), server: Some(server), ..key_of("ann") };
    let (old, old_text) = new_key(bench.ask(Request::CreateKey(new)).await.unwrap());
    let (new, new_text) = new_key(bench.rotate(old.id, 60).await.unwrap());
    assert_ne!((old.id, &old_text), (new.id, &new_text));
    assert_eq!((new.owner, &new.name, new.server), (old.owner, &old.name, Some(server)));
    assert_eq!(new.scopes, old.scopes);
    bench.pass(59);
    assert_eq!((bench.judge_key(&old_text), bench.judge_key(&new_text)), (Ok(()), Ok(())));
    bench.pass(1);
    assert_eq!(bench.judge_key(&old_text), Err(Refusal::KeyExpired));
    assert_eq!(bench.judge_key(&new_text), Ok(()));
    for ended in [old.id, NOBODY] {
        assert_error!(bench.rotate(ended, 60).await, Error::Unknown(Entity::Key));
    }
}

#[tokio::test]
async fn a_key_that_is_rotated_without_overlap_is_gone_at_once() {
    let bench = Bench::with_ann().await;
    let (old, old_text) = bench.add_key("ann", None).await;
    let (new, new_text) = new_key(bench.rotate(old.id, 0).await.unwrap());
    assert_eq!(bench.judge_key(&old_text), Err(Refusal::KeyUnknown));
    bench.judge_key(&new_text).unwrap();
    assert_eq!(bench.listed(None, None).await, [new.id]);
}

#[tokio::test]
async fn a_key_is_revoked_once_whoever_has_it() {
    let bench = Bench::with_ann().await;
    let (key, text) = bench.add_key("ann", None).await;
    let (_, other) = bench.add_key("ann", None).await;
    bench.judge_key(&text).unwrap();
    let revoked = bench.ask(Request::RevokeKey { id: key.id }).await;
    assert!(matches!(revoked, Ok(Reply::Done)), "{revoked:?}");
    assert_eq!(bench.judge_key(&text), Err(Refusal::KeyUnknown));
    bench.judge_key(&other).unwrap();
    for id in [key.id, NOBODY] {
        assert_error!(bench.ask(Request::RevokeKey { id }).await, Error::Unknown(Entity::Key));
    }
}

#[tokio::test]
async fn all_keys_of_a_user_are_revoked_and_nobody_elses() {
    let bench = Bench::with_ann().await;
    bench.add("ben").await;
    let mut mine = Vec::new();
    for _ in 0..3 {
        mine.push(bench.add_key("ann", None).await.1);
    }
    let (_, other) = bench.add_key("ben", None).await;
    let pair = bench.sign_in("ann").await.unwrap();
    for expected in [3, 0] {
        match bench.ask(Request::RevokeKeys { owner: named("ann") }).await.unwrap() {
            Reply::KeysRevoked { keys } => assert_eq!(keys, expected),
            other => panic!("{other:?}"),
        }
    }
    for text in &mine {
        assert_eq!(bench.judge_key(text), Err(Refusal::KeyUnknown));
    }
    bench.judge_key(&other).unwrap();
    assert_eq!(bench.judge(&pair), Ok(()));
}

#[tokio::test]
async fn keys_that_are_not_stored_as_revoked_end_to_the_last_and_that_is_told() {
    let bench = Bench::with_ann().await;
    let keys = [bench.add_key("ann", None).await.1, bench.add_key("ann", None).await.1];
    let revoke = async || bench.ask(Request::RevokeKeys { owner: named("ann") }).await;
    bench.store.refuse_changes(true);
    assert_error!(revoke().await, Error::Store(StoreError::Unavailable(_)));
    bench.store.refuse_changes(false);
    bench.store.hold_ends(true);
    assert_error!(revoke().await, Error::Store(StoreError::Held));
    for text in &keys {
        assert_eq!(bench.judge_key(text), Err(Refusal::KeyUnknown));
    }
}

/// In an incident somebody may go on making them.
#[tokio::test]
async fn keys_that_are_made_meanwhile_are_revoked_too_but_not_looked_for_for_ever() {
    let bench = Bench::with_ann().await;
    bench.add_key("ann", None).await;
    let standing = bench.core.standing();
    let known = ApiKey::clone(&standing.keys(None)[0]);
    let another = ApiKey { id: KeyId(NOBODY), digest: [1; 32], ..known };
    let revoke = async || match bench.ask(Request::RevokeKeys { owner: named("ann") }).await {
        Ok(Reply::KeysRevoked { keys }) => keys,
        other => panic!("{other:?}"),
    };
    bench.store.create_meanwhile(vec![another.clone()]);
    assert_eq!(revoke().await, 2);
    assert!(standing.keys(None).is_empty());
    // One that memory alone has is there at every look.
    standing.put_key(another);
    assert_eq!(revoke().await, 0);
}
