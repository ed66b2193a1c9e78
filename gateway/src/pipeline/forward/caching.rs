//! Who may keep the response of a protected route, where its upstream says nothing.
//!
//! RFC 9111 3.5 keeps shared caches from responses to requests with `Authorization`. Cookies and
//! API keys are not covered: such a response could be given to anybody who asks next.

use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

/// By which field a caller of a protected route is told from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    Fields,
    FieldsAndCookies,
}

/// Keeps the response out of shared caches, and in private ones apart for each credential.
pub fn keep_private(
    method: &Method,
    status: StatusCode,
    headers: &mut HeaderMap,
    credentials: Credentials,
) {
    // Other methods' responses are not kept unless they say so (RFC 9110 9.2.3). A 304
    // changes only those fields of the kept response that it has.
    let kept = (*method == Method::GET || *method == Method::HEAD)
        && status != StatusCode::NOT_MODIFIED
        && !status.is_informational();
    let silent =
        !headers.contains_key(header::CACHE_CONTROL) && !headers.contains_key(header::EXPIRES);
    if !kept || !silent {
        return;
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    let varies_always = |value: &HeaderValue| value.as_bytes().trim_ascii() == b"*";
    if !headers.get_all(header::VARY).iter().any(varies_always) {
        let fields = match credentials {
            Credentials::Fields => "Authorization, X-API-Key",
            Credentials::FieldsAndCookies => "Authorization, X-API-Key, Cookie",
        };
        headers.append(header::VARY, HeaderValue::from_static(fields));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(method: &Method, status: u16, fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let status = StatusCode::from_u16(status).unwrap();
        keep_private(method, status, &mut headers, Credentials::Fields);
        headers
    }

    fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_an_upstream_says_of_caching_stays_and_silence_becomes_private() {
        let own = "Authorization, X-API-Key";
        for (fields, control, vary) in [
            (&[][..], &["private"][..], &[own][..]),
            (&[("vary", "Accept-Encoding")], &["private"], &["Accept-Encoding", own]),
            (&[("vary", " * ")], &["private"], &[" * "]),
            (&[("cache-control", "public, max-age=60")], &["public, max-age=60"], &[]),
            (&[("cache-control", "")], &[""], &[]),
            (&[("expires", "0")], &[], &[]),
        ] {
            let headers = kept(&Method::GET, 200, fields);
            assert_eq!(lines(&headers, "cache-control"), control, "{fields:?}");
            assert_eq!(lines(&headers, "vary"), vary, "{fields:?}");
        }
    }

    #[test]
    fn only_what_a_cache_could_keep_is_marked() {
        for (method, status, marked) in [
            (Method::GET, 200, true),
            (Method::HEAD, 200, true),
            (Method::GET, 404, true),
            (Method::GET, 206, true),
            (Method::GET, 304, false),
            (Method::GET, 101, false),
            (Method::POST, 200, false),
        ] {
            let headers = kept(&method, status, &[]);
            assert_eq!(headers.contains_key("cache-control"), marked, "{method} {status}");
            assert_eq!(headers.contains_key("vary"), marked, "{method} {status}");
        }
    }
}
