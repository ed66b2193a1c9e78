use super::Missing;
use crate::auth::tests::Bench;
use crate::auth::workspace::WorkspaceId;

#[tokio::test]
async fn a_store_that_no_other_gateway_uses_has_nothing_to_bring_to_memory() {
    let bench = Bench::new().await;
    let ann = bench.core.standing().account_by_name("ann").unwrap().id;
    let workspace = WorkspaceId(bench.core.new_uuid());
    for what in [Missing::Account(ann), Missing::Key([7; 32]), Missing::Member(workspace, ann)] {
        assert!(!bench.core.store().load_missing(what).await.unwrap(), "{what:?}");
    }
}
