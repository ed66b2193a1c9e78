//! What somebody typed into a form that was not taken, on its way back into the form: in a
//! cookie, for no address keeps it then, and no other site's link fills in a form.

use data_encoding::BASE64URL_NOPAD;
use http::header::{HeaderName, HeaderValue};

use super::Typed;
use super::delivery::cookie;
use crate::auth::time::Seconds;

pub const TYPED_COOKIE: &str = "__Host-portcullis-typed";

/// As long as somebody may take to sign in.
const KEPT: Seconds = Seconds(600);
/// Browsers keep no more than 4096 bytes of a cookie (RFC 6265bis 5.6).
const MAX_BYTES: usize = 3_600;

/// Has a browser keep what was typed; nothing when that is too long.
#[must_use]
pub fn remember(typed: &Typed) -> Option<(HeaderName, HeaderValue)> {
    let fields =
        typed.fields.iter().filter(|(name, value)| name != "return_to" && !value.is_empty());
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("page", &typed.page);
    let value = BASE64URL_NOPAD.encode(query.extend_pairs(fields.clone()).finish().as_bytes());
    let fits = fields.count() > 0 && value.len() <= MAX_BYTES;
    fits.then(|| cookie(TYPED_COOKIE, &value, KEPT))
}

#[must_use]
pub fn forget() -> (HeaderName, HeaderValue) {
    cookie(TYPED_COOKIE, "", Seconds(0))
}

/// The fields that were typed on this page.
#[must_use]
pub fn restore(value: &str, page: &str) -> Vec<(String, String)> {
    let query = BASE64URL_NOPAD.decode(value.as_bytes()).unwrap_or_default();
    let mut pairs = form_urlencoded::parse(&query).into_owned();
    match pairs.next() {
        Some((name, kept)) if name == "page" && kept == page => pairs.take(16).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(name: &str) -> Typed {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Typed {
            page: "/keys/new".to_owned(),
            fields: vec![
                field("name", name),
                field("return_to", "/"),
                field("scopes", ""),
                field("page", "no page"),
            ],
            ..Typed::default()
        }
    }

    #[test]
    fn what_was_typed_comes_back_on_its_own_page_alone() {
        let (_, line) = remember(&typed("a=b&c; \u{fc}")).expect("it fits");
        let line = line.to_str().expect("it is text");
        assert!(line.contains("HttpOnly") && line.contains("SameSite=Lax"), "{line}");
        let value = line.split(['=', ';']).nth(1).expect("a value");
        let fields = [("name", "a=b&c; \u{fc}"), ("page", "no page")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(restore(value, "/keys/new"), fields);
        assert_eq!(restore(value, "/keys"), []);
        for other in ["", "x", "cGFnZT0v", value.get(1..).expect("a rest")] {
            assert_eq!(restore(other, "/keys/new"), []);
        }
    }

    #[test]
    fn what_no_browser_keeps_is_not_given_to_it() {
        assert_eq!(remember(&typed(&"x".repeat(3_000))), None);
        assert_eq!(remember(&Typed::default()), None);
    }
}
