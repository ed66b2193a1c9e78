//! What each reason code means and what to do about it: `portcullis explain`.
//! `tests/architecture.rs` holds this table to the codes that are logged.

/// One code's meaning for an operator.
#[derive(Debug, Clone, Copy)]
pub struct Explanation {
    pub code: &'static str,
    pub cause: &'static str,
    pub remedy: &'static str,
}

/// A code as it is listed. Operators may write it in any case and with `-` for `_`.
#[must_use]
pub fn normalize(code: &str) -> String {
    code.trim().to_ascii_lowercase().replace('-', "_")
}

/// Former codes, which old logs and notes may still contain, and their present names.
pub const RENAMED: &[(&str, &str)] = &[
    ("github_nonsense", "github_invalid_response"),
    ("held_not_stored", "revocation_not_stored"),
    ("not_a_session", "access_token_required"),
    ("too_many", "limit_reached"),
];

/// The present name of a former code; `None` for a code that was never renamed.
#[must_use]
pub fn renamed(code: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(former, _)| *former == code).map(|(_, now)| *now)
}

const fn of(code: &'static str, cause: &'static str, remedy: &'static str) -> Explanation {
    Explanation { code, cause, remedy }
}

const SENDER: &str = "Fix the client, or the proxy between it and the gateway, that sent the \
                      message. No setting allows it: two servers would parse it \
                      differently, and requests could be smuggled between them.";
const SAME_ANSWER: &str =
    "The client gets the same response for every wrong name or password, on purpose.";

