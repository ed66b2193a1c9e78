//! Which host an upstream is asked for, and what it is told of the client's.

use crate::support::client::{Client, Protocol};
use crate::support::gateway::Gateway;
use crate::support::installation::Installation;
use crate::support::nginx::Nginx;
use crate::support::upstream::{Kind, Upstream, ok};

use super::public_route;

#[tokio::test]
async fn an_upstream_is_asked_for_the_host_that_the_configuration_says() {
    for kind in [Kind::Http1, Kind::H2c, Kind::TlsHttp1, Kind::TlsHttp2] {
        let upstream = Upstream::http(kind, ok).await;
        let url = upstream.url();
        let own = url.split("://").nth(1).expect("a URL has a host");
        for (written, seen) in [
            ("", "asked.example"),
            ("host = \"pass\"\n", "asked.example"),
            ("host = \"upstream\"\n", own),
            ("host = \"internal.example\"\n", "internal.example"),
            ("host = \"internal.example:8080\"\n", "internal.example:8080"),
            ("host = \"[::1]:8080\"\n", "[::1]:8080"),
        ] {
            let section = upstream.section("app") + written;
            let gateway = Gateway::start(&public_route(&section, "")).await;
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let client = Client::anonymous(&gateway).host("asked.example").protocol(protocol);
                client.get("/").await.expect(200);
                let received = upstream.next_request().await;
                let authority = received.uri.authority().map(http::uri::Authority::as_str);
                let host = received.field("host").or(authority);
                assert_eq!(host, Some(seen), "{kind:?} {written:?}");
                // What the client asked for is told all the same.
                assert_eq!(received.field("x-forwarded-host"), Some("asked.example"));
                let forwarded = received.field("forwarded").expect("it is told");
                assert!(forwarded.contains("host=\"asked.example\""), "{forwarded}");
            }
        }
    }
}

/// A site that nginx finds by its name.
#[tokio::test]
async fn nginx_serves_the_site_that_is_asked_for() {
    let nginx =
        Nginx::start("server_name app.example;\nreturn 200 \"$host $ssl_server_name\";").await;
    for (written, said) in [("", "asked.example "), ("host = \"app.example\"\n", "app.example ")] {
        let gateway = Gateway::start(&public_route(&(nginx.section("app") + written), "")).await;
        let answer = Client::anonymous(&gateway).host("asked.example").get("/").await.expect(200);
        // No name is told in the handshake: the URL has an address.
        assert_eq!(answer.body, said);
    }
}

#[tokio::test]
async fn what_is_no_host_is_refused_with_what_to_write() {
    for (written, words) in [
        ("https://app.example/", "write \"app.example\""),
        ("app example", "expected \"pass\", \"upstream\" or a host name"),
        ("app.example:99999", "expected \"pass\""),
        ("user@app.example", "expected \"pass\""),
    ] {
        let config = format!(
            "[upstream.app]\nurl = \"http://127.0.0.1:3000\"\nhost = \"{written}\"\n\
             [[route]]\nupstream = \"app\"\n"
        );
        let installation = Installation::new().file("config.toml", &config);
        let ended = installation.run(&["check"], None).await;
        assert_eq!(ended.status.code(), Some(78), "{ended:?}");
        assert!(ended.stderr.contains(words), "{written}: {ended:?}");
        assert!(ended.stderr.contains("upstream.app.host"), "{ended:?}");
    }
}
