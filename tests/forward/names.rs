//! Names of fields: what every server reads alike goes on, and what some server could take
//! for a name of the gateway's does not.

use crate::support::backends::Backend;
use crate::support::client::{Client, Protocol};
use crate::support::gateway::Gateway;
use crate::support::raw::raw;
use crate::support::upstream::{Kind, Upstream, ok};

/// What RFC 9110 5.6.2 allows in a name beside letters, digits and `-`.
const MARKS: &str = "!#$%&'*+.^_`|~";

/// Was: `X!Portcullis!Username: root` on a public route was `HTTP_X_PORTCULLIS_USERNAME`
/// to a program behind lighttpd.
#[tokio::test]
async fn a_cgi_program_is_told_no_identity_by_a_client() {
    let backend = Backend::cgi().await;
    let gateway = Gateway::start(&format!(
        "{}[[route]]\npublic = true\nupstream = \"app\"\n\
         [[route]]\npath = \"/own\"\nupstream = \"app\"\n",
        backend.section("app")
    ))
    .await;
    let forged: String = MARKS
        .chars()
        .chain(['-'])
        .flat_map(|mark| {
            ["X-Portcullis-Username", "X-Portcullis-Server-Id", "X-Forwarded-Email", "Proxy"]
                .map(|name| format!("{}: root\r\n", name.replace('-', &mark.to_string())))
        })
        .collect();
    let mut stream = raw(&gateway).await;
    let request = |fields: &str| {
        format!("GET /environment.sh HTTP/1.1\r\nHost: localhost\r\nX-Honest: 1\r\n{fields}\r\n")
    };
    stream.send(request(&forged)).await;
    let answer = stream.read_response().await.expect(200);
    let environment = String::from_utf8_lossy(&answer.body);
    assert!(environment.contains("HTTP_X_HONEST=1"), "{environment}");
    assert!(!environment.contains("root\n"), "{environment}");
    assert!(!environment.contains("HTTP_PROXY"), "{environment}");
    assert!(!environment.contains("HTTP_X_PORTCULLIS"), "{environment}");
}

/// Was: with `SCRIPT_NAME: /open` the application behind a public route executed another
/// path than the one that was judged, for gunicorn cuts that off.
#[tokio::test]
async fn a_path_is_not_cut_by_a_field_that_servers_take_for_a_variable() {
    let backend = Backend::gunicorn().await;
    let route = "[[route]]\npublic = true\npath = \"/open\"\nupstream = \"app\"\n";
    for names in ["strict", "any"] {
        let gateway = Gateway::start(&format!(
            "{}field_names = \"{names}\"\n{route}",
            backend.section("app")
        ))
        .await;
        let client = Client::anonymous(&gateway).h2();
        let kind = ["application/grpc", "application/grpcx"];
        for content_type in kind {
            let client = client.clone().with("content-type", content_type);
            let plain = client.get("/open/where").await.expect(200);
            assert_eq!(String::from_utf8_lossy(&plain.body), "/open/where");
            for name in ["script_name", "x-script-name"] {
                let forged = client.clone().with(name, "/open");
                let answer = forged.get("/open/where").await.expect(200);
                assert_eq!(String::from_utf8_lossy(&answer.body), "/open/where", "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_name_that_servers_read_differently_stays_here_and_is_counted() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for mark in MARKS.chars() {
            let name = format!("x{mark}any");
            let client = Client::anonymous(&gateway).protocol(protocol);
            client.with(&name, "1").with("x-any", "kept").get("/open").await.expect(200);
            let received = upstream.next_request().await;
            assert_eq!(received.field("x-any"), Some("kept"));
            assert_eq!(received.field(&name), None);
        }
    }
    gateway.counted(&["fields_removed"], 28).await;
}

#[tokio::test]
async fn the_first_removal_of_a_name_on_a_route_is_a_warning() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for _ in 0..3 {
        let client = Client::anonymous(&gateway).with("x_tenant", "1").with("x-user", "2");
        client.get("/open").await.expect(200);
    }
    // One more, so that all before it have been written.
    Client::anonymous(&gateway).with("x-admin", "1").get("/open").await.expect(200);
    gateway.wait_for_log(|line| line["field"] == "x-admin").await;
    let lines = gateway.log_lines();
    let of = |name: &str| lines.iter().filter(|line| line["field"] == name).collect::<Vec<_>>();
    for (name, reason) in [("x_tenant", "field_name_form"), ("x-user", "field_asserted")] {
        let [line] = of(name)[..] else { panic!("{name}: {lines:?}") };
        assert_eq!((&line["route"], &line["reason"]), (&"/open".into(), &reason.into()));
    }
}

#[tokio::test]
async fn an_upstream_that_asks_for_any_names_gets_underscores_and_dots() {
    let upstream = Upstream::http1(ok).await;
    let config = format!(
        "{}field_names = \"any\"\n[[route]]\npublic = true\nupstream = \"app\"\n",
        upstream.section("app")
    );
    let gateway = Gateway::start(&config).await;
    let client = Client::anonymous(&gateway)
        .with("x-amz-meta-a_b", "1")
        .with("trace.id", "2")
        .with("x_portcullis_username", "root")
        .with("x.forwarded.for", "203.0.113.1")
        .with("x_api_key", "key")
        .with("x!other", "3");
    client.get("/").await.expect(200);
    let received = upstream.next_request().await;
    assert_eq!(received.field("x-amz-meta-a_b"), Some("1"));
    assert_eq!(received.field("trace.id"), Some("2"));
    for name in ["x_portcullis_username", "x.forwarded.for", "x_api_key", "x!other"] {
        assert_eq!(received.field(name), None, "{name}");
    }
}

#[tokio::test]
async fn metadata_of_grpc_keep_their_names_over_http2() {
    let upstream = Upstream::http(Kind::H2c, ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let call = |protocol| {
        Client::anonymous(&gateway)
            .protocol(protocol)
            .with("content-type", "application/grpc+proto")
            .with("grpc_retry.count", "1")
            .with("x_forwarded_user", "root")
    };
    call(Protocol::Http2).get("/open").await.expect(200);
    let received = upstream.next_request().await;
    assert_eq!(received.field("grpc_retry.count"), Some("1"));
    assert_eq!(received.field("x_forwarded_user"), None);
    // Over HTTP/1.1 it is no gRPC, whatever its type.
    call(Protocol::Http1).get("/open").await.expect(200);
    assert_eq!(upstream.next_request().await.field("grpc_retry.count"), None);
}

#[tokio::test]
async fn the_operator_lets_a_name_pass_and_removes_another() {
    let upstream = Upstream::http1(ok).await;
    let more =
        "[identity]\nallow = [\"X-User\", \"X-Envoy-*\"]\nremove = [\"X-Tenant\", \"X-Tier-*\"]\n";
    let gateway = Gateway::start(&(upstream.routes() + more)).await;
    let names = ["x-user", "x-envoy-retry-on", "x-tenant", "x-tier-gold", "x-user-id"];
    let client =
        names.iter().fold(Client::anonymous(&gateway), |client, name| client.with(name, "1"));
    client.get("/open").await.expect(200);
    let received = upstream.next_request().await;
    let passed: Vec<&str> =
        names.into_iter().filter(|name| received.field(name).is_some()).collect();
    assert_eq!(passed, ["x-user", "x-envoy-retry-on"]);
}
