use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use proptest::prelude::*;
use uuid::Uuid;

use super::{HEADER, Hs256Signer, SecretTooShort};
use crate::auth::account::AccountId;
use crate::auth::error::Refusal;
use crate::auth::ports::TokenSigner;
use crate::auth::secret::Secret;
use crate::auth::token::{Claims, SessionId, TokenId, TokenKind};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "another secret of thirty-two bytes";

fn signer(current: &str, previous: Option<&str>) -> Hs256Signer {
    Hs256Signer::new(&current.into(), previous.map(Secret::from).as_ref()).unwrap()
}

fn claims() -> Claims {
    Claims {
        subject: AccountId(Uuid::from_u128(1)),
        kind: TokenKind::Access,
        issued_at: 100,
        not_before: 100,
        expires_at: 200,
        id: TokenId(Uuid::from_u128(2)),
        session: SessionId(Uuid::from_u128(3)),
        issuer: "portcullis".to_owned(),
        audience: "portcullis".to_owned(),
        role: None,
        workspace: None,
    }
}

/// Any header and payload, signed with the right secret.
fn forge(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

const GOOD_HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const GOOD_PAYLOAD: &str = r#"{"sub":"00000000-0000-0000-0000-000000000001","type":"access","iat":100,"nbf":100,"exp":200,"jti":"00000000-0000-0000-0000-000000000002","sid":"00000000-0000-0000-0000-000000000003","iss":"portcullis","aud":"portcullis"}"#;

fn check(token: &str, expected: Result<Claims, Refusal>) {
    assert_eq!(signer(SECRET, None).open(token), expected, "{token}");
}

#[test]
fn what_is_signed_opens_again_and_always_reads_the_same() {
    let token = signer(SECRET, None).sign(&claims());
    check(&token, Ok(claims()));
    assert_eq!(token, signer(SECRET, None).sign(&claims()));
    assert_eq!(token, forge(GOOD_HEADER, GOOD_PAYLOAD));
    assert_eq!(URL_SAFE_NO_PAD.encode(GOOD_HEADER), HEADER);
}

#[test]
fn no_other_header_is_accepted_however_well_it_is_signed() {
    for header in [
        r#"{"alg":"none","typ":"JWT"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"HS384","typ":"JWT"}"#,
        r#"{"alg":"RS256","typ":"JWT"}"#,
        r#"{"typ":"JWT","alg":"HS256"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"jwt"}"#,
        r#"{"alg":"HS256","typ":"JWT","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":"../../dev/null"}"#,
        r#"{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct","k":""}}"#,
        r#"{"alg":"HS256","typ":"JWT","jku":"https://evil.example/"}"#,
        r#"{ "alg":"HS256","typ":"JWT"}"#,
        "",
        "{}",
    ] {
        check(&forge(header, GOOD_PAYLOAD), Err(Refusal::TokenMalformed));
    }
}

#[test]
fn claims_are_complete_typed_and_single() {
    for (from, to) in [
        (r#""type":"access""#, r#""type":"other""#),
        (r#""type":"access","#, ""),
        (r#""exp":200"#, r#""exp":"200""#),
        (r#""exp":200"#, r#""exp":200.5"#),
        (r#""exp":200"#, r#""exp":-1"#),
        (r#""exp":200"#, r#""exp":1e3"#),
        (r#""exp":200,"#, ""),
        (r#""exp":200"#, r#""exp":200,"exp":999999"#),
        (r#""nbf":100,"#, ""),
        (r#""iat":100"#, r#""iat":null"#),
        (r#""aud":"portcullis""#, r#""aud":["portcullis"]"#),
        (r#""sub":"00000000-0000-0000-0000-000000000001""#, r#""sub":"admin""#),
        (r#""jti":"00000000-0000-0000-0000-000000000002","#, ""),
        ("}", "}}"),
        ("{", "[{"),
    ] {
        check(
            &forge(GOOD_HEADER, &GOOD_PAYLOAD.replacen(from, to, 1)),
            Err(Refusal::TokenMalformed),
        );
    }
    let list = r#"["00000000-0000-0000-0000-000000000001","access",100,100,200,"00000000-0000-0000-0000-000000000002","00000000-0000-0000-0000-000000000003","portcullis","portcullis"]"#;
    check(&forge(GOOD_HEADER, list), Err(Refusal::TokenMalformed));
    // A newer version may say more.
    let more = GOOD_PAYLOAD.replacen('}', r#","more":[1]}"#, 1);
    check(&forge(GOOD_HEADER, &more), Ok(claims()));
}

/// Published signatures, each with its key: genuine under HS256, and still none of
/// ours, because their headers say something else (RFC 7797 even how to read the rest).
#[test]
fn published_tokens_are_not_ours_even_under_their_own_key() {
    const RFC_7515: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    const RFC_7520: &str = "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg";
    for (case, key, token) in [
        (
            "RFC 7515 A.1",
            RFC_7515,
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            "RFC 7520 4.4",
            RFC_7520,
            "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
        ),
        (
            "RFC 7797 4.2, the payload as it is",
            RFC_7515,
            "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19.$.02.A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY",
        ),
    ] {
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signer = Hs256Signer {
            sign: EncodingKey::from_secret(&key),
            open: vec![DecodingKey::from_secret(&key)],
            ..signer(SECRET, None)
        };
        let genuine = jsonwebtoken::crypto::verify(
            signature,
            message.as_bytes(),
            &signer.open[0],
            Algorithm::HS256,
        );
        assert!(genuine.unwrap(), "{case}");
        assert_eq!(signer.open(token), Err(Refusal::TokenMalformed), "{case}");
        let detached = format!("{}..{signature}", message.split('.').next().unwrap());
        assert_eq!(signer.open(&detached), Err(Refusal::TokenMalformed), "{case}");
    }
}

#[test]
fn a_token_has_three_parts_and_a_whole_signature() {
    let token = forge(GOOD_HEADER, GOOD_PAYLOAD);
    let (message, signature) = token.rsplit_once('.').unwrap();
    for (text, refusal) in [
        (String::new(), Refusal::TokenMalformed),
        ("a".to_owned(), Refusal::TokenMalformed),
        ("a.b".to_owned(), Refusal::TokenMalformed),
        ("..".to_owned(), Refusal::TokenMalformed),
        (format!("{token}.x"), Refusal::TokenMalformed),
        (message.to_owned(), Refusal::TokenMalformed),
        (format!("{message}."), Refusal::TokenSignature),
        (format!("{message}.{}", &signature[..40]), Refusal::TokenSignature),
        (format!("{message}.{signature}="), Refusal::TokenSignature),
        (format!("{message}. {signature}"), Refusal::TokenSignature),
        (format!("{message}.{signature}\n"), Refusal::TokenSignature),
        (format!("{message}.{signature}A"), Refusal::TokenSignature),
        (format!(" {token}"), Refusal::TokenMalformed),
    ] {
        check(&text, Err(refusal));
    }
    let other = signer(OTHER, None).sign(&claims());
    check(&other, Err(Refusal::TokenSignature));
}

#[test]
fn the_previous_secret_still_opens_and_never_signs() {
    let old = signer(SECRET, None).sign(&claims());
    let rotated = signer(OTHER, Some(SECRET));
    assert_eq!(rotated.open(&old), Ok(claims()));
    assert_ne!(rotated.sign(&claims()), old);
    assert_eq!(signer(OTHER, None).open(&old), Err(Refusal::TokenSignature));
}

#[test]
fn a_seal_is_known_by_whoever_has_the_secret_or_had_it_last() {
    let parts: [&[u8]; 2] = [b"ann", b"hunter42"];
    let seal = signer(SECRET, None).seal("purpose", &parts);
    assert!(signer(SECRET, None).is_seal(&seal, "purpose", &parts));
    assert!(signer(OTHER, Some(SECRET)).is_seal(&seal, "purpose", &parts));
    assert!(signer(SECRET, Some(OTHER)).is_seal(&seal, "purpose", &parts));
    // Nothing keeps an operator from naming one secret twice.
    assert!(signer(SECRET, Some(SECRET)).is_seal(&seal, "purpose", &parts));
    assert!(!signer(OTHER, None).is_seal(&seal, "purpose", &parts));
    assert!(!signer(SECRET, None).is_seal(&seal, "another purpose", &parts));
    let mut other = seal;
    other[31] ^= 1;
    assert!(!signer(SECRET, None).is_seal(&other, "purpose", &parts));
    for others in [[b"ann", &b"hunter43"[..]], [b"annh", b"unter42"], [b"ben", b"hunter42"]] {
        assert!(!signer(SECRET, None).is_seal(&seal, "purpose", &others));
    }
}

/// API keys are stored by it: with another digest none would be known after an update.
#[test]
fn the_digest_is_sha_256() {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(&signer(SECRET, None).digest(bytes));
    // FIPS 180-2, appendix B.1, and the digest of nothing.
    assert_eq!(hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(hex(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn short_secrets_are_refused() {
    let short = |secret: &str| Hs256Signer::new(&secret.into(), None).err();
    assert_eq!(short(""), Some(SecretTooShort(0)));
    assert_eq!(short(&SECRET[..31]), Some(SecretTooShort(31)));
    assert_eq!(short(SECRET), None);
    assert!(Hs256Signer::new(&SECRET.into(), Some(&"short".into())).is_err());
}

proptest! {
    #[test]
    fn a_changed_character_anywhere_is_refused(at in 0..400usize, to in "[ -~]") {
        let token = signer(SECRET, None).sign(&claims());
        let at = at % token.len();
        let mut changed = token.clone();
        changed.replace_range(at..=at, &to);
        prop_assume!(changed != token);
        prop_assert!(signer(SECRET, None).open(&changed).is_err());
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        prop_assert!(signer(SECRET, None).open(&text).is_err());
    }
}
