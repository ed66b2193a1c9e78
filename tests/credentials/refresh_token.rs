//! Refresh tokens: a credential for one endpoint, carried in a body.

use serde_json::json;

use crate::support::client::{Client, basic, sign_in, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway, SECRET_KEY};
use crate::support::token::{claims, parts, sign_like_gateway};

#[tokio::test]
async fn without_a_refresh_token_the_access_token_is_what_counts() {
    let gateway = Gateway::start(ECHO).await;
    let pair = sign_in_admin(&gateway).await;
    Client::anonymous(&gateway).refresh(&pair.refresh).await.expect(200);
    for (client, expected) in [
        (Client::anonymous(&gateway), 401),
        (Client::bearer(&gateway, &pair.access), 200),
        (Client::bearer(&gateway, &pair.refresh), 401),
        (Client::admin(&gateway), 401),
    ] {
        client.post_json("/api/auth/refresh", &json!({})).await.expect(expected);
    }
}

#[tokio::test]
async fn what_is_malformed_or_another_schemes_is_no_refresh_token() {
    let gateway = Gateway::start(ECHO).await;
    let pair = sign_in_admin(&gateway).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let [header, payload, signature] = parts(&pair.refresh);
    for (case, text) in [
        ("an access token", pair.access.clone()),
        ("an API key", key),
        ("a Basic credential", basic(ADMIN, ADMIN_PASSWORD)),
        ("nothing", String::new()),
        ("no token", "refresh".to_owned()),
        ("a scheme before it", format!("Bearer {}", pair.refresh)),
        ("a space after it", format!("{} ", pair.refresh)),
        ("a cut signature", pair.refresh[..pair.refresh.len() - 1].to_owned()),
        ("an empty signature", format!("{header}.{payload}.")),
        ("another payload", format!("{header}.{}.{signature}", parts(&pair.access)[1])),
    ] {
        let answer = Client::anonymous(&gateway).refresh(&text).await;
        assert_eq!(answer.refusal(), (401, "INVALID_REFRESH_TOKEN".to_owned()), "{case}");
    }
    Client::anonymous(&gateway).refresh(&pair.refresh).await.expect(200);
}

/// Control: with nothing changed the forged token is redeemed.
#[tokio::test]
async fn a_forged_refresh_token_with_other_claims_is_refused() {
    let gateway = Gateway::start(ECHO).await;
    let own = claims(&sign_in_admin(&gateway).await.refresh);
    let forge = |name: &str, value: serde_json::Value| {
        let mut claims = own.clone();
        claims[name] = value;
        sign_like_gateway(&claims.to_string(), SECRET_KEY)
    };
    for (name, value) in [
        ("type", json!("access")),
        ("exp", json!(1)),
        ("nbf", json!(4_000_000_000_u64)),
        ("iss", json!("gatehouse")),
        ("aud", json!("gatehouse")),
        ("sid", json!("01890a5d-ac96-774b-bcce-b302099a8057")),
        ("sub", json!("01890a5d-ac96-774b-bcce-b302099a8057")),
    ] {
        let answer = Client::anonymous(&gateway).refresh(&forge(name, value)).await;
        assert_eq!(answer.refusal(), (401, "INVALID_REFRESH_TOKEN".to_owned()), "{name}");
    }
    let unchanged = forge("type", json!("refresh"));
    Client::anonymous(&gateway).refresh(&unchanged).await.expect(200);
}

#[tokio::test]
async fn a_refresh_token_ends_by_itself() {
    let gateway = Gateway::start(&format!(
        "[auth]\nrefresh_ttl = \"2s\"\n[dialect.status]\naccess_ttl = \"1s\"\n\
         rotate_refresh = false\n{ECHO}"
    ))
    .await;
    let pair = sign_in_admin(&gateway).await;
    let client = Client::anonymous(&gateway);
    client.refresh(&pair.refresh).await.expect(200);
    let refused = eventually("the refresh token to expire", async || {
        let answer = client.refresh(&pair.refresh).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    refused.refused(401, "INVALID_REFRESH_TOKEN");
}

#[tokio::test]
async fn a_refresh_token_of_a_disabled_user_is_refused_and_stays_so() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("grace", "a password of hers", &[]).await;
    let first = sign_in(&gateway, "grace", "a password of hers").await;
    let pair = Client::anonymous(&gateway).refresh(&first.refresh).await.pair();
    for change in ["disable", "enable"] {
        gateway.manage(&["user", change, "grace"], None).await;
        let answer = Client::anonymous(&gateway).refresh(&pair.refresh).await;
        assert_eq!(answer.refusal(), (401, "INVALID_REFRESH_TOKEN".to_owned()), "after {change}");
    }
    sign_in(&gateway, "grace", "a password of hers").await;
}
