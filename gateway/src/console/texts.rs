//! Every text of the console, in one place. An operator's file can replace some of them.

use std::sync::LazyLock;

/// Texts by their keys. `{…}` is a placeholder.
macro_rules! texts {
    ($($key:ident: $text:literal,)*) => {
        /// The texts of pages.
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
    skip: "Skip to content",
    navigation: "Main",
    signed_in_as: "Signed in as",
    sign_out: "Sign out",
    connection_lost: "Connection lost. This page tries again every few seconds.",
    connection_back: "Connection restored.",
    session_ended: "Your session has ended. Submit the form to sign in and continue with it.",
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
    nobody: "none",
    yes: "yes",
    no: "no",
    actions: "Actions",
    created: "Created",
    name: "Name",
    owner: "Owner",
    id: "Id",

    sign_in: "Sign in",
    signed_in: "You are signed in",
    go_on: "Continue",
    no_cookie: "Your sign-in was not saved",
    no_cookie_words: "Your browser did not store the sign-in cookie. Allow cookies for this site and open it over https.",
    name_or_email: "User name or e-mail address",
    password: "Password",
    sign_in_github: "Sign in with GitHub",
    passwords_off: "Sign-in with a password is disabled.",
    sign_in_insecure: "This page was not opened over https, so your browser cannot keep you signed in. Open it over https.",
    forgotten: "Forgot your password?",
    link_sent: "If an account has this address, a link to set a new password has been sent to it.",
    send_link: "Send a link",
    register: "Create an account",
    have_account: "I already have an account",
    username: "User name",
    email: "E-mail address",
    full_name: "Full name",
    password_rule: "At least 8 characters, at most 72 bytes.",
    signed_out: "Signed out",
    signed_out_words: "You are signed out in this browser.",
    signed_out_basic: "If your browser asked for your password in its own dialog, it still sends that password. To sign out, close all its windows.",

    link_address: "Confirm your e-mail address",
    link_address_button: "Confirm",
    link_password: "Choose a password",
    link_password_button: "Set password",
    link_for: "Account:",
    link_not_yours: "If this is not your account, close this page.",
    done_link_address: "Your e-mail address is confirmed.",
    done_link_password: "Your password is set. All other sessions have ended.",
    done_link_both: "Your password is set and your e-mail address is confirmed.",

    wait_seconds: "Try again in {seconds} seconds.",
    title_400: "Invalid request",
    words_400: "The address or the form is not valid for this page.",
    title_401: "Please sign in",
    words_401: "You have to sign in to open this page.",
    title_403: "No access",
    words_403: "Your account does not have permission for this page.",
    title_404: "Page not found",
    words_404: "The address may be wrong, or the page no longer exists.",
    title_405: "This page cannot be opened",
    words_405: "This address is for programs that use another method.",
    title_409: "This cannot be done now",
    words_409: "It conflicts with something that already exists.",
    title_421: "Wrong connection",
    words_421: "Your browser used a connection that belongs to another site. Reload the page.",
    title_422: "Invalid input",
    words_422: "One of the values is not allowed.",
    title_429: "Too many requests",
    words_429: "There were too many requests or attempts from your address.",
    title_502: "Service not available",
    words_502: "The service at this address cannot be reached, or did not respond correctly. Try again. If the problem persists, contact the administrator.",
    title_503: "Temporarily unavailable",
    words_503: "The request cannot be processed now. Try again shortly.",
    title_504: "The service took too long",
    words_504: "The service at this address did not respond in time. Try again. If the problem persists, contact the administrator.",
    title_other: "The request failed",
    words_other: "The request was refused.",
    other_account: "Sign in with another account",

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
    send_verification: "Send a verification link",
    change_password: "Change password",
    change_password_words: "All your other sessions will end. Programs that use this password need the new one.",
    current_password: "Current password",
    new_password: "New password",
    sessions: "Sessions",
    sessions_words: "The browsers and programs in which you are signed in. A session that is not used ends automatically.",
    browser: "Browser",
    address: "Address",
    last_used: "Last used",
    expires: "Expires",
    this_session: "current",
    end_session: "End",
    end_others: "End all other sessions",
    unknown: "unknown",

    servers: "Servers",
    servers_words: "A server is a machine or service whose agents connect with its API keys.",
    servers_empty: "You have no servers. Administrators create them.",
    servers_empty_own: "There are no servers yet.",
    create_server: "Create server",
    server_name: "Server name",
    overview: "Overview",
    api_keys: "API Keys",
    rename: "Rename",
    delete_server: "Delete server",
    delete_server_words: "Its keys stop working at once, and agents that use them are disconnected. This cannot be undone.",
    agents: "Connected agents",
    agents_none: "No agents are connected.",
    agents_here: "Only the agents of this gateway; other replicas have their own lists.",
    since: "Since",
    last_seen: "Last seen",
    key: "Key",

    keys: "API keys",
    keys_words: "A key gives a program access without a password. Anyone who has the key can use it.",
    keys_empty: "There are no API keys.",
    create_key: "Create API Key",
    key_name: "Name",
    key_prefix: "Starts with",
    scopes: "Scopes",
    scopes_words: "Separate scopes with spaces. A key without scopes is accepted only where no scope is required.",
    expiry: "Expires",
    expiry_never: "never",
    expiry_30: "in 30 days",
    expiry_90: "in 90 days",
    expiry_365: "in a year",
    server: "Server",
    key_shown: "Your new API key",
    key_shown_words: "Copy it now. It is shown only once and cannot be shown again.",
    copy: "Copy",
    copied: "Copied.",
    key_kept: "I have copied the key",
    rotate: "Rotate",
    rotate_words: "Creates a new key with the same rights. The old key stays valid for the time you choose, so that you can replace it.",
    overlap: "The old key stays valid",
    overlap_0: "not at all",
    overlap_hour: "for an hour",
    overlap_day: "for a day",
    overlap_week: "for a week",
    revoke: "Revoke",
    revoke_words: "The key stops working at once, and connections that use it are closed. This cannot be undone.",

    users: "Users",
    search: "Search by name or address",
    search_button: "Search",
    users_empty: "No users found.",
    state: "State",
    enabled: "enabled",
    disabled: "disabled",
    enable: "Enable",
    disable: "Disable",
    verify: "Mark address as verified",
    unverify: "Mark address as not verified",
    last_sign_in: "Last sign-in",
    set_roles: "Set roles",
    roles_words: "Separate roles with spaces. The first one is the main role. Users with the role admin administer the gateway.",
    reset_link: "Create a reset link",
    reset_link_mail: "Create a reset link and send it by mail",
    by_mail: "Also send the link by mail",
    reset_link_words: "Anyone who opens this link can set a new password, once.",
    link_kept: "I have copied the link",
    reset_link_shown: "Your new link",
    link_mailed: "It has also been sent by mail.",
    end_all_sessions: "End all sessions",
    invite: "Invite a user",
    invite_button: "Invite",
    set_owner: "Set owner",
    owner_words: "User name or e-mail address; empty for no owner.",

    all_sessions: "All sessions",
    sessions_empty: "There are no sessions.",
    user: "User",
    lockouts: "Lockouts",
    lockouts_words: "Addresses with failed sign-ins. After too many failures, an address cannot try again until the time shown.",
    lockouts_empty: "No recent failed sign-ins.",
    failures: "Failures",
    locked_until: "Locked until",
    clear: "Clear",
    refusals: "Refusals",
    refusals_words: "The last 200 requests that this gateway refused, newest first.",
    refusals_empty: "No requests were refused.",
    reason: "Reason",
    route: "Route",
    when: "When",

    done_password: "Your password has been changed. Your other sessions have ended.",
    done_verification: "A link has been sent to your address.",
    done_session: "The session has ended.",
    done_others: "Your other sessions have ended.",
    done_server: "The server has been created.",
    done_rename: "The server has been renamed.",
    done_delete: "The server and its keys have been deleted.",
    done_owner: "The owner has been changed.",
    done_revoke: "The key has been revoked.",
    done_roles: "The roles have been changed.",
    done_state: "The state has been changed.",
    done_verify: "The verification of the address has been changed.",
    done_sessions: "All sessions of the user have ended.",
    done_lockout: "The address can try again.",
}

/// A key of a file of texts that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey(pub String);

impl Texts {
    /// The console's own texts, none of them replaced.
    #[must_use]
    pub fn own() -> &'static Self {
        static OWN: LazyLock<Texts> = LazyLock::new(Texts::default);
        &OWN
    }

    /// Replaces a text of the console.
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
