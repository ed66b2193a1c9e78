//! `[identity]`: under which names upstreams learn who is calling.

use http::HeaderName;

use super::IdentityHeaders;
use super::document::Section;

/// The names of a preset.
#[must_use]
pub fn preset(name: &str) -> Option<IdentityHeaders> {
    let header = |name| Some(HeaderName::from_static(name));
    Some(match name {
        "portcullis" => IdentityHeaders {
            user_id: header("x-portcullis-user-id"),
            username: header("x-portcullis-username"),
            email: header("x-portcullis-email"),
            roles: header("x-portcullis-roles"),
            workspace: header("x-portcullis-workspace"),
            workspace_role: header("x-portcullis-workspace-role"),
            scheme: header("x-portcullis-scheme"),
            key_id: header("x-portcullis-key-id"),
            scopes: header("x-portcullis-scopes"),
            server_id: header("x-portcullis-server-id"),
        },
        "oauth2-proxy" => IdentityHeaders {
            user_id: header("x-forwarded-user"),
            username: header("x-forwarded-preferred-username"),
            email: header("x-forwarded-email"),
            roles: header("x-forwarded-groups"),
            ..IdentityHeaders::default()
        },
        "authelia" => IdentityHeaders {
            username: header("remote-user"),
            email: header("remote-email"),
            roles: header("remote-groups"),
            ..IdentityHeaders::default()
        },
        "grafana" => IdentityHeaders {
            username: header("x-webauth-user"),
            email: header("x-webauth-email"),
            roles: header("x-webauth-role"),
            ..IdentityHeaders::default()
        },
        _ => return None,
    })
}

pub const PRESETS: [&str; 4] = ["portcullis", "oauth2-proxy", "authelia", "grafana"];

/// Fields that frame, route or date a message, or belong to the connection: an
/// identity under such a name would change what the request means.
const RESERVED_NAMES: [&str; 24] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "expect",
    "authorization",
    "cookie",
    "content-type",
    "content-encoding",
    "date",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-request-id",
    "traceparent",
    "tracestate",
    "x-api-key",
    "range",
];

pub(super) fn read_identity(section: Section<'_>) -> IdentityHeaders {
    let words: Vec<(&str, usize)> =
        PRESETS.into_iter().chain(["custom"]).enumerate().map(|(i, name)| (name, i)).collect();
    let chosen = section.choice("preset", &words, 0);
    let names = section.section("headers");
    let custom = chosen == PRESETS.len();
    if custom != names.is_present() {
        let message = if custom {
            "preset \"custom\" takes the names from [identity.headers], which is missing"
        } else {
            "[identity.headers] is used with preset = \"custom\" only"
        };
        let origin = if custom { section.origin() } else { names.origin() };
        section.note(origin, "headers", message, None);
    }
    let name = |key| {
        let found = names.text(key, "the name of a header field")?;
        let parsed = HeaderName::from_bytes(found.value.as_bytes())
            .ok()
            .filter(|name| !name.as_str().contains('_'))
            .filter(|name| !RESERVED_NAMES.contains(&name.as_str()));
        if parsed.is_none() {
            let message = format!(
                "expected the name of a header field, without `_` and not one that HTTP itself uses, found {:?}",
                found.value
            );
            names.note(found.origin, key, message, None);
        }
        parsed
    };
    let read = IdentityHeaders {
        user_id: name("user_id"),
        username: name("username"),
        email: name("email"),
        roles: name("roles"),
        workspace: name("workspace"),
        workspace_role: name("workspace_role"),
        scheme: name("scheme"),
        key_id: name("key_id"),
        scopes: name("scopes"),
        server_id: name("server_id"),
    };
    names.finish();
    section.finish();
    PRESETS.get(chosen).and_then(|name| preset(name)).unwrap_or(read)
}
