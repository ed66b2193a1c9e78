//! `[limits]` and `[timeouts]`.

use schemars::JsonSchema;

use super::values::{Length, Size};

/// What clients and accounts may use.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Limits {
    /// Rate of the token bucket of each IPv4 address or IPv6 /64, for all gateways that share a store together. A
    /// route may have a separate bucket (`rate`).
    pub requests_per_second: u64,
    /// Size of the token bucket of `requests_per_second`.
    pub burst: u64,
    /// How long a browser's request waits for a token of its address, see [Bursts of requests from one
    /// page](#bursts-of-requests-from-one-page). With `"0s"` no request waits.
    pub wait: Length,
    /// Failed attempts of an address. After this many, every attempt with a password, key or ticket from the address
    /// gets 429 until the window ends.
    pub max_login_attempts: u64,
    /// Window in which failed attempts are counted.
    pub login_window: Length,
    /// What counts as a failed attempt. `"passwords"`: a wrong password (any login, Basic even if malformed,
    /// change-password) or a refused GitHub code. `"all"`: also refused access and refresh tokens, API keys and
    /// tickets, which cannot be guessed; not those that a page of another site may have sent.
    pub count: String,
    /// After this many failed attempts on one user within the window, from any addresses and with any of the user's
    /// names, attempts from unknown addresses are served one at a time, `user_pause` apart. Nobody can lock another
    /// user out, see [Password guessing](#password-guessing).
    pub user_attempts: u64,
    /// Pause between two attempts from unknown addresses on a user who has reached `user_attempts`.
    pub user_pause: Length,
    /// Registrations of an address per hour, including refused ones and accounts created by a sign-in with GitHub.
    /// Beyond that, 429 and an audit line. Gateways that share a store count together. Without a shared store the
    /// count is lost at a restart, like that of failed attempts.
    pub registrations: u64,
    /// Sessions of an account. Beyond that, a sign-in ends the oldest session (`session_superseded` in the audit
    /// log), unless one of the 2000 oldest has expired: expired ones are removed first.
    pub sessions_per_account: u64,
    /// API keys of an account, including rotated ones within their overlap. Beyond that, a new key removes those that
    /// have ended; if there are none, the response is 409 `limit_reached`. A rotation without an overlap is always
    /// possible.
    pub keys_per_account: u64,
    /// Connections open at once.
    pub connections: u64,
    /// Connections open at once from one address. Connections of a trusted proxy count only towards `connections`.
    /// For each client behind it, requests, WebSockets and streams in progress count as its connections, and one too
    /// many gets 429.
    pub connections_per_address: u64,
    /// Requests of an address in progress to upstreams at once, over all its connections, until their responses have
    /// been read. Beyond that, 429. Addresses in `client.trusted_proxies` have no such limit. It bounds the memory
    /// that an address can hold, see [Memory held by unread data](#memory-held-by-unread-data).
    pub requests_per_address: u64,
    /// Size of the request line and header fields together.
    pub head_size: Size,
    /// Number of header fields of a request.
    pub header_count: u64,
    /// Size of the request target.
    pub uri_size: Size,
    /// Size of a request body. A route may have a separate limit. The auth API accepts 64 KiB.
    pub body_size: Size,
    /// Concurrent HTTP/2 streams of a connection.
    pub h2_streams: u64,
    /// HTTP/2 streams that a client may cancel in 10 s before its connection is closed.
    pub h2_resets: u64,
    /// Agents connected at once whose first message has not been checked. Beyond that, 503. An agent is a program
    /// that keeps a WebSocket open, see [Agents](#agents).
    pub agents_unauthenticated: u64,
    /// Agents of one address connected at once whose first message has not been checked. Beyond that, 429.
    pub agents_unauthenticated_per_address: u64,
    /// WebSockets and event streams (`text/event-stream`) of an account open at once. Beyond that, 429.
    pub streams_per_account: u64,
    /// Agents connected at once with keys of one server.
    pub agents_per_server: u64,
    /// Agents connected at once with one key that is bound to no server. Such a key comes in the request, on routes
    /// whose `keys` accepts it.
    pub agents_per_key: u64,
    /// Agents connected at once with keys of one owner.
    pub agents_per_owner: u64,
}

/// Timeouts of connections, requests and WebSockets.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Timeouts {
    /// Time for the PROXY protocol header and the TLS handshake together.
    pub tls_handshake: Length,
    /// Time for the head of a request, from its first byte.
    pub request_head: Length,
    /// How long a connection without a request stays open.
    pub idle: Length,
    /// At least 1 KiB of a request body has to arrive within this time of waiting. Does not apply to gRPC, nor after
    /// the upstream's response has begun. A body for the auth API has to arrive within 30 s in total.
    pub body_progress: Length,
    /// Replaces `body_progress` once a credential is verified, if it is longer: an application may pause while it
    /// produces an upload. A body for the auth API has to arrive within 90 s in total.
    pub body_progress_authenticated: Length,
    /// The client has to read at least 1 KiB of each response, gRPC's included, within this time. Over HTTP/2 a
    /// stream that is not read is reset, and the others continue. A full socket counts as progress while 1 KiB of
    /// each of its responses gets through. The time does not run while the upstream sends nothing.
    pub write_progress: Length,
    /// Time for an agent's first message.
    pub agent_message: Length,
    /// Interval between two pings of a WebSocket on a route with `agents = true`. An agent that has sent nothing for
    /// two intervals is disconnected. `"off"` sends no pings.
    pub agent_ping: Length,
    /// A WebSocket on any other route, or a tunnel of `upgrades`, is closed after this time in which no byte is
    /// transferred and none waits to be read.
    pub tunnel_idle: Length,
    /// After SIGTERM: how long new connections are still accepted.
    pub drain_delay: Length,
    /// After SIGTERM and `drain_delay`: how long requests in progress may take. A second SIGTERM or SIGINT terminates
    /// them at once.
    pub drain: Length,
}
