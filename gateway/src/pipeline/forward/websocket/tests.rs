use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Request, StatusCode, Version};

use super::{Agreement, Handshake, handshake};
use crate::pipeline::connection::Protocol;

/// The key of RFC 6455 1.3, and what proves that it was read.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const ASKING: [(&str, &str); 3] =
    [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-key", KEY)];
const AGREEING: [(&str, &str); 3] = [
    ("upgrade", "WebSocket"),
    ("connection", "keep-alive, Upgrade"),
    ("sec-websocket-accept", ACCEPT),
];

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())
    };
    fields.iter().map(field).collect()
}

fn request(method: &str, version: Version, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).version(version).body(()).unwrap();
    *request.headers_mut() = map(fields);
    request.into_parts().0
}

/// Whether a request asks for a WebSocket, or why it is refused.
fn asks(method: &str, version: Version, fields: &[(&str, &str)]) -> Result<bool, String> {
    let handshake = handshake(&request(method, version, fields), Protocol::Http1);
    handshake
        .map(|handshake| handshake.is_some())
        .map_err(|rejection| format!("{:?} {:?}", rejection.reason, rejection.detail))
}

/// The fields with one more, or one in place of another.
fn with<'a>(
    fields: &[(&'a str, &'a str)],
    name: &'a str,
    values: &[&'a str],
) -> Vec<(&'a str, &'a str)> {
    let others = fields.iter().filter(|(other, _)| *other != name).copied();
    others.chain(values.iter().map(|value| (name, *value))).collect()
}

#[test]
fn only_a_handshake_of_rfc_6455_asks_for_a_websocket() {
    assert_eq!(asks("GET", Version::HTTP_11, &ASKING), Ok(true));
    let upgrade = with(&ASKING, "upgrade", &["h2c, WebSocket"]);
    assert_eq!(asks("GET", Version::HTTP_11, &upgrade), Ok(true));
    // Anything else asks for none, and what it says stays on the connection.
    for (name, values) in [
        ("upgrade", &[][..]),
        ("upgrade", &["h2c"]),
        ("connection", &[]),
        ("connection", &["close"]),
    ] {
        let fields = with(&ASKING, name, values);
        assert_eq!(asks("GET", Version::HTTP_11, &fields), Ok(false), "{fields:?}");
    }
    let parts = request("GET", Version::HTTP_11, &ASKING);
    assert!(handshake(&parts, Protocol::Http2).is_ok_and(|handshake| handshake.is_none()));
}

#[test]
fn a_handshake_that_could_be_read_as_another_request_is_refused() {
    for (method, version, fields) in [
        ("POST", Version::HTTP_11, ASKING.to_vec()),
        ("GET", Version::HTTP_10, ASKING.to_vec()),
        ("GET", Version::HTTP_11, with(&ASKING, "content-length", &["1"])),
        ("GET", Version::HTTP_11, with(&ASKING, "transfer-encoding", &["chunked"])),
        ("GET", Version::HTTP_11, with(&ASKING, "sec-websocket-key", &[])),
        ("GET", Version::HTTP_11, with(&ASKING, "sec-websocket-key", &[KEY, KEY])),
        // Fifteen bytes, seventeen, and none in base64.
        ("GET", Version::HTTP_11, with(&ASKING, "sec-websocket-key", &["AAAAAAAAAAAAAAAAAAAA"])),
        (
            "GET",
            Version::HTTP_11,
            with(&ASKING, "sec-websocket-key", &["AAAAAAAAAAAAAAAAAAAAAAA="]),
        ),
        ("GET", Version::HTTP_11, with(&ASKING, "sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQ"])),
    ] {
        let refused = asks(method, version, &fields);
        assert!(
            refused.as_ref().is_err_and(|why| why.starts_with("UpgradeMalformed")),
            "{method} {version:?} {fields:?}: {refused:?}"
        );
    }
}

fn sample() -> Handshake {
    Handshake { key: KEY.parse().unwrap() }
}

