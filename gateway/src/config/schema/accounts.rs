//! `[auth]`, `[dialect.*]`, `[openapi]`, `[github]`, `[links]`, `[mail]` and `[admin]`.

use schemars::JsonSchema;

use super::values::Length;

/// Passwords, tokens and registration.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Auth {
    /// File with the secret that signs tokens; same as `SECRET_KEY_FILE`.
    #[schemars(extend("examples" = ["/run/secrets/portcullis"]))]
    pub secret_key_file: String,
    /// File with the secret that was in use before a rotation; same as `SECRET_KEY_PREVIOUS_FILE`.
    pub previous_secret_key_file: String,
    /// `iss` of the gateway's tokens; tokens with another one are refused.
    pub issuer: String,
    /// `aud` of the gateway's tokens; tokens with another one are refused.
    pub audience: String,
    /// `realm` in `WWW-Authenticate`.
    pub realm: String,
    /// Lifetime of refresh tokens.
    pub refresh_ttl: Length,
    /// For this long after a refresh, the same refresh token gets the same pair of tokens again; after that,
    /// using it once more ends the session with all its tokens.
    pub refresh_grace: Length,
    /// Lifetime of tickets. A ticket is a single-use credential that opens one WebSocket.
    pub ticket_ttl: Length,
    /// `"open"`: anybody may make an account through the contracts `form` and `envelope`. If registration answered 503,
    /// repeating it within a minute, from the same address and with the same password, returns the account if it was
    /// made; anything else is 409, and another password counts as a failed attempt. With `--to` only the
    /// variable `PORTCULLIS_AUTH__REGISTRATION` opens it, not the file.
    pub registration: String,
    /// `false`: no password signs in, neither by login nor by Basic.
    pub local_accounts: bool,
    /// bcrypt cost of new hashes. A weaker hash is replaced when its password is next used, by login or Basic. A
    /// failed attempt always costs as much as a new hash, or as the most expensive hash that an account has.
    pub bcrypt_cost: u64,
    /// Threads for password hashing.
    #[schemars(extend("x-default" = "half the processors"))]
    pub hash_threads: u64,
    /// Password checks that may wait, and as many again from known addresses, which are served first; beyond that,
    /// 503.
    pub hash_queue: u64,
}

/// The four contracts (dialects) of the auth API.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Dialects {
    pub form: Form,
    pub status: Status,
    pub envelope: Envelope,
    pub plain: Plain,
}

