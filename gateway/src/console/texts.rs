//! Every text of the console, in one place. An operator's file puts others in the place of some.

use std::sync::LazyLock;

/// Texts by their keys. `{…}` stands for what is filled in.
macro_rules! texts {
    ($($key:ident: $text:literal,)*) => {
        /// What pages say.
        #[derive(Debug, Clone)]
        pub struct Texts {
            $(pub $key: String,)*
        }

        impl Default for Texts {
            fn default() -> Self {
                Self { $($key: $text.to_owned(),)* }
            }
        }

        impl Texts {
            /// The keys with the console's own texts, in the order of its pages.
            pub const OWN: &[(&str, &str)] = &[$((stringify!($key), $text),)*];

            fn of(&mut self, key: &str) -> Option<&mut String> {
                match key {
                    $(stringify!($key) => Some(&mut self.$key),)*
                    _ => None,
                }
            }
        }
    };
}

texts! {
    language: "en",
    product: "Portcullis",
    skip: "Skip to the content",
    navigation: "Main",
    signed_in_as: "Signed in as",
    sign_out: "Sign out",
    connection_lost: "The connection is lost. This page tries again every few seconds.",
    connection_back: "The connection is back.",
    session_ended: "Your session has ended. Send the form, and you can sign in and go on with it.",
    code: "Code",
    request: "Request",
    status: "Status",
    optional: "(optional)",
    back: "Back",
    cancel: "Cancel",
    save: "Save",
    more: "More",
    none: "none",
    never: "never",
    nobody: "nobody",
    yes: "yes",
    no: "no",
    actions: "Actions",
    created: "Created",
    name: "Name",
    owner: "Owner",
    id: "Id",

    sign_in: "Sign in",
    signed_in: "You are signed in",
    go_on: "Go on",
    no_cookie: "The sign-in was not kept",
    no_cookie_words: "Your browser has not kept the cookie that it was given. Allow cookies for this site, and open it by https.",
    name_or_email: "User name or e-mail address",
    password: "Password",
    sign_in_github: "Sign in with GitHub",
    passwords_off: "Signing in with a password is switched off here.",
    sign_in_insecure: "This page did not come over https, and browsers do not keep a sign-in then. Open it by https.",
    forgotten: "Forgotten your password?",
    link_sent: "If an account has this address, a link to set a new password is on its way to it.",
    send_link: "Send a link",
    register: "Create an account",
    have_account: "I have an account",
    username: "User name",
    email: "E-mail address",
    full_name: "Full name",
    password_rule: "At least 8 characters, and at most 72 bytes.",
    signed_out: "Signed out",
    signed_out_words: "Your session has ended, and this browser has forgotten it.",
    signed_out_basic: "If your browser asked for the password in a dialog of its own, it still sends that password: close all its windows to sign out.",

    link_address: "Confirm your e-mail address",
    link_address_button: "Confirm",
    link_password: "Choose a password",
    link_password_button: "Set password",
    link_for: "This is for the account",
    link_not_yours: "If it is not yours, leave this page.",
    done_link_address: "Your e-mail address is confirmed.",
    done_link_password: "Your password is set. All other sessions have ended.",
    done_link_both: "Your password is set and your e-mail address confirmed.",

    wait_seconds: "Try again in {seconds} seconds.",
    title_400: "This request cannot be read",
    words_400: "The address or the form is not what this page takes.",
    title_401: "You have to sign in",
    words_401: "This page is for people who are signed in.",
    title_403: "You may not see this",
    words_403: "Your account may not use this page.",
    title_404: "There is nothing here",
    words_404: "The address may be mistyped, or what was here is gone.",
    title_405: "This cannot be opened",
    words_405: "The address is for programs that use another method.",
    title_409: "This cannot be done now",
    words_409: "Something that is there already stands in the way.",
    title_421: "This is another site",
    words_421: "Your browser used a connection that was opened for another host. Reload the page.",
    title_422: "This is not accepted",
    words_422: "Something that was filled in breaks a rule.",
    title_429: "Too much at once",
    words_429: "More was asked for from your address than it may ask for at once.",
    title_502: "The service does not answer",
    words_502: "The service behind this address is not there, or answered with something unreadable. Try again; if it lasts, tell whoever runs it.",
    title_503: "Not now",
    words_503: "This cannot be served at the moment. Try again shortly.",
    title_504: "The service took too long",
    words_504: "The service behind this address did not answer in time. Try again; if it lasts, tell whoever runs it.",
    title_other: "This did not work",
    words_other: "The request was refused.",
    other_account: "Sign in as somebody else",

    nav_servers: "Servers",
    nav_keys: "Keys",
    nav_account: "Account",
    nav_users: "Users",
    nav_sessions: "Sessions",
    nav_lockouts: "Lockouts",
    nav_refusals: "Refusals",
    nav_all_servers: "All servers",
    nav_all_keys: "All keys",

    account: "Account",
    profile: "Profile",
    roles: "Roles",
    verified: "verified",
    not_verified: "not verified",
    send_verification: "Send a link to verify it",
    change_password: "Change password",
    change_password_words: "All your other sessions end. Programs that use this password need the new one.",
    current_password: "Current password",
    new_password: "New password",
    sessions: "Sessions",
    sessions_words: "Where you are signed in. A session ends by itself when it is not used.",
    browser: "Browser",
    address: "Address",
    last_used: "Last used",
    expires: "Expires",
    this_session: "this one",
    end_session: "End",
    end_others: "End all others",
    unknown: "unknown",

    servers: "Servers",
    servers_words: "A server is a machine or a service whose agents connect with API keys of their own.",
    servers_empty: "You have no servers. An administrator makes them.",
    servers_empty_own: "There are no servers yet.",
    create_server: "Create server",
    server_name: "Name of the server",
    overview: "Overview",
    api_keys: "API Keys",
    rename: "Rename",
    delete_server: "Delete server",
    delete_server_words: "Its keys stop working at once, and the agents that use them are disconnected. This cannot be undone.",
    agents: "Agents connected now",
    agents_none: "No agent is connected.",
    agents_here: "At this gateway; each replica knows its own.",
    since: "Since",
    last_seen: "Last seen",
    key: "Key",

    keys: "API keys",
    keys_words: "A key lets a program in without a password. Whoever has it can use it.",
    keys_empty: "There are no keys.",
    create_key: "Create API Key",
    key_name: "Name",
    key_prefix: "Begins with",
    scopes: "Scopes",
    scopes_words: "Separated by spaces. A key without scopes is accepted only where none is required.",
    expiry: "Expires",
    expiry_never: "never",
    expiry_30: "in 30 days",
    expiry_90: "in 90 days",
    expiry_365: "in a year",
    server: "Server",
    key_shown: "This is the key",
    key_shown_words: "Copy it now. It is shown this once, and nobody can show it again.",
    copy: "Copy",
    copied: "Copied.",
    key_kept: "I have copied the key",
    rotate: "Rotate",
    rotate_words: "Makes a new key with the same rights. The old one goes on for the time you choose, so that you can put the new one in its place.",
    overlap: "The old key goes on",
    overlap_0: "not at all",
    overlap_hour: "for an hour",
    overlap_day: "for a day",
    overlap_week: "for a week",
    revoke: "Revoke",
    revoke_words: "The key stops working at once, and connections that it opened are closed. This cannot be undone.",

    users: "Users",
    search: "Search by name or address",
    search_button: "Search",
    users_empty: "Nobody is found.",
    state: "State",
    enabled: "enabled",
    disabled: "disabled",
    enable: "Enable",
    disable: "Disable",
    verify: "Vouch for the address",
    unverify: "No longer vouch for the address",
    last_sign_in: "Last sign-in",
    set_roles: "Set roles",
    roles_words: "Separated by spaces. The first is the main one; admin may administer the gateway.",
    reset_link: "Make a reset link",
    reset_link_mail: "Make one and send it by mail",
    by_mail: "Send the link by mail too",
    reset_link_words: "Whoever opens this link can set a new password, once.",
    link_kept: "I have copied the link",
    reset_link_shown: "This is the link",
    link_mailed: "It is on its way by mail too.",
    end_all_sessions: "End all sessions",
    invite: "Invite somebody",
    invite_button: "Invite",
    set_owner: "Set owner",
    owner_words: "A user name or e-mail address; empty for nobody.",

    all_sessions: "Sessions of everybody",
    sessions_empty: "There are no sessions.",
    user: "User",
    lockouts: "Lockouts",
    lockouts_words: "Addresses with failed sign-ins, and until when those that failed too often may not try.",
    lockouts_empty: "No address has failed lately.",
    failures: "Failures",
    locked_until: "Locked until",
    clear: "Clear",
    refusals: "Refusals",
    refusals_words: "The last 200 requests that this gateway refused, the newest first.",
    refusals_empty: "Nothing was refused.",
    reason: "Reason",
    route: "Route",
    when: "When",

    done_password: "The password is changed. Your other sessions have ended.",
    done_verification: "A link is on its way to your address.",
    done_session: "The session has ended.",
    done_others: "Your other sessions have ended.",
    done_server: "The server is made.",
    done_rename: "The server has its new name.",
    done_delete: "The server is gone, and its keys with it.",
    done_owner: "The owner is set.",
    done_revoke: "The key is revoked.",
    done_roles: "The roles are set.",
    done_state: "The state is changed.",
    done_verify: "Whether the address is vouched for is changed.",
    done_sessions: "All sessions of the user have ended.",
    done_lockout: "The address may try again.",
}

