//! Our tokens, taken apart and made by hand.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The one header the gateway writes and reads.
pub const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Header, payload and signature, as text.
pub fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().unwrap_or_else(|_| panic!("a token has three parts: {token}"))
}

/// The payload as it was written.
pub fn payload(token: &str) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(parts(token)[1]).expect("a payload is base64url");
    String::from_utf8(bytes).expect("a payload is text")
}

pub fn claims(token: &str) -> Value {
    serde_json::from_str(&payload(token)).expect("a payload is JSON")
}

/// A claim of text.
pub fn claim(token: &str, name: &str) -> String {
    claims(token)[name].as_str().expect("a claim of text").to_owned()
}

/// How long it is good for, in seconds.
pub fn lifetime(token: &str) -> u64 {
    let claims = claims(token);
    let number = |name: &str| claims[name].as_u64().expect("a time in seconds");
    number("exp") - number("iat")
}

pub fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// A token of any header and payload, signed with HMAC.
pub fn sign(header: &str, payload: &str, secret: &str, algorithm: hmac::Algorithm) -> String {
    sign_by(algorithm, &format!("{}.{}", encode(header), encode(payload)), secret)
}

/// A token of header and payload as they are.
pub fn sign_encoded(message: &str, secret: &str) -> String {
    sign_by(hmac::HMAC_SHA256, message, secret)
}

fn sign_by(algorithm: hmac::Algorithm, message: &str, secret: &str) -> String {
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}

/// A token like the gateway's own.
pub fn sign_like_gateway(payload: &str, secret: &str) -> String {
    sign(HEADER, payload, secret, hmac::HMAC_SHA256)
}

pub fn is_signed_with(token: &str, secret: &str) -> bool {
    sign_like_gateway(&payload(token), secret) == token
}
