//! `[[route]]`: what each key accepts, and which routes can stand beside each other.

use std::time::Duration;

use super::bounds::{DAY, SECOND, narrow};
use super::console::read_sign_in;
use super::cors::{CorsPolicy, read_route_cors};
use super::document::Section;
use super::form::{read_host, read_path};
use super::methods::read_methods;
use super::named_files::Files;
use super::page_origin::read_origins;
use super::problem::Origin;
use super::reader::{Located, Reader};
use super::record::{Takes, fixed, no_items};
use super::schemes::{ChallengeScheme, check_beside, read_challenge, read_schemes};
use super::upstream::{read_upstream, resolve_upstream};
use super::value::nearest;
use super::{
    Access, Agents, Challenged, Chosen, CredentialForwarding, HostMatch, KeyAccess, Limits,
    PathForm, PathMatch, Paths, Rate, RawProtocol, Route, Tickets, Upstream, rules, warning,
};

/// What is settled elsewhere for all routes.
#[derive(Clone, Copy)]
pub(super) struct OfRoutes<'a> {
    pub limits: &'a Limits,
    /// The auth API's, which a route can take over.
    pub cors: Option<&'a CorsPolicy>,
    /// Whether there is a page to sign in on.
    pub console: bool,
}

pub(super) fn read_routes(
    reader: &Reader,
    root: &Section<'_>,
    to: Option<String>,
    shared: OfRoutes<'_>,
    files: Files,
) -> (Vec<Upstream>, Vec<Route>) {
    let sections = root.named_sections("upstream").into_iter();
    let mut upstreams: Vec<Upstream> =
        sections.map(|section| read_upstream(section, files)).collect();
    let mut sections = root.sections("route");
    if let Some(to) = to {
        let place = Located { value: to, origin: Origin::CommandLine("--to") };
        sections = vec![root.stand_in("route", Some(("upstream", place)))];
    }
    // One that is written in another form is told of already.
    if sections.is_empty() && !root.is_written("route") {
        let help = "write [[route]] with path = \"/\" and upstream = \"http://127.0.0.1:3000\", \
                    or start with --to http://127.0.0.1:3000";
        reader.note(Origin::Absent, "route", "no route is configured", help);
    }
    let mut routes: Vec<Route> = Vec::new();
    let (mut scopes_at, mut paths_at) = (Vec::new(), Vec::new());
    for section in sections {
        let origin = section.origin();
        let scopes = (section.given_at("scopes"), section.key("keys"));
        let paths = (section.given_at("paths"), section.key("paths"));
        let Some(route) = read_route(section, &mut upstreams, shared) else {
            continue;
        };
        if routes.iter().any(|other| is_duplicate(other, &route)) {
            let message = "another route has the same host, path and method";
            let below = if route.extent == PathMatch::Below { " and what lies below" } else { "" };
            let help = format!("in the form that is compared, both are for {}{below}", route.path);
            reader.note(origin, "route", message, help);
        }
        routes.push(route);
        scopes_at.push(scopes);
        paths_at.push(paths);
    }
    rules::settle_paths(&mut routes, &upstreams);
    warn_of_refused_keys(reader, &routes, scopes_at);
    warn_of_opaque_paths(reader, &routes, paths_at);
    (upstreams, routes)
}

fn is_duplicate(left: &Route, right: &Route) -> bool {
    (&left.host, &left.path, left.extent) == (&right.host, &right.path, right.extent)
        && overlap(left, right)
}

fn overlap(left: &Route, right: &Route) -> bool {
    match (left.methods.is_empty(), right.methods.is_empty()) {
        (true, true) => true,
        (false, false) => left.methods.iter().any(|method| right.methods.contains(method)),
        // One for every method beside one for some is a rule and its exception.
        _ => false,
    }
}

/// Until all routes are known.
fn unsettled(form: PathForm, chosen: Chosen) -> Paths {
    Paths { form, chosen, beside: None, stricter: Vec::new() }
}

