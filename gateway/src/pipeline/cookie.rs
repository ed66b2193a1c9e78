//! Tokens that a browser holds in cookies (S0-20): finding them, believing them only
//! when our own pages sent them, and keeping them from upstreams.
//!
//! A browser sends cookies along whoever's page caused the request. What changes
//! something is therefore believed only if the browser says that the page is of this
//! very origin: `Sec-Fetch-Site`, and `Origin` beside it or alone. `SameSite=Lax`
//! is the second wall, not the first.

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{HeaderName, Method};

use crate::dialect::delivery::{ACCESS_COOKIE, REFRESH_COOKIE};
use crate::dialect::flow::FLOW_COOKIE;

use super::forward::websocket;
use super::reason::{Reason, Rejection};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

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

/// Whether the request says where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    Required,
    /// Nothing ambient proves anything here; a browser still must not be from elsewhere.
    IfStated,
}

/// Refuses what another site's page may have caused.
///
/// # Errors
/// [`Reason::CrossSite`].
pub fn check_same_origin(
    parts: &Parts,
    host: &str,
    scheme: &str,
    provenance: Provenance,
) -> Result<(), Rejection> {
    let harmless = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method);
    if harmless && !websocket::is_upgrade(parts) {
        return Ok(());
    }
    let site = parts.headers.get_all(SEC_FETCH_SITE);
    let origins = parts.headers.get_all(header::ORIGIN);
    let stated = site.iter().next().is_some() || origins.iter().next().is_some();
    let same = site.iter().all(|site| site == "same-origin")
        && origins.iter().all(|origin| is_origin(origin, host, scheme));
    match (stated, provenance) {
        (true, _) if same => Ok(()),
        (false, Provenance::IfStated) => Ok(()),
        (true, _) => Err(Reason::CrossSite.because("the page is of another origin")),
        (false, Provenance::Required) => {
            Err(Reason::CrossSite.because("neither Sec-Fetch-Site nor Origin"))
        }
    }
}

/// Whether this is the origin (RFC 6454 6.2) that the request was sent to.
fn is_origin(origin: &HeaderValue, host: &str, scheme: &str) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let (found_scheme, authority) = origin.split_once("://").unwrap_or(("", origin));
    // Behind something that ends TLS we see http where the browser saw https.
    let scheme_fits = found_scheme == scheme || (scheme == "http" && found_scheme == "https");
    let bare = |authority: &str| {
        let default = if found_scheme == "https" { ":443" } else { ":80" };
        authority.strip_suffix(default).unwrap_or(authority).to_ascii_lowercase()
    };
    scheme_fits && bare(authority) == bare(host)
}

/// Removes our cookies from what goes to an upstream.
pub fn strip(headers: &mut HeaderMap) {
    let ours = |pair: &[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        [ACCESS_COOKIE, REFRESH_COOKIE, FLOW_COOKIE].iter().any(|known| known.as_bytes() == name)
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

    use super::*;

    fn parts(fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::post("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_a_page_of_this_very_origin_is_believed() {
        let origin = |value| vec![("origin", value)];
        let table: Vec<(Vec<(&str, &str)>, bool)> = vec![
            (vec![], false),
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
            (origin("https://gate.example"), true),
            (origin("https://GATE.example:443"), true),
            (origin("https://gate.example:8443"), false),
            (origin("http://gate.example"), false),
            (origin("https://gate.example.evil.example"), false),
            (origin("https://evil.example"), false),
            (origin("null"), false),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], false),
            (vec![("sec-fetch-site", "cross-site"), ("origin", "https://gate.example")], false),
        ];
        for (fields, expected) in table {
            let parts = parts(&fields);
            let checked = check_same_origin(&parts, "gate.example", "https", Provenance::Required);
            assert_eq!(checked.is_ok(), expected, "{fields:?}");
        }
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
