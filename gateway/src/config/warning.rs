//! Settings that are allowed and seldom meant. `check` prints them, a start logs them,
//! `explain` knows their codes.

use super::place::place_of;
use super::problem::{Origin, Problem};
use super::report::render_one;

/// What is warned of: a stable code, why it matters, what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub code: &'static str,
    pub cause: &'static str,
    pub remedy: &'static str,
}

const fn kind(code: &'static str, cause: &'static str, remedy: &'static str) -> Kind {
    Kind { code, cause, remedy }
}

pub const BCRYPT_COST_LOW: Kind = kind(
    "bcrypt_cost_low",
    "`auth.bcrypt_cost` is under 10: an attacker who has the hashes can try thousands of passwords a second.",
    "Leave `auth.bcrypt_cost` out (12), or set at least 10; hashes are upgraded as users sign in.",
);

pub const LISTENER_CLEAR: Kind = kind(
    "listener_clear",
    "A listener without TLS is on a public address (neither loopback nor private) or on every address of the machine. Passwords and tokens can be read in transit.",
    "Remove `tls = false`; or listen on the private address at which the load balancer that terminates TLS reaches it; or set `proxy_protocol = true`, which accepts connections from `client.trusted_proxies` only.",
);
pub const REGISTRATION_OPEN: Kind = kind(
    "registration_open",
    "Registration is open to everyone, and a route to a real upstream requires no more than an account: every client can get access.",
    "Set `auth.registration = \"closed\"`, or set `roles` on the route that only an administrator grants (not `user`, which every new account has).",
);
pub const REGISTRATION_CLOSED_BY_TO: Kind = kind(
    "registration_closed_by_to",
    "The file opens registration for its own routes; `--to` replaces these routes, so registration is closed.",
    "None needed. To open it all the same, set PORTCULLIS_AUTH__REGISTRATION=open.",
);
pub const TRUSTED_PROXIES_WIDE: Kind = kind(
    "trusted_proxies_wide",
    "`client.trusted_proxies` covers the internet or a large part of it: a client can choose the address that limits and `admin.networks` are applied to.",
    "List the addresses of the proxies in front, such as [\"10.0.0.7\"].",
);
pub const STORE_CLEAR: Kind = kind(
    "store_clear",
    "The shared store is on another host and reached without TLS: password hashes and all access control data can be read and changed in transit.",
    "Enable TLS on the server and write `rediss` in `store.url`.",
);
pub const STORE_WITHOUT_PASSWORD: Kind = kind(
    "store_without_password",
    "The shared store is on another host and used without a password: every client that reaches it can create an administrator.",
    "Give the server's user a password, in STORE_PASSWORD or `store.password_file`.",
);
pub const ADMIN_PUBLIC: Kind = kind(
    "admin_public",
    "The admin API is served on a public address and accepts clients from every network.",
    "Set `admin.networks` to the networks of administrators, such as [\"127.0.0.0/8\", \"::1\"], or `admin.enabled = false`; commands on the machine work in either case.",
);

pub const SECRET_READABLE: Kind = kind(
    "secret_readable",
    "Other users of the machine can read a file or directory with keys, passwords or the store; no parent directory prevents it.",
    "chmod 600 the file, or put it into a directory of mode 700. The gateway repairs the mode of files that it created and owns at its next start.",
);

pub const UNVERIFIED_EMAIL_INJECTED: Kind = kind(
    "unverified_email_injected",
    "`identity.unverified_email` is true: a user who registers as ceo@corp.example has that address for upstreams, without verification.",
    "Mark correct addresses as verified (`portcullis user verify NAME`, or `--all`) and remove the key.",
);

pub const SERVER_KEYS_REFUSED: Kind = kind(
    "server_keys_refused",
    "A route with `scopes`, beside routes for agents, refuses keys that are bound to a server: these are accepted on `agents` routes and where `keys` allows them.",
    "If keys of servers are used on this route, set `keys = \"any\"` or `keys = \"servers\"`; if not, no change is needed (`keys = \"none\"` refuses every key).",
);

pub const AGENTS_OVER_SHARE: Kind = kind(
    "agents_over_share",
    "`limits.agents_per_owner` lets an owner have more agents than connections of their upstream: agents beyond that share wait, and are refused in the end.",
    "Set the upstream's `max_connections_per_account` to as many, or `max_connections` to twice as many.",
);

pub const OPAQUE_BESIDE_STRICTER: Kind = kind(
    "opaque_beside_stricter",
    "A route with `paths = \"opaque\"` shares its upstream with a route that requires more. Paths that known servers would resolve to the other route are refused; a server with unusual path handling may still accept others.",
    "Remove `paths`, or use a separate upstream for what the other route protects.",
);

pub const CORS_WILDCARD_WIDE: Kind = kind(
    "cors_wildcard_wide",
    "A wildcard in `cors.origins` is followed by a single label: every site of a top-level domain may read responses.",
    "Name the domain that is yours (\"https://*.example.org\"), or list each origin by itself.",
);

