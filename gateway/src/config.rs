//! What runs: every setting typed, checked and complete.
//!
//! The file's own shape is read in [`mod@file`] and the files beside it, one for each
//! larger table; what is wrong is collected as [`problem`]s and told in a [`report`], all of
//! it in one run.
//! Nothing here has a default: defaults stand beside the keys where they are read,
//! and nowhere else.

mod auth;
mod bounds;
pub mod change;
mod client;
pub mod console;
pub mod cors;
pub mod decode;
mod dialects;
pub mod document;
pub mod effective;
mod exposure;
pub mod file;
mod form;
mod github;
mod hide;
pub mod identity;
mod limits;
mod links;
mod methods;
pub mod named_files;
pub mod page_origin;
mod place;
pub mod problem;
pub mod reader;
pub mod record;
pub mod report;
mod routes;
pub mod rules;
pub mod schema;
pub mod schemes;
mod short_forms;
mod state;
mod store;
mod syntax;
pub mod units;
pub mod unknown;
mod upstream;
pub mod value;
pub mod warning;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::uri::Authority;
use http::{HeaderName, Method};
use ipnet::IpNet;

use crate::auth::register::Registering;
use crate::auth::secret::Secret;
use crate::contract::Contract;

use cors::{Cors, CorsPolicy};
use page_origin::PageOrigin;
use schemes::{Challenge, Schemes};
use warning::Warning;

pub use state::CERTS;
pub use store::ADMIN_SOCKET;

#[derive(Debug, Clone)]
pub struct Config {
    pub listeners: Vec<Listener>,
    pub tls: Tls,
    pub store: Store,
    pub auth: Auth,
    pub dialects: Dialects,
    pub admin: AdminApi,
    pub console: Console,
    /// `None`: nobody signs in with GitHub.
    pub github: Option<GitHub>,
    /// `None`: no links are made.
    pub links: Option<Links>,
    /// `None`: none is sent.
    pub mail: Option<Mail>,
    pub health: Health,
    pub openapi: DocumentReaders,
    pub limits: Limits,
    pub timeouts: Timeouts,
    pub trusted_proxies: Vec<IpNet>,
    /// Whose pages may act for their visitors, beside our own.
    pub origins: Vec<PageOrigin>,
    /// The auth API's: `None` lets no page of another origin read it.
    pub cors: Option<CorsPolicy>,
    pub forwarding: Forwarding,
    pub identity: IdentityHeaders,
    pub field_overrides: FieldOverrides,
    pub log: Log,
    pub upstreams: Vec<Upstream>,
    /// In the order of the file; the most specific match wins.
    pub routes: Vec<Route>,
    /// Files with secrets that the operator has named.
    pub secret_files: Vec<SecretFile>,
    /// What is allowed and seldom meant.
    pub warnings: Vec<Warning>,
}

/// What is believed of trusted proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarding {
    /// The fields that are read; the other family is not.
    pub family: ForwardedFamily,
    pub believed: Vec<Claim>,
}

impl Forwarding {
    #[must_use]
    pub fn believes(&self, claim: Claim) -> bool {
        self.believed.contains(&claim)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedFamily {
    XForwarded,
    /// RFC 7239.
    Forwarded,
}

/// What a proxy can say of a client's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    For,
    Proto,
    Host,
    Port,
}

#[derive(Debug, Clone)]
pub struct SecretFile {
    pub path: PathBuf,
    /// Where it is named, for messages.
    pub place: String,
    pub key: String,
}

#[derive(Debug, Clone)]
pub struct Listener {
    pub address: SocketAddr,
    pub transport: Transport,
    pub proxy_protocol: ProxyProtocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tls,
    /// For a sidecar on loopback, or behind something that ends TLS itself.
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    Off,
    /// Every connection must come from a trusted proxy and begin with a v1 or v2 header.
    Required,
}

#[derive(Debug, Clone)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whether both are where a self-signed pair may be made when none is there.
    pub self_signed: SelfSigned,
    /// Where version 0.1 made the pair, if that is another directory.
    pub former: Option<PathBuf>,
    pub sni: SniRule,
    /// `None`: browsers are not told to come by TLS only.
    pub hsts: Option<Hsts>,
}

