//! Bytes become requests: listening, PROXY headers, TLS, HTTP/1.1 and HTTP/2, and
//! every deadline and cap that stands before a request exists.

pub mod accept;
pub mod blocks;
pub mod certificates;
pub mod framing;
pub mod gate;
pub mod hpack;
pub mod http;
pub mod linger;
pub mod meter;
pub mod proxy_protocol;
pub mod service;
pub mod write_deadline;