pub const CORS_ORIGIN_CANNOT_ACT: Kind = kind(
    "cors_origin_cannot_act",
    "`cors` allows an origin to read responses, and `origins` does not list it: its sign-ins, registrations and refreshes, and its changes with cookies or Basic, are refused (`cross_site`).",
    "If the page is yours, list its origin in `client.origins`, or for one route in its `origins`; if it is only to read, set `methods = [\"GET\"]` beside `cors`' origins.",
);

pub const UPGRADE_OVER_HTTP2: Kind = kind(
    "upgrade_over_http2",
    "A route with `agents`, `ws_token` or `upgrades` goes to an upstream with `protocol = \"http2\"`: upgrades need HTTP/1.1, and get 502 (`upstream_no_upgrade`).",
    "Remove the upstream's `protocol`, or use an upstream that supports HTTP/1.1.",
);

pub const COOKIES_NOT_GIVEN: Kind = kind(
    "cookies_not_given",
    "A route accepts the gateway's cookies only, and every contract returns tokens in the body: no request can pass the route.",
    "Set `delivery = \"cookie\"` on the contract that browsers sign in by, such as [dialect.status], or name more `schemes`.",
);

pub const STATE_LEFT_BEHIND: Kind = kind(
    "state_left_behind",
    "State exists both at the present location and at that of version 0.1; the latter is not used. Version 0.1 kept state in the directory in which the gateway was started, and resolved relative paths of the configuration file there.",
    "Check which of the two is right. Remove the old one, which holds keys and password hashes, or move it away; or set `store.path` to it if it is the right one.",
);

pub const STORE_MISSING: Kind = kind(
    "store_missing",
    "The state directory has a generated secret key and no store: the store was removed, restored in part, or is in another directory. A start creates an empty one, with a new account `admin`.",
    "If accounts are missing, stop the gateway and restore the store: from a backup (`portcullis store import`), or by setting `store.path` to its directory. If not, no change is needed: the next start creates one.",
);

pub const STATE_UNWRITABLE: Kind = kind(
    "state_unwritable",
    "The present user cannot write to the directory of the store, the secret key or the certificate, nor create it. A start by the same user fails.",
    "Run the check as the user who starts the gateway (`sudo -u portcullis portcullis check`), or set `store.path` or STATE_DIRECTORY, and `tls.certificate` and `tls.key`, to a directory that this user can write.",
);

pub const SECRET_KEY_LINE_END: Kind = kind(
    "secret_key_line_end",
    "SECRET_KEY ends in a line end or begins with a byte-order mark. Version 0.1 used it as part of the secret; it is ignored now: tokens signed with it are refused, and all users have to sign in again.",
    "Set SECRET_KEY without it. To accept the tokens from before until they expire, set SECRET_KEY_PREVIOUS to the old value followed by one more line end.",
);

/// All of them; `tests/architecture.rs` keeps the list whole.
pub const KINDS: &[Kind] = &[
    SECRET_KEY_LINE_END,
    BCRYPT_COST_LOW,
    LISTENER_CLEAR,
    REGISTRATION_OPEN,
    REGISTRATION_CLOSED_BY_TO,
    TRUSTED_PROXIES_WIDE,
    STORE_CLEAR,
    STORE_WITHOUT_PASSWORD,
    ADMIN_PUBLIC,
    SECRET_READABLE,
    UNVERIFIED_EMAIL_INJECTED,
    SERVER_KEYS_REFUSED,
    AGENTS_OVER_SHARE,
    OPAQUE_BESIDE_STRICTER,
    CORS_WILDCARD_WIDE,
    CORS_ORIGIN_CANNOT_ACT,
    UPGRADE_OVER_HTTP2,
    COOKIES_NOT_GIVEN,
    STATE_LEFT_BEHIND,
    STORE_MISSING,
    STATE_UNWRITABLE,
];

/// One occurrence.
#[derive(Debug, Clone)]
pub struct Warning {
    pub kind: Kind,
    /// `config.toml:3:1`, a variable, an option, or a path of this machine.
    pub place: String,
    /// The key it is about, with its tables.
    pub key: String,
    pub message: String,
    /// For people, with the line of the file.
    rendered: String,
}

impl Warning {
    /// A warning that needs a look at the machine; `place` says where it was found.
    #[must_use]
    pub fn of_machine(kind: Kind, place: &str, key: &str, message: &str) -> Self {
        let noted = Noted {
            kind,
            origin: Origin::Absent,
            key: key.to_owned(),
            message: message.to_owned(),
        };
        noted.locate(place, "")
    }

    #[must_use]
    pub fn rendered(&self) -> &str {
        &self.rendered
    }
}

/// One that was noted while the configuration was read.
#[derive(Debug, Clone)]
pub(super) struct Noted {
    pub(super) kind: Kind,
    pub(super) origin: Origin,
    pub(super) key: String,
    pub(super) message: String,
}

impl Noted {
    pub(super) fn locate(self, file: &str, text: &str) -> Warning {
        let Self { kind, origin, key, message } = self;
        let place = place_of(file, text, &origin);
        let problem = Problem {
            origin,
            key: key.clone(),
            message: format!("{message} [{}]", kind.code),
            help: Some(kind.remedy.to_owned()),
        };
        let mut rendered = "warning: ".to_owned();
        render_one(&mut rendered, file, text, &problem);
        Warning { kind, place, key, message, rendered }
    }
}
