//! What the limiter counts of attempts by Basic that no password was compared for.

use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};

use crate::support::client::{Client, request};
use crate::support::gateway::{ECHO, Gateway};

/// Otherwise who sends these would have attempts that nobody counts.
#[tokio::test]
async fn what_is_no_name_and_password_counts_as_a_wrong_one() {
    let gateway = Gateway::builder().config(ECHO).env("MAX_LOGIN_ATTEMPTS", "2").start().await;
    for (case, value) in [
        ("nothing", &b"Basic "[..]),
        ("not base64", b"Basic !!!"),
        ("without a colon", b"Basic YWRtaW4="),
        ("not UTF-8", b"Basic /////w=="),
        ("a field that is no text", b"Basic \xff\xfe"),
        ("a field that is no text, of no scheme", b"\xff"),
    ] {
        let right = Client::admin(&gateway);
        right.get("/").await.expect(200);
        let attempt = || {
            let mut request = request(Method::GET, "/");
            let value = HeaderValue::from_bytes(value).expect("a field value");
            request.headers_mut().insert(AUTHORIZATION, value);
            request
        };
        // From the address of somebody who knows the password.
        let address = format!("203.0.113.{}", case.len());
        let (right, wrong) =
            (right.from_address(&address), Client::anonymous(&gateway).from_address(&address));
        right.get("/").await.expect(200);
        for _ in 0..2 {
            let answer = wrong.request(attempt()).await;
            assert_eq!(answer.refusal(), (401, "INVALID_CREDENTIALS".to_owned()), "{case}");
        }
        for answer in [wrong.request(attempt()).await, right.get("/").await] {
            assert_eq!(answer.refusal(), (429, "TOO_MANY_ATTEMPTS".to_owned()), "{case}");
        }
    }
}