fn read_route(
    section: Section<'_>,
    upstreams: &mut Vec<Upstream>,
    OfRoutes { limits, cors: of_auth_api, console }: OfRoutes<'_>,
) -> Option<Route> {
    let host = read_route_host(&section);
    let (path, extent) = read_route_path(&section, limits);
    let methods = read_methods(&section);
    let roles = read_words(&section, "roles");
    let scopes = read_words(&section, "scopes");
    let kinds = (Agents::Keys, Agents::NotAccepted);
    let agents = section.boolean_or("agents", kinds, &[("any", Agents::Any)]);
    let keys = read_keys(&section, agents);
    let schemes = read_schemes(&section);
    let challenge = read_challenge(&section, schemes);
    let access = if section.boolean("public", false) {
        if agents.are_accepted() {
            let message = "has no effect on a public route: no credential is checked";
            let help = "leave out agents, or public";
            section.note(section.given_at("agents"), "agents", message, help);
        }
        if !roles.is_empty() || !scopes.is_empty() {
            let message = "a public route checks no credential, so roles and scopes have no effect";
            let help = "leave out public, or roles and scopes";
            section.note(section.given_at("public"), "public", message, help);
        }
        if section.is_written("keys") {
            let message = "has no effect on a public route: no credential is looked at";
            let help = "leave out keys, or public";
            section.note(section.given_at("keys"), "keys", message, help);
        }
        Access::Public
    } else {
        Access::Authenticated { roles, scopes, keys }
    };
    check_beside(&section, schemes, &access, agents);
    let challenged = match &challenge {
        None => Challenged::Unwritten,
        Some(named) if named.iter().any(|one| one.scheme == ChallengeScheme::Basic) => {
            Challenged::WithBasic
        }
        Some(_) => Challenged::WithoutBasic,
    };
    let sign_in = read_sign_in(&section, &access, schemes, challenged, console);
    let rate = read_rate(&section);
    let timeout = section.duration("timeout", SECOND * 60, Duration::from_millis(10)..=DAY);
    let body_bytes = section.size("body_size", limits.body_bytes);
    let credential = if section.boolean("forward_credential", false) {
        CredentialForwarding::Pass
    } else {
        CredentialForwarding::Strip
    };
    let tickets =
        if section.boolean("ws_token", false) { Tickets::Accepted } else { Tickets::NotAccepted };
    if rate == Rate::Unlimited && tickets == Tickets::Accepted {
        let message =
            "a route with `ws_token` requires a rate limit: each ticket is looked up in the store";
        let help = "write rate = { requests_per_second = 100 }, or give its WebSocket a route";
        section.note(section.given_at("rate"), "rate", message, help);
    }
    let upgrades = read_upgrades(&section, &access);
    let origins = read_origins(&section);
    let paths = read_paths(&section);
    let cors = read_route_cors(&section, &methods, of_auth_api);
    let id = section.text("id", "a short name").map(|found| found.value);
    let upstream = match section.text("upstream", "a URL, \"echo\" or the name of an upstream") {
        Some(found) => resolve_upstream(&section, &found, upstreams),
        None => {
            if !section.is_written("upstream") {
                let help = "write upstream = \"http://127.0.0.1:3000\"";
                section.note(section.origin(), "upstream", "missing", help);
            }
            None
        }
    };
    section.finish();
    let id = id.unwrap_or_else(|| match &host {
        HostMatch::Any => path.clone(),
        host => format!("{host}{path}"),
    });
    Some(Route {
        id,
        host,
        path,
        extent,
        methods,
        upstream: upstream?,
        access,
        body_bytes,
        timeout,
        credential,
        tickets,
        agents,
        upgrades,
        origins,
        paths,
        cors,
        schemes,
        challenge,
        sign_in,
        rate,
    })
}

fn read_rate_word(section: &Section<'_>) -> Rate {
    let expected = "`none` or a table";
    let found = section.text("rate", expected);
    section.recorded_as("rate", Takes::Choice(vec!["none".to_owned()]));
    let Some(found) = found.filter(|found| found.value != "none") else {
        return Rate::Unlimited;
    };
    let number = found.value.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty());
    let number = number.unwrap_or("20");
    let help = nearest(&found.value, ["none"].into_iter())
        .unwrap_or_else(|| format!("write rate = {{ requests_per_second = {number} }}"));
    let message = format!("expected {expected}, found {:?}", found.value);
    section.note(found.origin, "rate", message, help);
    Rate::Common
}

/// A table, or a word.
fn read_rate(section: &Section<'_>) -> Rate {
    if section.is_text("rate") {
        return read_rate_word(section);
    }
    let table = section.section("rate");
    if !table.is_present() {
        return Rate::Common;
    }
    if !table.is_written("requests_per_second") {
        let help = "write rate = { requests_per_second = 100, burst = 300 }, or \"none\"";
        table.note(table.origin(), "requests_per_second", "missing", help);
    }
    let requests_per_second = table.integer("requests_per_second", 20, 1..=1_000_000);
    // As one is to the other by default for all.
    let burst = table.integer("burst", requests_per_second * 3, 1..=10_000_000);
    table.finish();
    Rate::Own { requests_per_second: narrow(requests_per_second), burst: narrow(burst) }
}

fn read_paths(section: &Section<'_>) -> Paths {
    let words = [
        ("auto", (PathForm::Strict, Chosen::Auto)),
        ("strict", (PathForm::Strict, Chosen::Written)),
        ("opaque", (PathForm::Opaque, Chosen::Written)),
    ];
    let (form, chosen) = section.choice("paths", &words, (PathForm::Strict, Chosen::Auto));
    unsettled(form, chosen)
}

/// Agents come with keys of their servers; elsewhere such a key must be wanted.
fn read_keys(section: &Section<'_>, agents: Agents) -> KeyAccess {
    let unwritten = if agents.are_accepted() { KeyAccess::Servers } else { KeyAccess::Unbound };
    let words =
        [("any", KeyAccess::Any), ("servers", KeyAccess::Servers), ("none", KeyAccess::None)];
    section.choice("keys", &words, unwritten)
}

