//! `[[route]]`: what each key accepts, and which routes can stand beside each other.

use std::time::Duration;

use http::Method;

use super::document::{Located, Reader, Section};
use super::file::{DAY, Files, SECOND};
use super::problem::Origin;
use super::upstream::{read_upstream, resolve_upstream};
use super::{Access, Agents, CredentialForwarding, Route, Tickets, Upstream};

pub(super) fn read_routes(
    reader: &Reader,
    root: &Section<'_>,
    to: Option<String>,
    body_bytes: Option<u64>,
    files: Files,
) -> (Vec<Upstream>, Vec<Route>) {
    let sections = root.named_sections("upstream").into_iter();
    let mut upstreams: Vec<Upstream> =
        sections.map(|section| read_upstream(section, files)).collect();
    let sections = root.sections("route");
    if let Some(to) = to {
        let place = Located { value: to, origin: Origin::CommandLine("--to") };
        let upstream = resolve_upstream(reader, "", &place, &mut upstreams).unwrap_or(0);
        return (upstreams, vec![catch_all(upstream, body_bytes)]);
    }
    if sections.is_empty() {
        let help = "write [[route]] with path = \"/\" and upstream = \"http://127.0.0.1:3000\", \
                    or start with --to http://127.0.0.1:3000";
        reader.note(Origin::Absent, "route", "nothing says where traffic goes", Some(help.into()));
    }
    let mut routes: Vec<Route> = Vec::new();
    for section in sections {
        let origin = section.origin();
        let Some(route) = read_route(reader, section, &mut upstreams, body_bytes) else {
            continue;
        };
        let same = |other: &Route| {
            other.host == route.host && other.path == route.path && overlap(other, &route)
        };
        if routes.iter().any(same) {
            let message = "another route has the same host, path and method";
            reader.note(origin, "route", message, None);
        }
        routes.push(route);
    }
    (upstreams, routes)
}

fn overlap(left: &Route, right: &Route) -> bool {
    match (left.methods.is_empty(), right.methods.is_empty()) {
        (true, true) => true,
        (false, false) => left.methods.iter().any(|method| right.methods.contains(method)),
        // One for every method beside one for some is a rule and its exception.
        _ => false,
    }
}

fn catch_all(upstream: usize, body_bytes: Option<u64>) -> Route {
    Route {
        id: "/".to_owned(),
        host: None,
        path: "/".to_owned(),
        methods: Vec::new(),
        upstream,
        access: Access::Authenticated { roles: Vec::new(), scopes: Vec::new() },
        body_bytes,
        timeout: SECOND * 60,
        credential: CredentialForwarding::Strip,
        tickets: Tickets::NotAccepted,
        agents: Agents::NotAccepted,
    }
}

fn read_route(
    reader: &Reader,
    section: Section<'_>,
    upstreams: &mut Vec<Upstream>,
    body_bytes: Option<u64>,
) -> Option<Route> {
    let host = section.text("host", "a host name").map(|found| {
        let host = found.value.to_ascii_lowercase();
        let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
        if !plain || (host.contains(':') && !host.starts_with('[')) {
            let message = "expected a host name without a port";
            section.note(found.origin, "host", message, None);
        }
        host
    });
    let path = match section.text("path", "a path that begins with \"/\"") {
        Some(found) => {
            if let Err(message) = check_route_path(&found.value) {
                section.note(found.origin, "path", message, None);
            }
            found.value
        }
        None => "/".to_owned(),
    };
    let methods = section
        .texts("methods", "a method like \"GET\"")
        .into_iter()
        .filter_map(|found| {
            let method = Method::from_bytes(found.value.as_bytes()).ok().filter(|method| {
                method.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
            });
            if method.is_none() {
                let message = format!("expected a method like \"GET\", found {:?}", found.value);
                section.note(found.origin, "methods", message, None);
            }
            method
        })
        .collect();
    let roles = read_words(&section, "roles");
    let scopes = read_words(&section, "scopes");
    let agents =
        if section.boolean("agents", false) { Agents::Accepted } else { Agents::NotAccepted };
    let access = if section.boolean("public", false) {
        if agents == Agents::Accepted {
            let message = "a public route asks nobody who they are, agents neither";
            section.note(section.origin(), "agents", message, None);
        }
        if !roles.is_empty() || !scopes.is_empty() {
            let message = "a public route asks nobody who they are; roles and scopes cannot hold";
            section.note(section.origin(), "public", message, None);
        }
        Access::Public
    } else {
        Access::Authenticated { roles, scopes }
    };
    let timeout = section.duration("timeout", SECOND * 60, Duration::from_millis(10)..=DAY);
    let body_bytes = section.size("body_size", body_bytes);
    let credential = if section.boolean("forward_credential", false) {
        CredentialForwarding::Pass
    } else {
        CredentialForwarding::Strip
    };
    let tickets =
        if section.boolean("ws_token", false) { Tickets::Accepted } else { Tickets::NotAccepted };
    let id = section.text("id", "a short name").map(|found| found.value);
    let upstream = match section.text("upstream", "a URL, \"echo\" or the name of an upstream") {
        Some(found) => resolve_upstream(reader, &section.key("upstream"), &found, upstreams),
        None => {
            if !section.is_written("upstream") {
                let help = "write upstream = \"http://127.0.0.1:3000\"".to_owned();
                section.note(section.origin(), "upstream", "missing", Some(help));
            }
            None
        }
    };
    section.finish();
    let id = id.unwrap_or_else(|| match &host {
        Some(host) => format!("{host}{path}"),
        None => path.clone(),
    });
    Some(Route {
        id,
        host,
        path,
        methods,
        upstream: upstream?,
        access,
        body_bytes,
        timeout,
        credential,
        tickets,
        agents,
    })
}

fn read_words(section: &Section<'_>, name: &'static str) -> Vec<String> {
    let mut words = Vec::new();
    for found in section.texts(name, "a short word") {
        if crate::auth::account::is_valid_role(&found.value) {
            words.push(found.value);
        } else {
            let message = "expected letters, digits and `-_.:/`, at most 64";
            section.note(found.origin, name, message, None);
        }
    }
    words
}

/// Route paths are compared with normalised request paths, so they must be in
/// that form themselves.
pub(super) fn check_route_path(path: &str) -> Result<(), &'static str> {
    let inner = path.strip_prefix('/').ok_or("expected a path that begins with \"/\"")?;
    let segments = inner.strip_suffix('/').unwrap_or(inner);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&b);
    for segment in segments.split('/').filter(|_| !segments.is_empty()) {
        if segment.is_empty() || segment == "." || segment == ".." {
            return Err("expected a path without empty, `.` and `..` segments");
        }
        if !segment.bytes().all(plain) {
            return Err("expected a path of plain characters, without `%`, `;`, `?` and `#`");
        }
    }
    Ok(())
}
