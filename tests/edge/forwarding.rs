//! What a proxy in front says of the client: believed of those who are trusted, in one
//! family of fields, and never for the route.

use http::Request;
use http::header::HOST;
use serde_json::{Value, json};

use crate::support::backends::{Backend, TERMINATOR};
use crate::support::client::{Client, body};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::socket::{Dial, ask, send};

use super::PUBLIC_ECHO;

const CLEAR: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = false\n";

/// Over a connection in clear, which a balancer that ended TLS would make.
async fn told(gateway: &Gateway, host: &str, fields: &[(&str, &str)]) -> Value {
    let request = fields.iter().fold(Request::get("/").header(HOST, host), |request, field| {
        request.header(field.0, field.1)
    });
    let stream = Dial::new(gateway).tcp().await;
    let answer = ask(stream, request.body(body("")).expect("a request")).await;
    answer.expect(200).json()["headers"].clone()
}

fn trusting(more: &str) -> String {
    format!("{CLEAR}{PUBLIC_ECHO}[client]\ntrusted_proxies = [\"127.0.0.0/8\"]\n{more}")
}

/// Was: applications behind a balancer that ends TLS saw http, and redirected for ever.
#[tokio::test]
async fn an_application_behind_a_proxy_that_ends_tls_sees_https() {
    let family = |name: &str| {
        format!(
            "{CLEAR}{PUBLIC_ECHO}[client]\ntrusted_proxies = [\"{TERMINATOR}\"]\nforwarded = \"{name}\"\n"
        )
    };
    let x_forwarded = "  option forwardfor\n  http-request set-header X-Forwarded-Proto https\n";
    let forwarded = "  http-request add-header Forwarded for=%[src];proto=https\n";
    for (name, fields) in [("x-forwarded", x_forwarded), ("forwarded", forwarded)] {
        let gateway = Gateway::start(&family(name)).await;
        let proxy = Backend::terminator(&gateway, fields).await;
        let client = Client::anonymous(&gateway)
            .by_way_of(proxy.address())
            .host("app.example")
            .from_address("203.0.113.9")
            .with("forwarded", "for=203.0.113.9;proto=http");
        let told = client.get("/").await.expect(200).json()["headers"].clone();
        assert_eq!(told["x-forwarded-proto"], json!(["https"]), "{name}");
        assert_eq!(told["x-forwarded-for"], json!([format!("127.0.0.1, {TERMINATOR}")]), "{name}");
        assert_eq!(told["x-forwarded-host"], json!(["app.example"]), "{name}");
        let own = json!(["for=127.0.0.1;host=\"app.example\";proto=https"]);
        assert_eq!(told["forwarded"], own, "{name}");
    }
}

#[tokio::test]
async fn browsers_sign_in_through_a_proxy_that_ends_tls() {
    let cookies =
        "[dialect.status]\ndelivery = \"cookie\"\n[dialect.envelope]\ndelivery = \"cookie\"\n";
    let config = format!(
        "{CLEAR}{cookies}[[route]]\nupstream = \"echo\"\n[client]\ntrusted_proxies = [\"{TERMINATOR}\"]\n"
    );
    let gateway = Gateway::start(&config).await;
    let fields = "  option forwardfor\n  http-request set-header X-Forwarded-Proto https\n";
    let proxy = Backend::terminator(&gateway, fields).await;
    let browser =
        || Client::anonymous(&gateway).by_way_of(proxy.address()).host("app.example:8000");
    let page = |origin: &str| browser().with("origin", origin);
    let answer = page("https://app.example:8000").login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    let lines = answer.fields("set-cookie");
    assert!(lines.iter().all(|line| line.contains("; Secure")), "{lines:?}");
    let jar: Vec<_> = lines.iter().filter_map(|line| line.split(';').next()).collect();
    let jar = jar.join("; ");
    let post = |origin: &str| {
        let client = page(origin).with("cookie", &jar);
        async move { client.post("/change").await.status.as_u16() }
    };
    assert_eq!(post("https://app.example:8000").await, 200);
    assert_eq!(post("https://evil.example").await, 403);
    // In clear, somebody on the way may have written the page.
    assert_eq!(post("http://app.example:8000").await, 403);
}