#[test]
fn the_answer_of_rfc_6455_is_accepted_and_another_is_not() {
    let handshake = sample();
    assert!(handshake.check_answer(&map(&AGREEING)).is_ok());
    let wrong = ACCEPT.replace("Oo=", "OO=");
    for (name, values) in [
        ("upgrade", &[][..]),
        ("upgrade", &["h2c"]),
        ("connection", &[]),
        ("connection", &["close"]),
        ("sec-websocket-accept", &[]),
        ("sec-websocket-accept", &[&wrong]),
        ("sec-websocket-accept", &[ACCEPT, ACCEPT]),
        ("sec-websocket-accept", &[ACCEPT, &wrong]),
    ] {
        let fields = with(&AGREEING, name, values);
        assert!(handshake.check_answer(&map(&fields)).is_err(), "{fields:?}");
    }
}

#[test]
fn a_gateway_that_is_the_server_agrees_to_the_first_subprotocol() {
    for (offered, agreed) in [
        (&[][..], None),
        (&["chat"][..], Some("chat")),
        (&[" chat , superchat"], Some("chat")),
        (&["chat", "superchat"], Some("chat")),
        (&[""], None),
        (&[", chat"], None),
    ] {
        let mut fields = vec![("sec-websocket-version", "13"), ("sec-websocket-extensions", "x")];
        fields.extend(offered.iter().map(|list| ("sec-websocket-protocol", *list)));
        let agreement = Agreement::new(sample(), &map(&fields)).unwrap();
        let answer = agreement.answer();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert!(sample().check_answer(answer.headers()).is_ok(), "{offered:?}");
        assert!(!answer.headers().contains_key("sec-websocket-extensions"));
        // The upstream is asked for the same, as if the client had wanted nothing else.
        let mut asked = map(&fields);
        agreement.ask(&mut asked);
        assert_eq!(asked["sec-websocket-key"], KEY);
        assert_eq!(asked["sec-websocket-version"], "13");
        assert!(!asked.contains_key("sec-websocket-extensions"));
        for headers in [answer.headers(), &asked] {
            let values: Vec<_> = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().collect();
            assert_eq!(values, Vec::from_iter(agreed), "{offered:?}");
        }
    }
}

#[test]
fn another_version_is_not_agreed_to() {
    for versions in [&[][..], &["8"], &["13, 8"], &["13", "13"]] {
        let fields = with(&[], "sec-websocket-version", versions);
        assert!(Agreement::new(sample(), &map(&fields)).is_err(), "{versions:?}");
    }
}

/// The client has been promised what was agreed, before the upstream was asked.
#[test]
fn an_upstream_agrees_to_what_was_promised_or_to_nothing() {
    let promised = |protocol: &[&str]| {
        let fields = with(&[("sec-websocket-version", "13")], "sec-websocket-protocol", protocol);
        Agreement::new(sample(), &map(&fields)).unwrap()
    };
    let chat = promised(&["chat"]);
    let none = promised(&[]);
    let agreeing =
        |protocols: &[&'static str]| with(&AGREEING, "sec-websocket-protocol", protocols);
    for (agreement, protocols, fits) in [
        (&chat, &["chat"][..], true),
        (&chat, &[], false),
        (&chat, &["superchat"], false),
        (&chat, &["chat", "chat"], false),
        (&none, &[], true),
        (&none, &["chat"], false),
    ] {
        let fields = agreeing(protocols);
        assert_eq!(agreement.check_answer(&map(&fields)).is_ok(), fits, "{fields:?}");
        let extended = with(&fields, "sec-websocket-extensions", &["permessage-deflate"]);
        assert!(agreement.check_answer(&map(&extended)).is_err(), "{extended:?}");
        let unproven = with(&fields, "sec-websocket-accept", &["x"]);
        assert!(agreement.check_answer(&map(&unproven)).is_err(), "{unproven:?}");
    }
}
