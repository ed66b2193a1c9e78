//! Sessions: which are listed, and which end.

use super::*;
use crate::auth::error::StoreError;

fn session_of(bench: &Bench, pair: &TokenPair) -> Uuid {
    bench.verify(pair).unwrap().session().unwrap().0
}

fn end_all(after: Option<Uuid>, limit: Option<usize>) -> Request {
    Request::EndAllSessions { after, limit }
}

/// How many users, and after whom to go on.
fn ended(reply: Result<Reply, Error>) -> (u64, Option<Uuid>) {
    match reply {
        Ok(Reply::SessionsEnded { users, next }) => (users, next),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn sessions_are_listed_of_one_user_or_of_all_with_their_names() {
    let bench = Bench::new();
    let (ann, ben) = (bench.add("ann").await, bench.add("ben").await);
    let mut all = Vec::new();
    for name in ["ann", "ben", "ann"] {
        all.push(session_of(&bench, &bench.sign_in(name).await.unwrap()));
        bench.pass(1);
    }
    for (user, expected, names) in [
        (None, vec![all[0], all[1], all[2]], &[(ann, "ann"), (ben, "ben")][..]),
        (Some("ann"), vec![all[0], all[2]], &[(ann, "ann")]),
        (Some("ben"), vec![all[1]], &[(ben, "ben")]),
    ] {
        let user = user.map(named);
        let page = bench.page(Request::ListSessions { user, page: Span::default() }).await;
        let ids: Vec<Uuid> = page
            .items
            .iter()
            .map(|record| match record {
                Record::Session(session) => session.id,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, expected);
        let names: BTreeMap<Uuid, String> =
            names.iter().map(|&(id, name)| (id, name.to_owned())).collect();
        assert_eq!(page.names, names);
    }
}

#[tokio::test]
async fn a_session_that_has_expired_is_not_listed_whether_or_not_it_was_swept() {
    let bench = Bench::with_ann().await;
    bench.sign_in("ann").await.unwrap();
    bench.pass(604_799);
    assert_eq!(bench.sessions().await.len(), 1);
    bench.pass(1);
    assert!(bench.sessions().await.is_empty());
    assert_eq!(bench.core.store().list_sessions(None, None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_shows_its_last_use_before_that_is_saved() {
    let bench = Bench::with_ann().await;
    let pair = bench.sign_in("ann").await.unwrap();
    let last_used = async || bench.sessions().await.remove(0).last_used;
    assert_eq!(last_used().await, "2027-01-15T08:00:00.000Z", "it was opened then");
    bench.pass(100);
    let principal = bench.verify(&pair).unwrap();
    drop(principal);
    assert_eq!(last_used().await, "2027-01-15T08:01:40.000Z");
    bench.core.save_session_uses().await.unwrap();
    assert_eq!(last_used().await, "2027-01-15T08:01:40.000Z");
    bench.pass(100);
    bench.refresh(&pair).await.unwrap();
    assert_eq!(last_used().await, "2027-01-15T08:03:20.000Z");
}

#[tokio::test]
async fn a_session_is_ended_once_and_no_other_with_it() {
    let bench = Bench::with_ann().await;
    let (one, two) = (bench.sign_in("ann").await.unwrap(), bench.sign_in("ann").await.unwrap());
    let id = session_of(&bench, &one);
    bench.ask(Request::EndSession { id }).await.unwrap();
    assert_eq!(bench.judge(&one), Err(Refusal::SessionEnded));
    assert_eq!(refusal(bench.refresh(&one).await), Refusal::SessionEnded);
    assert_eq!(bench.judge(&two), Ok(()));
    for id in [id, NOBODY] {
        let again = bench.ask(Request::EndSession { id }).await;
        assert_error!(again, Error::Unknown(Entity::Session));
    }
}

#[tokio::test]
async fn all_sessions_of_a_user_end_and_the_keys_go_on() {
    let bench = Bench::with_ann().await;
    bench.add("ben").await;
    let pairs = [bench.sign_in("ann").await.unwrap(), bench.sign_in("ann").await.unwrap()];
    let other = bench.sign_in("ben").await.unwrap();
    let (_, key) = bench.add_key("ann", None).await;
    for _ in 0..2 {
        let done = bench.ask(Request::EndSessions { user: named("ann") }).await;
        assert!(matches!(done, Ok(Reply::Done)), "{done:?}");
    }
    for pair in &pairs {
        assert_eq!(bench.judge(pair), Err(Refusal::SessionEnded));
        assert_eq!(refusal(bench.refresh(pair).await), Refusal::SessionEnded);
    }
    assert_eq!(bench.judge(&other), Ok(()));
    bench.judge_key(&key).unwrap();
    assert_eq!(bench.judge(&bench.sign_in("ann").await.unwrap()), Ok(()));
}

#[tokio::test]
async fn the_sessions_of_all_end_in_parts_that_go_on_where_the_last_one_ended() {
    let bench = Bench::new();
    let (mut ids, mut pairs) = (Vec::new(), Vec::new());
    for number in 0..5 {
        let name = format!("user{number}");
        ids.push(bench.add(&name).await);
        pairs.push(bench.sign_in(&name).await.unwrap());
    }
    let good = || pairs.iter().map(|pair| bench.judge(pair).is_ok()).collect::<Vec<_>>();
    assert_eq!(ended(bench.ask(end_all(None, Some(2))).await), (2, Some(ids[1])));
    assert_eq!(good(), [false, false, true, true, true]);
    assert_eq!(ended(bench.ask(end_all(Some(ids[1]), Some(2))).await), (2, Some(ids[3])));
    assert_eq!(good(), [false, false, false, false, true]);
    assert_eq!(ended(bench.ask(end_all(Some(ids[3]), Some(2))).await), (1, None));
    assert_eq!(good(), [false; 5]);
    // The last part may be full.
    assert_eq!(ended(bench.ask(end_all(None, Some(5))).await), (5, Some(ids[4])));
    assert_eq!(ended(bench.ask(end_all(Some(ids[4]), Some(5))).await), (0, None));
}

/// More than between two looks at the list.
#[tokio::test]
async fn the_sessions_of_all_end_whatever_their_number() {
    let bench = Bench::new();
    for number in 0..201 {
        bench.add(&format!("user{number}")).await;
    }
    let (first, last) =
        (bench.sign_in("user0").await.unwrap(), bench.sign_in("user200").await.unwrap());
    assert_eq!(ended(bench.ask(end_all(None, None)).await), (201, None));
    for pair in [first, last] {
        assert_eq!(bench.judge(&pair), Err(Refusal::SessionEnded));
    }
    let after = bench.account("user149").id.0;
    assert_eq!(ended(bench.ask(end_all(None, Some(150))).await), (150, Some(after)));
}

#[tokio::test]
async fn sessions_of_all_that_are_not_stored_as_ended_end_to_the_last_and_that_is_told() {
    let bench = Bench::new();
    let mut pairs = Vec::new();
    for name in ["ann", "ben"] {
        bench.add(name).await;
        pairs.push(bench.sign_in(name).await.unwrap());
    }
    bench.store.hold_ends(true);
    assert_error!(bench.ask(end_all(None, None)).await, Error::Store(StoreError::Held));
    for pair in &pairs {
        assert_eq!(bench.judge(pair), Err(Refusal::SessionEnded));
    }
    bench.store.hold_ends(false);
    bench.store.refuse_changes(true);
    let refused = bench.ask(end_all(None, None)).await;
    assert_error!(refused, Error::Store(StoreError::Unavailable(_)));
}

/// Was: such a part was empty and said that there was nothing to go on with.
#[tokio::test]
async fn a_part_has_at_least_one_user() {
    let bench = Bench::with_ann().await;
    let pair = bench.sign_in("ann").await.unwrap();
    let ann = bench.account("ann").id.0;
    assert_eq!(ended(bench.ask(end_all(None, Some(0))).await), (1, Some(ann)));
    assert_eq!(bench.judge(&pair), Err(Refusal::SessionEnded));
    assert_eq!(ended(bench.ask(end_all(Some(ann), Some(0))).await), (0, None));
}
