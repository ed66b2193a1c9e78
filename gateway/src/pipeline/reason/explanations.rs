//! What each reason code means and what to do about it: `portcullis explain`.
//! `tests/architecture.rs` holds this table to the codes that are logged.

/// One code's meaning for an operator.
#[derive(Debug, Clone, Copy)]
pub struct Explanation {
    pub code: &'static str,
    pub cause: &'static str,
    pub remedy: &'static str,
}

/// A code as it is listed; people write it in any case and with `-` for `_`.
#[must_use]
pub fn normalize(code: &str) -> String {
    code.trim().to_ascii_lowercase().replace('-', "_")
}

/// Codes of earlier versions, which logs and notes may have still, and what they are called
/// now.
pub const RENAMED: &[(&str, &str)] = &[
    ("github_nonsense", "github_invalid_response"),
    ("held_not_stored", "revocation_not_stored"),
    ("not_a_session", "access_token_required"),
    ("too_many", "limit_reached"),
];

/// What a code of an earlier version is called now; `None` of one that was never renamed.
#[must_use]
pub fn renamed(code: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(former, _)| *former == code).map(|(_, now)| *now)
}

const fn of(code: &'static str, cause: &'static str, remedy: &'static str) -> Explanation {
    Explanation { code, cause, remedy }
}

const SENDER: &str = "Mend the client, or the proxy between it and the gateway, that wrote the \
                      message. There is no setting to let it pass: two servers would read it \
                      differently, and requests could be smuggled between them.";
const SAME_ANSWER: &str =
    "The client is told the same for every wrong name or password, on purpose.";

