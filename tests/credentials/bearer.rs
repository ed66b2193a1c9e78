//! Access tokens, most of them made by hand with the right secret: whatever is not
//! exactly what the gateway writes is refused, for a reason that the log names, and
//! no upstream hears of it.

use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
use http::Method;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::support::client::{Client, basic, request, sign_in, sign_in_admin};
use crate::support::eventually;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway, SECRET_KEY};
use crate::support::token::{
    HEADER, claims, encode, parts, payload, sign, sign_encoded, sign_like_gateway,
};
use crate::support::upstream::{Upstream, ok};

const FAR: u64 = 4_000_000_000;
const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// A token, and the reason for which it is refused.
type Row = (&'static str, String, &'static str);

/// A gateway before an upstream that notes what reaches it.
struct Stage {
    upstream: Upstream,
    gateway: Gateway,
}

impl Stage {
    async fn start() -> Self {
        let upstream = Upstream::http1(ok).await;
        let limits = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\n";
        let config = format!("{}{limits}", upstream.routes());
        Self { gateway: Gateway::start(&config).await, upstream }
    }

    /// Control: a token that differs from the rows in nothing but what they say.
    async fn accepts(&self, token: &str) {
        Client::bearer(&self.gateway, token).get("/accepted").await.expect(200);
    }

    async fn refuses(&self, rows: Vec<Row>) {
        let mut connection = Client::anonymous(&self.gateway).connect().await;
        for (number, (case, token, _)) in rows.iter().enumerate() {
            let mut request = request(Method::GET, &format!("/{number}"));
            let value = format!("Bearer {token}").parse().expect("a field value");
            request.headers_mut().insert(AUTHORIZATION, value);
            let answer = connection.send(request).await;
            assert_eq!(answer.status, 401, "{case}: {token}");
            assert_eq!(answer.refusal(), (401, "INVALID_TOKEN".to_owned()), "{case}: {token}");
            answer.assert_token_challenge();
        }
        let last = format!("/{}", rows.len() - 1);
        self.gateway.wait_for_log(|line| line["path"] == last).await;
        let log = self.gateway.log_lines();
        for (number, (case, token, reason)) in rows.iter().enumerate() {
            let path = format!("/{number}");
            let line = log.iter().find(|line| line["path"] == path).expect("a line for each");
            assert_eq!(line["reason"], *reason, "{case}: {token}");
        }
        let reached = self.upstream.requests();
        assert!(reached.iter().all(|request| request.target() == "/accepted"), "{reached:?}");
    }
}

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
    let stage = Stage::start().await;
    let pair = sign_in_admin(&stage.gateway).await;
    let token = pair.access.as_str();
    stage.accepts(token).await;
    let [header, payload, signature] = parts(token);
    let (malformed, wrong) = ("token_malformed", "token_signature");
    let serialized = json!({ "protected": header, "payload": payload, "signature": signature });
    stage
        .refuses(vec![
            ("a Basic credential", basic(ADMIN, ADMIN_PASSWORD).replace("Basic ", ""), malformed),
            ("a refresh token", pair.refresh.clone(), "token_kind"),
            ("no parts", "garbage".to_owned(), malformed),
            ("two parts", format!("{header}.{payload}"), malformed),
            ("four parts", format!("{token}.{signature}"), malformed),
            ("an empty fourth part", format!("{token}."), malformed),
            ("an encrypted token", format!("{token}.{payload}.{signature}"), malformed),
            ("as an object", serialized.to_string(), malformed),
            ("an empty signature", format!("{header}.{payload}."), wrong),
            ("an empty payload", format!("{header}..{signature}"), wrong),
            ("an empty header", format!(".{payload}.{signature}"), malformed),
            ("dots only", "..".to_owned(), malformed),
            ("padding behind the header", format!("{header}=.{payload}.{signature}"), malformed),
            ("padding behind the payload", format!("{header}.{payload}=.{signature}"), wrong),
            ("padding behind the signature", format!("{token}="), wrong),
            ("a space in the header", format!("{header} .{payload}.{signature}"), malformed),
            ("a space in the payload", format!("{header}. {payload}.{signature}"), wrong),
            ("a space in the signature", format!("{header}.{payload}. {signature}"), wrong),
            ("a tab behind the header", format!("{header}\t.{payload}.{signature}"), malformed),
            ("a cut signature", token[..token.len() - 1].to_owned(), wrong),
            ("half a signature", token[..token.len() - 21].to_owned(), wrong),
            ("a longer signature", format!("{token}A"), wrong),
            ("a signature of zeros", format!("{header}.{payload}.{}", "A".repeat(43)), wrong),
            ("spare bits in the signature", with_spare_bits(token), wrong),
            ("standard base64", format!("{header}.{payload}.+/{}", &signature[2..]), wrong),
            ("a `?` inside", format!("{header}.{payload}.?{}", &signature[1..]), wrong),
            ("a `?` more", format!("{header}.{payload}?.{signature}"), wrong),
            ("another signature", format!("{header}.{payload}.{}", parts(&pair.refresh)[2]), wrong),
            ("another payload", format!("{header}.{}.{signature}", parts(&pair.refresh)[1]), wrong),
            ("header and payload exchanged", format!("{payload}.{header}.{signature}"), malformed),
            ("two tokens", format!("{token} {token}"), malformed),
            ("a list", format!("{token}, Bearer {token}"), malformed),
            ("in quotes", format!("\"{token}\""), malformed),
            ("upper case", token.to_uppercase(), malformed),
            ("far too long", format!("{header}.{}.{signature}", "A".repeat(16 << 10)), malformed),
        ])
        .await;
    stage.accepts(token).await;
}

