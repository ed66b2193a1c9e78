//! A client's wish to speak another protocol on its connection (RFC 9110 7.8): WebSocket
//! on every route, and on routes whose `upgrades` say so a raw one, which the gateway
//! carries without reading. Any other `Upgrade` is no business of ours and is stripped
//! with the hop-by-hop fields, h2c first of all.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Version};

use crate::config::{Access, RawProtocol};
use crate::pipeline::connection::Protocol;
use crate::pipeline::reason::{Reason, Rejection};
use crate::pipeline::route::Route;

use super::tunnel::Carries;
use super::websocket::{self, Handshake};

/// What a request switches to if the upstream agrees.
#[derive(Debug)]
pub enum Switching {
    WebSocket(Handshake),
    Raw(RawProtocol),
}

impl Switching {
    /// What a request asks for, if the route lets it.
    ///
    /// # Errors
    /// When it asks for a WebSocket in another way than RFC 6455 4.2.1 wants.
    pub fn asked(
        parts: &Parts,
        protocol: Protocol,
        route: &Route,
    ) -> Result<Option<Self>, Rejection> {
        if let Some(handshake) = websocket::handshake(parts, protocol)? {
            return Ok(Some(Switching::WebSocket(handshake)));
        }
        // Nobody is asked on a public route, so nothing would end what was opened there.
        let may = protocol == Protocol::Http1
            && parts.version == Version::HTTP_11
            && matches!(parts.method, Method::GET | Method::POST)
            && route.access != Access::Public;
        let wanted = |one: &&RawProtocol| names(&parts.headers, **one);
        Ok(route.upgrades.iter().find(wanted).filter(|_| may).map(|one| Switching::Raw(*one)))
    }

    /// The fields of this hop, made anew.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        match self {
            Switching::WebSocket(_) => Handshake::add_to(headers),
            Switching::Raw(protocol) => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(header::UPGRADE, HeaderValue::from_static(protocol.name()));
                headers.remove(header::TE);
            }
        }
    }

    /// Whether the upstream agrees to this very protocol.
    pub fn check_answer(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        match self {
            Switching::WebSocket(handshake) => handshake.check_answer(headers),
            Switching::Raw(protocol) if names(headers, *protocol) => Ok(()),
            Switching::Raw(protocol) => {
                let name = protocol.name();
                Err(Reason::UpstreamUpgrade.with_detail(format!("the 101 is not for {name}")))
            }
        }
    }

    #[must_use]
    pub fn carries(&self) -> Carries {
        match self {
            Switching::WebSocket(_) => Carries::Frames,
            Switching::Raw(_) => Carries::Bytes,
        }
    }
}

/// Whether a message names this protocol and no other, and `Connection` says so.
fn names(headers: &HeaderMap, protocol: RawProtocol) -> bool {
    let mut named = headers.get_all(header::UPGRADE).iter();
    let only = |value: &HeaderValue| {
        value.as_bytes().trim_ascii().eq_ignore_ascii_case(protocol.name().as_bytes())
    };
    named.next().is_some_and(only) && named.next().is_none() && websocket::switches(headers)
}

#[cfg(test)]
mod tests;
