//! How somebody asked, as far as the request told.

use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Uri, header};

use crate::pipeline::authenticate::API_KEY_FIELD;
use crate::pipeline::cross_site::SEC_FETCH_SITE;

use super::challenge::Asker;

#[derive(Debug, Clone)]
pub struct Visit {
    pub by: Asker,
    /// Whether it brought a credential in a field of its own.
    pub credential: bool,
    /// Whether that was a password by Basic.
    pub basic: bool,
    /// The page of this site that has sent a form. Boxed, for hardly any request has it.
    pub from: Option<Box<PathAndQuery>>,
}

impl Visit {
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let by = Asker::of(method, headers);
        let authorization = headers.get(header::AUTHORIZATION);
        let basic = authorization.is_some_and(|value| {
            value.as_bytes().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
        });
        let credential = authorization.is_some() || headers.contains_key(API_KEY_FIELD);
        // Of a form only: other requests of a person are for where they want to be.
        let is_form = by == Asker::Navigation && ![Method::GET, Method::HEAD].contains(method);
        let from = is_form.then(|| own_page(headers)).flatten();
        Self { by, credential, basic, from }
    }

    /// Whether its browser keeps the cookies that it is given: over plain http it does where it
    /// tells what it asks for, for it trusts the place (Secure Contexts 3.1).
    #[must_use]
    pub fn keeps_cookies(&self, scheme: &str) -> bool {
        scheme == "https" || self.by != Asker::OldBrowser
    }
}

fn own_page(headers: &HeaderMap) -> Option<Box<PathAndQuery>> {
    let same = headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "same-origin");
    let referer = headers.get(header::REFERER).filter(|_| same)?;
    let page = referer.to_str().ok()?.parse::<Uri>().ok()?;
    page.path_and_query().cloned().map(Box::new)
}