/// The last character of a signature carries two bits that mean nothing; with
/// them a second text would stand for the same token.
fn with_spare_bits(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let value = ALPHABET.find(last).expect("a character of base64url");
    format!("{rest}{}", &ALPHABET[value + 1..value + 2])
}

/// What the signature covers is text: signed rightly, it must still be the one text
/// that the claims have.
#[tokio::test]
async fn a_signed_payload_in_another_encoding_is_refused() {
    let stage = Stage::start().await;
    let own = payload(&sign_in_admin(&stage.gateway).await.access);
    // Two bytes over, so that the last character has spare bits; and a character
    // that the two alphabets write differently.
    let filled =
        |length: usize| own.replacen('}', &format!(",\"x\":\"{}>?\"}}", "~".repeat(length)), 1);
    let padded = (0..3).map(filled).find(|text| text.len() % 3 == 2).expect("one of three");
    let encoded = encode(&padded);
    let header = encode(HEADER);
    let signed = |payload: &str| sign_encoded(&format!("{header}.{payload}"), SECRET_KEY);
    stage.accepts(&signed(&encoded)).await;
    let standard = encoded.replace('-', "+").replace('_', "/");
    assert_ne!(standard, encoded, "the alphabets differ in it");
    stage
        .refuses(
            [
                ("with padding", format!("{encoded}=")),
                ("the standard alphabet", standard),
                ("spare bits", with_spare_bits(&encoded)),
                ("a character short", encoded[..encoded.len() - 2].to_owned()),
                ("a space inside", format!("{} {}", &encoded[..8], &encoded[8..])),
                ("a `?` inside", format!("{}?{}", &encoded[..8], &encoded[8..])),
                ("not encoded", padded.replace(['>', '~'], "")),
                ("nothing", String::new()),
            ]
            .map(|(case, payload)| (case, signed(&payload), "token_malformed"))
            .into(),
        )
        .await;
}

