//! `[[listener]]`, `[tls]`, `[client]`, `[cors]`, `[health]` and `[log]`.

use schemars::JsonSchema;

use super::values::Length;

/// An address and port on which the gateway accepts connections.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Listener {
    /// Address and port. `":8443"` and `"8443"` mean port 8443 on every address, `"localhost:8443"` means the
    /// loopback address. An IPv6 wildcard accepts IPv4 too; on a machine without IPv6 it is `0.0.0.0`.
    #[schemars(extend("examples" = ["[::]:8443", "127.0.0.1:8443", ":8443"]))]
    pub address: String,
    /// `false` accepts HTTP/1.1 without TLS.
    pub tls: bool,
    /// Require a PROXY protocol header (v1 or v2) on every connection, and accept connections from
    /// `client.trusted_proxies` only. The client's address is then taken from this header, and from no header field
    /// of a request.
    pub proxy_protocol: bool,
}

/// The gateway's certificate, and `Strict-Transport-Security`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Tls {
    /// PEM file of the certificate, followed by its chain. Without `certificate` and `key`, a self-signed pair is
    /// created; a key without a certificate, left by an interrupted start, gets a certificate.
    #[schemars(extend("x-default" = "`certs/server.pem`, see [Location of state](#location-of-state)"))]
    #[schemars(extend("examples" = ["/etc/portcullis/server.pem"]))]
    pub certificate: String,
    /// PEM file of the private key, not encrypted.
    #[schemars(extend("x-default" = "`certs/server.key`"))]
    #[schemars(extend("examples" = ["/etc/portcullis/server.key"]))]
    pub key: String,
    /// Send `Strict-Transport-Security` with this `max-age` to clients that connected over TLS; `"0s"` revokes an
    /// earlier one. The upstream's own `Strict-Transport-Security` is kept.
    #[schemars(extend("x-default" = "not sent", "examples" = ["180d"]))]
    pub hsts: Length,
    /// Add `includeSubDomains` to `Strict-Transport-Security`.
    pub hsts_subdomains: bool,
    /// Respond with 421 when the request's host differs from the server name in the TLS handshake (SNI). An HTTP/1.0
    /// request without a host still reaches routes for every host.
    pub sni_must_match_host: bool,
}

/// Trusted proxies, and what the gateway takes from their header fields.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Client {
    /// Addresses and networks of the proxies in front of the gateway. Their forwarding fields are trusted.
    #[schemars(extend("examples" = [["10.0.0.0/8", "192.0.2.7"]]))]
    pub trusted_proxies: Vec<String>,
    /// Family of forwarding fields that the gateway reads: `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`, or, with
    /// `"forwarded"`, `Forwarded` (RFC 7239). The other family is removed unread.
    pub forwarded: String,
    /// Which values of that family are trusted.
    pub believe: Vec<String>,
    /// Origins, besides the gateway's own, whose pages may act for their visitors: scheme, host and port, no
    /// patterns. See [Pages of other sites](#pages-of-other-sites).
    #[schemars(extend("examples" = [["https://app.example"]]))]
    pub origins: Vec<String>,
}

/// Cross-origin resource sharing: which pages of other origins may read responses.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Cors {
    /// Origins whose pages may read the responses: `"https://app.example"` is exactly this scheme, host and port;
    /// `"https://*.app.example"` stands for exactly one label; `"*"` is every origin except `null`. At least one.
    /// Those of `[cors]` apply to responses of the auth API. See [Pages of other origins](#pages-of-other-origins).
    #[schemars(extend("x-required" = true, "examples" = [["https://app.example"]]))]
    pub origins: Vec<String>,
    /// Methods that pages may use.
    #[schemars(extend("x-default" = "every method of the path", "examples" = [["GET", "POST"]]))]
    pub methods: Vec<String>,
    /// Request fields that pages may set.
    pub fields: Vec<String>,
    /// Response fields that pages may read, besides `RateLimit`, `RateLimit-Policy`, `Retry-After`,
    /// `WWW-Authenticate` and `X-Request-Id`.
    #[schemars(extend("examples" = [["X-Total-Count"]]))]
    pub expose: Vec<String>,
    /// How long browsers may cache the response to a preflight request.
    pub max_age: Length,
    /// Pages may also read responses to requests with cookies and Basic credentials. Requires exact origins.
    pub credentials: bool,
}

/// Health endpoints.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Health {
    /// Serve `/health` and `/api/health`; `false` leaves both paths to the routes.
    pub enabled: bool,
    /// JSON file such as `{"pending_update": "1.2.3", "cves": ["CVE-2026-1"]}`. It is read every 30 s, and health
    /// responses contain it.
    #[schemars(extend("examples" = ["/var/lib/advisories.json"]))]
    pub advisory_file: String,
    /// Health responds with 503 while a shared store is not live. Until a shared store has been read for the first
    /// time, health responds with 503 in any case.
    pub require_store: bool,
}

/// What is logged, and in which format.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Log {
    /// `"json"`; `"text"`; `"combined"`: requests in Apache's format on standard output, everything else as
    /// text on standard error; `"auto"`: text on a terminal, else JSON. Same as `--log-format`.
    pub format: String,
    /// The least severe level that is written. Same as `--log-level`.
    pub level: String,
    pub levels: Levels,
}

/// Levels of single parts of the gateway or of libraries, in place of `level`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Levels {
    /// Sign-in, sessions, tokens and keys.
    pub auth: String,
    /// Commands.
    pub cli: String,
    /// Connections, TLS and the framing of messages.
    pub edge: String,
    /// Requests on their way through the gateway.
    pub pipeline: String,
    /// Start, stop and background tasks.
    pub server: String,
    /// The admin socket.
    pub socket: String,
    /// The store, embedded or shared.
    pub store: String,
    /// The library that speaks HTTP/2.
    pub h2: String,
    /// The library that speaks HTTP.
    pub hyper: String,
    /// The library of the embedded store.
    pub redb: String,
    /// The library that speaks TLS.
    pub rustls: String,
    /// The library that runs tasks.
    pub tokio: String,
}