#[tokio::test]
async fn host_and_port_are_believed_where_they_are_listed() {
    let fields = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "public.example"),
        ("x-forwarded-port", "8443"),
    ];
    let gateway = Gateway::start(&trusting("")).await;
    let headers = told(&gateway, "inner.example", &fields).await;
    assert_eq!(headers["x-forwarded-host"], json!(["inner.example"]));
    assert_eq!(headers["x-forwarded-proto"], json!(["https"]));
    assert!(headers["x-forwarded-port"].is_null(), "{headers}");
    let listed = "believe = [\"for\", \"proto\", \"host\", \"port\"]\n";
    let gateway = Gateway::start(&trusting(listed)).await;
    let headers = told(&gateway, "inner.example", &fields).await;
    assert_eq!(headers["host"], json!(["inner.example"]));
    assert_eq!(headers["x-forwarded-host"], json!(["public.example:8443"]));
    assert_eq!(headers["x-forwarded-port"], json!(["8443"]));
    let nothing = Gateway::start(&trusting("believe = []\n")).await;
    let headers = told(&nothing, "inner.example", &fields).await;
    assert_eq!(headers["x-forwarded-for"], json!(["127.0.0.1"]));
    assert_eq!(headers["x-forwarded-proto"], json!(["http"]));
}

#[tokio::test]
async fn a_believed_host_chooses_no_route_and_answers_no_tls_name() {
    let routes = "[[route]]\nid = \"inner\"\nhost = \"inner.example\"\nupstream = \"echo\"\n";
    let believing = "believe = [\"host\"]\n";
    let client = "[client]\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    let gateway = Gateway::start(&format!(
        "{PUBLIC_ECHO}{routes}{client}{believing}[tls]\nsni_must_match_host = true\n"
    ))
    .await;
    let asking = |host: &str, said: &str| {
        Client::anonymous(&gateway).host(host).with("x-forwarded-host", said)
    };
    asking("localhost", "inner.example").get("/").await.expect(200);
    asking("inner.example", "localhost").get("/").await.refused(421, "MISDIRECTED_REQUEST");
}

#[tokio::test]
async fn what_a_stranger_says_of_itself_is_told_once_and_counted() {
    let gateway =
        Gateway::start(&format!("{CLEAR}{PUBLIC_ECHO}[client]\ntrusted_proxies = []\n")).await;
    let plain = told(&gateway, "app.example", &[]).await;
    for fields in [
        &[("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https")][..],
        &[("forwarded", "for=203.0.113.7;proto=https;host=evil.example")],
        &[("x-forwarded-for", "127.0.0.9"), ("x-forwarded-host", "evil.example")],
    ] {
        let headers = told(&gateway, "app.example", fields).await;
        for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"] {
            assert_eq!(headers[name], plain[name], "{fields:?}");
        }
        assert!(headers["x-forwarded-port"].is_null());
    }
    gateway.counted(&["forwarding_ignored"], 3).await;
    let is_it = |line: &Value| {
        line["message"].as_str().is_some_and(|text| text.starts_with("forwarding fields ignored"))
    };
    let line = gateway.wait_for_log(is_it).await;
    assert!(line["remedy"].as_str().is_some_and(|text| text.contains("client.trusted_proxies")));
    assert_eq!(gateway.log_lines().iter().filter(|line| is_it(line)).count(), 1);
}

#[tokio::test]
async fn behind_a_proxy_header_no_field_is_believed() {
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = false\nproxy_protocol = true\n";
    let client = "[client]\ntrusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n";
    let gateway = Gateway::start(&format!("{listener}{PUBLIC_ECHO}{client}")).await;
    // The last is the balancer's own check, which has no client.
    for (header, expected) in [
        ("PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n", "203.0.113.7"),
        ("PROXY TCP4 10.1.1.1 192.0.2.1 4711 443\r\n", "10.1.1.1"),
        ("PROXY UNKNOWN\r\n", "127.0.0.1"),
    ] {
        let mut tcp = Dial::new(&gateway).tcp().await;
        send(&mut tcp, header.as_bytes()).await;
        let request = Request::get("/")
            .header(HOST, "app.example")
            .header("x-forwarded-for", "198.51.100.7")
            .header("x-forwarded-proto", "https");
        let answer = ask(tcp, request.body(body("")).expect("a request")).await.expect(200);
        let headers = &answer.json()["headers"];
        assert_eq!(headers["x-forwarded-for"], json!([expected]), "{header}");
        assert_eq!(headers["x-forwarded-proto"], json!(["http"]), "{header}");
    }
    let remedy = |line: &Value| {
        line["remedy"].as_str().is_some_and(|text| text.contains("without proxy_protocol"))
    };
    gateway.wait_for_log(remedy).await;
}
