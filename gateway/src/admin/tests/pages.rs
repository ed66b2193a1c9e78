//! Lists in parts: every record once and in order, whatever the size of the parts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

type List = fn(Uuid, Span) -> Request;

const LISTS: [(&str, List); 7] = [
    ("users", |_, page| Request::ListUsers { page }),
    ("sessions", |_, page| Request::ListSessions { user: None, page }),
    ("keys", |_, page| Request::ListKeys { owner: None, server: None, page }),
    ("keys of one", |_, page| Request::ListKeys {
        owner: Some(named("user0")),
        server: None,
        page,
    }),
    ("servers", |_, page| Request::ListServers { page }),
    ("workspaces", |_, page| Request::ListWorkspaces { page }),
    ("members", |workspace, page| Request::ListMembers { workspace, page }),
];

fn id(record: &Record) -> Uuid {
    match record {
        Record::User(user) => user.id,
        Record::Session(session) => session.id,
        Record::Key(key) => key.id,
        Record::Server(server) => server.id,
        Record::Workspace(workspace) => workspace.id,
        Record::Member(member) => member.user_id,
        Record::Lockout(_) | Record::Registration(_) => panic!("{record:?}"),
    }
}

/// So many of everything, and the workspace whose members all users are.
async fn full(count: usize) -> (Bench, Uuid) {
    let bench = Bench::new();
    let mut first = None;
    for number in 0..count {
        let name = format!("user{number}");
        bench.add(&name).await;
        bench.sign_in(&name).await.unwrap();
        bench.add_key("user0", None).await;
        bench.add_server(&name, Some(&name)).await;
        let workspace = bench.add_workspace(&name).await;
        let workspace = *first.get_or_insert(workspace);
        let (user, role) = (named(&name), "dev".to_owned());
        bench.ask(Request::SetMember { workspace, user, role }).await.unwrap();
    }
    let workspace = match first {
        Some(workspace) => workspace,
        None => bench.add_workspace("lab").await,
    };
    (bench, workspace)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn parts_of_any_size_give_each_record_once_and_in_order(count in 0usize..12, limit in 0usize..14) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (bench, workspace) = full(count).await;
            for (what, list) in LISTS {
                if count == 0 && what == "keys of one" {
                    continue;
                }
                let (mut ids, mut span) = (Vec::new(), Span { after: None, limit });
                loop {
                    let page = bench.page(list(workspace, span)).await;
                    prop_assert!(page.items.len() <= limit.max(1), "{}", what);
                    ids.extend(page.items.iter().map(id));
                    let Some(next) = page.next else { break };
                    prop_assert_eq!(page.items.len(), limit.max(1), "{}", what);
                    let next: Uuid = next.parse().unwrap();
                    prop_assert_eq!(ids.last(), Some(&next), "{}", what);
                    span.after = Some(next);
                }
                let whole = bench.page(list(workspace, Span::default())).await;
                prop_assert_eq!(whole.next, None);
                prop_assert_eq!(&ids, &whole.items.iter().map(id).collect::<Vec<_>>(), "{}", what);
                let expected = if what == "workspaces" { count.max(1) } else { count };
                prop_assert_eq!(ids.len(), expected, "{}", what);
                prop_assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
                prop_assert!(ids.is_sorted(), "{}", what);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn no_part_has_more_than_a_thousand_records_however_many_are_asked_for() {
    let bench = Bench::new();
    let mut last = NOBODY;
    for number in 0..1_001 {
        last = bench.add_server(&format!("server{number}"), None).await;
    }
    for limit in [1_000, 1_001, usize::MAX] {
        let page = bench.page(Request::ListServers { page: Span { after: None, limit } }).await;
        assert_eq!(page.items.len(), 1_000);
        let after = page.next.map(|next| next.parse().unwrap());
        let page = bench.page(Request::ListServers { page: Span { after, limit } }).await;
        assert_eq!((page.items.iter().map(id).collect::<Vec<_>>(), page.next), (vec![last], None));
    }
}

/// What a list went on behind may be gone by then.
#[tokio::test]
async fn a_list_goes_on_behind_what_is_not_there_any_more() {
    let (bench, _) = full(3).await;
    let servers = bench.core.standing().servers();
    let after = Some(servers[1].id.0);
    bench.ask(Request::RemoveServer { id: servers[1].id.0 }).await.unwrap();
    let page = bench.page(Request::ListServers { page: Span { after, limit: 9 } }).await;
    assert_eq!(page.items.iter().map(id).collect::<Vec<_>>(), [servers[2].id.0]);
}
