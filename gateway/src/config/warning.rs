//! Settings that are allowed and seldom meant. `check` prints them, a start logs them,
//! `explain` knows their codes.

use super::problem::{Origin, Problem, place_of, render_one};

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
    "`auth.bcrypt_cost` is under 10: whoever gets hold of the hashes can try thousands of passwords a second.",
    "Leave `auth.bcrypt_cost` out (12), or set at least 10; hashes are upgraded as users sign in.",
);

pub const LISTENER_CLEAR: Kind = kind(
    "listener_clear",
    "A listener without TLS is on an address that strangers can reach: neither loopback nor private, or every address of the machine. Passwords and tokens can be read on their way.",
    "Leave out `tls = false`; or name the private address at which the balancer that ends TLS reaches it; or set `proxy_protocol = true`, which lets `client.trusted_proxies` in alone.",
);
pub const REGISTRATION_OPEN: Kind = kind(
    "registration_open",
    "Anybody may make an account, and a route to a real upstream asks for no more than one: whoever wants to gets in.",
    "Set `auth.registration = \"closed\"`, or give the route `roles` that an administrator gives (not `user`, which every new account has).",
);
pub const REGISTRATION_CLOSED_BY_TO: Kind = kind(
    "registration_closed_by_to",
    "The file opens registration for its own routes; with `--to` everything goes elsewhere, so it is closed.",
    "None needed. To open it all the same, set PORTCULLIS_AUTH__REGISTRATION=open.",
);
pub const TRUSTED_PROXIES_WIDE: Kind = kind(
    "trusted_proxies_wide",
    "`client.trusted_proxies` holds the internet or a large part of it: anybody chooses the address under which limits count him, and by which the admin API lets him in.",
    "List the addresses of the proxies in front, such as [\"10.0.0.7\"].",
);
pub const STORE_CLEAR: Kind = kind(
    "store_clear",
    "The shared store is on another host and reached without TLS: password hashes, and whatever decides about requests, can be read and changed on their way.",
    "Let the server speak TLS and write `rediss` in `store.url`.",
);
pub const STORE_WITHOUT_PASSWORD: Kind = kind(
    "store_without_password",
    "The shared store is on another host and used without a password: whoever reaches it can make himself an administrator.",
    "Give the server's user a password, in STORE_PASSWORD or `store.password_file`.",
);
pub const ADMIN_PUBLIC: Kind = kind(
    "admin_public",
    "The admin API answers on an address that strangers can reach, from wherever they are.",
    "Set `admin.networks` to where administrators come from, such as [\"127.0.0.0/8\", \"::1\"], or `admin.enabled = false`; commands on the machine need neither.",
);

pub const SECRET_READABLE: Kind = kind(
    "secret_readable",
    "A file or directory with keys, passwords or the store is open to other users of the machine: no directory on the way to it keeps them out.",
    "chmod 600 the file, or put it into a directory of mode 700. What the gateway has made and owns it closes at its next start.",
);

pub const UNVERIFIED_EMAIL_INJECTED: Kind = kind(
    "unverified_email_injected",
    "`identity.unverified_email` is true: whoever registers as ceo@corp.example is that to upstreams.",
    "Vouch for the addresses that are right (`portcullis user verify NAME`, or `--all`) and leave the key out.",
);

pub const SERVER_KEYS_REFUSED: Kind = kind(
    "server_keys_refused",
    "A route with `scopes`, beside routes for agents, refuses keys that are bound to a server: those are good on `agents` routes and where `keys` says so.",
    "If servers' keys come here, set `keys = \"any\"` or `keys = \"servers\"`; if not, nothing is left to do, or `keys = \"none\"`.",
);

pub const AGENTS_OVER_SHARE: Kind = kind(
    "agents_over_share",
    "`limits.agents_per_owner` lets an owner have more agents than connections of their upstream: those beyond its share wait, and are told that the upstream is saturated.",
    "Set the upstream's `max_connections_per_account` to as many, or `max_connections` to twice as many.",
);

pub const OPAQUE_BESIDE_STRICTER: Kind = kind(
    "opaque_beside_stricter",
    "A route with `paths = \"opaque\"` shares its upstream with one that asks for more. Paths by which known servers would come to the other one are refused; a server that reads paths in a way of its own may still find one.",
    "Leave `paths` out, or give what the other route protects an upstream of its own.",
);

pub const CORS_WILDCARD_WIDE: Kind = kind(
    "cors_wildcard_wide",
    "A wildcard in `cors.origins` stands before a single label: every site of a whole top-level domain may read what is answered.",
    "Name the domain that is yours (\"https://*.example.org\"), or list each origin by itself.",
);

pub const CORS_ORIGIN_CANNOT_ACT: Kind = kind(
    "cors_origin_cannot_act",
    "`cors` lets pages of an origin read responses that `origins` does not let act: their sign-ins, registrations and refreshes, and what they change by cookies and Basic, are refused (`cross_site`).",
    "If the page is yours, list its origin in `client.origins`, or for one route in its `origins`; if it is only to read, set `methods = [\"GET\"]` beside `cors`' origins.",
);

pub const UPGRADE_OVER_HTTP2: Kind = kind(
    "upgrade_over_http2",
    "A route with `agents`, `ws_token` or `upgrades` goes to an upstream with `protocol = \"http2\"`: what it is for needs HTTP/1.1, and is answered 502 (`upstream_no_upgrade`).",
    "Leave the upstream's `protocol` out, or give the route an upstream that speaks HTTP/1.1.",
);

pub const COOKIES_NOT_GIVEN: Kind = kind(
    "cookies_not_given",
    "The `schemes` of a route name our cookies alone, and every contract gives its tokens in the body: no request passes the route.",
    "Set `delivery = \"cookie\"` on the contract that browsers sign in by, such as [dialect.status], or name more `schemes`.",
);

pub const STATE_LEFT_BEHIND: Kind = kind(
    "state_left_behind",
    "State lies both where it belongs now and where version 0.1 kept it: the former is not used. Until this version state lay in the directory in which the gateway was started, and relative paths of the configuration file began there.",
    "Look which of both is meant. Remove the former, which holds keys and password hashes, or move it away; or name it in `store.path` if it is the right one.",
);

pub const STORE_MISSING: Kind = kind(
    "store_missing",
    "The secret key that the gateway has made lies where it keeps its state, and the store does not: it was removed, restored in part, or lies in another directory. A start begins an empty one, with a new account `admin`.",
    "If accounts are missed, stop the gateway and put the store back: from a backup (`portcullis store import`), or by naming its directory in `store.path`. If not, nothing is left to do: the next start makes one.",
);

pub const STATE_UNWRITABLE: Kind = kind(
    "state_unwritable",
    "Whoever asked may not write where the gateway keeps its store, its secret key or its certificate, nor make the directory. A start by the same user fails.",
    "Ask as the user who starts the gateway (`sudo -u portcullis portcullis check`), or name a directory in which that user may write, in `store.path` or STATE_DIRECTORY, and in `tls.certificate` and `tls.key`.",
);

pub const SECRET_KEY_LINE_END: Kind = kind(
    "secret_key_line_end",
    "SECRET_KEY ends in a line end or begins with a byte-order mark. Up to version 0.1 that was a part of the secret, and now it is none: tokens that were signed with it are refused, and everybody signs in anew.",
    "Set SECRET_KEY without it. To accept the tokens from before until they expire, set SECRET_KEY_PREVIOUS to the former value and one more line end.",
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
