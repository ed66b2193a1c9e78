//! `[limits]` and `[timeouts]`.

use schemars::JsonSchema;

use super::values::{Length, Size};

/// What clients and accounts may use.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Limits {
    /// Rate of the token bucket that each IPv4 address or IPv6 /64 has, over all gateways that share a store. A route may
    /// have its own (`rate`).
    pub requests_per_second: u64,
    /// Size of the token bucket of `requests_per_second`.
    pub burst: u64,
    /// How long a browser's request waits for a token of its address, see
    /// [Pages that ask for much at once](#pages-that-ask-for-much-at-once); with `"0s"` none waits.
    pub wait: Length,
    /// Failed attempts of an address; after as many, every password, key and ticket from it gets 429 until the window
    /// ends.
    pub max_login_attempts: u64,
    /// Window in which failed attempts count together.
    pub login_window: Length,
    /// What a failed attempt is. `"passwords"`: a wrong password (any login, Basic, also one that cannot be read,
    /// change-password) or a refused GitHub code. `"all"`: refused access and refresh tokens, API keys and tickets too, which
    /// nobody can guess, except what a foreign page may have sent.
    pub count: String,
    /// After as many failed attempts on one user within the window, from any addresses and by any of the user's names,
    /// attempts of strangers are served one at a time, `user_pause` apart. Nobody is locked out by others, see
    /// [Guessing at passwords](#guessing-at-passwords).
    pub user_attempts: u64,
    /// Pause between two attempts of strangers on a user who has reached `user_attempts`.
    pub user_pause: Length,
    /// Registrations of an address in an hour, refused ones and accounts made by a sign-in with GitHub included; after that
    /// 429 and an audit line. Counted over all gateways that share a store; without one, forgotten at a restart, as failed
    /// attempts are.
    pub registrations: u64,
    /// Sessions of an account. One more sign-in ends the oldest (`session_superseded` in the audit log), unless one of the
    /// 2000 oldest has expired: expired ones go first.
    pub sessions_per_account: u64,
    /// API keys of an account, rotated ones within their overlap included. One more removes those that have ended; if
    /// there are none, it is 409 `limit_reached`. A rotation without an overlap always has room.
    pub keys_per_account: u64,
    /// Connections open at once.
    pub connections: u64,
    /// Connections open at once from one address. Those of a trusted proxy count only in `connections`; of each client behind it, the requests,
    /// WebSockets and streams under way count as its connections, and one too many gets 429.
    pub connections_per_address: u64,
    /// Requests of an address that are under way to upstreams at once, until their responses are read, over all its connections; after
    /// that 429. An address in `client.trusted_proxies` has no such limit. It bounds what an address can leave
    /// unread, see [What unread bytes hold](#what-unread-bytes-hold).
    pub requests_per_address: u64,
    /// Request line and header fields together.
    pub head_size: Size,
    /// Header fields of a request.
    pub header_count: u64,
    /// Request target.
    pub uri_size: Size,
    /// Request body. A route may have its own. The auth API takes 64 KiB.
    pub body_size: Size,
    /// HTTP/2 streams at once on a connection.
    pub h2_streams: u64,
    /// HTTP/2 streams that a client may cancel in 10 s before its connection is closed.
    pub h2_resets: u64,
    /// Agents at once whose first message has not been checked; beyond that 503. An agent is a program that keeps a
    /// WebSocket open, see [Agents](#agents).
    pub agents_unauthenticated: u64,
    /// Agents at once of one address whose first message has not been checked; beyond that 429.
    pub agents_unauthenticated_per_address: u64,
    /// WebSockets and event streams (`text/event-stream`) of an account at once; beyond that 429.
    pub streams_per_account: u64,
    /// Agents at once with keys of one server.
    pub agents_per_server: u64,
    /// Agents at once with one key that is bound to no server (which comes in the request, on routes whose `keys` takes
    /// it).
    pub agents_per_key: u64,
    /// Agents at once with keys of one owner.
    pub agents_per_owner: u64,
}

/// How long the gateway waits.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Timeouts {
    /// PROXY protocol header and TLS handshake together.
    pub tls_handshake: Length,
    /// Head of a request, from its first byte.
    pub request_head: Length,
    /// A connection without a request.
    pub idle: Length,
    /// At least 1 KiB of a request body has to arrive within this time of waiting. Not for gRPC, nor once the upstream
    /// responds. A body of the auth API has 30 s in all.
    pub body_progress: Length,
    /// In place of `body_progress` once a credential is verified, if it is longer: an application may pause while it produces an upload.
    /// A body of the auth API has 90 s in all.
    pub body_progress_authenticated: Length,
    /// At least 1 KiB of each response has to be read by its client within this time, gRPC's included: over HTTP/2 a stream that is not read is reset, and the
    /// others go on. A full socket counts as progress while 1 KiB of each of its responses gets through. Does not run
    /// while the upstream sends nothing.
    pub write_progress: Length,
    /// An agent's first message.
    pub agent_message: Length,
    /// Interval between two pings of a WebSocket on a route with `agents = true`. An agent that has sent nothing for two
    /// intervals is disconnected. `"off"` sends none.
    pub agent_ping: Length,
    /// A WebSocket on any other route, or a tunnel of `upgrades`, in which no byte moves and none waits to be read.
    pub tunnel_idle: Length,
    /// After SIGTERM: how long connections are still accepted.
    pub drain_delay: Length,
    /// After SIGTERM and `drain_delay`: how long requests under way may take. A second SIGTERM or SIGINT ends them at once.
    pub drain: Length,
}
