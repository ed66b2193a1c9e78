//! How a dialect delivers its tokens: in members of the body or in cookies that
//! scripts cannot read (S0-20).
//!
//! A token counts as delivered in a cookie only where the body has none of the members
//! that hold tokens and our own cookie is set as strictly as it should be. Everything
//! else is judged as a body, in which a member is missing.

use http::HeaderMap;
use http::header::SET_COOKIE;
use serde_json::Value;

use crate::reply::Reply;

/// The prefix binds a cookie to this host, to TLS and to the whole site.
pub const ACCESS: &str = "__Host-portcullis-access";
pub const REFRESH: &str = "__Host-portcullis-refresh";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Body,
    Cookie,
}

/// Where the body of a response has a token, and which cookie has it instead.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    /// A JSON pointer.
    pub member: &'static str,
    pub cookie: &'static str,
}

impl Token {
    pub const fn access(member: &'static str) -> Self {
        Self { member, cookie: ACCESS }
    }

    pub const fn refresh(member: &'static str) -> Self {
        Self { member, cookie: REFRESH }
    }
}

/// How these tokens are delivered, and the response with the tokens of cookies in the
/// members where a body has them, so that every statement reads them in one place.
pub fn read(reply: Reply, tokens: &[Token]) -> (Delivery, Reply) {
    match with_cookies(&reply, tokens) {
        Some(reply) => (Delivery::Cookie, reply),
        None => (Delivery::Body, reply),
    }
}

fn with_cookies(reply: &Reply, tokens: &[Token]) -> Option<Reply> {
    let mut body = reply.json().ok()?;
    if tokens.iter().any(|token| body.pointer(token.member).is_some()) {
        return None;
    }
    for token in tokens {
        let text = cookie(&reply.headers, token.cookie)?;
        let (parent, name) = token.member.rsplit_once('/')?;
        let members = body.pointer_mut(parent)?.as_object_mut()?;
        members.insert(name.to_owned(), Value::String(text));
    }
    Some(Reply { body: body.to_string().into(), ..reply.clone() })
}

/// The value of a cookie that is set once, out of reach of scripts, of other hosts, of
/// clear connections and of other sites' forms.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut lines = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok()?.strip_prefix(name)?.strip_prefix('='));
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    let (value, attributes) = line.split_once(';')?;
    let attributes: Vec<String> =
        attributes.split(';').map(|text| text.trim().to_ascii_lowercase()).collect();
    let has = |wanted: &str| attributes.iter().any(|found| found == wanted);
    let strict = has("httponly") && has("secure") && has("path=/");
    let same_site = has("samesite=lax") || has("samesite=strict");
    let lasting = attributes.iter().any(|found| {
        let age = found.strip_prefix("max-age=").and_then(|age| age.parse::<i64>().ok());
        age.is_some_and(|age| age > 0)
    });
    let of_this_host = !attributes.iter().any(|found| found.starts_with("domain"));
    (strict && same_site && lasting && of_this_host).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: &[Token] = &[Token::access("/access_token"), Token::refresh("/refresh_token")];
    const STRICT: &str = "; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax";

    fn reply(body: &'static str, cookies: &[String]) -> Reply {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(SET_COOKIE, cookie.parse().unwrap());
        }
        Reply { asked: "POST /".to_owned(), status: 200, headers, body: body.into() }
    }

    fn both(attributes: &str) -> Vec<String> {
        [ACCESS, REFRESH].map(|name| format!("{name}=eyJ{attributes}")).into()
    }

    #[test]
    fn tokens_of_cookies_are_read_as_if_the_body_had_them() {
        let (delivery, reply) = read(reply(r#"{"token_type":"bearer"}"#, &both(STRICT)), TOKENS);
        assert_eq!(delivery, Delivery::Cookie);
        for member in ["/access_token", "/refresh_token"] {
            assert_eq!(reply.text(member).unwrap(), "eyJ");
        }
    }

    #[test]
    fn no_other_cookie_and_no_other_body_is_a_delivery_in_cookies() {
        let none = "{}";
        let mut twice = both(STRICT);
        twice.push(format!("{ACCESS}=eyJ{STRICT}"));
        let planted = "x=eyJhbGciOi; HttpOnly; Secure; Path=/; Max-Age=60; SameSite=Lax".to_owned();
        let table = [
            (none, vec![planted]),
            (none, both(STRICT)[..1].to_vec()),
            (none, twice),
            (none, both(&STRICT.replace("; Secure", ""))),
            (none, both(&STRICT.replace("; HttpOnly", ""))),
            (none, both(&STRICT.replace("Path=/", "Path=/api"))),
            (none, both(&STRICT.replace("=Lax", "=None"))),
            (none, both(&STRICT.replace("Max-Age=60", "Max-Age=0"))),
            (none, both(&format!("{STRICT}; Domain=example.com"))),
            (r#"{"access_token":"eyJ"}"#, both(STRICT)),
            (r#"{"refresh_token":null}"#, both(STRICT)),
            ("no JSON", both(STRICT)),
            ("[]", both(STRICT)),
        ];
        for (body, cookies) in table {
            let (delivery, found) = read(reply(body, &cookies), TOKENS);
            assert_eq!(delivery, Delivery::Body, "{body} {cookies:?}");
            assert_eq!(found.body, body.as_bytes());
        }
    }
}
