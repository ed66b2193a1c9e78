use http::Request;

use super::*;

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut request = Request::new(());
    for (name, value) in fields {
        request.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    std::mem::take(request.headers_mut())
}

#[test]
fn a_raw_protocol_is_named_alone_and_in_any_case() {
    use RawProtocol::{Spdy, Tcp};
    for (protocol, upgrade) in
        [(Tcp, "tcp"), (Tcp, "TCP"), (Spdy, "SPDY/3.1"), (Spdy, "spdy/3.1"), (Tcp, " tcp ")]
    {
        let fields = [("connection", "keep-alive, Upgrade"), ("upgrade", upgrade)];
        assert!(names(&headers(&fields), protocol), "{upgrade}");
    }
    for fields in [
        &[("connection", "upgrade"), ("upgrade", "spdy/3.1")][..],
        &[("connection", "upgrade"), ("upgrade", "tcp, h2c")],
        &[("connection", "upgrade"), ("upgrade", "tcp"), ("upgrade", "tcp")],
        &[("connection", "upgrade"), ("upgrade", "tcp/1")],
        &[("connection", "upgrade"), ("upgrade", "")],
        &[("connection", "close"), ("upgrade", "tcp")],
        &[("upgrade", "tcp")],
        &[("connection", "upgrade")],
    ] {
        assert!(!names(&headers(fields), Tcp), "{fields:?}");
    }
}

#[test]
fn what_the_upstream_is_asked_for_is_made_anew() {
    let mut made = headers(&[("te", "trailers"), ("upgrade", "h2c"), ("connection", "x")]);
    Switching::Raw(RawProtocol::Spdy).add_to(&mut made);
    let fields: Vec<_> = made.iter().map(|(name, value)| (name.as_str(), value)).collect();
    assert_eq!(fields.len(), 2, "{fields:?}");
    assert_eq!(made[header::UPGRADE], "SPDY/3.1");
    assert_eq!(made[header::CONNECTION], "Upgrade");
}

#[test]
fn a_101_for_another_protocol_opens_nothing() {
    let asked = Switching::Raw(RawProtocol::Tcp);
    for (fields, agreed) in [
        (&[("connection", "Upgrade"), ("upgrade", "tcp")][..], true),
        (&[("connection", "Upgrade"), ("upgrade", "websocket")], false),
        (&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")], false),
        (&[("upgrade", "tcp")], false),
        (&[], false),
    ] {
        let checked = asked.check_answer(&headers(fields));
        assert_eq!(checked.is_ok(), agreed, "{fields:?}");
    }
}