/// Every code, in the order of a request's way.
pub const EXPLANATIONS: &[Explanation] = &[
    of("ok", "Nothing was refused.", "None needed."),
    of(
        "incomplete",
        "The client left, or reset its stream, before it had the whole answer.",
        "None needed, unless many do: then look at `duration_ms` and at the clients' own deadlines.",
    ),
    of(
        "client_left",
        "The client left before there was an answer, logged with status 499; or an agent before its first message was judged, with 101.",
        "Compare the client's deadline with the route's `timeout` and the upstream's speed.",
    ),
    of(
        "write_stalled",
        "The client took less than 1 KiB of the answer in `timeouts.write_progress`, over HTTP/2 of this stream: it was reset, or its connection closed.",
        "None needed for clients that pause on purpose and ask again (players, downloads); else look for a client that forgets to read, or give it more time.",
    ),
    of(
        "upstream_broken",
        "The upstream's answer broke off in the middle, and the client's with it.",
        "Look into the upstream's log at this time: a crash, a deadline of its own, a wrong Content-Length.",
    ),
    of(
        "credential_ended",
        "A stream or WebSocket was closed because the credential that opened it expired or was revoked, or because the role, the scope or the membership that the route demands is gone.",
        "The client signs in again and reconnects; without the permission it is refused then.",
    ),
    // The message itself.
    of(
        "framing_request_line",
        "The first line is not `method SP target SP HTTP-version`, or its target holds a fragment or control bytes. TLS sent to a plain listener, or no HTTP at all, looks like this too.",
        SENDER,
    ),
    of(
        "framing_status_line",
        "Only in `detail` of `upstream_protocol`: the upstream's first line is no status line.",
        "Mend the upstream, or set `protocol` if it speaks HTTP/2.",
    ),
    of(
        "framing_unexpected",
        "Only in `detail` of `upstream_protocol`: bytes came from the upstream that answer no request, such as a body behind an answer that has none.",
        "Mend the upstream.",
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
        "Raise the limit (at most 100), or find out what adds fields: often a loop of proxies.",
    ),
    of(
        "framing_content_length",
        "There are several Content-Length fields, or one that is not plain digits.",
        SENDER,
    ),
    of(
        "framing_transfer_coding",
        "Transfer-Encoding stands there twice, or in an HTTP/1.0 message.",
        SENDER,
    ),
    of(
        "transfer_coding_unknown",
        "Transfer-Encoding is something else than `chunked` (RFC 9112 6.1).",
        SENDER,
    ),
    of(
        "framing_length_and_coding",
        "Content-Length and Transfer-Encoding stand there both.",
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
        "A request field did not go upstream, because some servers read its name as another one: it holds a byte outside `A-Za-z0-9-`.",
        "None needed for a name that nobody reads. For an upstream that tells such names apart, and maps none of them to another, set `field_names = \"any\"`: `_` and `.` pass then.",
    ),
    of(
        "field_asserted",
        "A request field did not go upstream, because proxies and identity providers assert by its name who is calling, from where, or what was asked for.",
        "None needed for a client's own claim. If the application wants what its clients say under this name, list it in `identity.allow`.",
    ),
    of(
        "field_holds_own_credential",
        "A request field did not go upstream, because it holds a token or API key of the gateway's on a route that does not take it so: the application could use it in its owner's name.",
        "Let the client send it to routes whose `schemes` take it. If the application is to see its callers' credentials, set `forward_credential` on the route.",
    ),
    of(
        "method_malformed",
        "The method is longer than 32 bytes, or holds something beside `A-Z` and `-`.",
        SENDER,
    ),
    of(
        "method_refused",
        "CONNECT and TRACE are never forwarded.",
        "Use another method. The gateway is no forward proxy.",
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
        "The target's own host and the Host field differ.",
        "Send the same in both, or a target that begins with `/`.",
    ),
    of(
        "misdirected",
        "`tls.sni_must_match_host` is on, and the name in the TLS handshake is not the request's host.",
        "The client opens a connection of its own for each name; browsers do so after this answer (421).",
    ),
    of(
        "target_malformed",
        "The target is no path, e.g. `*`, or holds an octet that has to be escaped: `<`, `>` or one that is no UTF-8 in a path; over HTTP/2 in a query too, where `\"` is another, and blanks and controls. The access log then shows `/` (HTTP/1.1), or `_` for each octet (HTTP/2).",
        "Escape such octets (`%22`, `%3C`, `%3E`), as browsers do.",
    ),
    of(
        "path_ambiguous",
        "Servers read the path in several ways: encoded slashes or backslashes, `;`, empty or dot segments, double encoding, overlong UTF-8. Some of that may pass by a route's `paths`; not where a server could come by it to what a stricter route, or the gateway itself, is for.",
        "Send the path in its plain form. What each case is stands in `detail`. If the application needs such paths: `portcullis check` tells which routes take them and why others do not; the rules are in gateway/CONFIG.md, Paths.",
    ),
    of(
        "upgrade_malformed",
        "A WebSocket handshake lacks a field that RFC 6455 4.2.1 requires.",
        "Mend the client, or the proxy in front that drops Upgrade, Connection or Sec-WebSocket-*.",
    ),
    of(
        "body_too_large",
        "The body is larger than `limits.body_size`, the route's `body_size`, or 64 KiB at the auth API.",
        "Raise the route's limit if such bodies are meant.",
    ),
    of(
        "body_stalled",
        "Less than 1 KiB of the body came within `timeouts.body_progress`, or `timeouts.body_progress_authenticated` once a credential was proven.",
        "None needed for idle clients. For very slow networks raise the limit.",
    ),
    of("body_broken", "The connection ended before the body did.", "None needed: the client left."),
    // Limits.
    of(
        "rate_limited",
        "The address used up its token bucket (`limits.requests_per_second`, `limits.burst`, or the route's `rate`), and the request was none that may wait (`limits.wait`), or waited in vain.",
        "If many clients share the address, name the proxy in front in `client.trusted_proxies`, so that each is counted by itself. Where pages ask for more at once give their route a `rate`; else raise the limits.",
    ),
    of(
        "locked_out",
        "The address failed `limits.max_login_attempts` times within `limits.login_window`; it may not try any password, key or ticket until the window ends. Tokens go on working. `limits.count` says what counts.",
        "Wait as Retry-After says, or let it try again at once: `portcullis lockout clear ADDRESS`. If many share the address, see `rate_limited`.",
    ),
    of(
        "registrations_over_limit",
        "The address registered, or tried to, or had an account made by signing in with GitHub, `limits.registrations` times within an hour.",
        "Wait as Retry-After says. If many share the address, see `rate_limited`, or raise the limit; `portcullis registration close` ends a flood from many addresses.",
    ),
    of(
        "attempts_queued",
        "More than 64 attempts of one address on one user wait, or attempts on more than 64 users for their turn or for those of their users.",
        "None needed: this is what a guessing attack looks like. A client that signs in so often should keep its token.",
    ),
    of(
        "user_attempts_queued",
        "Too many attempts on one user waited, or this one waited for too long: two are verified at once, and those of strangers one with each `limits.user_pause` once `limits.user_attempts` have failed within `limits.login_window`. Addresses from which the user signed in within 30 days do not wait for strangers.",
        "None needed: the audit log's `user_slowdown` names the user, who signs in as always from where they did before, and goes on with the tokens they have. From elsewhere, try again. Many clients of one account should keep a token or an API key.",
    ),
    of(
        "hasher_busy",
        "More password checks of addresses that are not known wait than `auth.hash_queue` holds, or as many of known ones.",
        "If no attack is under way, raise `auth.hash_threads`, or let clients keep their tokens instead of signing in anew.",
    ),
    of(
        "connections_over_address_limit",
        "A client that comes through a trusted proxy has `limits.connections_per_address` requests, WebSockets and streams under way. The proxy's own connections are not counted for it.",
        "Raise the limit if so many people share the address; if it is a proxy's, list it in `client.trusted_proxies`.",
    ),
    of(
        "requests_over_address_limit",
        "`limits.requests_per_address` requests of this address are under way: waiting for an upstream, or with an answer that is not read to its end.",
        "Raise the limit if so many clients share the address, or name the proxy they share in `client.trusted_proxies`; else look at what they leave unread.",
    ),
    of(
        "agents_over_limit",
        "`limits.agents_unauthenticated` agents are connected and have not said who they are.",
        "Raise the limit if so many connect at once, as after a restart; else look at their addresses.",
    ),
    of(
        "agents_over_address_limit",
        "`limits.agents_unauthenticated_per_address` agents of this address are connected and have not said who they are.",
        "Raise the limit if so many share the address and connect at once. An agent behind a proxy is counted by itself if `client.trusted_proxies` names the proxy.",
    ),
    of(
        "streams_over_limit",
        "`limits.streams_per_account` WebSockets and event streams of the account are open.",
        "Look for a client that opens new ones and leaves the old; if so many are meant, raise the limit. Streams of an account that many share are better opened with API keys of several.",
    ),
    of(
        "agents_over_server_limit",
        "`limits.agents_per_server` agents with keys of the same server are connected.",
        "Look for an agent that connects again and again; if a server really has so many, raise the limit.",
    ),
    of(
        "agents_over_key_limit",
        "`limits.agents_per_key` agents are connected with the same key, which is bound to no server.",
        "Give agents keys of their own, bound to their servers; or raise the limit.",
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
        "Mend the agent: the message holds nothing but its credential.",
    ),
    of(
        "first_message_malformed",
        "The first message of an agent is not what was expected; `detail` says how.",
        "It is text: `{\"type\":\"auth\",\"api_key\":\"…\"}` or `{\"type\":\"auth\",\"token\":\"…\"}`, once each.",
    ),
    of(
        "first_message_token",
        "The first message of an agent brings a token, and the route takes keys of servers only (`agents = true`).",
        "Give the agent a key of its server; for people's tokens set `agents = \"any\"`.",
    ),
    of(
        "credential_missing",
        "The route needs a credential and the request has none that the gateway knows.",
        "Send Basic, a bearer token or an API key, or mark the route `public = true`.",
    ),
    of(
        "credentials_conflict",
        "The request has several credentials. Which one counts is never guessed.",
        "Send one: either Authorization or X-API-Key or `?token=`. Where one of them is an application's own, name the gateway's in the route's `schemes`.",
    ),
    of(
        "credential_malformed",
        "The credential does not have its scheme's form: broken base64, no colon, no text.",
        "Mend the client; `curl -u` and `curl -H 'Authorization: Bearer …'` show the forms.",
    ),
    of("user_unknown", "There is no user of this name or e-mail address.", SAME_ANSWER),
    of(
        "password_wrong",
        "The password is not the user's, or was changed a moment ago.",
        "Set a new one with `portcullis user passwd NAME` if it is lost.",
    ),
    of(
        "password_former",
        "Basic brought the password that the user had until it was changed, less than `limits.login_window` ago. It does not count as a failed attempt.",
        "None needed: a browser's open tabs send it until they ask for the new one. A program that sends it for long was forgotten at the change.",
    ),
    of(
        "account_disabled",
        "The account is disabled.",
        "`portcullis user enable NAME` lets it in again.",
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
    of("token_expired", "The token's time is over.", "The client refreshes it, or signs in again."),
    of(
        "token_not_yet_valid",
        "The token begins in the future.",
        "Set the clocks of the machines that share the key.",
    ),
    of(
        "token_kind",
        "A refresh token came in place of an access token, or the other way round.",
        "Send the access token with requests and the refresh token to the refresh endpoint.",
    ),
    of(
        "token_issuer",
        "The token's `iss` or `aud` is not `auth.issuer` or `auth.audience`.",
        "Use a token of this gateway. After a change of these settings everybody signs in again.",
    ),
    of("token_revoked", "The token was logged out.", "Sign in again."),
    of(
        "session_ended",
        "The session ended: by a change of password, by an administrator, or by the reuse of a refresh token.",
        "Sign in again.",
    ),
    of(
        "workspace_left",
        "The token is scoped to a workspace that its user is no member of any more.",
        "Sign in again, or make the user a member: portcullis workspace.",
    ),
    of(
        "access_token_required",
        "The operation needs an access token; a password or a key came instead.",
        "Sign in and send the access token.",
    ),
    of(
        "refresh_reused",
        "A refresh token came again after its successor had been used. Somebody may have stolen it, so the whole session was ended.",
        "Sign in again. If it happens often, look for clients that refresh in parallel or keep old tokens.",
    ),
    of(
        "key_malformed",
        "The text is no API key: wrong beginning, length or checksum.",
        "Copy the key whole; the checksum tells typing errors.",
    ),
    of(
        "key_unknown",
        "There is no such key, or it was revoked.",
        "`portcullis key list` shows the keys there are; make a new one with `portcullis key create`.",
    ),
    of("key_expired", "The key's time is over.", "Make a new one with `portcullis key create`."),
    of(
        "ticket_unknown",
        "The WebSocket ticket was used already, has expired, or never was.",
        "Ask `/api/ws-token` for a new one just before each connection.",
    ),
    of(
        "not_for_keys",
        "An API key was used for something only a signed-in user may do, or on a route with `keys = \"none\"`.",
        "Sign in and use the access token.",
    ),
    of(
        "key_bound_to_server",
        "The key is bound to a server: it speaks for the server's agents, and not with all of its owner's power.",
        "Use a key without a server; or, if servers' keys are to come here, give the route `keys = \"any\"` or `\"servers\"`. Routes with `agents = true` take them; the gateway's own endpoints never do.",
    ),
    of(
        "key_not_bound",
        "The route takes keys of servers only (`keys = \"servers\"`, and routes with `agents`), and the key is bound to none.",
        "Make one for the server: `portcullis key create --server ID …`.",
    ),
    of(
        "role_missing",
        "The account has none of the route's `roles`.",
        "`portcullis user list` shows roles; the route is named in the log line.",
    ),
    of(
        "admin_network",
        "The admin API was asked from an address outside `admin.networks`; no credential was looked at.",
        "If the log line's `client` is an administrator's, add it to `admin.networks`; if it is a proxy's, list that in `client.trusted_proxies`.",
    ),
    of(
        "scope_missing",
        "The key lacks one of the route's `scopes`.",
        "Make a key that has them all: `portcullis key create --scope …`.",
    ),
    // Our own endpoints.
    of(
        "method_not_allowed",
        "The path exists, but not for this method; `Allow` lists those it has.",
        "Use one of those methods. On a path of a route, add the method to the route's `methods`, or leave them out; the gateway's own paths have theirs.",
    ),
    of(
        "media_type",
        "The body's Content-Type is not one the endpoint reads.",
        "Send what the endpoint's contract names, such as application/json.",
    ),
    of(
        "body_malformed",
        "The body is not what the endpoint takes; the answer says what is wrong.",
        "Send exactly the documented members.",
    ),
    of(
        "password_too_short",
        "The new password has fewer than 8 characters.",
        "Choose a longer one.",
    ),
    of(
        "password_too_long",
        "The new password has more than 72 bytes, and bcrypt reads no more.",
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
        "A user to be imported has a hash that is not bcrypt's, or one that takes too long.",
        "Import hashes that `htpasswd -B` makes, or add the user with a password.",
    ),
    of("username_unacceptable", "The user name breaks its rule.", "Choose another one."),
    of("email_unacceptable", "That is no e-mail address.", "Send one like name@example.com."),
    of(
        "name_unacceptable",
        "The name is too long, or holds characters that are not seen: controls, marks of direction, characters of no width, line separators.",
        "Send another one.",
    ),
    of("role_unacceptable", "That is no role.", "Use letters, digits and `-_.:/`, at most 64."),
    of("scope_unacceptable", "That is no scope.", "Use letters, digits and `-_.:/`, at most 64."),
    of("email_taken", "An account with this e-mail address exists.", "Sign in to it."),
    of("username_taken", "An account with this user name exists.", "Choose another name."),
    of(
        "limit_reached",
        "The account has as many keys as an account may have (`limits.keys_per_account`), and none of them has ended.",
        "Delete those that are not used: last_used tells which. Rotating a key without an overlap needs no room.",
    ),
    of("time_passed", "A key was to end in the past.", "Send a time that is to come."),
    of(
        "registration_closed",
        "Somebody tried to make an account.",
        "Set auth.registration = \"open\" if anybody may, or make it with portcullis user add.",
    ),
    of(
        "local_accounts_disabled",
        "Somebody tried a password, and auth.local_accounts is false.",
        "Sign in with GitHub, or allow passwords.",
    ),
    of(
        "last_administrator",
        "The change would leave nobody to administer the gateway.",
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
        "There is no such workspace, or the caller is no member of it; clients are told the same.",
        "List them: portcullis workspace list.",
    ),
    of(
        "member_not_found",
        "The user is no member of this workspace.",
        "List them: portcullis workspace members.",
    ),
    of(
        "lockout_not_found",
        "No failed attempts of this address are counted.",
        "List them: portcullis lockout list.",
    ),
    of(
        "email_not_found",
        "An administrator vouches for the e-mail address of a user that has none.",
        "`portcullis user show` tells the address; add the user anew with one.",
    ),
    of(
        "cross_site",
        "A request by a cookie or Basic, or with a password in its body, comes from another site's page; or a sign-in with GitHub did not begin in this browser. Nothing was verified or counted.",
        "If the page is yours, list its origin in `client.origins` or in the route's `origins`, or send a token in Authorization.",
    ),
    of(
        "preflight_refused",
        "A browser asked whether a page of another origin may send a request (OPTIONS with Access-Control-Request-Method), and may not let it: `detail` says what is not listed. With status 204 the origin is, and the method or a field is not.",
        "If the page is yours, list its origin, method or field in the route's `cors`, or for the auth API in `[cors]`. To sign in or to act by cookies and Basic it must be in `origins` too.",
    ),
    // GitHub.
    of(
        "links_disabled",
        "A link was to be made, and nobody said where links lead to.",
        "Set `links.public_url` to the URL by which people reach this gateway.",
    ),
    of(
        "mail_busy",
        "Too many messages wait to be sent by mail.",
        "Look at the log's `mail not sent` for what the server at `mail.url` answers.",
    ),
    of(
        "link_malformed",
        "The link is none of this gateway's, or not whole, or its account's address has changed.",
        "Make a new one: `portcullis user reset-link` or `user invite`. Gateways that share a store need the same SECRET_KEY.",
    ),
    of(
        "link_expired",
        "The link was followed too late.",
        "Make a new one; `links.ttl` is how long one is good.",
    ),
    of(
        "link_spent",
        "The link was followed before, or its account's password or state has changed since it was made.",
        "Make a new one, if it is still needed.",
    ),
    of(
        "github_disabled",
        "Somebody tried to sign in with GitHub, and [github] is not configured.",
        "Set github.client_id and GITHUB_CLIENT_SECRET if they should.",
    ),
    of(
        "github_code_refused",
        "GitHub did not accept the code: used, expired, or made up.",
        "Start again; codes live ten minutes.",
    ),
    of(
        "github_not_allowed",
        "The GitHub account is in none of github.organizations and github.teams.",
        "Let it into one, or change the list.",
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
        "GitHub could not be reached, or answered with an error.",
        "The detail in the log says more; look at the network, github.base_url and GitHub's status.",
    ),
    of(
        "github_invalid_response",
        "An answer of GitHub was not what its documentation promises.",
        "The detail in the log says more; check github.base_url and github.api_url.",
    ),
    // Where it should have gone.
    of(
        "route_unknown",
        "No route has this host and path.",
        "Add a [[route]]; `path = \"/\"` takes all that no longer path takes.",
    ),
    of(
        "upstream_connect",
        "The upstream refused the connection or could not be reached; `detail` says why.",
        "Is it running, and is `url` right as seen from this machine?",
    ),
    of(
        "upstream_connect_timeout",
        "The connection to the upstream took longer than `connect_timeout`.",
        "Look at the network and firewalls between, and at the upstream's accept queue.",
    ),
    of(
        "upstream_tls",
        "The upstream's TLS handshake or certificate failed; `detail` says why.",
        "Put its authority's certificate, or its own, into `roots`, and use a host name in `url` that the certificate has. `portcullis check --connect` tries it.",
    ),
    of(
        "upstream_client_certificate",
        "The upstream demands a client certificate (mutual TLS), and the gateway has none.",
        "Let the upstream accept the gateway without one, by its network for example, or put a proxy that has one between the two.",
    ),
    of(
        "upstream_no_http2",
        "`protocol = \"http2\"` is set, and the upstream speaks HTTP/1 only: by ALPN, or by its answer on a connection in clear.",
        "Leave `protocol` out, or switch HTTP/2 on at the upstream.",
    ),
    of(
        "upstream_no_upgrade",
        "A WebSocket or another switch of protocols needs HTTP/1.1, and the upstream is spoken to in HTTP/2 alone: `protocol = \"http2\"` says so, or it offers nothing else.",
        "Leave `protocol` out: over TLS, plain requests then use HTTP/2 where the upstream offers it, and WebSockets HTTP/1.1. In clear, give WebSockets a route to an upstream of their own.",
    ),
    of(
        "upstream_saturated",
        "All `max_connections` to the upstream were in use, and none came free in time.",
        "Raise `max_connections`, or make the upstream faster.",
    ),
    of(
        "upstream_share_taken",
        "The account's own requests, tunnels and streams take all that one account may have of the upstream (half of `max_connections`, or `max_connections_per_account`), and none ended in time. On a public route the same holds for an address.",
        "Look in the log for what this account leaves open; raise `max_connections`, or `max_connections_per_account` if one account is to have more than half. If the address is a proxy's, list it in `client.trusted_proxies`.",
    ),
    of(
        "upstream_timeout",
        "The upstream did not begin its answer within the route's `timeout`.",
        "Raise the route's `timeout` if such waits are meant.",
    ),
    of(
        "upstream_closed",
        "The upstream closed the connection before it had answered.",
        "Look for crashes, and keep `idle_timeout` below the upstream's own.",
    ),
    of(
        "upstream_protocol",
        "The upstream's answer is not HTTP that can be read in one way; `detail` says what is wrong. Its connection was closed.",
        "Mend the upstream. If it speaks another version, set `protocol`.",
    ),
    of(
        "upstream_upgrade",
        "The upstream switched protocols unasked, or its WebSocket answer does not prove itself.",
        "Mend the upstream's handshake (RFC 6455 4.2.2).",
    ),
    // Ourselves.
    of(
        "store_unavailable",
        "The store cannot write: the disk is full, read-only or failing, or a shared store cannot be reached or takes no changes; `detail` says why. Nothing was changed.",
        "Make room or mend the disk, or bring the shared store back (`portcullis check --connect` tries it); the gateway goes on by itself. Tokens and keys work meanwhile.",
    ),
    of(
        "store_busy",
        "More changes wait for the store than it queues.",
        "The disk is too slow for the load, or stalls; the client may try again.",
    ),
    of(
        "revocation_not_stored",
        "A logout, the end of a session or the deletion of a key while the store takes no changes. It holds at this gateway from now on and is stored when the store takes changes again, if this process lives until then; so it is not acknowledged.",
        "Mend the store (`store_unavailable` says how) before the gateway is restarted. `undelivered` in health and `portcullis status` counts what waits.",
    ),
    of(
        "stopping",
        "The gateway was told to stop before an agent's first message was judged; it was closed with 1001.",
        "None needed: agents connect anew.",
    ),
    of(
        "internal",
        "A defect of the gateway; the log's line before this one says more.",
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