/// Strict-Transport-Security.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hsts {
    pub max_age: Duration,
    pub subdomains: Subdomains,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subdomains {
    Included,
    NotIncluded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelfSigned {
    WhenMissing,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SniRule {
    /// A request for another host than the TLS handshake named gets 421.
    MustMatchHost,
    Ignore,
}

#[derive(Debug, Clone)]
pub struct Store {
    /// Of the admin socket, the secret that was not given, and the embedded store.
    pub directory: PathBuf,
    /// Whether somebody has named it, rather than where the configuration lies.
    pub chosen: DirectoryChoice,
    /// Where version 0.1 took the directory to be, if that is another.
    pub former: Option<PathBuf>,
    /// The directory of the configuration file, if there is one.
    pub beside: Option<PathBuf>,
    /// `None`: the embedded store.
    pub shared: Option<SharedStore>,
}

/// Why a directory is the one of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryChoice {
    /// By `store.path` or `STATE_DIRECTORY`.
    Named,
    /// By where the configuration lies, or the user's home.
    Conventional,
}

/// A Redis that several gateways keep their state in.
#[derive(Debug, Clone)]
pub struct SharedStore {
    pub topology: Topology,
    pub tls: UpstreamTls,
    /// `None`: the server's user "default".
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub sentinel_password: Option<Secret>,
    pub database: u16,
    /// All keys begin with it, in braces.
    pub prefix: String,
    pub durability: Durability,
    /// For one trip.
    pub timeout: Duration,
}

/// How the server that takes writes is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    Single(NodeAddress),
    /// Sentinels know the master of `service`.
    Sentinel {
        addresses: Vec<NodeAddress>,
        service: String,
    },
    /// Nodes know the owner of a slot.
    Cluster(Vec<NodeAddress>),
}

impl std::fmt::Display for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listed = |addresses: &[NodeAddress]| {
            addresses.iter().map(NodeAddress::to_string).collect::<Vec<_>>().join(",")
        };
        match self {
            Topology::Single(address) => address.fmt(f),
            Topology::Sentinel { addresses, service } => {
                write!(f, "{service} of {}", listed(addresses))
            }
            Topology::Cluster(addresses) => f.write_str(&listed(addresses)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeAddress {
    /// Name or address, the latter without brackets.
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// What a change of a shared store must have survived before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is on the primary's disk.
    Fsync,
    /// So many replicas have it.
    Replicated { replicas: u32 },
    /// The primary has it in memory.
    Fast,
}

#[derive(Debug, Clone)]
pub struct Auth {
    /// From `SECRET_KEY` or a file; `None` means the one kept in the store's directory.
    pub secret_key: Option<Secret>,
    pub previous_secret_key: Option<Secret>,
    pub admin_password: Option<Secret>,
    pub issuer: String,
    pub audience: String,
    pub realm: String,
    pub refresh_ttl: Duration,
    pub refresh_grace: Duration,
    pub ticket_ttl: Duration,
    pub registration: Registering,
    pub local_accounts: bool,
    pub bcrypt_cost: u32,
    pub hash_threads: usize,
    pub hash_queue: usize,
}

/// The API of administration.
#[derive(Debug, Clone)]
pub struct AdminApi {
    pub enabled: bool,
    pub prefix: String,
    /// Clients from elsewhere are refused.
    pub networks: Vec<IpNet>,
}

/// The pages by which people sign in and look after what is theirs.
#[derive(Debug, Clone)]
pub struct Console {
    pub enabled: bool,
    /// What its paths begin with.
    pub prefix: String,
    /// How long a browser's session lives without a request.
    pub session_idle: Duration,
    /// How long it lives, however it is used.
    pub session_absolute: Duration,
    /// Of the access tokens in a browser's cookies, which the gateway renews.
    pub access_ttl: Duration,
    pub server_creation: ServerCreation,
    /// In place of some of the texts.
    pub texts: Option<PathBuf>,
    pub logo: Option<PathBuf>,
    /// Behind the console's own style.
    pub style: Option<PathBuf>,
}

/// Who makes servers on the console's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerCreation {
    Admins,
    /// Whoever is signed in, as their owner.
    Everybody,
}

/// What a browser's navigation gets on a route that needs a credential, when it has no good
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    /// The console's sign-in, and the way back.
    Page,
    /// The browser's own dialog.
    Basic,
    /// A page that says so.
    None,
}

/// What a route's `challenge` says of Basic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenged {
    WithBasic,
    WithoutBasic,
    /// It says nothing.
    Unwritten,
}

