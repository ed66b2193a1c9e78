//! The WebSocket opening handshake (RFC 6455 4): it passes on every route, and only on
//! the upstream's own proof that it speaks it.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode, Version};

use crate::pipeline::connection::Protocol;
use crate::pipeline::reason::{Reason, Rejection};

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A well-formed opening handshake of a client.
#[derive(Debug)]
pub struct Handshake {
    key: HeaderValue,
}

/// The only version there is.
const VERSION: &str = "13";

/// The handshake in a request, if it asks for a WebSocket.
///
/// # Errors
/// When it asks for one in another way than RFC 6455 4.2.1 wants.
pub fn handshake(parts: &Parts, protocol: Protocol) -> Result<Option<Handshake>, Rejection> {
    if protocol != Protocol::Http1 || !is_upgrade(parts) {
        return Ok(None);
    }
    let malformed = |detail: &str| Err(Reason::UpgradeMalformed.with_detail(detail));
    if parts.version != Version::HTTP_11 || parts.method != Method::GET {
        return malformed("not a GET of HTTP/1.1");
    }
    // Java and .NET clients say that there is none.
    let empty = |length: &HeaderValue| length.as_bytes().iter().all(|digit| *digit == b'0');
    if parts.headers.get(header::CONTENT_LENGTH).is_some_and(|length| !empty(length))
        || parts.headers.contains_key(header::TRANSFER_ENCODING)
    {
        return malformed("a body before the handshake");
    }
    let mut keys = parts.headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key) => Ok(Some(Handshake { key: key.clone() })),
        _ => malformed("Sec-WebSocket-Key is not sixteen bytes in base64"),
    }
}

/// Whether a request asks for a WebSocket.
#[must_use]
pub fn is_upgrade(parts: &Parts) -> bool {
    agrees(&parts.headers)
}

/// `Upgrade: websocket`, and `Connection` says so.
fn agrees(headers: &HeaderMap) -> bool {
    lists(headers, &header::UPGRADE, "websocket") && switches(headers)
}

/// Whether `Connection` says that `Upgrade` is for this hop.
#[must_use]
pub(super) fn switches(headers: &HeaderMap) -> bool {
    lists(headers, &header::CONNECTION, "upgrade")
}

fn lists(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value: &HeaderValue| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case(wanted))
}

fn is_key(key: &HeaderValue) -> bool {
    STANDARD.decode(key.as_bytes()).is_ok_and(|bytes| bytes.len() == 16)
}

impl Handshake {
    /// The fields of this hop, made anew.
    pub(super) fn add_to(headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.remove(header::TE);
    }

    /// A tunnel opens only to an upstream that has proven to have read the
    /// handshake and agrees to this protocol (RFC 6455 4.1); a cached or confused
    /// 101 opens none.
    pub(super) fn check_answer(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        if !agrees(headers) {
            return Err(Reason::UpstreamUpgrade.with_detail("the 101 is not for a WebSocket"));
        }
        let expected = self.accept();
        let mut answers = headers.get_all(header::SEC_WEBSOCKET_ACCEPT).iter();
        let right = answers.next().is_some_and(|value| value.as_bytes() == expected.as_bytes());
        if right && answers.next().is_none() {
            Ok(())
        } else {
            Err(Reason::UpstreamUpgrade.with_detail("wrong Sec-WebSocket-Accept"))
        }
    }

    fn accept(&self) -> String {
        STANDARD.encode(digest::digest(
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            &[self.key.as_bytes(), GUID.as_bytes()].concat(),
        ))
    }
}

/// What the gateway agrees to where it is the server itself: no extension, and the
/// subprotocol that the client wants most.
#[derive(Debug)]
pub struct Agreement {
    handshake: Handshake,
    protocol: Option<HeaderValue>,
}

impl Agreement {
    /// # Errors
    /// When the client speaks another version.
    pub fn new(handshake: Handshake, headers: &HeaderMap) -> Result<Self, Rejection> {
        let mut versions = headers.get_all(header::SEC_WEBSOCKET_VERSION).iter();
        if (versions.next().map(HeaderValue::as_bytes), versions.next())
            != (Some(VERSION.as_bytes()), None)
        {
            return Err(Reason::UpgradeMalformed.with_detail("Sec-WebSocket-Version is not 13"));
        }
        let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
        let first = offered.and_then(|list| list.to_str().ok()?.split(',').next());
        let protocol = first.and_then(|name| HeaderValue::from_str(name.trim()).ok());
        Ok(Self { handshake, protocol: protocol.filter(|name| !name.is_empty()) })
    }

    /// The answer to the client.
    #[must_use]
    pub fn answer(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        Handshake::add_to(headers);
        if let Ok(accept) = HeaderValue::from_str(&self.handshake.accept()) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        self.put_protocol(headers);
        response
    }

    /// Makes the client's request one for what was agreed.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        Handshake::add_to(headers);
        headers.insert(header::SEC_WEBSOCKET_KEY, self.handshake.key.clone());
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
        headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
        self.put_protocol(headers);
    }

    fn put_protocol(&self, headers: &mut HeaderMap) {
        headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
        if let Some(protocol) = &self.protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        }
    }

    /// The client has been promised what was agreed; an upstream that agrees to
    /// anything else would talk past it.
    pub(super) fn check_answer(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        self.handshake.check_answer(headers)?;
        let mut protocols = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        if protocols.next() != self.protocol.as_ref() || protocols.next().is_some() {
            return Err(Reason::UpstreamUpgrade.with_detail("not the subprotocol that was offered"));
        }
        if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
            return Err(Reason::UpstreamUpgrade.with_detail("an extension that was not offered"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
