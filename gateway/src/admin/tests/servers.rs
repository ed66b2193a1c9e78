//! Servers: whose they are, and the keys that are bound to them.

use super::*;

fn change(id: Uuid, name: Option<&str>, owner: Owner) -> Request {
    Request::ChangeServer { id, name: name.map(str::to_owned), owner }
}

/// Name and owner.
fn seen(reply: Result<Reply, Error>) -> (String, Option<Uuid>) {
    match reply {
        Ok(Reply::Made(Record::Server(it)) | Reply::Found(Record::Server(it))) => {
            (it.name, it.owner)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_is_made_for_somebody_or_nobody_and_names_may_repeat() {
    let bench = Bench::new();
    let ann = bench.add("ann").await;
    for (owner, expected) in [(None, None), (Some("ann"), Some(ann))] {
        let id = bench.add_server("web", owner).await;
        let shown = bench.ask(Request::ShowServer { id }).await;
        assert_eq!(seen(shown), ("web".to_owned(), expected));
    }
    let page = bench.page(Request::ListServers { page: Span::default() }).await;
    assert_eq!(page.items.len(), 2);
    assert_eq!(page.names, BTreeMap::from([(ann, "ann".to_owned())]));
    let long = Request::AddServer { name: "x".repeat(201), owner: None };
    assert_error!(bench.ask(long).await, Error::Name(Name::Label));
    assert_eq!(bench.core.standing().servers().len(), 2);
}

#[tokio::test]
async fn a_changed_server_keeps_its_keys_and_what_is_not_named() {
    let bench = Bench::new();
    let (ann, ben) = (bench.add("ann").await, bench.add("ben").await);
    let id = bench.add_server("web", Some("ann")).await;
    let (key, text) = bench.add_key("ann", Some(id)).await;
    for (name, owner, expected) in [
        (None, Owner::Same, ("web", Some(ann))),
        (Some("db"), Owner::Same, ("db", Some(ann))),
        (None, Owner::User(named("ben")), ("db", Some(ben))),
        (Some("web"), Owner::Nobody, ("web", None)),
    ] {
        let expected = (expected.0.to_owned(), expected.1);
        assert_eq!(seen(bench.ask(change(id, name, owner)).await), expected);
        assert_eq!(seen(bench.ask(Request::ShowServer { id }).await), expected);
        bench.judge_key(&text).unwrap();
        let keys = bench.core.standing().keys_of_server(crate::auth::server::ServerId(id));
        assert_eq!(keys.iter().map(|key| key.id.0).collect::<Vec<_>>(), [key.id]);
    }
}

#[tokio::test]
async fn a_change_of_a_server_that_breaks_a_rule_changes_nothing() {
    let bench = Bench::with_ann().await;
    let id = bench.add_server("web", None).await;
    let bad = bench.ask(change(id, Some("line\nbreak"), Owner::User(named("ann")))).await;
    assert_error!(bad, Error::Name(Name::Label));
    let bad = bench.ask(change(id, Some("db"), Owner::User(named("nobody")))).await;
    assert_error!(bad, Error::Unknown(Entity::Account));
    assert_eq!(seen(bench.ask(Request::ShowServer { id }).await), ("web".to_owned(), None));
}

#[tokio::test]
async fn with_a_server_go_its_keys_and_no_others() {
    let bench = Bench::with_ann().await;
    let (web, db) = (bench.add_server("web", None).await, bench.add_server("db", None).await);
    let (_, bound) = bench.add_key("ann", Some(web)).await;
    let (_, other) = bench.add_key("ann", Some(db)).await;
    let (_, unbound) = bench.add_key("ann", None).await;
    let removed = bench.ask(Request::RemoveServer { id: web }).await;
    assert!(matches!(removed, Ok(Reply::Done)), "{removed:?}");
    assert_eq!(bench.judge_key(&bound), Err(Refusal::KeyUnknown));
    bench.judge_key(&other).unwrap();
    bench.judge_key(&unbound).unwrap();
    assert_eq!(bench.core.store().list_keys(None, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn each_request_about_a_server_that_does_not_exist_is_refused() {
    let bench = Bench::new();
    let removed = bench.add_server("web", None).await;
    bench.ask(Request::RemoveServer { id: removed }).await.unwrap();
    for id in [NOBODY, removed] {
        for request in [
            Request::ShowServer { id },
            change(id, Some("db"), Owner::Same),
            Request::RemoveServer { id },
        ] {
            assert_error!(bench.ask(request).await, Error::Unknown(Entity::Server));
        }
    }
}