/// The four contracts.
#[derive(Debug, Clone)]
pub struct Dialects {
    pub form: Dialect,
    pub status: Dialect,
    /// Whether a refresh in `status` replaces the refresh token.
    pub rotate_refresh: bool,
    pub envelope: Dialect,
    pub plain: Dialect,
    /// Whether `plain` manages API keys.
    pub keys: bool,
    /// Whether a sign-in in `plain` tells that there is no such user.
    pub reveal_unknown_user: bool,
}

#[derive(Debug, Clone)]
pub struct Dialect {
    pub enabled: bool,
    /// What its paths begin with.
    pub prefix: String,
    pub access_ttl: Duration,
    /// New passwords need a character that is neither letter, digit nor space.
    pub require_special: bool,
    pub delivery: Delivery,
}

/// How clients of a dialect get their tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Body,
    Cookie,
    /// Cookies for pages of the gateway's own origin, the body for others.
    Auto,
}

impl Dialects {
    /// The settings of a contract of the auth API; others have a table of their own.
    #[must_use]
    pub fn of(&self, contract: Contract) -> Option<&Dialect> {
        match contract {
            Contract::Form => Some(&self.form),
            Contract::Status => Some(&self.status),
            Contract::Envelope => Some(&self.envelope),
            Contract::Plain => Some(&self.plain),
            Contract::Links | Contract::Admin | Contract::Console => None,
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &Dialect> {
        Contract::BY_PRECEDENCE.iter().filter_map(|contract| self.of(*contract))
    }
}

#[derive(Debug, Clone)]
pub struct GitHub {
    pub client_id: String,
    pub client_secret: Secret,
    /// Where codes are made and redeemed.
    pub base_url: ServiceUrl,
    pub api_url: ServiceUrl,
    /// Where browsers reach this gateway; without it no flow begins here.
    pub public_url: Option<ServiceUrl>,
    pub roots: Option<PathBuf>,
    /// Members of any of these and of `teams` are let in; everybody when both are empty.
    pub organizations: Vec<String>,
    pub teams: Vec<Team>,
    /// For a whole sign-in.
    pub timeout: Duration,
}

/// An https URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl {
    pub authority: Authority,
    /// Without a slash at its end; often empty.
    pub path: String,
}

impl ServiceUrl {
    /// Name or address, the latter without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
    }
}

impl std::fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "https://{}{}", self.authority, self.path)
    }
}

/// Links that verify an address or set a password.
#[derive(Debug, Clone)]
pub struct Links {
    /// Where people reach this gateway.
    pub public_url: ServiceUrl,
    pub prefix: String,
    pub ttl: Duration,
}

/// A server that takes mail for others (SMTP).
#[derive(Debug, Clone)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub security: MailSecurity,
    pub roots: Option<PathBuf>,
    pub from: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// On loopback only.
    Clear,
    StartTls,
    Tls,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    pub organization: String,
    pub slug: String,
}

/// Who may read the OpenAPI documents of our contracts (S1-04).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentReaders {
    Authenticated,
    Everybody,
}

#[derive(Debug, Clone)]
pub struct Health {
    pub enabled: bool,
    pub advisory_file: Option<PathBuf>,
    /// Whether health is bad while a shared store is not live.
    pub require_store: bool,
}

#[derive(Debug, Clone)]
pub struct Limits {
    pub requests_per_second: u32,
    pub burst: u32,
    /// How long a browser's request waits for a token; zero is not at all.
    pub wait: Duration,
    pub max_login_attempts: u32,
    pub login_window: Duration,
    pub counted: Counted,
    /// Failures on one user, from whatever addresses, before attempts on it are slowed.
    pub user_attempts: u32,
    /// Before each attempt on such a user.
    pub user_pause: Duration,
    /// Of one address in an hour.
    pub registrations: u32,
    pub sessions_per_account: usize,
    pub keys_per_account: usize,
    pub connections: usize,
    pub connections_per_address: usize,
    /// Under way to upstreams at once.
    pub requests_per_address: usize,
    pub head_bytes: usize,
    pub header_count: usize,
    pub uri_bytes: usize,
    /// `None` is no limit. A route may set its own.
    pub body_bytes: Option<u64>,
    pub h2_streams: u32,
    /// Streams a client may cancel on one connection within ten seconds.
    pub h2_resets: u32,
    /// Agents whose first message has not been judged.
    pub agents_unauthenticated: usize,
    pub agents_unauthenticated_per_address: usize,
    /// WebSockets and event streams.
    pub streams_per_account: usize,
    pub agents_per_server: usize,
    /// Of a key that is bound to no server.
    pub agents_per_key: usize,
    pub agents_per_owner: usize,
}

