//! `[identity]`, `[upstream.*]` and `[[route]]`.

use schemars::JsonSchema;

use super::connections::Cors;
use super::values::{BooleanOrWord, Length, Size, WordOrTable};

/// The header fields that tell upstreams who is calling.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Identity {
    /// Names of the identity fields; `"custom"` takes them from `headers`.
    pub preset: String,
    /// Names of request fields, or families like `"X-Vendor-*"`, that are forwarded although they are removed by
    /// default, see [Fields on their way to an upstream](#fields-on-their-way-to-an-upstream).
    #[schemars(extend("examples" = [["X-Real-IP"]]))]
    pub allow: Vec<String>,
    /// Names of request fields, or families, that are removed in addition to those that are removed by default.
    #[schemars(extend("examples" = [["X-Vendor-*"]]))]
    pub remove: Vec<String>,
    /// Send upstreams e-mail addresses that were not verified, and user names in the form of one, see [Verified
    /// names](#verified-names).
    pub unverified_email: bool,
    pub headers: IdentityHeaders,
}

/// Names of the identity fields, with `preset = "custom"`. A field that is left out is not sent.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct IdentityHeaders {
    /// The account's id, a UUID.
    #[schemars(extend("examples" = ["X-User-Id"]))]
    pub user_id: String,
    /// The user name.
    #[schemars(extend("examples" = ["X-User"]))]
    pub username: String,
    /// The e-mail address.
    #[schemars(extend("examples" = ["X-Email"]))]
    pub email: String,
    /// The account's roles, separated by commas.
    #[schemars(extend("examples" = ["X-Roles"]))]
    pub roles: String,
    /// The id of the workspace that the token is scoped to.
    pub workspace: String,
    /// The account's role in that workspace.
    pub workspace_role: String,
    /// How the caller signed in: the scheme of the credential.
    pub scheme: String,
    /// The id of the API key.
    pub key_id: String,
    /// The scopes of the API key.
    pub scopes: String,
    /// The id of the server that the API key is bound to.
    pub server_id: String,
}

/// A server that requests are forwarded to. Routes name it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Upstream {
    /// `http://` or `https://`, host and port. `"localhost:3000"`, `":3000"` and `"3000"` mean http on this machine.
    /// `"echo"` is built in: it responds with the request that it got, and returns the messages of a WebSocket.
    #[schemars(extend("examples" = ["http://127.0.0.1:3000", "https://app.internal", "echo"]))]
    pub url: String,
    /// `"auto"`: HTTP/1.1 without TLS; over TLS, what ALPN negotiates. `"http1"`: HTTP/1.1. `"http2"`: HTTP/2,
    /// without TLS by prior knowledge. WebSockets and `upgrades` need HTTP/1.1: with `"auto"` over TLS they use
    /// separate connections, which offer HTTP/1.1 only; with `"http2"` they get 502 (`upstream_no_upgrade`).
    pub protocol: String,
    /// The host in requests to the upstream. `"pass"`: the client's. `"upstream"`: that of `url`. Or a name, with or
    /// without port. `X-Forwarded-Host` and `Forwarded` contain the client's in any case. The TLS handshake always
    /// names the host of `url`. `Location`, cookies and `Origin` are not rewritten.
    #[schemars(extend("examples" = ["pass", "upstream", "app.internal"]))]
    pub host: String,
    /// PEM file that an https upstream is verified against: certificate authorities, or the upstream's own
    /// certificate. A certificate in the file is trusted as it is, self-signed or not; its name and dates are
    /// checked. It is trusted as an issuer only if it may sign others (basicConstraints).
    #[schemars(extend("x-default" = "the system's", "examples" = ["app-ca.pem"]))]
    pub roots: String,
    /// How long a request waits for a connection: for a free one, or for a new one with its TLS handshake.
    pub connect_timeout: Length,
    /// How long an unused connection is kept. Keep it below the upstream's own timeout.
    pub idle_timeout: Length,
    /// Connections in use at once; over HTTP/2, connections open at once.
    pub max_connections: u64,
    /// How many connections one account may use, see [Limits of one account](#limits-of-one-account).
    #[schemars(extend("x-default" = "half of `max_connections`, rounded up"))]
    pub max_connections_per_account: u64,
    /// `"any"`: request fields with `_` and `.` in their names are forwarded as well.
    pub field_names: String,
}