/// Every code, in the order of a request's steps.
pub const EXPLANATIONS: &[Explanation] = &[
    of("ok", "Nothing was refused.", "None needed."),
    of(
        "incomplete",
        "The client disconnected, or reset its stream, before it had the whole response.",
        "None needed, unless it is frequent: then look at `duration_ms` and at the clients' own deadlines.",
    ),
    of(
        "client_left",
        "The client disconnected before there was a response, logged with status 499; or an agent disconnected before its first message was checked, logged with 101.",
        "Compare the client's deadline with the route's `timeout` and the upstream's speed.",
    ),
    of(
        "write_stalled",
        "The client read less than 1 KiB of the response (over HTTP/2, of this stream) within `timeouts.write_progress`: the stream was reset, or the connection closed.",
        "None needed for clients that pause on purpose and reconnect (players, downloads); else look for a client that stops reading, or raise the timeout.",
    ),
    of(
        "upstream_broken",
        "The upstream's response ended before it was complete, and so did the response to the client.",
        "Look at the upstream's log at this time: a crash, a timeout, a wrong Content-Length.",
    ),
    of(
        "credential_ended",
        "A stream or WebSocket was closed because the credential that opened it expired or was revoked, or because the account lost the role, the scope or the membership that the route requires.",
        "The client signs in again and reconnects; without the permission it is refused.",
    ),
    // The message itself.
    of(
        "framing_request_line",
        "The first line is not `method SP target SP HTTP-version`, or its target holds a fragment or control bytes. TLS on a listener without TLS, or another protocol, has the same reason.",
        SENDER,
    ),
    of(
        "framing_status_line",
        "Only in `detail` of `upstream_protocol`: the upstream's first line is not a status line.",
        "Fix the upstream, or set `protocol` if it uses HTTP/2.",
    ),
    of(
        "framing_unexpected",
        "Only in `detail` of `upstream_protocol`: the upstream sent bytes that belong to no response, such as a body after a response that has none.",
        "Fix the upstream.",
    ),
    of("framing_version", "The version is neither HTTP/1.0, HTTP/1.1 nor HTTP/2.", SENDER),
    of("framing_line_ending", "A CR or LF stands alone where a line should end with both.", SENDER),
    of(
        "framing_field",
        "A header field has no colon, white space before it, an empty name, a folded line, or control bytes.",
        SENDER,
    ),
    of(
        "framing_field_count",
        "There are more header fields than `limits.header_count`.",
        "Raise the limit (at most 100), or find what adds fields: often a proxy loop.",
    ),
    of(
        "framing_content_length",
        "There are several Content-Length fields, or one that is not plain digits.",
        SENDER,
    ),
    of(
        "framing_transfer_coding",
        "There are several Transfer-Encoding fields, or one in an HTTP/1.0 message.",
        SENDER,
    ),
    of("transfer_coding_unknown", "Transfer-Encoding is not `chunked` (RFC 9112 6.1).", SENDER),
    of(
        "framing_length_and_coding",
        "The message has both Content-Length and Transfer-Encoding.",
        SENDER,
    ),
    of(
        "framing_chunk",
        "A chunk's size, its extensions or its end are malformed, or larger than any body needs.",
        SENDER,
    ),
    of(
        "framing_trailer",
        "The trailer section is malformed, too large, or holds framing fields.",
        SENDER,
    ),
    of(
        "uri_too_long",
        "The request target is longer than `limits.uri_size`.",
        "Raise the limit, or move the data into the body.",
    ),
    of(
        "head_too_large",
        "The header section is larger than `limits.head_size`.",
        "Raise the limit, or find the field that grew: usually cookies.",
    ),
    of(
        "head_timeout",
        "The header section was not complete within `timeouts.request_head`.",
        "None needed for scanners. For slow networks raise the limit.",
    ),
    of(
        "field_name_form",
        "A request field was not forwarded, because some servers map its name to another one: it has a byte outside `A-Za-z0-9-`.",
        "None needed for a field that no application reads. For an upstream that does not map such names to others, set `field_names = \"any\"`, which allows `_` and `.`.",
    ),
    of(
        "field_asserted",
        "A request field was not forwarded, because proxies and identity providers use its name to assert the caller, its address or the requested target.",
        "None needed for a forged field. If the application needs this field from its clients, list it in `identity.allow`.",
    ),
    of(
        "field_holds_own_credential",
        "A request field was not forwarded, because it holds a token or API key of the gateway on a route that does not accept it in this form: the application could use it to act as its owner.",
        "Have the client send it to routes whose `schemes` accept it. If the application needs its callers' credentials, set `forward_credential` on the route.",
    ),
    of(
        "method_malformed",
        "The method is longer than 32 bytes, or has characters other than `A-Z` and `-`.",
        SENDER,
    ),
    of(
        "method_refused",
        "CONNECT and TRACE are never forwarded.",
        "Use another method. The gateway is not a forward proxy.",
    ),
    of(
        "host_missing",
        "There is no Host field, or no `:authority`.",
        "HTTP/1.1 requires one (RFC 9112 3.2).",
    ),
    of(
        "host_malformed",
        "Host is not a name or address with an optional port, or there are several.",
        SENDER,
    ),
    of(
        "host_mismatch",
        "The host in the target and the Host field differ.",
        "Send the same in both, or a target that begins with `/`.",
    ),
    of(
        "misdirected",
        "`tls.sni_must_match_host` is on, and the name in the TLS handshake is not the request's host.",
        "The client has to open a separate connection for each name; browsers do so after this response (421).",
    ),
    of(
        "target_malformed",
        "The target is not a path, e.g. `*`, or has an octet that has to be escaped: in a path `<`, `>` or an octet that is not UTF-8; over HTTP/2 in a query too, and there also `\"`, spaces and control characters. The access log then shows `/` (HTTP/1.1), or `_` for each octet (HTTP/2).",
        "Escape such octets (`%22`, `%3C`, `%3E`), as browsers do.",
    ),
    of(
        "path_ambiguous",
        "Servers parse the path in different ways: encoded slashes or backslashes, `;`, empty or dot segments, double encoding, overlong UTF-8. A route's `paths` can allow some of it, but not if a server could resolve the path to a stricter route or to the gateway's own endpoints.",
        "Send the path in its plain form. `detail` has the exact case. If the application needs such paths: `portcullis check` shows which routes accept them and why others do not; the rules are in gateway/CONFIG.md, Paths.",
    ),
    of(
        "upgrade_malformed",
        "A WebSocket handshake lacks a field that RFC 6455 4.2.1 requires.",
        "Fix the client, or the proxy in front that removes Upgrade, Connection or Sec-WebSocket-*.",
    ),
    of(
        "body_too_large",
        "The body is larger than `limits.body_size`, the route's `body_size`, or 64 KiB at the auth API.",
        "Raise the route's limit if such bodies are intended.",
    ),
    of(
        "body_stalled",
        "Less than 1 KiB of the body came within `timeouts.body_progress`, or `timeouts.body_progress_authenticated` once a credential was proven.",
        "None needed for idle clients. For very slow networks raise the limit.",
    ),
    of(
        "body_broken",
        "The connection ended before the body was complete.",
        "None needed: the client disconnected.",
    ),
    // Limits.
    of(
        "rate_limited",
        "The address used up its token bucket (`limits.requests_per_second`, `limits.burst`, or the route's `rate`), and the request could not wait (`limits.wait`), or waited without getting a token.",
        "If many clients share the address, name the proxy in front in `client.trusted_proxies`, so that each is counted separately. For pages that send more requests at once, set `rate` on their route; else raise the limits.",
    ),
    of(
        "locked_out",
        "The address failed `limits.max_login_attempts` times within `limits.login_window`; it may not try any password, key or ticket until the window ends. Tokens still work. `limits.count` sets what counts.",
        "Wait for the time in Retry-After, or clear the lockout: `portcullis lockout clear ADDRESS`. If many share the address, see `rate_limited`.",
    ),
    of(
        "registrations_over_limit",
        "The address registered, or tried to, or had an account made by signing in with GitHub, `limits.registrations` times within an hour.",
        "Wait for the time in Retry-After. If many share the address, see `rate_limited`, or raise the limit; `portcullis registration close` ends a flood from many addresses.",
    ),
    of(
        "attempts_queued",
        "More than 64 attempts of one address on one user wait, or attempts of one address on more than 64 users.",
        "None needed: this is typical of a guessing attack. A client that signs in so often should reuse its token.",
    ),
    of(
        "user_attempts_queued",
        "Too many attempts on one user waited, or this one waited for too long: two are verified at once, and those from unknown addresses one per `limits.user_pause` once `limits.user_attempts` have failed within `limits.login_window`. Addresses from which the user signed in within 30 days do not wait for these.",
        "None needed: the audit log's `user_slowdown` names the user, who can still sign in from known addresses and use existing tokens. From other addresses, try again. Many clients of one account should reuse a token or use an API key.",
    ),
    of(
        "hasher_busy",
        "The queue of password checks (`auth.hash_queue`) is full: that of unknown addresses, or that of known ones.",
        "If no attack is under way, raise `auth.hash_threads`, or have clients reuse their tokens instead of signing in again.",
    ),
    of(
        "connections_over_address_limit",
        "A client that comes through a trusted proxy has `limits.connections_per_address` requests, WebSockets and streams under way. The proxy's connections are not counted.",
        "Raise the limit if so many people share the address; if it is a proxy's, list it in `client.trusted_proxies`.",
    ),
    of(
        "requests_over_address_limit",
        "`limits.requests_per_address` requests of this address are under way: waiting for an upstream, or with a response that was not read completely.",
        "Raise the limit if so many clients share the address, or list the proxy they share in `client.trusted_proxies`; else look for clients that do not read responses.",
    ),
    of(
        "agents_over_limit",
        "`limits.agents_unauthenticated` agents are connected and have not authenticated.",
        "Raise the limit if so many connect at once, as after a restart; else look at their addresses.",
    ),
    of(
        "agents_over_address_limit",
        "`limits.agents_unauthenticated_per_address` agents of this address are connected and have not authenticated.",
        "Raise the limit if so many share the address and connect at once. An agent behind a proxy is counted separately if `client.trusted_proxies` names the proxy.",
    ),
    of(
        "streams_over_limit",
        "`limits.streams_per_account` WebSockets and event streams of the account are open.",
        "Look for a client that opens new ones without closing the old; if so many are intended, raise the limit. If many share the account, use several accounts with API keys.",
    ),
    of(
        "agents_over_server_limit",
        "`limits.agents_per_server` agents with keys of the same server are connected.",
        "Look for an agent that reconnects in a loop; if a server has so many, raise the limit.",
    ),
    of(
        "agents_over_key_limit",
        "`limits.agents_per_key` agents are connected with the same key, which is bound to no server.",
        "Give each agent a separate key, bound to its server; or raise the limit.",
    ),
    of(
        "agents_over_owner_limit",
        "`limits.agents_per_owner` agents with keys of the same owner are connected.",
        "Spread the keys over several accounts, or raise the limit.",
    ),
    // Credentials.
    of(
        "first_message_late",
        "A WebSocket was opened without a credential, and its first message did not come within `timeouts.agent_message`.",
        "The agent sends it as soon as its WebSocket is open. For slow networks raise the limit.",
    ),
    of(
        "first_message_too_large",
        "The first message of an agent has more than 4 KiB, or more than 64 frames, pings included.",
        "Fix the agent: the message must hold the credential only.",
    ),
    of(
        "first_message_malformed",
        "The first message of an agent is not what was expected; `detail` says how.",
        "It is text: `{\"type\":\"auth\",\"api_key\":\"…\"}` or `{\"type\":\"auth\",\"token\":\"…\"}`, once each.",
    ),
    of(
        "first_message_token",
        "The first message of an agent has a token, and the route accepts keys of servers only (`agents = true`).",
        "Give the agent a key of its server; for people's tokens set `agents = \"any\"`.",
    ),
    of(
        "credential_missing",
        "The route requires a credential, and the request has none that the gateway recognizes.",
        "Send Basic, a bearer token or an API key, or mark the route `public = true`.",
    ),
    of(
        "credentials_conflict",
        "The request has several credentials. The gateway does not choose between them.",
        "Send one: either Authorization or X-API-Key or `?token=`. If one of them is for the application, list only the gateway's in the route's `schemes`.",
    ),
    of(
        "credential_malformed",
        "The credential does not have its scheme's form: broken base64, no colon, no text.",
        "Fix the client; `curl -u` and `curl -H 'Authorization: Bearer …'` show the forms.",
    ),
    of("user_unknown", "There is no user of this name or e-mail address.", SAME_ANSWER),
    of(
        "password_wrong",
        "The password is not the user's, or was changed a moment ago.",
        "Set a new one with `portcullis user passwd NAME` if it is lost.",
    ),
    of(
        "password_former",
        "Basic used the user's previous password, which was changed less than `limits.login_window` ago. It does not count as a failed attempt.",
        "None needed: a browser's open tabs send it until they prompt for the new one. A program that keeps sending it needs the new password.",
    ),
    of(
        "account_disabled",
        "The account is disabled.",
        "`portcullis user enable NAME` enables it again.",
    ),
    of(
        "token_malformed",
        "The token is not one this gateway could have made: its form, its header or its members are different.",
        "Sign in for a token here. Tokens of other issuers are not accepted.",
    ),
    of(
        "token_signature",
        "The token is signed with another key.",
        "After a change of SECRET_KEY keep the old one in SECRET_KEY_PREVIOUS until its tokens have expired. Replicas need the same key.",
    ),
    of("token_expired", "The token has expired.", "The client refreshes it, or signs in again."),
    of(
        "token_not_yet_valid",
        "The token is not valid yet.",
        "Synchronize the clocks of the machines that share the secret key.",
    ),
    of(
        "token_kind",
        "A refresh token came in place of an access token, or the other way round.",
        "Send the access token with requests and the refresh token to the refresh endpoint.",
    ),
    of(
        "token_issuer",
        "The token's `iss` or `aud` is not `auth.issuer` or `auth.audience`.",
        "Use a token of this gateway. After a change of these settings all users have to sign in again.",
    ),
    of("token_revoked", "The token was logged out.", "Sign in again."),
    of(
        "session_ended",
        "The session ended: by a change of password, by an administrator, or by the reuse of a refresh token.",
        "Sign in again.",
    ),
    of(
        "workspace_left",
        "The token is scoped to a workspace that its user is no longer a member of.",
        "Sign in again, or make the user a member: portcullis workspace.",
    ),
    of(
        "access_token_required",
        "The operation needs an access token; a password or a key came instead.",
        "Sign in and send the access token.",
    ),
    of(
        "refresh_reused",
        "A refresh token came again after its successor had been used. It may have been stolen, so the whole session was ended.",
        "Sign in again. If it happens often, look for clients that refresh in parallel or keep old tokens.",
    ),
    of(
        "key_malformed",
        "The text is not an API key: wrong prefix, length or checksum.",
        "Copy the whole key; the checksum detects typing errors.",
    ),
    of(
        "key_unknown",
        "There is no such key, or it was revoked.",
        "`portcullis key list` shows the keys there are; make a new one with `portcullis key create`.",
    ),
    of("key_expired", "The key has expired.", "Make a new one with `portcullis key create`."),
    of(
        "ticket_unknown",
        "The WebSocket ticket was already used, has expired, or was never issued.",
        "Request a new one from `/api/ws-token` just before each connection.",
    ),
    of(
        "not_for_keys",
        "An API key was used for something only a signed-in user may do, or on a route with `keys = \"none\"`.",
        "Sign in and use the access token.",
    ),
    of(
        "key_bound_to_server",
        "The key is bound to a server: it is for the server's agents, and does not have all of its owner's rights.",
        "Use a key without a server; or, if keys of servers are intended here, set `keys = \"any\"` or `\"servers\"` on the route. Routes with `agents = true` accept them; the gateway's own endpoints never do.",
    ),
    of(
        "key_not_bound",
        "The route accepts keys of servers only (`keys = \"servers\"`, and routes with `agents`), and the key is bound to none.",
        "Make one for the server: `portcullis key create --server ID …`.",
    ),
    of(
        "role_missing",
        "The account has none of the route's `roles`.",
        "`portcullis user list` shows roles; the route is named in the log line.",
    ),
    of(
        "admin_network",
        "The request to the admin API came from an address outside `admin.networks`; no credential was checked.",
        "If the log line's `client` is an administrator's, add it to `admin.networks`; if it is a proxy's, list that in `client.trusted_proxies`.",
    ),
    of(
        "scope_missing",
        "The key lacks one of the route's `scopes`.",
        "Make a key that has all of them: `portcullis key create --scope …`.",
    ),
    // The gateway's own endpoints.
    of(
        "method_not_allowed",
        "The path does not support this method; `Allow` lists the supported ones.",
        "Use one of those methods. On a path of a route, add the method to the route's `methods`, or remove `methods`; the methods of the gateway's own paths are fixed.",
    ),
    of(
        "media_type",
        "The body's Content-Type is not one the endpoint reads.",
        "Send what the endpoint's contract names, such as application/json.",
    ),
    of(
        "body_malformed",
        "The endpoint does not accept the body; the response names the error.",
        "Send exactly the documented members.",
    ),
    of(
        "password_too_short",
        "The new password has fewer than 8 characters.",
        "Choose a longer one.",
    ),
    of(
        "password_too_long",
        "The new password has more than 72 bytes, and bcrypt uses no more.",
        "Choose a shorter one; letters beyond ASCII count two bytes or more.",
    ),
    of("password_holds_nul", "The new password holds a NUL character.", "Choose another one."),
    of(
        "password_no_special",
        "The new password has letters, digits and spaces only.",
        "Add another character, or set dialect.<name>.require_special = false.",
    ),
    of(
        "password_foreign_hash",
        "The hash of an imported user is not bcrypt's, or is too expensive.",
        "Import hashes that `htpasswd -B` makes, or add the user with a password.",
    ),
    of("username_unacceptable", "The user name breaks its rule.", "Choose another one."),
    of(
        "email_unacceptable",
        "The text is not an e-mail address.",
        "Send one like name@example.com.",
    ),
    of(
        "name_unacceptable",
        "The name is too long, or has invisible characters: control characters, direction marks, zero-width characters, line separators.",
        "Send another one.",
    ),
    of(
        "role_unacceptable",
        "The text is not a valid role.",
        "Use letters, digits and `-_.:/`, at most 64.",
    ),
    of(
        "scope_unacceptable",
        "The text is not a valid scope.",
        "Use letters, digits and `-_.:/`, at most 64.",
    ),
    of("email_taken", "An account with this e-mail address exists.", "Sign in to it."),
    of("username_taken", "An account with this user name exists.", "Choose another name."),
    of(
        "limit_reached",
        "The account has as many keys as an account may have (`limits.keys_per_account`), and none of them has expired.",
        "Delete unused keys: `last_used` shows them. A rotation without an overlap is always possible.",
    ),
    of("time_passed", "The expiry of a key is in the past.", "Send a time in the future."),
    of(
        "registration_closed",
        "A client tried to register, and registration is closed.",
        "Set auth.registration = \"open\" to allow it, or create the account with portcullis user add.",
    ),
    of(
        "local_accounts_disabled",
        "A client sent a password, and auth.local_accounts is false.",
        "Sign in with GitHub, or allow passwords.",
    ),
    of(
        "last_administrator",
        "The change would remove the last administrator of the gateway.",
        "Make another administrator first, or use portcullis user on the machine itself.",
    ),
    of("user_not_found", "There is no such user.", "List them: portcullis user list."),
    of(
        "key_not_found",
        "There is no such key, or it is another user's.",
        "List them: portcullis key list.",
    ),
    of(
        "server_not_found",
        "There is no such server, or the caller may not bind keys to it.",
        "List them: portcullis server list.",
    ),
    of(
        "session_not_found",
        "There is no such session; it may have ended.",
        "Nothing is left to do.",
    ),
    of(
        "workspace_not_found",
        "There is no such workspace, or the caller is not a member of it; clients get the same response.",
        "List them: portcullis workspace list.",
    ),
    of(
        "member_not_found",
        "The user is not a member of this workspace.",
        "List them: portcullis workspace members.",
    ),
    of(
        "lockout_not_found",
        "There are no failed attempts of this address.",
        "List them: portcullis lockout list.",
    ),
    of(
        "email_not_found",
        "The e-mail address of a user was to be marked as verified, and the user has none.",
        "`portcullis user show` shows the address; add the user again with one.",
    ),
    of(
        "cross_site",
        "A request by a cookie or Basic, or with a password in its body, comes from another site's page; or a sign-in with GitHub did not begin in this browser. Nothing was verified or counted.",
        "If the page is yours, list its origin in `client.origins` or in the route's `origins`, or send a token in Authorization.",
    ),
    of(
        "preflight_refused",
        "A browser sent a preflight request (OPTIONS with Access-Control-Request-Method) for a page of another origin, and the request is not allowed: `detail` names what is not listed. With status 204 the origin is listed, and the method or a field is not.",
        "If the page is yours, list its origin, method or field in the route's `cors`, or for the auth API in `[cors]`. To sign in or to act by cookies and Basic it must be in `origins` too.",
    ),
    // GitHub.
    of(
        "links_disabled",
        "A link was requested, and `links.public_url` is not set.",
        "Set `links.public_url` to the URL by which people reach this gateway.",
    ),
    of(
        "mail_busy",
        "The mail queue is full.",
        "Look at the log's `mail not sent` for the response of the server at `mail.url`.",
    ),
    of(
        "link_malformed",
        "The link was not issued by this gateway, or is incomplete, or its account's address has changed.",
        "Make a new one: `portcullis user reset-link` or `user invite`. Gateways that share a store need the same SECRET_KEY.",
    ),
    of(
        "link_expired",
        "The link has expired.",
        "Make a new one; `links.ttl` is the lifetime of links.",
    ),
    of(
        "link_spent",
        "The link was used before, or its account's password or state has changed since it was made.",
        "Make a new one, if it is still needed.",
    ),
    of(
        "github_disabled",
        "A client tried to sign in with GitHub, and [github] is not configured.",
        "Set github.client_id and GITHUB_CLIENT_SECRET to allow it.",
    ),
    of(
        "github_code_refused",
        "GitHub did not accept the code: used, expired or forged.",
        "Start again; codes are valid for ten minutes.",
    ),
    of(
        "github_not_allowed",
        "The GitHub account is in none of github.organizations and github.teams.",
        "Add it to one, or change the list.",
    ),
    of(
        "github_email_unverified",
        "GitHub has no verified primary e-mail address of this account.",
        "Verify it at GitHub.",
    ),
    of(
        "github_timeout",
        "GitHub took longer than github.timeout.",
        "Try again; look at GitHub's status.",
    ),
    of(
        "github_unavailable",
        "GitHub could not be reached, or returned an error.",
        "See `detail` in the log; look at the network, github.base_url and GitHub's status.",
    ),
    of(
        "github_invalid_response",
        "A response of GitHub does not match its documentation.",
        "See `detail` in the log; check github.base_url and github.api_url.",
    ),
    // Routes and upstreams.
    of(
        "route_unknown",
        "No route has this host and path.",
        "Add a [[route]]; `path = \"/\"` matches all requests that no longer path matches.",
    ),
    of(
        "upstream_connect",
        "The upstream refused the connection or could not be reached; `detail` says why.",
        "Check that it is running, and that `url` is right as seen from this machine.",
    ),
    of(
        "upstream_connect_timeout",
        "The connection to the upstream took longer than `connect_timeout`.",
        "Look at the network and firewalls between, and at the upstream's accept queue.",
    ),
    of(
        "upstream_tls",
        "The upstream's TLS handshake or certificate failed; `detail` says why.",
        "Add its authority's certificate, or its own, to `roots`, and use a host name in `url` that the certificate contains. `portcullis check --connect` tests it.",
    ),
    of(
        "upstream_client_certificate",
        "The upstream requires a client certificate (mutual TLS), and the gateway has none.",
        "Configure the upstream to accept the gateway without one, by its network for example, or put a proxy that has one between the two.",
    ),
    of(
        "upstream_no_http2",
        "`protocol = \"http2\"` is set, and the upstream supports HTTP/1 only: shown by ALPN, or by its response on a connection without TLS.",
        "Remove `protocol`, or enable HTTP/2 at the upstream.",
    ),
    of(
        "upstream_no_upgrade",
        "A WebSocket or another protocol upgrade needs HTTP/1.1, and the upstream is limited to HTTP/2: by `protocol = \"http2\"`, or because it offers nothing else.",
        "Remove `protocol`: over TLS, other requests then use HTTP/2 where the upstream offers it, and WebSockets HTTP/1.1. Without TLS, use a separate route and upstream for WebSockets.",
    ),
    of(
        "upstream_saturated",
        "All `max_connections` to the upstream were in use, and none became free in time.",
        "Raise `max_connections`, or make the upstream faster.",
    ),
    of(
        "upstream_share_taken",
        "The account's own requests, tunnels and streams use all connections that one account may have to the upstream (half of `max_connections`, or `max_connections_per_account`), and none ended in time. On a public route the same holds for an address.",
        "Look in the log for what this account leaves open; raise `max_connections`, or `max_connections_per_account` if one account is to have more than half. If the address is a proxy's, list it in `client.trusted_proxies`.",
    ),
    of(
        "upstream_timeout",
        "The upstream did not send the head of its response within the route's `timeout`.",
        "Raise the route's `timeout` if such response times are expected.",
    ),
    of(
        "upstream_closed",
        "The upstream closed the connection before it sent a response.",
        "Look for crashes, and keep `idle_timeout` below the upstream's own.",
    ),
    of(
        "upstream_protocol",
        "The upstream's response is not unambiguous HTTP; `detail` names the error. Its connection was closed.",
        "Fix the upstream. If it uses another version, set `protocol`.",
    ),
    of(
        "upstream_upgrade",
        "The upstream switched protocols without a request, or its WebSocket handshake is invalid.",
        "Fix the upstream's handshake (RFC 6455 4.2.2).",
    ),
    // The gateway itself.
    of(
        "store_unavailable",
        "The store cannot write: the disk is full, read-only or failing, or a shared store cannot be reached or refuses writes; `detail` says why. Nothing was changed.",
        "Free space or repair the disk, or restore the shared store (`portcullis check --connect` tests it); the gateway recovers without a restart. Tokens and keys work meanwhile.",
    ),
    of(
        "store_busy",
        "The queue of changes to the store is full.",
        "The disk is too slow for the load, or stalls; the client may try again.",
    ),
    of(
        "revocation_not_stored",
        "A logout, the end of a session or the deletion of a key while the store refuses writes. It is in force at this gateway at once, and is stored when the store accepts writes again, if this process still runs; until then it is not acknowledged.",
        "Restore the store (see `store_unavailable`) before the gateway is restarted. `undelivered` in health and `portcullis status` counts pending revocations.",
    ),
    of(
        "stopping",
        "The gateway was stopped before an agent's first message was checked; the WebSocket was closed with 1001.",
        "None needed: agents reconnect.",
    ),
    of(
        "internal",
        "A defect of the gateway; the log line before this one has the details.",
        "Please report it with that line.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_renamed_has_an_explanation_by_its_present_name_alone() {
        let is_known = |code: &str| EXPLANATIONS.iter().any(|known| known.code == code);
        for (former, now) in RENAMED {
            assert!(!is_known(former), "{former} is a code still");
            assert!(is_known(now), "{now} is no code");
            assert_eq!(renamed(former), Some(*now));
        }
        assert_eq!(renamed("internal"), None);
    }
}