/// Which refused credentials are failed attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// What can be guessed: passwords, and GitHub's codes.
    Passwords,
    /// Tokens, keys and tickets too.
    All,
}

#[derive(Debug, Clone)]
pub struct Timeouts {
    pub tls_handshake: Duration,
    pub request_head: Duration,
    pub idle: Duration,
    pub body_progress: Duration,
    /// The same of who has proven to be somebody.
    pub body_progress_authenticated: Duration,
    pub write_progress: Duration,
    pub agent_message: Duration,
    /// Between two pings of an agent; `None` sends none.
    pub agent_ping: Option<Duration>,
    /// Of a tunnel that is no agent's; `None` lets it be idle for ever.
    pub tunnel_idle: Option<Duration>,
    pub drain_delay: Duration,
    pub drain: Duration,
}

/// The names under which upstreams learn who is calling; `None` leaves one out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityHeaders {
    pub user_id: Option<HeaderName>,
    pub username: Option<HeaderName>,
    pub email: Option<HeaderName>,
    pub roles: Option<HeaderName>,
    pub workspace: Option<HeaderName>,
    pub workspace_role: Option<HeaderName>,
    pub scheme: Option<HeaderName>,
    pub key_id: Option<HeaderName>,
    pub scopes: Option<HeaderName>,
    pub server_id: Option<HeaderName>,
    pub unverified_email: UnverifiedEmail,
}

/// What upstreams are told of an e-mail address that nobody vouches for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnverifiedEmail {
    /// Nothing; a user name that reads like one is the account's id.
    #[default]
    Withheld,
    /// What the account says of itself.
    Injected,
}

impl IdentityHeaders {
    /// Every name there is.
    pub fn all(&self) -> impl Iterator<Item = &HeaderName> {
        [
            &self.user_id,
            &self.username,
            &self.email,
            &self.roles,
            &self.workspace,
            &self.workspace_role,
            &self.scheme,
            &self.key_id,
            &self.scopes,
            &self.server_id,
        ]
        .into_iter()
        .flatten()
    }
}

/// Which field names an upstream is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldNames {
    /// Letters, digits and `-`.
    Strict,
    /// `_` and `.` too, where no other spelling of the name has a meaning.
    Any,
}

/// The operator's exceptions from what is removed by its name.
#[derive(Debug, Clone, Default)]
pub struct FieldOverrides {
    pub allow: Vec<NamePattern>,
    pub remove: Vec<NamePattern>,
}

/// One field name or all that begin alike, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    Exact(String),
    Family(String),
}

#[derive(Debug, Clone)]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
    /// Parts of the gateway, or libraries, with a level of their own.
    pub levels: Vec<(&'static str, &'static str)>,
}

/// What can have a level of its own: our parts, and the libraries below.
pub const PARTS: [&str; 7] = ["auth", "cli", "edge", "pipeline", "server", "socket", "store"];
pub const LIBRARIES: [&str; 5] = ["h2", "hyper", "redb", "rustls", "tokio"];
pub const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Json,
    Text,
    Combined,
}