/// Control: the gateway's own claims, signed again by the test, are accepted. What an
/// attacker knows, and might be taken for the secret, is the certificate (CVE-2016-10555).
#[tokio::test]
async fn a_forged_token_is_only_as_good_as_its_secret() {
    let stage = Stage::start().await;
    let payload = payload(&sign_in_admin(&stage.gateway).await.access);
    stage.accepts(&sign_like_gateway(&payload, SECRET_KEY)).await;
    let certificate = std::fs::read_to_string(stage.gateway.path("server.pem")).expect("PEM");
    let elsewhere =
        Gateway::builder().env("SECRET_KEY", &"another secret ".repeat(3)).start().await;
    let token = sign_in_admin(&elsewhere).await.access;
    Client::bearer(&elsewhere, &token).get("/").await.expect(200);
    let mut rows: Vec<Row> = [
        ("no secret", ""),
        ("a zero byte", "\0"),
        ("a space", " "),
        ("a guess", "secret"),
        ("a part of the secret", &SECRET_KEY[1..]),
        ("more than the secret", &format!("{SECRET_KEY}\n")),
        ("the secret, encoded", &encode(SECRET_KEY)),
        ("the certificate", &certificate),
        ("the certificate without its last line end", certificate.trim_end()),
    ]
    .map(|(case, secret)| (case, sign_like_gateway(&payload, secret), "token_signature"))
    .into();
    rows.push(("another gateway's", token, "token_signature"));
    stage.refuses(rows).await;
}

