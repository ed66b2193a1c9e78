//! Access tokens, most of them made by hand with the right secret: whatever is not
//! exactly what the gateway writes is refused.

use aws_lc_rs::hmac::{HMAC_SHA384, HMAC_SHA512};
use serde_json::{Value, json};

use crate::support::client::{Client, sign_in, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway, SECRET_KEY};
use crate::support::token::{HEADER, claims, encode, parts, payload, sign, sign_like_gateway};

const FAR: u64 = 4_000_000_000;
const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[tokio::test]
async fn a_token_is_accepted_in_every_spelling_of_the_scheme() {
    let gateway = Gateway::start(ECHO).await;
    let token = sign_in_admin(&gateway).await.access;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let value = format!("{scheme} {token}");
        let client = Client::anonymous(&gateway).with("authorization", &value);
        client.get("/").await.expect(200);
        client.h2().get("/").await.expect(200);
    }
    Client::anonymous(&gateway).get("/").await.refused(401, "AUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn what_is_malformed_or_another_schemes_is_no_token() {
    let gateway = Gateway::start(ECHO).await;
    let pair = sign_in_admin(&gateway).await;
    let token = pair.access.as_str();
    Client::bearer(&gateway, token).get("/").await.expect(200);
    let [header, payload, signature] = parts(token);
    let password = crate::support::client::basic(ADMIN, ADMIN_PASSWORD);
    for (case, text) in [
        ("a Basic credential", password.replace("Basic ", "")),
        ("a refresh token", pair.refresh.clone()),
        ("no parts", "garbage".to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{token}.{signature}")),
        ("an empty signature", format!("{header}.{payload}.")),
        ("an empty payload", format!("{header}..{signature}")),
        ("an empty header", format!(".{payload}.{signature}")),
        ("dots only", "..".to_owned()),
        ("padding", format!("{token}=")),
        ("a cut signature", token[..token.len() - 1].to_owned()),
        ("a longer signature", format!("{token}A")),
        ("spare bits in the signature", with_spare_bits(token)),
        ("standard base64", format!("{header}.{payload}.+/{}", &signature[2..])),
        ("a `?` inside", format!("{header}.{payload}.?{}", &signature[1..])),
        ("another signature", format!("{header}.{payload}.{}", parts(&pair.refresh)[2])),
        ("another payload", format!("{header}.{}.{signature}", parts(&pair.refresh)[1])),
        ("two tokens", format!("{token} {token}")),
        ("a list", format!("{token}, Bearer {token}")),
        ("in quotes", format!("\"{token}\"")),
        ("upper case", token.to_uppercase()),
        ("far too long", format!("{header}.{}.{signature}", "A".repeat(16 << 10))),
    ] {
        assert_refused(&gateway, case, &text).await;
    }
    Client::bearer(&gateway, token).get("/").await.expect(200);
}

/// The last character of a signature carries two bits that mean nothing; with
/// them a second text would stand for the same token.
fn with_spare_bits(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let value = ALPHABET.find(last).expect("a character of base64url");
    format!("{rest}{}", &ALPHABET[value + 1..value + 2])
}

/// Control: the gateway's own claims, signed again by the test, are accepted.
#[tokio::test]
async fn a_forged_token_is_only_as_good_as_its_secret() {
    let gateway = Gateway::start(ECHO).await;
    let payload = payload(&sign_in_admin(&gateway).await.access);
    let right = sign_like_gateway(&payload, SECRET_KEY);
    Client::bearer(&gateway, &right).get("/").await.expect(200);
    for secret in ["", " ", "secret", &SECRET_KEY[1..], &format!("{SECRET_KEY}\n")] {
        let forged = sign_like_gateway(&payload, secret);
        assert_refused(&gateway, &format!("signed with {secret:?}"), &forged).await;
    }
}

/// RFC 8725 3.1: the algorithm is ours to choose, not the token's.
#[tokio::test]
async fn a_token_under_any_other_header_is_refused() {
    let gateway = Gateway::start(ECHO).await;
    let payload = payload(&sign_in_admin(&gateway).await.access);
    let hs256 = |header: &str| sign_like(header, &payload);
    Client::bearer(&gateway, &hs256(HEADER)).get("/").await.expect(200);

    let none = |header: &str| format!("{}.{}.", encode(header), encode(&payload));
    for (case, token) in [
        ("none, unsigned", none(r#"{"alg":"none","typ":"JWT"}"#)),
        ("None, unsigned", none(r#"{"alg":"None","typ":"JWT"}"#)),
        ("none, signed", hs256(r#"{"alg":"none","typ":"JWT"}"#)),
        ("no algorithm", hs256(r#"{"typ":"JWT"}"#)),
        ("RS256 with an HMAC", hs256(r#"{"alg":"RS256","typ":"JWT"}"#)),
        ("ES256 with an HMAC", hs256(r#"{"alg":"ES256","typ":"JWT"}"#)),
        ("HS384", sign(r#"{"alg":"HS384","typ":"JWT"}"#, &payload, SECRET_KEY, HMAC_SHA384)),
        ("HS512", sign(r#"{"alg":"HS512","typ":"JWT"}"#, &payload, SECRET_KEY, HMAC_SHA512)),
        ("lower case", hs256(r#"{"alg":"hs256","typ":"JWT"}"#)),
        ("another type", hs256(r#"{"alg":"HS256","typ":"at+jwt"}"#)),
        ("no type", hs256(r#"{"alg":"HS256"}"#)),
        ("type first", hs256(r#"{"typ":"JWT","alg":"HS256"}"#)),
        ("a space", hs256(r#"{"alg": "HS256","typ":"JWT"}"#)),
        ("a key id", hs256(r#"{"alg":"HS256","typ":"JWT","kid":"1"}"#)),
        ("a critical extension", hs256(r#"{"alg":"HS256","typ":"JWT","crit":["exp"]}"#)),
        ("an unencoded payload", hs256(r#"{"alg":"HS256","typ":"JWT","b64":false}"#)),
        ("a key of its own", hs256(r#"{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct"}}"#)),
        ("two algorithms", hs256(r#"{"alg":"none","alg":"HS256","typ":"JWT"}"#)),
        ("a list", hs256(r#"["HS256"]"#)),
        ("no JSON", hs256("HS256")),
        ("encrypted", format!("{}.....", encode(r#"{"alg":"dir","enc":"A256GCM"}"#))),
    ] {
        assert_refused(&gateway, case, &token).await;
    }
}

fn sign_like(header: &str, payload: &str) -> String {
    sign(header, payload, SECRET_KEY, aws_lc_rs::hmac::HMAC_SHA256)
}

#[tokio::test]
async fn a_token_with_any_other_claims_is_refused() {
    let gateway = Gateway::start(ECHO).await;
    let own = claims(&sign_in_admin(&gateway).await.access);
    let issued = own["iat"].as_u64().expect("a time");
    let with = |changes: Value| {
        let mut claims = own.clone();
        for (name, value) in changes.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        claims.to_string()
    };
    let without = |name: &str| {
        let mut claims = own.clone();
        claims.as_object_mut().expect("claims").remove(name);
        claims.to_string()
    };
    let twice = |extra: &str| format!("{{{extra},{}", &with(json!({}))[1..]);
    let accepted = sign_like_gateway(&with(json!({})), SECRET_KEY);
    Client::bearer(&gateway, &accepted).get("/").await.expect(200);

    for (case, payload) in [
        ("expired", with(json!({ "iat": issued - 100, "nbf": issued - 100, "exp": issued - 1 }))),
        ("expired in 1970", with(json!({ "iat": 0, "nbf": 0, "exp": 0 }))),
        ("not yet valid", with(json!({ "nbf": FAR - 1, "exp": FAR }))),
        ("issued in the future", with(json!({ "iat": FAR - 1, "exp": FAR }))),
        ("another issuer", with(json!({ "iss": "gatehouse" }))),
        ("another audience", with(json!({ "aud": "gatehouse" }))),
        ("an audience of several", with(json!({ "aud": ["portcullis", "gatehouse"] }))),
        ("a refresh token", with(json!({ "type": "refresh" }))),
        ("another type", with(json!({ "type": "id" }))),
        ("a type in capitals", with(json!({ "type": "ACCESS" }))),
        ("an unknown user", with(json!({ "sub": NOBODY }))),
        ("a user by name", with(json!({ "sub": ADMIN }))),
        ("nobody", with(json!({ "sub": null }))),
        ("an expiry in text", with(json!({ "exp": FAR.to_string() }))),
        ("an expiry in fractions", with(json!({ "exp": 4_000_000_000.5 }))),
        ("an expiry before time", with(json!({ "exp": -1 }))),
        ("an expiry beyond numbers", with(json!({ "exp": 1e300 }))),
        ("no expiry", without("exp")),
        ("an empty expiry", with(json!({ "exp": null }))),
        ("no start", without("nbf")),
        ("no time of issue", without("iat")),
        ("no issuer", without("iss")),
        ("no audience", without("aud")),
        ("no type", without("type")),
        ("no user", without("sub")),
        ("no id", without("jti")),
        ("no session", without("sid")),
        ("an id that is none", with(json!({ "jti": "1" }))),
        ("two types", twice(r#""type":"refresh""#)),
        ("two users", twice(&format!(r#""sub":"{NOBODY}""#))),
        ("two expiries", twice(r#""exp":1"#)),
        ("a list", format!("[{}]", with(json!({})))),
        ("nothing", String::new()),
        ("more than one", format!("{0}{0}", with(json!({})))),
    ] {
        assert_refused(&gateway, case, &sign_like_gateway(&payload, SECRET_KEY)).await;
    }
    Client::bearer(&gateway, &accepted).get("/").await.expect(200);
}

/// No leeway, and no memory of having been good a moment ago.
#[tokio::test]
async fn a_token_ends_by_itself() {
    let gateway = Gateway::start(&format!("[dialect.status]\naccess_ttl = \"2s\"\n{ECHO}")).await;
    let token = sign_in_admin(&gateway).await.access;
    let caller = Client::bearer(&gateway, &token);
    caller.get("/").await.expect(200);
    let refused = eventually("the token to expire", async || {
        let answer = caller.get("/").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    refused.refused(401, "INVALID_TOKEN");
}

#[tokio::test]
async fn a_token_of_a_disabled_user_is_refused_and_stays_so() {
    let gateway = Gateway::start(ECHO).await;
    gateway.add_user("grace", "a password of hers", &[]).await;
    let pair = sign_in(&gateway, "grace", "a password of hers").await;
    let caller = Client::bearer(&gateway, &pair.access);
    caller.get("/").await.expect(200);
    gateway.manage(&["user", "disable", "grace"], None).await;
    caller.get("/").await.refused(401, "INVALID_TOKEN");
    gateway.manage(&["user", "enable", "grace"], None).await;
    caller.get("/").await.refused(401, "INVALID_TOKEN");
    Client::bearer(&gateway, &sign_in(&gateway, "grace", "a password of hers").await.access)
        .get("/")
        .await
        .expect(200);
}

#[tokio::test]
async fn a_token_of_another_gateway_is_refused() {
    let here = Gateway::start(ECHO).await;
    let elsewhere =
        Gateway::builder().env("SECRET_KEY", &"another secret ".repeat(3)).start().await;
    let token = sign_in_admin(&elsewhere).await.access;
    Client::bearer(&elsewhere, &token).get("/").await.expect(200);
    assert_refused(&here, "signed elsewhere", &token).await;
}

async fn assert_refused(gateway: &Gateway, case: &str, token: &str) {
    let answer = Client::bearer(gateway, token).get("/").await;
    assert_eq!(answer.refusal(), (401, "INVALID_TOKEN".to_owned()), "{case}: {token}");
    answer.assert_token_challenge();
}
