use http::{HeaderName, Request};

use super::*;

#[test]
fn the_host_that_is_forwarded_is_the_one_that_was_judged() {
    for (written, name, authority) in [
        ("App.Example.", "app.example", "app.example"),
        ("APP.example:08443", "app.example", "app.example:8443"),
        ("[2001:DB8:0::1]:443", "[2001:db8::1]", "[2001:db8::1]:443"),
    ] {
        let request = Request::get("/").header("host", written).body(()).unwrap();
        let found = host(&request.into_parts().0).unwrap();
        assert_eq!((&*found.name, &*found.authority), (name, authority), "{written}");
    }
}

#[test]
fn the_absolute_form_must_agree_with_the_host_field() {
    let check = |uri: &str, hosts: &[&str]| {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        host(&parts).map(|host| host.name).map_err(|rejection| rejection.reason.code())
    };
    assert_eq!(check("/", &["a"]), Ok("a".to_owned()));
    assert_eq!(check("http://a/", &["A"]), Ok("a".to_owned()));
    assert_eq!(check("http://a/", &["b"]), Err("host_mismatch"));
    assert_eq!(check("http://a/", &[]), Err("host_missing"));
    assert_eq!(check("/", &[]), Err("host_missing"));
    assert_eq!(check("/", &["a", "a"]), Err("host_malformed"));
    // Over HTTP/2 `:authority` is all there need be.
    let request = Request::get("https://a/").version(Version::HTTP_2).body(()).unwrap();
    assert_eq!(host(&request.into_parts().0).unwrap().name, "a");
}

fn code(outcome: Result<(), Rejection>) -> &'static str {
    outcome.map_or_else(|rejection| rejection.reason.code(), |()| "ok")
}

#[test]
fn a_method_is_well_formed_and_neither_connects_nor_traces() {
    for (method, judged, forwarded) in [
        ("GET", "ok", "ok"),
        ("PURGE", "ok", "ok"),
        ("M-SEARCH", "ok", "ok"),
        ("CONNECT", "method_refused", "ok"),
        ("TRACE", "ok", "method_refused"),
        ("get", "method_malformed", "ok"),
        ("G_T", "method_malformed", "ok"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let found = (code(check_method(&method)), code(check_forwarded(&method)));
        assert_eq!(found, (judged, forwarded), "{method}");
    }
}

#[test]
fn a_target_is_of_http_and_over_http2_a_path_without_a_fragment() {
    let check = |version, uri: &str, marked: bool| {
        let mut request = Request::builder().version(version).uri(uri);
        if marked {
            request = request.header(FRAGMENT_MARK, "1");
        }
        code(check_target(&request.body(()).unwrap().into_parts().0))
    };
    let (one, two) = (Version::HTTP_11, Version::HTTP_2);
    for (version, uri, marked, expected) in [
        (one, "/a", false, "ok"),
        (one, "http://a/b", false, "ok"),
        (one, "https://a/b", false, "ok"),
        (one, "*", false, "ok"),
        (one, "ftp://a/b", false, "target_malformed"),
        // The form of CONNECT has no path; over HTTP/1 the method tells.
        (one, "a:80", false, "ok"),
        // The mark is the edge's own, over HTTP/2; here it is a field like any.
        (one, "/a", true, "ok"),
        (two, "https://a/b", false, "ok"),
        (two, "https://a/b?c", false, "ok"),
        (two, "*", false, "ok"),
        (two, "ftp://a/b", false, "target_malformed"),
        (two, "https://a/b", true, "path_ambiguous"),
    ] {
        assert_eq!(check(version, uri, marked), expected, "{version:?} {uri} {marked}");
    }
}

#[test]
fn blanks_around_a_value_go_and_what_was_to_be_kept_secret_stays_so() {
    let name = HeaderName::from_static("x-value");
    for (written, trimmed) in [
        (&b"plain"[..], &b"plain"[..]),
        (b" \tin the middle\t ", b"in the middle"),
        (b"behind ", b"behind"),
        (b"  ", b""),
        (b"", b""),
        (b" J\xfcrgen ", b"J\xfcrgen"),
    ] {
        for sensitive in [false, true] {
            let mut value = HeaderValue::from_bytes(written).unwrap();
            value.set_sensitive(sensitive);
            let mut headers = HeaderMap::from_iter([(name.clone(), value)]);
            trim_values(&mut headers);
            let value = &headers[&name];
            assert_eq!((value.as_bytes(), value.is_sensitive()), (trimmed, sensitive));
        }
    }
}

#[test]
fn a_length_is_digits_alone() {
    for (lines, good) in [
        (&[][..], true),
        (&["0"], true),
        (&["123"], true),
        (&[""], false),
        (&["-1"], false),
        (&["1,1"], false),
        (&["0x10"], false),
        (&["1", "x"], false),
    ] {
        let line = |line: &&'static str| (header::CONTENT_LENGTH, HeaderValue::from_static(line));
        let headers: HeaderMap = lines.iter().map(line).collect();
        let fault = Rejection::from(Reason::Framing(FramingFault::ContentLength));
        let expected = if good { "ok" } else { fault.reason.code() };
        assert_eq!(code(check_length(&headers)), expected, "{lines:?}");
    }
}