/// A contract: what all of them have, and keys of its own.
macro_rules! contract {
    ($(#[$of_contract:meta])* $name:ident { $($(#[$of_key:meta])* $key:ident),* }) => {
        $(#[$of_contract])*
        #[derive(JsonSchema)]
        #[schemars(deny_unknown_fields, inline)]
        pub struct $name {
            /// `false` leaves the contract's paths to the routes.
            pub enabled: bool,
            /// What the contract's paths begin with. A refusal below a prefix has the contract's shape; if two share
            /// the prefix, `plain`'s before `form`'s. Everywhere else it has the shape of `status`.
            pub prefix: String,
            /// Lifetime of access tokens, not longer than `auth.refresh_ttl`.
            pub access_ttl: Length,
            /// New passwords need a character that is neither letter, digit nor space.
            pub require_special: bool,
            /// `"body"`: tokens come in the response body. `"cookie"`: tokens come as `__Host-` cookies, which
            /// scripts cannot read, and not in the body; with them only pages of this origin and of `origins` can change
            /// anything. `"auto"`: cookies for pages of this origin (`Sec-Fetch-Site: same-origin`, or their `Origin`),
            /// the body for every other client. Browsers keep the cookies over https, and over http only from their
            /// own machine (`localhost`, `*.localhost`, `127.0.0.0/8`, `[::1]`): a page over http under another
            /// name gets the body.
            pub delivery: String,
            $($(#[$of_key])* pub $key: bool,)*
        }
    };
}

contract!(
    /// Form login and registration.
    Form {}
);
contract!(
    /// Token pairs, WebSocket tickets and change-password, for programs.
    Status {
        /// `false`: a refresh keeps the refresh token, which stays good until `auth.refresh_ttl` has passed.
        rotate_refresh
    }
);
contract!(
    /// Profiles, workspaces and sign-in with GitHub.
    Envelope {}
);
contract!(
    /// Sessions and API keys.
    Plain {
        /// `false`: the contract manages no API keys.
        keys,
        /// `true`: a failed sign-in tells that there is no such user.
        reveal_unknown_user
    }
);

/// The OpenAPI documents of the contracts.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct OpenApi {
    /// Serve the documents without a credential.
    pub public: bool,
}

/// Sign-in with GitHub.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct GitHub {
    /// Client ID of an OAuth app. With it and a secret people can sign in with GitHub; one without the other
    /// is an error.
    #[schemars(extend("examples" = ["Iv1.0123456789abcdef"]))]
    pub client_id: String,
    /// File with the client secret; same as `GITHUB_CLIENT_SECRET_FILE`.
    #[schemars(extend("examples" = ["/run/secrets/github"]))]
    pub client_secret_file: String,
    /// URL of a GitHub Enterprise Server; goes together with `api_url`.
    #[schemars(extend("examples" = ["https://ghe.example.com"]))]
    pub base_url: String,
    /// URL of the API of a GitHub Enterprise Server; goes together with `base_url`.
    #[schemars(extend("examples" = ["https://ghe.example.com/api/v3"]))]
    pub api_url: String,
    /// PEM file of the certificate authorities that `base_url` and `api_url` are verified against, or of their own
    /// certificates.
    #[schemars(extend("x-default" = "the system's"))]
    pub roots: String,
    /// Let in only active members of one of these organisations, or of one of `teams`; at most 32 of both together.
    /// An organisation that restricts OAuth apps must approve this one.
    #[schemars(extend("examples" = [["acme"]]))]
    pub organizations: Vec<String>,
    /// Let in only active members of one of these teams, as `"organisation/team"`, or of one of `organizations`.
    #[schemars(extend("examples" = [["acme/operations"]]))]
    pub teams: Vec<String>,
    /// `https://` and the host under which browsers reach the gateway. Needed if the sign-in begins at the gateway.
    #[schemars(extend("examples" = ["https://gateway.example"]))]
    pub public_url: String,
    /// Timeout for all requests to GitHub of one sign-in together.
    pub timeout: Length,
}

/// Links that are good once, to set a password or to verify an address.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Links {
    /// `https://` and the host under which people reach the gateway. With it, `user invite` and `user reset-link` make
    /// links, and the gateway serves their paths.
    #[schemars(extend("examples" = ["https://gateway.example"]))]
    pub public_url: String,
    /// What the paths of links begin with.
    pub prefix: String,
    /// Lifetime of a link.
    pub ttl: Length,
}

/// The mail server that sends links.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Mail {
    /// URL of the mail server: `smtps://user@host:465`, or `smtp://user@host:587`, which must offer STARTTLS unless it is
    /// on loopback. Needs `[links]`.
    #[schemars(extend("examples" = ["smtps://gate@mail.example:465"]))]
    pub url: String,
    /// The sender's address.
    #[schemars(extend("examples" = ["gateway@example.com"]))]
    pub from: String,
    /// File with the password of the user that `url` names; same as `MAIL_PASSWORD_FILE`.
    pub password_file: String,
    /// PEM file of the certificate authorities that the server is verified against.
    #[schemars(extend("x-default" = "the system's"))]
    pub roots: String,
}

/// The pages by which people sign in, look after their sessions, servers and keys, and administer the gateway.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Console {
    /// `false` leaves its paths to the routes; browsers are asked for a password in their own dialog then.
    pub enabled: bool,
    /// What its paths begin with.
    pub prefix: String,
    /// A browser's session ends when it has made no request for this long, or at most one `access_ttl` later.
    pub session_idle: Length,
    /// A browser's session ends after this time, however it is used.
    pub session_absolute: Length,
    /// Lifetime of the access tokens in cookies; the gateway renews them while the session lives.
    pub access_ttl: Length,
    /// Who makes servers on its pages: `"admins"`, or `"everybody"` who is signed in, as their owner.
    pub server_creation: String,
    /// TOML file with texts in place of the console's own; `portcullis config texts` prints these.
    #[schemars(extend("examples" = ["texts.toml"]))]
    pub texts: String,
    /// Image in place of the console's own, SVG or PNG, at most 256 KiB.
    #[schemars(extend("examples" = ["logo.svg"]))]
    pub logo: String,
    /// CSS file that follows the console's own style, at most 256 KiB: `:root { --accent: #06c }`.
    #[schemars(extend("examples" = ["console.css"]))]
    pub style: String,
}

/// The admin API.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Admin {
    /// `false` leaves its paths to the routes; the commands work all the same.
    pub enabled: bool,
    /// What its paths begin with.
    pub prefix: String,
    /// Addresses and networks of the clients that may use it; others get 403 before a credential is looked at.
    #[schemars(extend("x-default" = "every address", "examples" = [["127.0.0.0/8", "::1"]]))]
    pub networks: Vec<String>,
}
