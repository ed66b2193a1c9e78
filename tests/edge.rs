//! The edge: TLS, PROXY headers, addresses and their limits, slow clients, and an
//! orderly end.

mod addresses;
mod drain;
mod early;
mod forwarding;
mod hostless;
mod lines;
mod proxy_protocol;
mod slow;
mod tls;
mod turns;

/// Everything to the built-in upstream, for everybody.
const PUBLIC_ECHO: &str = "[[route]]\npublic = true\nupstream = \"echo\"\n";
