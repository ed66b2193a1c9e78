use http::HeaderMap;

use super::*;

fn request(method: &Method, fields: &[(&'static str, &'static str)]) -> Parts {
    let mut request =
        Request::builder().method(method).uri("https://evil.example/").body(()).unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    request.into_parts().0
}

fn fields(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let mut fields: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    fields.sort_unstable();
    fields
}

const HOST: HeaderValue = HeaderValue::from_static("app.example");

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
        let mut parts =
            request(&method, &[("content-length", "7"), ("transfer-encoding", "chunked")]);
        frame_http1(&mut parts, &RequestBody::none(), &HOST, "/a?b").unwrap();
        let expected = length.map(|length| ("content-length", length)).into_iter();
        let expected: Vec<_> = expected.chain([("host", "app.example")]).collect();
        assert_eq!(fields(&parts.headers), expected, "{method}");
        assert_eq!((parts.version, parts.uri.to_string()), (Version::HTTP_11, "/a?b".to_owned()));
    }
}

#[test]
fn trailers_are_asked_for_on_this_connection_but_not_beside_a_handshake() {
    let framed = |fields: &[_]| {
        let mut parts = request(&Method::GET, fields);
        frame_http1(&mut parts, &RequestBody::none(), &HOST, "/").unwrap();
        parts.headers.get("connection").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(framed(&[]), None);
    assert_eq!(framed(&[("te", "trailers")]).as_deref(), Some("te"));
    let handshake = [("te", "trailers"), ("upgrade", "websocket"), ("connection", "Upgrade")];
    assert_eq!(framed(&handshake).as_deref(), Some("Upgrade"));
}

/// A connection of the other kind may have turned out closed before.
#[test]
fn over_http2_nothing_is_left_of_the_framing_of_http1() {
    let mut parts = request(&Method::POST, &[("te", "trailers"), ("x-kept", "1")]);
    frame_http1(&mut parts, &RequestBody::none(), &HOST, "/a?b").unwrap();
    frame_http2(&mut parts, &HOST, "https", "/a?b").unwrap();
    assert_eq!(fields(&parts.headers), [("te", "trailers"), ("x-kept", "1")]);
    assert_eq!(parts.version, Version::HTTP_2);
    assert_eq!(parts.uri.to_string(), "https://app.example/a?b");
}

/// Without a body, too, a request may do something each time it comes.
#[test]
fn only_what_changes_nothing_is_sent_twice() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        assert!(is_repeatable(&method, &RequestBody::none()), "{method}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        assert!(!is_repeatable(&method, &RequestBody::none()), "{method}");
    }
}