impl LogFormat {
    /// As they are written.
    pub const WORDS: [(&str, LogFormat); 4] = [
        ("auto", LogFormat::Auto),
        ("json", LogFormat::Json),
        ("text", LogFormat::Text),
        ("combined", LogFormat::Combined),
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LogFormat::Auto => "auto",
            LogFormat::Json => "json",
            LogFormat::Text => "text",
            LogFormat::Combined => "combined",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Upstream {
    pub name: String,
    pub target: Target,
    pub host: UpstreamHost,
    pub field_names: FieldNames,
    pub connect_timeout: Duration,
    pub idle_timeout: Duration,
    pub max_connections: usize,
    /// What one account may have of them; `None` is half.
    pub max_connections_per_account: Option<usize>,
}

impl Upstream {
    /// How many of its connections one account may have.
    #[must_use]
    pub fn share_of_connections(&self) -> usize {
        self.max_connections_per_account.unwrap_or(self.max_connections.div_ceil(2))
    }
}

/// Which host an upstream is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The one that the client asked for.
    Pass,
    /// That of the upstream's URL.
    Own,
    /// This one, perhaps with a port.
    Name(String),
}

#[derive(Debug, Clone)]
pub enum Target {
    /// The built-in upstream that answers what it was asked.
    Echo,
    Http(HttpTarget),
}

#[derive(Debug, Clone)]
pub struct HttpTarget {
    pub authority: Authority,
    pub tls: UpstreamTls,
    pub protocol: UpstreamProtocol,
}

#[derive(Debug, Clone)]
pub enum UpstreamTls {
    Off,
    /// Verified against the system's roots, or these.
    On {
        roots: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1 in clear; over TLS what ALPN settles.
    Auto,
    Http1,
    /// HTTP/2, with prior knowledge when in clear.
    Http2,
}

#[derive(Debug, Clone)]
pub struct Route {
    /// Shown in logs and metrics.
    pub id: String,
    pub host: HostMatch,
    /// In normal form; without a slash at its end where it has what lies below.
    pub path: String,
    pub extent: PathMatch,
    /// Empty matches every method.
    pub methods: Vec<Method>,
    /// Index into [`Config::upstreams`].
    pub upstream: usize,
    pub access: Access,
    pub body_bytes: Option<u64>,
    /// Until the upstream's response head.
    pub timeout: Duration,
    pub credential: CredentialForwarding,
    pub tickets: Tickets,
    pub agents: Agents,
    /// Protocols beside WebSocket that a connection may switch to.
    pub upgrades: Vec<RawProtocol>,
    /// As [`Config::origins`], which are among them.
    pub origins: Vec<PageOrigin>,
    /// By which a caller proves who it is. Credentials by others are the application's.
    pub schemes: Schemes,
    /// What a 401 offers, unless it is left to who asks.
    pub challenge: Option<Vec<Challenge>>,
    /// What a navigation without a good credential gets.
    pub sign_in: SignIn,
    pub cors: Cors,
    pub paths: Paths,
    pub rate: Rate,
}

/// How often an address may ask for what a route has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// As [`Limits`] say, all such routes together.
    Common,
    Own {
        requests_per_second: u32,
        burst: u32,
    },
    Unlimited,
}

/// Which paths a route takes of those that servers read in several ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    pub form: PathForm,
    pub chosen: Chosen,
    /// A route to the same server with other rules, by its place among the routes.
    pub beside: Option<usize>,
    /// Routes to the same server that refuse whom this one lets through.
    pub stricter: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathForm {
    /// Only those that all servers read alike.
    Strict,
    /// Encoded slashes, empty segments, `;` and escapes of escapes too: what they mean is
    /// the upstream's business.
    Opaque,
}

/// Who has chosen a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// Nobody: it follows from the other routes.
    Auto,
    Written,
}

/// Which hosts a route is for, in normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostMatch {
    Any,
    Name(String),
    /// One label before this name.
    Label(String),
}

impl std::fmt::Display for HostMatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HostMatch::Any => f.write_str("*"),
            HostMatch::Name(name) => f.write_str(name),
            HostMatch::Label(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathMatch {
    /// The path itself alone.
    Exact,
    /// The path and what follows it at a `/`.
    Below,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// No credential is looked at and no identity injected.
    Public,
    Authenticated {
        /// Any one of these, when there are any.
        roles: Vec<String>,
        /// All of these, of callers that come with a key.
        scopes: Vec<String>,
        keys: KeyAccess,
    },
}

/// Which API keys a route takes; people and their tokens it takes all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAccess {
    /// Every key.
    Any,
    /// Keys that are bound to no server: one that is speaks for the server's agents, and
    /// not with all of its owner's power.
    Unbound,
    /// Keys that are bound to a server.
    Servers,
    /// No key.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialForwarding {
    Strip,
    Pass,
}

/// Whether a WebSocket may be opened without a credential, to bring one in its first
/// message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agents {
    /// A key of a server (S0-16).
    Keys,
    /// A key of a server or an access token.
    Any,
    NotAccepted,
}

impl Agents {
    #[must_use]
    pub fn are_accepted(self) -> bool {
        self != Agents::NotAccepted
    }
}

/// A protocol that is carried without being read, once client and upstream have switched
/// to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RawProtocol {
    /// What Docker's clients attach with.
    Tcp,
    /// What Kubernetes' clients run commands with.
    Spdy,
}

impl RawProtocol {
    pub const ALL: [RawProtocol; 2] = [RawProtocol::Tcp, RawProtocol::Spdy];

    /// As `Upgrade` names it; any case is the same.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RawProtocol::Tcp => "tcp",
            RawProtocol::Spdy => "SPDY/3.1",
        }
    }
}

/// Whether a WebSocket upgrade may bring a ticket as `?token=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tickets {
    Accepted,
    NotAccepted,
}
