//! Fields by their names alone: those of the gateway's own, and what belongs to one hop.

use http::HeaderMap;
use http::header::{self, HeaderName};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Fields of one connection or one message's framing. Framing is made anew for
/// every hop and never copied.
pub const HOP_BY_HOP: [HeaderName; 11] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::UPGRADE,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    HeaderName::from_static("http2-settings"),
    header::EXPECT,
];

#[must_use]
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

/// Fields that RFC 9110 6.5.1 forbids in a trailer section.
pub fn remove_framing(trailers: &mut HeaderMap) {
    for name in [
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::HOST,
        header::CONNECTION,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
        header::SET_COOKIE,
        header::COOKIE,
        header::EXPECT,
    ] {
        trailers.remove(name);
    }
}
