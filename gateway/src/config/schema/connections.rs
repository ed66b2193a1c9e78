//! `[[listener]]`, `[tls]`, `[client]`, `[cors]`, `[health]` and `[log]`.

use schemars::JsonSchema;

use super::values::Length;

/// An address and port on which the gateway accepts connections.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Listener {
    /// Address and port. `":8443"` and `"8443"` are port 8443 on every address, `"localhost:8443"` is the
    /// loopback address. An IPv6 wildcard accepts IPv4 too; on a machine without IPv6 it is `0.0.0.0`.
    #[schemars(extend("examples" = ["[::]:8443", "127.0.0.1:8443", ":8443"]))]
    pub address: String,
    /// `false` accepts HTTP/1.1 without TLS.
    pub tls: bool,
    /// Require a PROXY protocol header (v1 or v2) on every connection, and accept connections from
    /// `client.trusted_proxies` only. The header then tells the client's address, and no header field does.
    pub proxy_protocol: bool,
}

/// The gateway's certificate, and what browsers are told about TLS.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Tls {
    /// PEM file of the certificate, its chain behind it. With neither `certificate` nor `key`, a self-signed
    /// pair is made; a key without a certificate, left by a start that was interrupted, gets its certificate.
    #[schemars(extend("x-default" = "`certs/server.pem`, see [Where state lies](#where-state-lies)"))]
    #[schemars(extend("examples" = ["/etc/portcullis/server.pem"]))]
    pub certificate: String,
    /// PEM file of the private key, not encrypted.
    #[schemars(extend("x-default" = "`certs/server.key`"))]
    #[schemars(extend("examples" = ["/etc/portcullis/server.key"]))]
    pub key: String,
    /// Send `Strict-Transport-Security` with this `max-age` to clients that came over TLS; `"0s"` takes an
    /// earlier one back. An upstream's own `Strict-Transport-Security` stays.
    #[schemars(extend("x-default" = "not sent", "examples" = ["180d"]))]
    pub hsts: Length,
    /// Add `includeSubDomains` to `Strict-Transport-Security`.
    pub hsts_subdomains: bool,
    /// Answer 421 when the request's host is not the host that the TLS handshake named. A request of HTTP/1.0
    /// without a host still reaches routes for every host.
    pub sni_must_match_host: bool,
}

/// Which proxies are trusted, and what is taken from their header fields.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Client {
    /// Addresses and networks of the proxies in front of the gateway, whose forwarding fields are trusted.
    #[schemars(extend("examples" = [["10.0.0.0/8", "192.0.2.7"]]))]
    pub trusted_proxies: Vec<String>,
    /// The one family of fields that is read: `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`, or, with
    /// `"forwarded"`, `Forwarded` (RFC 7239). The other family is removed without being read.
    pub forwarded: String,
    /// Which values of that family are trusted.
    pub believe: Vec<String>,
    /// Origins whose pages may act for their visitors, besides the gateway's own: scheme, host and port, no
    /// patterns. See [Pages of other sites](#pages-of-other-sites).
    #[schemars(extend("examples" = [["https://app.example"]]))]
    pub origins: Vec<String>,
}

/// Cross-origin resource sharing: which pages of other origins may read responses.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Cors {
    /// Origins whose pages may read the responses: `"https://app.example"`, with exactly this scheme, host and
    /// port; `"https://*.app.example"` for exactly one label; `"*"` for every origin except `null`. At least
    /// one. In `[cors]` it is about responses of the auth API. See [Pages of other origins](#pages-of-other-origins).
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
    /// How long browsers may cache the answer to a preflight request.
    pub max_age: Length,
    /// Let pages read responses to requests with cookies and Basic credentials too. Needs exact origins.
    pub credentials: bool,
}

/// Health endpoints.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Health {
    /// Serve `/health` and `/api/health`; `false` leaves both paths to the routes.
    pub enabled: bool,
    /// JSON file such as `{"pending_update": "1.2.3", "cves": ["CVE-2026-1"]}`, read every 30 s and shown in
    /// health.
    #[schemars(extend("examples" = ["/var/lib/advisories.json"]))]
    pub advisory_file: String,
    /// Answer 503 while a shared store is not live. Before a shared store was read for the first time, health
    /// answers 503 in any case.
    pub require_store: bool,
}

/// What is logged, and in which form.
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

/// A level of its own for a part of the gateway or for a library.
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
