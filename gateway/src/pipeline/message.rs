//! Judging a parsed request head before anything is decided by it: method,
//! target, host. What hyper accepts and we do not is refused here (RFC 9112 3.2,
//! RFC 9113 8.3.1).

use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header};

use crate::canonical::host;
use crate::canonical::method;
use crate::canonical::path::Ambiguity;

use super::reason::{FramingFault, Reason, Rejection};

/// The field by which the edge tells of a `#` in a `:path`, which the library cuts off. A
/// client that sends it says the same of itself.
pub const FRAGMENT_MARK: &str = "portcullis-path-fragment";

/// The field by which the edge tells that another path stood where there is one now: the
/// library would have reset the stream. A client that sends it says the same of itself.
pub const UNFIT_MARK: &str = "portcullis-path-unfit";

/// What browsers say of each request, and no page can change (Fetch Metadata 2.2).
pub const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The host a request is for, in the form that routes compare: what was judged is what is
/// forwarded. Both are empty when the client names none, as HTTP/1.0 lets it: then only
/// routes for every host are for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// With the port that the client wrote; what upstreams are told.
    pub authority: String,
    pub name: String,
}

/// A field stands on more than one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;

/// The value of a field that comes once or not at all. Readers differ in which of two
/// lines counts.
///
/// # Errors
/// When it comes more than once.
pub fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Repeated> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (_, Some(_)) => Err(Repeated),
        (line, None) => Ok(line),
    }
}

/// # Errors
/// When the method names no resource, or is none.
pub fn check_method(method: &Method) -> Result<(), Rejection> {
    if *method == Method::CONNECT {
        return Err(Reason::MethodRefused.into());
    }
    if !method::is_well_formed(method.as_str()) {
        return Err(Reason::MethodMalformed.into());
    }
    Ok(())
}

/// # Errors
/// When the method is one we never forward.
pub fn check_forwarded(method: &Method) -> Result<(), Rejection> {
    if *method == Method::TRACE { Err(Reason::MethodRefused.into()) } else { Ok(()) }
}

/// # Errors
/// When the target is of another protocol (RFC 9112 3.2.2), or over HTTP/2 not a
/// path (RFC 9113 8.3.1).
pub fn check_target(parts: &Parts) -> Result<(), Rejection> {
    if let Some(other) = parts.uri.scheme_str().filter(|scheme| !["http", "https"].contains(scheme))
    {
        return Err(Reason::TargetMalformed.with_detail(other));
    }
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if parts.version == Version::HTTP_2 && !path.starts_with(['/', '*']) {
        return Err(Reason::TargetMalformed.with_detail("a path that does not begin with a slash"));
    }
    if parts.version == Version::HTTP_2 && parts.headers.contains_key(UNFIT_MARK) {
        return Err(Reason::TargetMalformed.with_detail("an octet in :path that has to be escaped"));
    }
    if parts.version == Version::HTTP_2 && parts.headers.contains_key(FRAGMENT_MARK) {
        return Err(Reason::PathAmbiguous.with_detail(Ambiguity::Fragment.as_str()));
    }
    Ok(())
}

/// The target in origin form, octet by octet as it was written.
///
/// # Errors
/// When it cannot be written so.
pub fn target(uri: &Uri) -> Result<PathAndQuery, Rejection> {
    match uri.path_and_query() {
        Some(written) if written.as_str().starts_with('?') => {
            // The absolute form may leave the path out (RFC 9112 3.2.1).
            let whole = format!("/{}", written.as_str());
            PathAndQuery::try_from(whole).map_err(|_| Reason::TargetMalformed.into())
        }
        Some(written) => Ok(written.clone()),
        // The form of CONNECT, with another method.
        None => Err(Reason::PathAmbiguous.with_detail(Ambiguity::NoLeadingSlash.as_str())),
    }
}

/// How many fields there are. The lines in which HTTP/2 sends cookies one by one are a
/// single field, as they are over HTTP/1 (RFC 9113 8.2.3).
#[must_use]
pub fn field_count(headers: &HeaderMap, version: Version) -> usize {
    let lines = headers.len();
    if version == Version::HTTP_2 {
        lines - headers.get_all(header::COOKIE).iter().count().saturating_sub(1)
    } else {
        lines
    }
}

/// Blanks around a value are none of it (RFC 9110 5.5). Over HTTP/1 they are gone by now;
/// over HTTP/2 nobody has removed them, and they would be judged and forwarded.
pub fn trim_values(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let bytes = value.as_bytes();
        let trimmed = bytes.trim_ascii();
        if trimmed.len() < bytes.len()
            && let Ok(mut trimmed) = HeaderValue::from_bytes(trimmed)
        {
            // What its sender keeps out of the tables of HPACK stays out (RFC 7541 6.2.3).
            trimmed.set_sensitive(value.is_sensitive());
            *value = trimmed;
        }
    }
}

/// Over HTTP/2 a length that is no number would be taken for none.
///
/// # Errors
/// When it is not digits alone.
pub fn check_length(headers: &HeaderMap) -> Result<(), Rejection> {
    let is_number = |value: &HeaderValue| {
        let digits = value.as_bytes();
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    };
    if headers.get_all(header::CONTENT_LENGTH).iter().all(is_number) {
        Ok(())
    } else {
        Err(Reason::Framing(FramingFault::ContentLength).into())
    }
}

/// The one host of a request: `:authority` or the absolute form's, and a `Host`
/// field that says the same; else exactly one `Host` field. HTTP/1.0 knows no such field,
/// and balancers ask for health without it.
///
/// # Errors
/// When there is none, more than one, a malformed one, or they differ.
pub fn host(parts: &Parts) -> Result<Host, Rejection> {
    let field = only(&parts.headers, &header::HOST)
        .map_err(|Repeated| Reason::HostMalformed.with_detail("more than one Host field"))?;
    let field = match field {
        Some(value) => Some(value.to_str().map_err(|_| Rejection::from(Reason::HostMalformed))?),
        None => None,
    };
    let authority = parts.uri.authority().map(Authority::as_str);
    let written = match (authority, field) {
        (Some(authority), Some(field)) if !same_host(authority, field) => {
            return Err(Reason::HostMismatch.into());
        }
        // RFC 9112 3.2 wants the field beside the absolute form as well.
        (Some(_), None) if parts.version == Version::HTTP_11 => {
            return Err(Reason::HostMissing.into());
        }
        (Some(authority), _) => authority,
        (None, Some(field)) => field,
        (None, None) if parts.version == Version::HTTP_10 => return Ok(Host::default()),
        (None, None) => return Err(Reason::HostMissing.into()),
    };
    let (name, port) =
        host::split(written).ok_or_else(|| Rejection::from(Reason::HostMalformed))?;
    let authority = port.map_or_else(|| name.clone(), |port| format!("{name}:{port}"));
    Ok(Host { authority, name })
}

fn same_host(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

#[cfg(test)]
mod tests;