/// A rule: which requests may pass, and to which upstream. The order of routes does not matter: the host decides, then the
/// path, then the method.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
#[expect(clippy::struct_excessive_bools, reason = "keys as they are written")]
pub struct Route {
    /// Name of the route in logs.
    #[schemars(extend("x-default" = "host and path", "examples" = ["app"]))]
    pub id: String,
    /// Host name without port; `"*.example.com"` stands for exactly one label before `example.com`.
    #[schemars(extend("x-default" = "every host", "examples" = ["app.example", "*.example.com"]))]
    pub host: String,
    /// The path itself and everything below it.
    #[schemars(extend("examples" = ["/", "/api"]))]
    pub path: String,
    /// `true`: only the path itself, such as `/status` and neither `/status/` nor `/status/x`.
    pub exact: bool,
    /// Methods. GET includes HEAD, unless another route names HEAD. If no route for this path has the request's
    /// method, the response is 405: the request does not fall back to a route with a shorter path.
    #[schemars(extend("x-default" = "all", "examples" = [["GET", "POST"]]))]
    pub methods: Vec<String>,
    /// The name of an `[upstream.NAME]`, a URL, or `"echo"`. A declared name takes precedence over a URL.
    #[schemars(extend("x-required" = true, "examples" = ["app", "http://127.0.0.1:3000", "localhost:3000", "echo"]))]
    pub upstream: String,
    /// `true`: no credential is checked and no identity is sent; [An application's own
    /// credential](#an-applications-own-credential) is forwarded.
    pub public: bool,
    /// The account needs one of these roles at the time of the request; an API key has the roles of its owner.
    #[schemars(extend("x-default" = "none needed", "examples" = [["user"]]))]
    pub roles: Vec<String>,
    /// An API key needs all of these scopes; scopes do not restrict people.
    #[schemars(extend("x-default" = "none needed", "examples" = [["deploy"]]))]
    pub scopes: Vec<String>,
    /// Which API keys the route accepts. Users and their tokens are accepted in any case. `"any"`: every key.
    /// `"servers"`: keys that are bound to a server, which is an entry of `portcullis server` whose agents connect.
    /// `"none"`: no key. The gateway's own endpoints accept keys that are bound to no server.
    #[schemars(extend("x-default" = "keys bound to a server on a route with `agents`, else keys bound to none"))]
    pub keys: String,
    /// Largest request body.
    #[schemars(extend("x-default" = "`limits.body_size`", "examples" = ["10MiB"]))]
    pub body_size: Size,
    /// Time until the head of the response. It starts again while a request body is still arriving, or pauses within
    /// its own timeout. A gRPC call over HTTP/2 with a credential has its `grpc-timeout` instead, if that is longer.
    pub timeout: Length,
    /// Schemes of credentials that the route accepts: `"cookie"` (the gateway's cookies), `"basic"`, `"bearer"` (the
    /// gateway's access tokens), `"key"` (API keys). A credential of any other scheme belongs to the application, see
    /// [An application's own credential](#an-applications-own-credential).
    #[schemars(extend("x-default" = "all"))]
    pub schemes: Vec<String>,
    /// Challenges of a 401, in this order: `"basic"`, `"bearer"`, or a whole challenge such as `'Bearer
    /// realm="https://auth.example.com/token"'`, each of a scheme that the route accepts.
    #[schemars(extend("x-default" = "depends on the client, see [Challenges of a 401](#challenges-of-a-401)", "examples" = [["basic"]]))]
    pub challenge: Vec<String>,
    /// Response to a browser's navigation without a valid credential: `"page"`, the console's sign-in page, which
    /// leads back afterwards; `"basic"`, the browser's own dialog; `"none"`, a page that says that the user is not
    /// signed in. See [Browsers](#browsers).
    #[schemars(extend("x-default" = "`\"basic\"` if `challenge` names it, else `\"page\"` where cookies are accepted, else `\"basic\"` where that is accepted, else `\"none\"`"))]
    pub sign_in: String,
    /// Forward `Authorization`, `X-API-Key` and the gateway's cookies to the upstream, including the gateway's own
    /// credentials.
    pub forward_credential: bool,
    /// A WebSocket upgrade may carry a ticket as `?token=`. On such a route the parameter belongs to the gateway: it
    /// is never forwarded, and a ticket in a request that is not an upgrade is used up.
    pub ws_token: bool,
    /// `true`: a WebSocket upgrade may come without a credential, and carry a key of a server in its first message.
    /// `"any"`: or an access token. See [Agents](#agents).
    pub agents: BooleanOrWord,
    /// Protocols that an HTTP/1.1 connection may switch to: `"tcp"` (`docker attach`, `docker exec`), `"spdy/3.1"`
    /// (`kubectl exec`, `kubectl port-forward`). WebSocket is allowed on every route without being listed. Not on
    /// public routes. See [Other protocols](#other-protocols).
    #[schemars(extend("examples" = [["tcp"]]))]
    pub upgrades: Vec<String>,
    /// Further origins for this route, in addition to those of `client.origins`.
    #[schemars(extend("examples" = [["https://app.example"]]))]
    pub origins: Vec<String>,
    /// Handling of paths that servers parse in different ways: `"strict"` refuses them, `"opaque"` forwards them,
    /// `"auto"` forwards them unless another route to the same upstream has other rules, see [Paths](#paths).
    pub paths: String,
    /// Which pages of other origins may read responses: `"gateway"`, as `[cors]` says; `"upstream"`, as the
    /// upstream's response says; or a table with the keys of `[cors]`. See [Pages of other
    /// origins](#pages-of-other-origins).
    #[schemars(extend("x-default" = "none, unless the upstream allows them"))]
    pub cors: WordOrTable<Cors>,
    /// Token bucket of each address for this route alone; each gateway counts separately. `RateLimit-Policy` names it
    /// `"route"`. `"none"`: no bucket, so a client may send any number of requests. The limits of failed sign-ins,
    /// connections and requests in progress still apply. The gateway's own endpoints, and requests that match no
    /// route, use the bucket of `[limits]`.
    #[schemars(extend("x-default" = "the bucket of `[limits]`"))]
    #[schemars(extend("examples" = [{"requests_per_second": 100, "burst": 300}, "none"]))]
    pub rate: WordOrTable<Rate>,
}

/// A route's own token bucket.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Rate {
    /// Rate of the bucket.
    #[schemars(extend("x-required" = true, "examples" = [100]))]
    pub requests_per_second: u64,
    /// Size of the bucket.
    #[schemars(extend("x-default" = "three times the rate"))]
    pub burst: u64,
}
