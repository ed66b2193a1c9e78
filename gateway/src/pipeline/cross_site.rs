//! Which requests another site's page may have caused, and are refused for it.
//!
//! A browser carries cookies and Basic credentials for whichever page asks, and any page
//! may post a form that holds a made-up password: the visitor's address would pay for it.
//! So what changes something or opens a WebSocket, by an ambient credential or with a
//! password in its body, must not come from a foreign page. In this order: an origin
//! that `origins` lists is good; else `Sec-Fetch-Site`, which no page can forge, decides
//! alone; else `Origin` must be the one that was asked, and who states neither is no
//! browser of today. Refused means neither verified nor counted.

use std::fmt;
use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{HeaderName, Method, Uri};

use crate::config::page_origin::PageOrigin;

use super::client::Origin;
use super::forward::websocket;
use super::message::{self, Repeated};
use super::reason::{Reason, Rejection};

pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what a foreign page may have caused. Who calls this has found that the
/// credential is ambient, or that the body holds a secret.
///
/// # Errors
/// [`Reason::CrossSite`].
pub fn check(parts: &Parts, asked: Origin<'_>, listed: &[PageOrigin]) -> Result<(), Rejection> {
    let harmless = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method);
    if harmless && !websocket::is_upgrade(parts) {
        return Ok(());
    }
    judge(&parts.headers, asked, listed).map_err(|foreign| Reason::CrossSite.with_detail(foreign))
}

/// Whether a page of the origin that was asked has sent a request, in a browser that keeps
/// our cookies for it: no client but a browser says so.
#[must_use]
pub fn is_own_page(headers: &HeaderMap, asked: Origin<'_>) -> bool {
    let Ok(site) = message::only(headers, &SEC_FETCH_SITE) else { return false };
    let Ok(origin) = message::only(headers, &header::ORIGIN) else { return false };
    let page = origin.and_then(parse_page);
    let is_own = match (site, &page) {
        (Some(site), _) => site == "same-origin",
        (None, Some(page)) => is_asked(page, asked),
        (None, None) => false,
    };
    // Without a page the field itself tells: browsers send it to trustworthy origins alone.
    is_own && page.is_none_or(|page| keeps_secure_cookies(&page))
}

/// Whether a page of the origin that was asked has led a browser here: by `Sec-Fetch-Site`, or
/// where a browser does not say that by the page that it names.
#[must_use]
pub fn is_from_here(headers: &HeaderMap, asked: Origin<'_>) -> bool {
    match message::only(headers, &SEC_FETCH_SITE) {
        Ok(Some(site)) => site == "same-origin",
        Ok(None) => {
            let page = message::only(headers, &header::REFERER).ok().flatten();
            let page = page.and_then(|page| page.to_str().ok()?.parse::<Uri>().ok());
            let origin = page.and_then(|page| {
                PageOrigin::parse(&format!("{}://{}", page.scheme_str()?, page.authority()?)).ok()
            });
            origin.is_some_and(|page| is_asked(&page, asked))
        }
        Err(_) => false,
    }
}

/// Browsers drop `Secure` cookies over plain http, except from their own machine
/// (RFC 6265bis 5.7, Secure Contexts 3.1). What the page says counts: the gateway sees
/// http behind something that ends TLS.
fn keeps_secure_cookies(page: &PageOrigin) -> bool {
    let host = page.host.trim_start_matches('[').trim_end_matches(']');
    page.scheme == "https"
        || host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parse_page(origin: &HeaderValue) -> Option<PageOrigin> {
    PageOrigin::parse(origin.to_str().ok()?).ok()
}

/// What tells that a page is not ours.
#[derive(Debug, PartialEq, Eq)]
enum Foreign {
    /// Two lines of one field: which one a browser wrote is no guess of ours.
    Repeated(&'static str),
    Unlisted(PageOrigin),
    /// An origin that cannot be listed, or none beside `Sec-Fetch-Site`.
    Nameless,
}

fn judge(headers: &HeaderMap, asked: Origin<'_>, listed: &[PageOrigin]) -> Result<(), Foreign> {
    let repeated = |name| move |Repeated| Foreign::Repeated(name);
    let origin = message::only(headers, &header::ORIGIN).map_err(repeated("Origin"))?;
    let site = message::only(headers, &SEC_FETCH_SITE).map_err(repeated("Sec-Fetch-Site"))?;
    let page = origin.and_then(parse_page);
    if page.as_ref().is_some_and(|page| listed.contains(page)) {
        return Ok(());
    }
    let same = match (site, &page) {
        // Beside `Origin: null` too, which pages without a referrer state (Fetch 3.2).
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(page)) => is_asked(page, asked),
        (None, None) => origin.is_none(),
    };
    if same { Ok(()) } else { Err(page.map_or(Foreign::Nameless, Foreign::Unlisted)) }
}

/// Whether the page is of the origin that the request was sent to.
fn is_asked(page: &PageOrigin, asked: Origin<'_>) -> bool {
    // Behind something that ends TLS we see http where the browser saw https.
    let scheme_fits =
        page.scheme == asked.scheme || (asked.scheme == "http" && page.scheme == "https");
    scheme_fits && page.has_authority(asked.host)
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreign::Repeated(name) => write!(f, "more than one {name} field"),
            Foreign::Unlisted(page) => {
                write!(f, "a page of {page}, which is not in `origins`")
            }
            Foreign::Nameless => {
                f.write_str("a page of another site, whose origin cannot be in `origins`")
            }
        }
    }
}

#[cfg(test)]
mod tests;