fn read_upgrades(section: &Section<'_>, access: &Access) -> Vec<RawProtocol> {
    let expected = "\"tcp\" or \"spdy/3.1\"";
    let mut upgrades = Vec::new();
    let found = section.texts("upgrades", expected);
    section.falls_back("upgrades", no_items());
    for found in found {
        let named = |one: &RawProtocol| one.name().eq_ignore_ascii_case(&found.value);
        match RawProtocol::ALL.into_iter().find(named) {
            Some(protocol) => upgrades.push(protocol),
            None => {
                let message = format!("expected {expected}, found {:?}", found.value);
                let help = match found.value.to_ascii_lowercase().as_str() {
                    "websocket" => {
                        "leave it out: WebSockets pass on every route without it".to_owned()
                    }
                    "h2c" => "leave it out: HTTP/2 in clear is never switched to".to_owned(),
                    _ => nearest(&found.value, ["tcp", "spdy/3.1"].into_iter())
                        .unwrap_or_else(|| format!("write {expected}")),
                };
                section.note(found.origin, "upgrades", message, help);
            }
        }
    }
    if *access == Access::Public && !upgrades.is_empty() {
        let message =
            "has no effect on a public route: no credential limits how long a connection lives";
        let help = "leave out upgrades, or public";
        section.note(section.given_at("upgrades"), "upgrades", message, help);
    }
    upgrades
}

/// A route that names scopes is meant for keys. Beside agents, those are likely bound to
/// servers, and such keys are refused where nothing is said of them.
fn warn_of_refused_keys(reader: &Reader, routes: &[Route], scopes_at: Vec<(Origin, String)>) {
    if routes.iter().all(|route| route.agents == Agents::NotAccepted) {
        return;
    }
    for (route, (origin, key)) in routes.iter().zip(scopes_at) {
        if let Access::Authenticated { scopes, keys: KeyAccess::Unbound, .. } = &route.access
            && !scopes.is_empty()
        {
            let message = format!("route {} refuses keys that are bound to a server", route.id);
            reader.warn(warning::SERVER_KEYS_REFUSED, origin, &key, message);
        }
    }
}

/// Where somebody wants it so. What leads to a stricter route in a way that servers are
/// known to read is refused all the same; a server may have ways of its own.
fn warn_of_opaque_paths(reader: &Reader, routes: &[Route], paths_at: Vec<(Origin, String)>) {
    for (route, (origin, key)) in routes.iter().zip(paths_at) {
        let asks_more = |other: &&Route| rules::have_other_rules(route, other);
        let mut stricter = route.paths.stricter.iter().map(|place| &routes[*place]);
        if route.paths.form == PathForm::Opaque
            && let Some(stricter) = stricter.find(asks_more)
        {
            let (id, stricter) = (&route.id, &stricter.id);
            let message =
                format!("route {id} shares an upstream with {stricter}, which requires more");
            reader.warn(warning::OPAQUE_BESIDE_STRICTER, origin, &key, message);
        }
    }
}

fn read_route_host(section: &Section<'_>) -> HostMatch {
    let Some(found) = section.text("host", "a host name") else {
        return HostMatch::Any;
    };
    read_host(&found.value).unwrap_or_else(|unfit| {
        unfit.note(section, "host", &found);
        HostMatch::Name(found.value)
    })
}

fn read_route_path(section: &Section<'_>, limits: &Limits) -> (String, PathMatch) {
    let extent = if section.boolean("exact", false) { PathMatch::Exact } else { PathMatch::Below };
    let found = section.text("path", "a path that begins with \"/\"");
    section.falls_back("path", fixed("/"));
    let Some(found) = found else {
        // A wrong one is told of already, and is no other route's.
        let wrong = || format!("{:?}", section.given_at("path"));
        let path = if section.is_written("path") { wrong() } else { "/".to_owned() };
        return (path, extent);
    };
    let path = read_path(&found.value, extent).unwrap_or_else(|unfit| {
        unfit.note(section, "path", &found);
        found.value.clone()
    });
    // Room for a slash and a character below it, and for the other half of a head.
    if path.len() + 2 > limits.uri_bytes.min(limits.head_bytes / 2) {
        let message = "longer than limits.uri_size and limits.head_size allow";
        let help = "shorten it, or raise both in [limits]";
        section.note(found.origin, "path", message, help);
    }
    (path, extent)
}

fn read_words(section: &Section<'_>, name: &'static str) -> Vec<String> {
    let mut words = Vec::new();
    let found = section.texts(name, "a short word");
    if section.is_empty_list(name) {
        // One that a template has left empty would let everybody in.
        let help = "leave it out to allow every signed-in user";
        section.note(section.given_at(name), name, "names none", help);
    }
    for found in found {
        if crate::auth::account::is_valid_role(&found.value) {
            words.push(found.value);
        } else {
            let message = "expected letters, digits and `-_.:/`, at most 64";
            let help = format!("write words like {name} = [\"user\"]");
            section.note(found.origin, name, message, help);
        }
    }
    words
}
