//! The WebSocket opening handshake (RFC 6455 4): the only upgrade that passes,
//! and only on the upstream's own proof that it speaks it.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Version};

use crate::pipeline::connection::Protocol;
use crate::pipeline::reason::{Reason, Rejection};

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A well-formed opening handshake of a client.
#[derive(Debug)]
pub(super) struct Handshake {
    key: HeaderValue,
}

/// The handshake in a request, if it asks for a WebSocket. Any other `Upgrade`
/// is no business of ours and is stripped with the hop-by-hop fields.
pub(super) fn handshake(parts: &Parts, protocol: Protocol) -> Result<Option<Handshake>, Rejection> {
    if protocol != Protocol::Http1 || !is_upgrade(parts) {
        return Ok(None);
    }
    let malformed = |detail: &str| Err(Reason::UpgradeMalformed.because(detail));
    if parts.version != Version::HTTP_11 || parts.method != Method::GET {
        return malformed("not a GET of HTTP/1.1");
    }
    if parts.headers.contains_key(header::CONTENT_LENGTH)
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
    let has = |name, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value: &HeaderValue| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    has(header::UPGRADE, "websocket") && has(header::CONNECTION, "upgrade")
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
            return Err(Reason::UpstreamUpgrade.because("the 101 is not for a WebSocket"));
        }
        let digest = digest::digest(
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            &[self.key.as_bytes(), GUID.as_bytes()].concat(),
        );
        let expected = STANDARD.encode(digest);
        let mut answers = headers.get_all(header::SEC_WEBSOCKET_ACCEPT).iter();
        let right = answers.next().is_some_and(|value| value.as_bytes() == expected.as_bytes());
        if right && answers.next().is_none() {
            Ok(())
        } else {
            Err(Reason::UpstreamUpgrade.because("wrong Sec-WebSocket-Accept"))
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::Handshake;

    #[test]
    fn the_answer_of_rfc_6455_is_accepted_and_another_is_not() {
        let handshake = Handshake { key: "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap() };
        let mut headers = HeaderMap::new();
        assert!(handshake.check_answer(&headers).is_err());
        headers.insert("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".parse().unwrap());
        assert!(handshake.check_answer(&headers).is_err());
        headers.insert("upgrade", "WebSocket".parse().unwrap());
        headers.insert("connection", "keep-alive, Upgrade".parse().unwrap());
        assert!(handshake.check_answer(&headers).is_ok());
        headers.insert("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=".parse().unwrap());
        assert!(handshake.check_answer(&headers).is_err());
    }
}
