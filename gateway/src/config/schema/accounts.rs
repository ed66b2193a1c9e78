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
    /// `iss` of the gateway's tokens. Tokens with another `iss` are refused.
    pub issuer: String,
    /// `aud` of the gateway's tokens. Tokens with another `aud` are refused.
    pub audience: String,
    /// `realm` in `WWW-Authenticate`.
    pub realm: String,
    /// Lifetime of refresh tokens.
    pub refresh_ttl: Length,
    /// For this long after a refresh, the same refresh token returns the same pair of tokens again. Using it after
    /// that ends the session with all its tokens.
    pub refresh_grace: Length,
    /// Lifetime of tickets. A ticket is a single-use credential that opens one WebSocket.
    pub ticket_ttl: Length,
    /// `"open"`: anyone can create an account through the contracts `form` and `envelope`. If a registration got 503,
    /// repeating it within a minute, from the same address and with the same password, returns the account if it was
    /// created. Any other repetition gets 409, and one with a different password counts as a failed attempt. With
    /// `--to` only the variable `PORTCULLIS_AUTH__REGISTRATION` opens registration, not the file.
    pub registration: String,
    /// `false`: passwords are not accepted, neither for login nor for Basic.
    pub local_accounts: bool,
    /// bcrypt cost of new hashes. A weaker hash is replaced when its password is next used, by login or Basic. A
    /// failed attempt always costs as much as a new hash, or as the most expensive hash of any account.
    pub bcrypt_cost: u64,
    /// Threads for password hashing.
    #[schemars(extend("x-default" = "half the processors"))]
    pub hash_threads: u64,
    /// Length of the queue of password checks. Known addresses have a second queue of the same length, which is
    /// served first. When a queue is full, the response is 503.
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
            /// Prefix of the contract's paths. Refusals below it have the contract's shape; if `plain` and `form`
            /// share a prefix, that of `plain`. All other refusals have the shape of `status`.
            pub prefix: String,
            /// Lifetime of access tokens, at most `auth.refresh_ttl`.
            pub access_ttl: Length,
            /// New passwords need a character that is neither letter, digit nor space.
            pub require_special: bool,
            /// `"body"`: tokens are in the response body. `"cookie"`: tokens are in `__Host-` cookies, which scripts
            /// cannot read, and not in the body; with cookies, only pages of this origin and of `origins` can make
            /// changes. `"auto"`: cookies for pages of this origin (`Sec-Fetch-Site: same-origin`, or their
            /// `Origin`), the body for every other client. Browsers store the cookies over https, and over http only
            /// from their own machine (`localhost`, `*.localhost`, `127.0.0.0/8`, `[::1]`): a page over http under
            /// another name gets the body.
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
        /// `false`: a refresh keeps the refresh token, which stays valid until `auth.refresh_ttl` has passed.
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
        /// `false`: the contract does not manage API keys.
        keys,
        /// `true`: a failed sign-in says when the user does not exist.
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
    /// Client ID of an OAuth app. With it and a client secret, people can sign in with GitHub. One without the other
    /// is an error.
    #[schemars(extend("examples" = ["Iv1.0123456789abcdef"]))]
    pub client_id: String,
    /// File with the client secret; same as `GITHUB_CLIENT_SECRET_FILE`.
    #[schemars(extend("examples" = ["/run/secrets/github"]))]
    pub client_secret_file: String,
    /// URL of a GitHub Enterprise Server. Requires `api_url`.
    #[schemars(extend("examples" = ["https://ghe.example.com"]))]
    pub base_url: String,
    /// URL of the API of a GitHub Enterprise Server. Requires `base_url`.
    #[schemars(extend("examples" = ["https://ghe.example.com/api/v3"]))]
    pub api_url: String,
    /// PEM file of the certificate authorities that `base_url` and `api_url` are verified against, or of their own
    /// certificates.
    #[schemars(extend("x-default" = "the system's"))]
    pub roots: String,
    /// Only active members of one of these organisations, or of one of `teams`, can sign in; at most 32 of both
    /// together. An organisation that restricts OAuth apps must approve this one.
    #[schemars(extend("examples" = [["acme"]]))]
    pub organizations: Vec<String>,
    /// Only active members of one of these teams (`"organisation/team"`), or of one of `organizations`, can sign in.
    #[schemars(extend("examples" = [["acme/operations"]]))]
    pub teams: Vec<String>,
    /// `https://` and the host under which browsers reach the gateway. Required for sign-ins that start at the
    /// gateway.
    #[schemars(extend("examples" = ["https://gateway.example"]))]
    pub public_url: String,
    /// Timeout of all requests to GitHub for one sign-in together.
    pub timeout: Length,
}

/// Single-use links that set a password or verify an address.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Links {
    /// `https://` and the host under which people reach the gateway. With it, `user invite` and `user reset-link`
    /// create links, and the gateway serves their paths.
    #[schemars(extend("examples" = ["https://gateway.example"]))]
    pub public_url: String,
    /// Prefix of the paths of links.
    pub prefix: String,
    /// Lifetime of a link.
    pub ttl: Length,
}

/// The mail server that sends links.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Mail {
    /// URL of the mail server: `smtps://user@host:465`, or `smtp://user@host:587`, which must offer STARTTLS unless
    /// it is on loopback. Requires `[links]`.
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

/// The pages on which people sign in, manage their sessions, servers and keys, and administer the gateway.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Console {
    /// `false` leaves its paths to the routes; browsers then show their own password dialog.
    pub enabled: bool,
    /// Prefix of its paths.
    pub prefix: String,
    /// A browser's session ends when it has sent no request for this long, or at most one `access_ttl` later.
    pub session_idle: Length,
    /// A browser's session ends after this time, even if it is in use.
    pub session_absolute: Length,
    /// Lifetime of the access tokens in cookies; the gateway renews them while the session lives.
    pub access_ttl: Length,
    /// Who can create servers on its pages: `"admins"`, or `"everybody"`: each signed-in user, who then owns the
    /// server.
    pub server_creation: String,
    /// TOML file with texts that replace those of the console; `portcullis config texts` prints the console's own.
    #[schemars(extend("examples" = ["texts.toml"]))]
    pub texts: String,
    /// Image that replaces the console's logo, SVG or PNG, at most 256 KiB.
    #[schemars(extend("examples" = ["logo.svg"]))]
    pub logo: String,
    /// CSS file that is loaded after the console's own style, at most 256 KiB: `:root { --accent: #06c }`.
    #[schemars(extend("examples" = ["console.css"]))]
    pub style: String,
}

/// The admin API.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, inline)]
pub struct Admin {
    /// `false` leaves its paths to the routes; the commands still work.
    pub enabled: bool,
    /// Prefix of its paths.
    pub prefix: String,
    /// Addresses and networks of the clients that may use it. Others get 403 before any credential is checked.
    #[schemars(extend("x-default" = "every address", "examples" = [["127.0.0.0/8", "::1"]]))]
    pub networks: Vec<String>,
}
