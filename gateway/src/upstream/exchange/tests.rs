use http::HeaderMap;
use http::uri::PathAndQuery;

use super::*;

const HOST: HeaderValue = HeaderValue::from_static("app.example");

fn head(method: &Method, target: &'static str, fields: &[(&'static str, &'static str)]) -> Head {
    let fields = fields.iter().map(|(name, value)| {
        (http::HeaderName::from_static(name), HeaderValue::from_static(value))
    });
    Head {
        method: method.clone(),
        target: PathAndQuery::from_static(target),
        host: HOST,
        fields: fields.collect(),
        interim: None,
    }
}

fn fields(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let mut fields: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    fields.sort_unstable();
    fields
}

#[test]
fn a_request_without_a_body_says_so_where_one_is_expected() {
    for (method, length) in [
        (Method::GET, None),
        (Method::HEAD, None),
        (Method::OPTIONS, None),
        (Method::DELETE, None),
        (Method::POST, Some("0")),
        (Method::PUT, Some("0")),
        (Method::PATCH, Some("0")),
    ] {
        // What the client said of its framing is never copied.
        let said = [("content-length", "7"), ("transfer-encoding", "chunked")];
        let request = frame_http1(head(&method, "/a?b", &said), Sent::Nothing);
        let expected = length.map(|length| ("content-length", length)).into_iter();
        let expected: Vec<_> = expected.chain([("host", "app.example")]).collect();
        assert_eq!(fields(request.headers()), expected, "{method}");
        let version = request.version();
        assert_eq!((version, request.uri().to_string()), (Version::HTTP_11, "/a?b".to_owned()));
    }
}

#[test]
fn trailers_are_asked_for_on_this_connection_but_not_beside_a_handshake() {
    let framed = |fields: &[_]| {
        let request = frame_http1(head(&Method::GET, "/", fields), Sent::Nothing);
        request.headers().get("connection").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(framed(&[]), None);
    assert_eq!(framed(&[("te", "trailers")]).as_deref(), Some("te"));
    let handshake = [("te", "trailers"), ("upgrade", "websocket"), ("connection", "Upgrade")];
    assert_eq!(framed(&handshake).as_deref(), Some("Upgrade"));
}

/// A connection of the other kind may have turned out closed before.
#[test]
fn over_http2_nothing_is_left_of_the_framing_of_http1() {
    let asked = head(&Method::POST, "/a?b", &[("te", "trailers"), ("x-kept", "1")]);
    let over_http1 = frame_http1(asked, Sent::Nothing);
    let (again, _) = unframe_http1(over_http1, None).expect("what it was made of");
    let request = frame_http2(again, Sent::Nothing, "https").expect("a target");
    assert_eq!(fields(request.headers()), [("te", "trailers"), ("x-kept", "1")]);
    assert_eq!(request.version(), Version::HTTP_2);
    assert_eq!(request.uri().to_string(), "https://app.example/a?b");
}
