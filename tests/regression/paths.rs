//! Paths to what is protected.

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Upstream, ok};

/// Was: the route was chosen by the escaped spelling, the upstream saw the other one.
#[tokio::test]
async fn an_escaped_spelling_of_a_protected_path_is_as_protected() {
    let upstream = Upstream::http1(ok).await;
    let routes = "[[route]]\npublic = true\nupstream = \"app\"\n\
                  [[route]]\npath = \"/@internal\"\nroles = [\"admin\"]\nupstream = \"app\"\n";
    let gateway = Gateway::start(&(upstream.section("app") + routes)).await;
    gateway.add_user("alice", "alice's password", &["reader"]).await;
    let anonymous = Client::anonymous(&gateway);
    let alice = Client::basic(&gateway, "alice", "alice's password");
    anonymous.get("/public").await.expect(200);
    assert_eq!(upstream.next_request().await.target(), "/public");
    for spelling in ["/@internal/x", "/%40internal/x", "/%40%69nternal/x"] {
        Client::admin(&gateway).get(spelling).await.expect(200);
        assert_eq!(upstream.next_request().await.target(), spelling);
        anonymous.get(spelling).await.refused(401, "AUTHENTICATION_REQUIRED");
        alice.get(spelling).await.refused(403, "FORBIDDEN");
        let h2 = anonymous.clone().h2();
        h2.get(spelling).await.refused(401, "AUTHENTICATION_REQUIRED");
    }
    assert_eq!(upstream.requests().len(), 4);
}
