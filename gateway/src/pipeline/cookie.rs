//! Tokens that a browser holds in cookies (S0-20): finding them, and keeping them from
//! upstreams. A browser sends them along whoever's page caused the request: [`cross_site`]
//! says which pages count. `SameSite=Lax` is the second wall, not the first.
//!
//! [`cross_site`]: super::cross_site

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::auth::renew::Renewed;
use crate::dialect::delivery::{self, ACCESS_COOKIE, REFRESH_COOKIE};
use crate::dialect::flow::FLOW_COOKIE;
use crate::dialect::typed::TYPED_COOKIE;

use super::reason::{Reason, Rejection};

const TOKENS: [&str; 2] = [ACCESS_COOKIE, REFRESH_COOKIE];
const OURS: [&str; 4] = [ACCESS_COOKIE, REFRESH_COOKIE, FLOW_COOKIE, TYPED_COOKIE];

/// The value of a cookie.
///
/// # Errors
/// When it is there twice: which one counts is no guess of ours.
pub fn find<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Rejection> {
    let mut values = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(pairs)
        .filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Reason::CredentialsConflict.into()),
        // Ours are visible ASCII; anything else was not made here.
        (value, None) => Ok(value
            .and_then(|value| std::str::from_utf8(value).ok())
            .filter(|value| !value.is_empty())),
    }
}

/// The cookies of a line. Other sites' values need not be text.
fn pairs(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

/// Gives a browser the tokens that its session was renewed to, unless the response gives it
/// others or takes them away. A 304 brings none: it changes a response that is kept.
pub fn renew(response: &mut Response<impl Sized>, renewed: &Renewed) {
    if response.status() == StatusCode::NOT_MODIFIED {
        return;
    }
    let headers = response.headers_mut();
    if headers.get_all(header::SET_COOKIE).iter().any(|line| sets_one_of(&TOKENS, line)) {
        return;
    }
    let Renewed { access, renewal, renewal_ttl } = renewed;
    headers.extend(delivery::of_session(access, renewal.as_ref(), *renewal_ttl));
    keep_from_others(headers);
}

/// Whether a `Set-Cookie` is for a cookie of ours.
pub fn sets_ours(line: &HeaderValue) -> bool {
    sets_one_of(&OURS, line)
}

fn sets_one_of(cookies: &[&str], line: &HeaderValue) -> bool {
    let name = line.as_bytes().split(|byte| [b'=', b';'].contains(byte)).next();
    let name = name.unwrap_or_default().trim_ascii();
    cookies.iter().any(|known| known.as_bytes() == name)
}

/// Keeps a response that brings somebody's tokens out of shared caches (RFC 9111 5.2.2.7),
/// whatever it says, and what it says to caches of one kind alone (RFC 9213) out of it. What
/// must not be kept at all stays so.
fn keep_from_others(headers: &mut HeaderMap) {
    let targeted = |name: &HeaderName| {
        let name = name.as_str();
        name.ends_with("-cache-control") || name == "surrogate-control"
    };
    let targeted: Vec<HeaderName> = headers.keys().filter(|name| targeted(name)).cloned().collect();
    for name in targeted {
        headers.remove(name);
    }
    let lines = headers.get_all(header::CACHE_CONTROL).iter();
    let said: Vec<String> = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|directive| String::from_utf8_lossy(directive.trim_ascii()).to_ascii_lowercase())
        .collect();
    if said.iter().any(|directive| directive == "no-store" || directive == "private") {
        return;
    }
    // `private="a, b"` is one directive in several parts: what stands behind it is left out too.
    let shares = |directive: &&String| {
        ["public", "s-maxage", "private"].iter().any(|word| directive.starts_with(word))
            || directive.contains('"')
    };
    let kept = said.iter().filter(|directive| !directive.is_empty() && !shares(directive));
    let kept: Vec<&str> = kept.map(String::as_str).chain(["private"]).collect();
    let value = HeaderValue::from_str(&kept.join(", "));
    let value = value.unwrap_or_else(|_| HeaderValue::from_static("private"));
    headers.insert(header::CACHE_CONTROL, value);
}

/// Removes our cookies from what goes to an upstream.
pub fn strip(headers: &mut HeaderMap) {
    let ours = |pair: &[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        // Some servers let a blank stand before the sign.
        let name = name.trim_ascii();
        OURS.iter().any(|known| known.as_bytes() == name)
    };
    if !headers.get_all(header::COOKIE).iter().any(|line| pairs(line).any(ours)) {
        return;
    }
    let mut kept = Vec::new();
    for line in headers.get_all(header::COOKIE) {
        let others: Vec<&[u8]> = pairs(line).filter(|pair| !ours(pair)).collect();
        kept.extend(HeaderValue::from_bytes(&others.join(&b"; "[..])).ok());
    }
    headers.remove(header::COOKIE);
    for line in kept.into_iter().filter(|line| !line.is_empty()) {
        headers.append(header::COOKIE, line);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::request::Parts;

    use super::*;

    fn parts(fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::post("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn our_cookies_stay_here_and_others_go_on() {
        let mut headers = parts(&[
            ("cookie", "a=1; __Host-portcullis-access=secret; b=2"),
            ("cookie", "__Host-portcullis-refresh=secret"),
            ("cookie", "c=3"),
        ])
        .headers;
        assert_eq!(find(&headers, ACCESS_COOKIE).unwrap(), Some("secret"));
        strip(&mut headers);
        let left: Vec<_> = headers.get_all("cookie").iter().collect();
        assert_eq!(left, ["a=1; b=2", "c=3"]);
    }

    #[test]
    fn our_cookies_stay_here_with_a_blank_behind_their_name() {
        let mut headers = parts(&[("cookie", "a=1; __Host-portcullis-access =secret")]).headers;
        assert_eq!(find(&headers, ACCESS_COOKIE).unwrap(), None);
        strip(&mut headers);
        assert_eq!(headers["cookie"], "a=1");
    }

    #[test]
    fn our_cookies_are_known_beside_ones_that_are_no_text() {
        let mut headers = parts(&[]).headers;
        let line = b"name=J\xfcrgen; __Host-portcullis-access=secret";
        headers.append("cookie", HeaderValue::from_bytes(line).unwrap());
        assert_eq!(find(&headers, ACCESS_COOKIE).unwrap(), Some("secret"));
        strip(&mut headers);
        assert_eq!(headers["cookie"].as_bytes(), b"name=J\xfcrgen");
    }

    #[test]
    fn a_cookie_that_is_there_twice_is_a_conflict() {
        let headers = parts(&[("cookie", "x=1; x=2")]).headers;
        assert!(find(&headers, "x").is_err());
    }
}