/// A key of a file of texts that there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey(pub String);

impl Texts {
    /// The console's own, of which nothing was replaced.
    #[must_use]
    pub fn own() -> &'static Self {
        static OWN: LazyLock<Texts> = LazyLock::new(Texts::default);
        &OWN
    }

    /// Puts a text in the place of the console's own.
    ///
    /// # Errors
    /// When there is no text of this key.
    pub fn set(&mut self, key: &str, text: String) -> Result<(), UnknownKey> {
        let own = self.of(key).ok_or_else(|| UnknownKey(key.to_owned()))?;
        *own = text;
        Ok(())
    }

    #[must_use]
    pub fn wait_seconds(&self, seconds: u64) -> String {
        self.wait_seconds.replace("{seconds}", &seconds.to_string())
    }

    /// Title and words of a refusal.
    #[must_use]
    pub fn of_status(&self, status: u16) -> (&str, &str) {
        match status {
            400 => (&self.title_400, &self.words_400),
            401 => (&self.title_401, &self.words_401),
            403 => (&self.title_403, &self.words_403),
            404 => (&self.title_404, &self.words_404),
            405 => (&self.title_405, &self.words_405),
            409 => (&self.title_409, &self.words_409),
            421 => (&self.title_421, &self.words_421),
            422 => (&self.title_422, &self.words_422),
            429 => (&self.title_429, &self.words_429),
            502 => (&self.title_502, &self.words_502),
            503 => (&self.title_503, &self.words_503),
            504 => (&self.title_504, &self.words_504),
            _ => (&self.title_other, &self.words_other),
        }
    }
}
