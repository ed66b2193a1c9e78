//! Methods: the one that was judged is the one that is forwarded, byte for byte.

use http::Method;
use proptest::prelude::{Strategy, prop_oneof};
use proptest::sample::select;

use crate::support::backends::Backend;
use crate::support::client::{Client, request};
use crate::support::gateway::Gateway;
use crate::support::property;
use crate::support::raw::raw;
use crate::support::upstream::{Upstream, ok};

/// Was: `post` passed a route that demands a role for `POST`, and was executed as POST.
#[tokio::test]
async fn another_spelling_of_a_method_executes_nothing() {
    for backend in [Backend::uvicorn().await, Backend::flask().await] {
        let gateway = Gateway::start(&format!(
            "{}[[route]]\npublic = true\nupstream = \"app\"\n\
             [[route]]\nmethods = [\"POST\"]\nroles = [\"operator\"]\nupstream = \"app\"\n",
            backend.section("app")
        ))
        .await;
        let send = async |method: &str| {
            let mut stream = raw(&gateway).await;
            let head =
                format!("{method} /item HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            stream.send(head).await;
            let answer = stream.read_response().await;
            (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
        };
        assert_eq!(send("GET").await, (200, "executed GET".to_owned()));
        assert_eq!(send("DELETE").await, (200, "executed DELETE".to_owned()));
        assert_eq!(send("POST").await.0, 401);
        for spelled in ["post", "Post", "pOST", "POST!", "PO5T", "_POST", "post-", "Delete"] {
            let (status, text) = send(spelled).await;
            assert_eq!(status, 400, "{spelled}");
            assert!(!text.contains("executed"), "{spelled}: {text}");
        }
    }
}

/// A token (RFC 9110 5.6.2), often near a method that servers know.
fn methods() -> impl Strategy<Value = String> {
    let known =
        select(vec!["GET", "POST", "DELETE", "TRACE", "CONNECT", "PATCH", "VERSION-CONTROL"]);
    let letters = "[A-Z-]{1,40}";
    let tokens = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,34}";
    let cased = (known.clone(), "[a-z]{0,2}").prop_map(|(method, tail)| method.to_owned() + &tail);
    let small = known.prop_map(str::to_ascii_lowercase);
    prop_oneof![letters.prop_map(|text| text), tokens.prop_map(|text| text), cased, small]
}

fn is_allowed(method: &str) -> bool {
    let refused = ["TRACE", "CONNECT"].contains(&method);
    let plain = method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    plain && !refused && method.len() <= 32
}

#[test]
fn every_method_is_forwarded_as_it_was_judged_or_not_at_all() {
    let stage = async {
        let upstream = Upstream::http1(ok).await;
        let unlimited = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\n";
        let gateway = Gateway::start(&(upstream.routes() + unlimited)).await;
        (upstream, gateway)
    };
    property::check(300, &methods(), stage, async |(upstream, gateway), method: String| {
        let before = upstream.requests().len();
        let mut stream = raw(gateway).await;
        let head =
            format!("{method} /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        stream.send(head).await;
        let mut statuses = vec![stream.read_response().await.status.as_u16()];
        // A library would not send this one as a request of its own over HTTP/2.
        if method != "CONNECT" {
            let request = request(Method::from_bytes(method.as_bytes()).expect("a token"), "/open");
            statuses.push(Client::anonymous(gateway).h2().request(request).await.status.as_u16());
        }
        let received = upstream.requests();
        let forwarded: Vec<&str> =
            received[before..].iter().map(|request| request.method.as_str()).collect();
        if is_allowed(&method) {
            assert_eq!(forwarded, [&method, &method]);
        } else {
            assert!(forwarded.is_empty(), "{method}: {forwarded:?}");
            let refused = |status: &u16| [400, 405].contains(status);
            assert!(statuses.iter().all(refused), "{method}: {statuses:?}");
        }
    });
}
