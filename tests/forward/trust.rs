//! Which upstreams are believed to be themselves, and how those that cannot be used are
//! named.

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::nginx::Nginx;
use crate::support::upstream::Upstream;

use super::public_route;

const PROTOCOL: &str = "location / { return 200 $protocol; }";

/// Was: a certificate that may sign others was taken for nobody's own.
#[tokio::test]
async fn a_certificate_that_stands_in_roots_is_trusted_as_it_is() {
    let nginx = Nginx::start(PROTOCOL).await;
    let gateway = Gateway::start(&public_route(&nginx.section("app"), "")).await;
    assert_eq!(Client::anonymous(&gateway).get("/").await.expect(200).body, "h2");
    // Of the same make, and another's.
    let other = Nginx::start(PROTOCOL).await;
    let section = nginx.section("app").replace(&nginx.url(), &other.url());
    let gateway = Gateway::start(&public_route(&section, "")).await;
    Client::anonymous(&gateway).get("/").await.refused(502, "BAD_GATEWAY");
    let line = gateway.wait_for_log(|line| line["reason"] == "upstream_tls").await;
    let detail = line["detail"].as_str().expect("a detail");
    assert!(detail.contains("put this certificate into `roots`"), "{line}");
    // The right one, for another name.
    let port = nginx.url().rsplit(':').next().expect("a URL with a port").to_owned();
    let section = nginx.section("app").replace(&nginx.url(), &format!("https://localhost:{port}"));
    let gateway = Gateway::start(&public_route(&section, "")).await;
    Client::anonymous(&gateway).get("/").await.refused(502, "BAD_GATEWAY");
}

#[tokio::test]
async fn an_upstream_without_http2_is_named_where_http2_is_asked_for() {
    let http2 = "protocol = \"http2\"\n";
    let over_tls = Nginx::without_http2(PROTOCOL).await;
    let in_clear = Nginx::clear(PROTOCOL).await;
    let other_in_clear = Upstream::saying("HTTP/1.0 400 Bad Request\r\n\r\n").await;
    for section in [
        over_tls.section("app"),
        format!("[upstream.app]\nurl = \"{}\"\n", in_clear.clear_url()),
        format!("[upstream.app]\nurl = \"{}\"\n", other_in_clear.url()),
    ] {
        let gateway = Gateway::start(&public_route(&(section + http2), "")).await;
        // A server that closes before all is read resets the connection, and what it said
        // may be lost.
        eventually("it is named", async || {
            Client::anonymous(&gateway).get("/").await.refused(502, "BAD_GATEWAY");
            let lines = gateway.log_lines();
            lines.iter().any(|line| line["reason"] == "upstream_no_http2").then_some(())
        })
        .await;
        let explained = gateway.manage(&["explain", "upstream_no_http2"], None).await;
        assert!(explained.contains("protocol"), "{explained}");
    }
    // Control: left to choose, it is spoken to in what it has.
    let gateway = Gateway::start(&public_route(&over_tls.section("app"), "")).await;
    assert_eq!(Client::anonymous(&gateway).get("/").await.expect(200).body, "h1");
}
