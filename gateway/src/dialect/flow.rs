//! A sign-in that a browser takes to GitHub and back, as far as HTTP carries it:
//! where it wants to go afterwards, and the cookie that remembers the flow meanwhile.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderName, HeaderValue};

use crate::auth::federation::Flow;
use crate::auth::secret::Secret;
use crate::auth::time::Seconds;

use super::DecodeError;
use super::delivery::cookie;

/// Its value is state, verifier and destination, the last in base64url.
pub const FLOW_COOKIE: &str = "__Host-portcullis-github";
/// Long enough to sign in at GitHub with a second factor.
const KEPT: Seconds = Seconds(600);
const MAX_DESTINATION_BYTES: usize = 2048;

/// What the browser remembered.
#[derive(Debug)]
pub struct SavedFlow {
    pub flow: Flow,
    pub return_to: String,
    pub by: Beginner,
}

/// Who has sent a browser to GitHub, and takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginner {
    Contract,
    Console,
}

/// What the value of the console's flows ends with.
const BY_CONSOLE: &str = "console";

/// What it came back with (RFC 6749 4.1.2).
#[derive(Debug)]
pub struct Callback {
    /// `None`: whoever sits there has not agreed.
    pub code: Option<Secret>,
    pub state: Secret,
}

#[must_use]
pub fn remember(kept: &SavedFlow) -> (HeaderName, HeaderValue) {
    let Flow { state, verifier } = &kept.flow;
    let destination = URL_SAFE_NO_PAD.encode(&kept.return_to);
    let by = match kept.by {
        Beginner::Contract => String::new(),
        Beginner::Console => format!(".{BY_CONSOLE}"),
    };
    let value = format!("{}.{}.{destination}{by}", state.expose(), verifier.expose());
    cookie(FLOW_COOKIE, &value, KEPT)
}

#[must_use]
pub fn forget() -> (HeaderName, HeaderValue) {
    cookie(FLOW_COOKIE, "", Seconds(0))
}

/// What a cookie says, if it is one of ours.
#[must_use]
pub fn parse_cookie(cookie: &str) -> Option<SavedFlow> {
    let mut parts = cookie.split('.');
    let (state, verifier, destination) = (parts.next()?, parts.next()?, parts.next()?);
    let by = match parts.next() {
        None => Beginner::Contract,
        Some(BY_CONSOLE) => Beginner::Console,
        Some(_) => return None,
    };
    let whole = !state.is_empty() && !verifier.is_empty() && parts.next().is_none();
    let return_to = String::from_utf8(URL_SAFE_NO_PAD.decode(destination).ok()?).ok()?;
    let flow = Flow { state: state.into(), verifier: verifier.into() };
    (whole && is_local(&return_to)).then_some(SavedFlow { flow, return_to, by })
}

/// Where a browser that begins here wants to go.
///
/// # Errors
/// When that is not a path of this site.
pub fn destination(query: Option<&str>) -> Result<String, DecodeError> {
    let [return_to] = parameters(query, ["return_to"])?;
    let return_to = return_to.unwrap_or_else(|| "/".to_owned());
    if is_local(&return_to) {
        Ok(return_to)
    } else {
        Err(DecodeError::Malformed("return_to must be a path of this site".to_owned()))
    }
}

/// # Errors
/// When it is not what GitHub sends a browser back with.
pub fn returned(query: Option<&str>) -> Result<Callback, DecodeError> {
    match parameters(query, ["code", "error", "state"])? {
        [code, error, Some(state)] if code.is_some() || error.is_some() => {
            let code = code.filter(|_| error.is_none()).map(Secret::new);
            Ok(Callback { code, state: Secret::new(state) })
        }
        _ => Err(DecodeError::Malformed("The query must hold a code and a state".to_owned())),
    }
}

/// The values of these parameters, none of which may come twice. Others are GitHub's
/// affair.
fn parameters<const N: usize>(
    query: Option<&str>,
    wanted: [&str; N],
) -> Result<[Option<String>; N], DecodeError> {
    let mut found = [const { None }; N];
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if let Some(index) = wanted.iter().position(|wanted| *wanted == name)
            && found[index].replace(value.into_owned()).is_some()
        {
            return Err(DecodeError::Malformed("A parameter is there twice".to_owned()));
        }
    }
    Ok(found)
}

/// The path where a browser wants to go, or the site's root where that is none of this site.
#[must_use]
pub fn local_or_home(path: &str) -> &str {
    if is_local(path) { path } else { "/" }
}

/// A path that no browser takes for another site: browsers read `\` as `/`, and pass
/// over tabs and line ends.
fn is_local(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'\\';
    path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= MAX_DESTINATION_BYTES
        && path.bytes().all(plain)
}

#[cfg(test)]
mod tests;
