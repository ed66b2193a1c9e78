//! `[identity]`: under which names upstreams learn who is calling.

use http::HeaderName;

use super::document::Section;
use super::reader::Located;
use super::record::no_items;
use super::{FieldOverrides, IdentityHeaders, NamePattern, UnverifiedEmail, warning};

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
            ..IdentityHeaders::default()
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

/// What the names of the gateway's own preset begin with.
const OWN_FAMILY: &str = "x-portcullis-";

pub const PRESETS: [&str; 4] = ["portcullis", "oauth2-proxy", "authelia", "grafana"];

/// Fields that frame, route or date a message, or belong to the connection: an
/// identity under such a name would change what the request means.
const RESERVED_NAMES: [&str; 28] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "http2-settings",
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
    "x-forwarded-port",
    "x-request-id",
    "traceparent",
    "tracestate",
    "x-api-key",
    "range",
];

pub(super) fn read_identity(section: Section<'_>) -> (IdentityHeaders, FieldOverrides) {
    let headers = read_headers(&section);
    let remove = read_patterns(&section, "remove", &headers);
    let allow = read_patterns(&section, "allow", &headers);
    for Located { value, origin } in &allow {
        if remove.iter().any(|removed| removed.value == *value) {
            let message = "a field is either allowed or removed, and this one is in `remove` too";
            let help = "leave it out of one of them";
            section.note(origin.clone(), "allow", message, help);
        }
    }
    section.finish();
    let values = |patterns: Vec<Located<NamePattern>>| {
        patterns.into_iter().map(|pattern| pattern.value).collect()
    };
    (headers, FieldOverrides { allow: values(allow), remove: values(remove) })
}

/// Names, or families of names as `x-vendor-*`.
fn read_patterns(
    section: &Section<'_>,
    key: &'static str,
    identity: &IdentityHeaders,
) -> Vec<Located<NamePattern>> {
    let expected = "the name of a header field, or a family like \"X-Vendor-*\"";
    let mut patterns = Vec::new();
    let found = section.texts(key, expected);
    section.falls_back(key, no_items());
    for Located { value, origin } in found {
        match parse_pattern(&value) {
            Some(pattern) => match kept_from(&pattern, identity) {
                None => patterns.push(Located { value: pattern, origin }),
                Some(name) => {
                    let message =
                        format!("{value:?} covers {name:?}, which is not for clients to send");
                    let help = "the gateway sets or removes this field itself, always";
                    section.note(origin, key, message, help);
                }
            },
            None => {
                let message = format!("expected {expected}, found {value:?}");
                let help = "letters, digits and `-`; other names are never forwarded, but to an \
                            upstream with field_names = \"any\"";
                section.note(origin, key, message, help);
            }
        }
    }
    patterns
}

fn parse_pattern(text: &str) -> Option<NamePattern> {
    let name = text.to_ascii_lowercase();
    let (name, family) = match name.strip_suffix('*') {
        Some(prefix) => (prefix, true),
        None => (name.as_str(), false),
    };
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if name.is_empty() || name.len() > 128 || !plain {
        return None;
    }
    let name = name.to_owned();
    Some(if family { NamePattern::Family(name) } else { NamePattern::Exact(name) })
}

/// The field within a pattern whose fate is not the operator's to decide.
fn kept_from(pattern: &NamePattern, identity: &IdentityHeaders) -> Option<String> {
    let injected = identity.all().map(HeaderName::as_str);
    let mut kept = RESERVED_NAMES.into_iter().chain(injected);
    let found = match pattern {
        NamePattern::Exact(name) if name.starts_with(OWN_FAMILY) => Some(name.as_str()),
        NamePattern::Exact(name) => kept.find(|kept| kept == name),
        NamePattern::Family(prefix)
            if prefix.starts_with(OWN_FAMILY) || OWN_FAMILY.starts_with(prefix.as_str()) =>
        {
            Some(OWN_FAMILY)
        }
        NamePattern::Family(prefix) => kept.find(|kept| kept.starts_with(prefix.as_str())),
    };
    found.map(str::to_owned)
}

fn read_headers(section: &Section<'_>) -> IdentityHeaders {
    let words: Vec<(&str, usize)> =
        PRESETS.into_iter().chain(["custom"]).enumerate().map(|(i, name)| (name, i)).collect();
    let chosen = section.choice("preset", &words, 0);
    let names = section.section("headers");
    let custom = chosen == PRESETS.len();
    if custom != names.is_present() {
        let (message, help) = if custom {
            (
                "preset \"custom\" takes the names from [identity.headers], which is missing",
                "write [identity.headers] with names like username = \"X-User\"",
            )
        } else {
            (
                "[identity.headers] is used with preset = \"custom\" only",
                "write preset = \"custom\" in [identity], or leave the table out",
            )
        };
        let origin = if custom { section.origin() } else { names.origin() };
        section.note(origin, "headers", message, help);
    }
    let name = |key| {
        let found = names.text(key, "the name of a header field")?;
        let parsed = HeaderName::from_bytes(found.value.as_bytes())
            .ok()
            .filter(|name| name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
            .filter(|name| !RESERVED_NAMES.contains(&name.as_str()));
        if parsed.is_none() {
            let message = format!(
                "expected the name of a header field, of letters, digits and `-` and not one that HTTP itself uses, found {:?}",
                found.value
            );
            let help = "write a name like \"X-User\"";
            names.note(found.origin, key, message, help);
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
        unverified_email: UnverifiedEmail::default(),
    };
    names.finish();
    let unverified_email = read_unverified_email(section);
    let headers = PRESETS.get(chosen).and_then(|name| preset(name)).unwrap_or(read);
    IdentityHeaders { unverified_email, ..headers }
}

fn read_unverified_email(section: &Section<'_>) -> UnverifiedEmail {
    const KEY: &str = "unverified_email";
    if !section.boolean(KEY, false) {
        return UnverifiedEmail::Withheld;
    }
    let message = "upstreams receive e-mail addresses that were not verified";
    section.warn(warning::UNVERIFIED_EMAIL_INJECTED, section.given_at(KEY), KEY, message);
    UnverifiedEmail::Injected
}
