use base64::engine::general_purpose::{STANDARD as PADDED, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::auth::tests::Bench;

/// A gateway with a token and a key of its own, and the token of another issuer.
struct Here {
    core: Core,
    token: String,
    key: String,
    foreign: String,
}

async fn here() -> Here {
    let bench = Bench::new().await;
    let key = "sk_live_92dwRwre9d5PBRQnYZr7WobasxGv2J8DFUswXFX6lE0Soi9V1".to_owned();
    let token = under_our_header(r#"{"sub":"x","iss":"portcullis","aud":"portcullis"}"#);
    let foreign = under_our_header(r#"{"iss":"home-assistant","iat":1}"#);
    Here { core: bench.core, token, key, foreign }
}

/// Whoever signed it.
fn under_our_header(payload: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signature = URL_SAFE_NO_PAD.encode([7; 32]);
    format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(payload))
}

#[tokio::test]
async fn a_token_is_ours_by_its_header_unless_it_names_another_issuer() {
    let Here { core, token, foreign, .. } = here().await;
    let damaged = |payload| format!("{}.{payload}.x", token.split('.').next().unwrap());
    for (text, ours) in [
        (token.clone(), true),
        (token[..token.len() - 50].to_owned(), true),
        (damaged("!"), true),
        (damaged(""), true),
        (under_our_header(r#"{"iss":"portcullis","iss":"home-assistant"}"#), true),
        (under_our_header(r#"{"iss":1}"#), true),
        (under_our_header("{"), true),
        (foreign, false),
        (under_our_header(r#"{"iat":1}"#), false),
        (under_our_header(r#"{"iss":"Portcullis"}"#), false),
        (damaged("x").replace("eyJhbGciOi", "eyJhbGciOj"), false),
        ("the-applications-own-token".to_owned(), false),
        (String::new(), false),
    ] {
        assert_eq!(core.may_be_token(&text), ours, "{text}");
    }
}

#[tokio::test]
async fn what_is_ours_is_found_wherever_a_client_writes_it() {
    let Here { core, token, key, .. } = here().await;
    for secret in [&token, &key] {
        for value in [
            secret.clone(),
            format!("Bearer {secret}"),
            format!("bearer  \"{secret}\""),
            format!("Token token={secret}, other=1"),
            format!("ApiKey x{secret}y"),
            format!("x-{secret}"),
            format!("Basic {}", PADDED.encode(format!("__token__:{secret}"))),
            format!("Basic {}", PADDED.encode(format!("{secret}:"))),
            format!("Basic {}x", PADDED.encode(format!("me:{secret}")).trim_end_matches('=')),
            format!("ApiKey {}", URL_SAFE_NO_PAD.encode(format!("id:{secret}"))),
            format!("Custom key={}", PADDED.encode(secret)),
        ] {
            assert!(stands_in(&core, value.as_bytes()), "{value}");
        }
        let unreadable = [b"J\xfcrgen ", secret.as_bytes(), b"\xff"].concat();
        assert!(stands_in(&core, &unreadable));
    }
}

#[tokio::test]
async fn what_is_an_applications_is_not_taken_for_ours() {
    let Here { core, foreign, key, .. } = here().await;
    // As payment services write theirs.
    let alike = format!("sk_live_{}", "4eC39HqLyjWDarjtT1zdp7dc".repeat(3));
    let mistyped = format!("{}!", &key[..key.len() - 1]);
    for value in [
        "",
        "0123456789abcdef0123456789abcdef",
        &format!("Bearer {foreign}"),
        &format!("Bearer {alike}"),
        &mistyped,
        &format!("Basic {}", PADDED.encode("elastic:changeme")),
        "Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJwb3J0Y3VsbGlzIn0.AAAA",
        "Digest username=\"a\", realm=\"b\", response=\"6629fae49393a05397450978507c4ef1\"",
    ] {
        assert!(!stands_in(&core, value.as_bytes()), "{value}");
    }
}

proptest! {
    #[test]
    fn nothing_around_it_hides_what_is_ours(
        before in "[ -~]{0,40}[^A-Za-z0-9+/_-]",
        after in "([^A-Za-z0-9+/_-][ -~]{0,40})?",
        encoded: bool,
        user in "[ -9;-~]{0,12}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let Here { core, token, key, .. } = runtime.block_on(here());
        for secret in [token, key] {
            let text = if encoded { PADDED.encode(format!("{user}:{secret}")) } else { secret };
            let value = format!("{before}{text}{after}");
            prop_assert!(stands_in(&core, value.as_bytes()), "{}", value);
        }
    }
}