/// Headers in which the classic attacks are written (RFC 8725 2 and 3). Under all of
/// them the claims and the HMAC are right.
const HEADERS: &[(&str, &str)] = &[
    ("none", r#"{"alg":"none","typ":"JWT"}"#),
    ("None", r#"{"alg":"None","typ":"JWT"}"#),
    ("NONE", r#"{"alg":"NONE","typ":"JWT"}"#),
    ("nOnE", r#"{"alg":"nOnE","typ":"JWT"}"#),
    ("none and a space", r#"{"alg":"none ","typ":"JWT"}"#),
    ("no algorithm", r#"{"typ":"JWT"}"#),
    ("an empty algorithm", r#"{"alg":"","typ":"JWT"}"#),
    ("the algorithm null", r#"{"alg":null,"typ":"JWT"}"#),
    ("a list of algorithms", r#"{"alg":["HS256"],"typ":"JWT"}"#),
    ("RS256", r#"{"alg":"RS256","typ":"JWT"}"#),
    ("PS256", r#"{"alg":"PS256","typ":"JWT"}"#),
    ("ES256", r#"{"alg":"ES256","typ":"JWT"}"#),
    ("EdDSA", r#"{"alg":"EdDSA","typ":"JWT"}"#),
    ("lower case", r#"{"alg":"hs256","typ":"JWT"}"#),
    ("an encrypted key", r#"{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"enc":"A128GCM"}"#),
    ("no type", r#"{"alg":"HS256"}"#),
    ("another type", r#"{"alg":"HS256","typ":"at+jwt"}"#),
    ("the type in lower case", r#"{"alg":"HS256","typ":"jwt"}"#),
    ("the type in full", r#"{"alg":"HS256","typ":"application/jwt"}"#),
    ("the type null", r#"{"alg":"HS256","typ":null}"#),
    ("a token inside", r#"{"alg":"HS256","typ":"JWT","cty":"JWT"}"#),
    ("type first", r#"{"typ":"JWT","alg":"HS256"}"#),
    ("a space", r#"{"alg": "HS256","typ":"JWT"}"#),
    ("a space before it", r#" {"alg":"HS256","typ":"JWT"}"#),
    ("a line behind it", "{\"alg\":\"HS256\",\"typ\":\"JWT\"}\n"),
    ("a byte order mark", "\u{feff}{\"alg\":\"HS256\",\"typ\":\"JWT\"}"),
    ("an escape", r#"{"alg":"\u00485256","typ":"JWT"}"#),
    ("an empty key id", r#"{"alg":"HS256","typ":"JWT","kid":""}"#),
    ("a key id", r#"{"alg":"HS256","typ":"JWT","kid":"1"}"#),
    ("a number for a key id", r#"{"alg":"HS256","typ":"JWT","kid":1}"#),
    ("a file for a key id", r#"{"alg":"HS256","typ":"JWT","kid":"../../../../dev/null"}"#),
    ("a query for a key id", r#"{"alg":"HS256","typ":"JWT","kid":"' UNION SELECT 'x' -- "}"#),
    ("a command for a key id", r#"{"alg":"HS256","typ":"JWT","kid":"|id"}"#),
    ("a key set elsewhere", r#"{"alg":"HS256","typ":"JWT","jku":"https://127.0.0.1:1/keys"}"#),
    ("a chain elsewhere", r#"{"alg":"HS256","typ":"JWT","x5u":"https://127.0.0.1:1/chain"}"#),
    ("a chain", r#"{"alg":"HS256","typ":"JWT","x5c":["MIIB"]}"#),
    ("a thumbprint", r#"{"alg":"HS256","typ":"JWT","x5t":"AAAA"}"#),
    ("a key of its own", r#"{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct","k":"eA"}}"#),
    ("a critical extension", r#"{"alg":"HS256","typ":"JWT","crit":["exp"],"exp":1}"#),
    ("nothing critical", r#"{"alg":"HS256","typ":"JWT","crit":[]}"#),
    ("an unencoded payload", r#"{"alg":"HS256","typ":"JWT","b64":false,"crit":["b64"]}"#),
    ("an encoded payload", r#"{"alg":"HS256","typ":"JWT","b64":true}"#),
    ("compression", r#"{"alg":"HS256","typ":"JWT","zip":"DEF"}"#),
    ("none, then HS256", r#"{"alg":"none","alg":"HS256","typ":"JWT"}"#),
    ("HS256, then none", r#"{"alg":"HS256","alg":"none","typ":"JWT"}"#),
    ("two types", r#"{"alg":"HS256","typ":"JWT","typ":"JWT"}"#),
    ("claims too", r#"{"alg":"HS256","typ":"JWT","exp":4000000000}"#),
    ("a list", r#"["HS256","JWT"]"#),
    ("a text", r#""HS256""#),
    ("no JSON", "HS256"),
    ("null", "null"),
    ("nothing", ""),
];

/// RFC 8725 3.1: the algorithm is ours to choose, not the token's.
#[tokio::test]
async fn a_token_under_any_other_header_is_refused() {
    let stage = Stage::start().await;
    let own = sign_in_admin(&stage.gateway).await.access;
    let payload = payload(&own);
    stage.accepts(&sign(HEADER, &payload, SECRET_KEY, HMAC_SHA256)).await;
    let malformed = "token_malformed";
    let mut rows = Vec::new();
    for (case, header) in HEADERS {
        let unsigned = format!("{}.{}.", encode(header), encode(&payload));
        rows.push((*case, format!("{unsigned}{}", parts(&own)[2]), malformed));
        rows.push((*case, unsigned, malformed));
        for secret in [SECRET_KEY, "", "x"] {
            rows.push((*case, sign(header, &payload, secret, HMAC_SHA256), malformed));
        }
    }
    for (case, algorithm) in [("HS384", HMAC_SHA384), ("HS512", HMAC_SHA512)] {
        let header = HEADER.replace("HS256", case);
        rows.push((case, sign(&header, &payload, SECRET_KEY, algorithm), malformed));
        rows.push((case, sign(HEADER, &payload, SECRET_KEY, algorithm), "token_signature"));
    }
    let encrypted = encode(r#"{"alg":"dir","enc":"A256GCM"}"#);
    rows.push(("encrypted", format!("{encrypted}....."), malformed));
    rows.push(("encrypted, in five parts", format!("{encrypted}..AAAA.AAAA.AAAA"), malformed));
    rows.push(("a large header", format!("{}.e30.", "A".repeat(8 << 10)), malformed));
    stage.refuses(rows).await;
}

#[tokio::test]
async fn a_token_with_any_other_claims_is_refused() {
    let stage = Stage::start().await;
    let own = claims(&sign_in_admin(&stage.gateway).await.access);
    let issued = own["iat"].as_u64().expect("a time");
    let with = |changes: Value| {
        let mut claims = own.clone();
        for (name, value) in changes.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        claims.to_string()
    };
    // In place of a claim a text that no `Value` could hold.
    let raw = |name: &str, text: &str| {
        own.to_string().replacen(
            &format!("\"{name}\":{}", own[name]),
            &format!("\"{name}\":{text}"),
            1,
        )
    };
    let more = |text: &str| own.to_string().replacen('{', &format!("{{{text},"), 1);
    let nested = |depth: usize| more(&format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    let large = |length: usize| more(&format!("\"x\":\"{}\"", "y".repeat(length)));
    for accepted in [own.to_string(), more("\"x\":1,\"x\":2"), nested(1_000), large(5 << 10)] {
        stage.accepts(&sign_like_gateway(&accepted, SECRET_KEY)).await;
    }

    let past = json!({ "iat": issued - 100, "nbf": issued - 100, "exp": issued - 1 });
    let mut payloads = vec![
        ("expired", with(past), "token_expired"),
        ("expired this second", with(json!({ "exp": issued })), "token_expired"),
        ("expired in 1970", with(json!({ "iat": 0, "nbf": 0, "exp": 0 })), "token_expired"),
        ("not yet valid", with(json!({ "nbf": FAR - 1, "exp": FAR })), "token_not_yet_valid"),
        (
            "issued in the future",
            with(json!({ "iat": FAR - 1, "exp": FAR })),
            "token_not_yet_valid",
        ),
        ("another issuer", with(json!({ "iss": "gatehouse" })), "token_issuer"),
        ("the issuer in capitals", with(json!({ "iss": "Portcullis" })), "token_issuer"),
        ("an empty issuer", with(json!({ "iss": "" })), "token_issuer"),
        ("another audience", with(json!({ "aud": "gatehouse" })), "token_issuer"),
        ("an empty audience", with(json!({ "aud": "" })), "token_issuer"),
        ("a refresh token", with(json!({ "type": "refresh" })), "token_kind"),
        ("an unknown user", with(json!({ "sub": NOBODY })), "user_unknown"),
        ("far too long", large(8 << 10), "token_malformed"),
        ("a user nested deep", raw("sub", &"[".repeat(1_000)), "token_malformed"),
        ("cut short", own.to_string().replace('}', ""), "token_malformed"),
        ("a list of claims", format!("[{own}]"), "token_malformed"),
        ("claims in their order", in_their_order(&own), "token_malformed"),
        ("nothing", String::new(), "token_malformed"),
        ("null", "null".to_owned(), "token_malformed"),
        ("more than one", format!("{own}{own}"), "token_malformed"),
        ("a byte order mark", format!("\u{feff}{own}"), "token_malformed"),
    ];
    let times = ["-1", "4000000000.5", "4e9", "1e300", "18446744073709551616", "\"4000000000\""];
    let texts = ["1", "\"\"", "\"admin\"", "\"../../etc/passwd\"", "\"' OR 1=1 --\""];
    let never = ["null", "true", "[]", "{}", "NaN"];
    let lists = ["[\"portcullis\"]", "[\"portcullis\",\"gatehouse\"]", "1"];
    let kinds = ["\"ACCESS\"", "\"id\"", "\"\"", "1"];
    for (names, wrong) in [
        (&["iat", "nbf", "exp"][..], &times[..]),
        (&["sub", "jti", "sid"], &texts),
        (&["iss", "aud"], &lists),
        (&["type"], &kinds),
    ] {
        for name in names {
            for text in wrong.iter().chain(&never) {
                payloads.push(("of a wrong type", raw(name, text), "token_malformed"));
            }
            let written = own[name].to_string();
            let missing = own.to_string().replacen(&format!("\"{name}\":"), "\"x\":", 1);
            payloads.push(("missing", missing, "token_malformed"));
            payloads.push(("twice", more(&format!("\"{name}\":{written}")), "token_malformed"));
        }
    }
    let signed = |(case, payload, reason): (_, String, _)| {
        (case, sign_like_gateway(&payload, SECRET_KEY), reason)
    };
    stage.refuses(payloads.into_iter().map(signed).collect()).await;
    stage.accepts(&sign_like_gateway(&own.to_string(), SECRET_KEY)).await;
}

/// The values alone, as the gateway would write the members.
fn in_their_order(claims: &Value) -> String {
    let names = ["sub", "type", "iat", "nbf", "exp", "jti", "sid", "iss", "aud"];
    json!(names.map(|name| claims[name].clone())).to_string()
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
