//! `check` on routes: which there are, in the order in which they match, which may not
//! be meant so, and which one a request would fall to.

use std::process::ExitCode;

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use crate::canonical::{host, path};
use crate::config::cors::{AmbientCredentials, Cors, CorsPolicy};
use crate::config::schemes::Schemes;
use crate::config::{
    Access, Agents, Chosen, Config, HostMatch, KeyAccess, PathForm, PathMatch, Rate, Route,
};
use crate::dialect::{OwnPath, Resolution};
use crate::pipeline::reason::Rejection;
use crate::pipeline::route::Routes;
use crate::pipeline::route::review::{Concern, Note, covers, in_match_order, review};
use crate::pipeline::{intercept, message};
use crate::server;

use super::output::{Listed, fail, say, table};
use super::{Format, Place, own_paths};

/// A request to find the route of.
#[derive(Debug, Args)]
pub(super) struct Question {
    /// Tell which route a request for this path falls to
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The request's host [default: one that no route names]
    #[arg(long, value_name = "HOST", requires = "path")]
    host: Option<String>,
    /// The request's method [default: GET]
    #[arg(long, value_name = "METHOD", requires = "path", value_parser = parse_method)]
    method: Option<Method>,
}

fn parse_method(text: &str) -> Result<Method, String> {
    text.parse().map_err(|_| "expected a method like GET or POST".to_owned())
}

impl Question {
    pub(super) fn is_asked(&self) -> bool {
        self.path.is_some()
    }
}

fn access(route: &Route) -> String {
    match &route.access {
        Access::Public => "public".to_owned(),
        Access::Authenticated { roles, scopes, keys } => {
            let named = [("roles", roles), ("scopes", scopes)];
            let named = named.iter().filter(|(_, words)| !words.is_empty());
            let mut named: Vec<String> =
                named.map(|(name, words)| format!("{name} {}", words.join(","))).collect();
            named.extend(keys_word(*keys, route.agents).map(|word| format!("keys {word}")));
            if route.schemes != Schemes::ALL {
                named.push(format!("schemes {}", route.schemes.words().join(",")));
            }
            if named.is_empty() { "authenticated".to_owned() } else { named.join("; ") }
        }
    }
}

/// Which keys it takes, if not those of a route that says nothing of them.
fn keys_word(keys: KeyAccess, agents: Agents) -> Option<&'static str> {
    match keys {
        KeyAccess::Servers if agents.are_accepted() => None,
        KeyAccess::Unbound if !agents.are_accepted() => None,
        KeyAccess::Unbound => Some("bound to no server"),
        KeyAccess::Any => Some("any"),
        KeyAccess::Servers => Some("servers"),
        KeyAccess::None => Some("none"),
    }
}

fn methods(route: &Route) -> String {
    let names: Vec<&str> = route.methods.iter().map(Method::as_str).collect();
    if names.is_empty() { "*".to_owned() } else { names.join(",") }
}

fn extent(route: &Route) -> &'static str {
    match route.extent {
        PathMatch::Exact => "itself",
        PathMatch::Below => "and below",
    }
}

/// Which paths it takes of those that servers read in several ways.
fn paths(route: &Route) -> &'static str {
    match route.paths.form {
        PathForm::Strict => "strict",
        PathForm::Opaque => "opaque",
    }
}

fn paths_because(config: &Config, route: &Route) -> String {
    let beside = route.paths.beside.map(|place| config.routes[place].id.as_str());
    match (route.paths.chosen, beside) {
        (Chosen::Written, _) => "as written".to_owned(),
        (Chosen::Auto, Some(other)) => {
            format!("route {other} to the same upstream has other rules")
        }
        (Chosen::Auto, None) => "no other route to the same upstream has other rules".to_owned(),
    }
}

fn words(note: &Note<'_>) -> String {
    let named = |route: &Route| format!("route {} ({})", route.id, access(route));
    let route = named(note.route);
    let laxer: Vec<String> = note.laxer.iter().map(|laxer| named(laxer)).collect();
    let laxer = laxer.join(", ");
    match note.concern {
        Concern::Below => {
            format!("{route} is for its path alone; what lies below goes to {laxer}")
        }
        Concern::OtherHost => {
            format!("what {route} protects is reached through {laxer} by asking for another host")
        }
    }
}

pub(super) fn list(config: &Config) -> Listed {
    let ordered = in_match_order(&config.routes);
    let has_cors = config.routes.iter().any(|route| route.cors != Cors::Unset);
    let has_rates = config.routes.iter().any(|route| route.rate != Rate::Common);
    let row = |route: &&Route| {
        let mut cells = vec![
            route.host.to_string(),
            route.path.clone(),
            extent(route).to_owned(),
            methods(route),
            access(route),
            config.upstreams[route.upstream].name.clone(),
            route.id.clone(),
            paths(route).to_owned(),
            paths_because(config, route),
        ];
        if has_cors {
            cells.push(cors(&route.cors).unwrap_or_else(|| "-".to_owned()));
        }
        if has_rates {
            cells.push(rate(route.rate).unwrap_or_else(|| "-".to_owned()));
        }
        cells
    };
    let mut heads =
        vec!["HOST", "PATH", "", "METHODS", "ACCESS", "UPSTREAM", "ROUTE", "PATHS", "BECAUSE"];
    if has_cors {
        heads.push("CORS");
    }
    if has_rates {
        heads.push("RATE");
    }
    let own = own_paths(config);
    let not_seen = ordered.iter().filter_map(|route| {
        let groups = own_paths::in_groups(&own_paths::covered(route, &own));
        let id = &route.id;
        (!groups.is_empty()).then(|| {
            format!(
                "own: route {id} never sees what the gateway serves itself: {}\n",
                groups.join(", ")
            )
        })
    });
    Listed {
        table: table(&heads, ordered.iter().map(row).collect()) + &not_seen.collect::<String>(),
        cors: config.cors.as_ref().map(policy),
        members: ordered.iter().map(|route| described(config, route, &own)).collect(),
        notes: review(config).iter().map(words).collect(),
    }
}

/// None if they collide, which is refused before.
fn own_paths(config: &Config) -> Vec<OwnPath> {
    server::own_endpoints(config).map(|own| own.own_paths().to_vec()).unwrap_or_default()
}

fn described(config: &Config, route: &Route, own: &[OwnPath]) -> Value {
    let covered = own_paths::covered(route, own);
    json!({
        "route": route.id,
        "host": route.host.to_string(),
        "path": route.path,
        "exact": route.extent == PathMatch::Exact,
        "methods": methods(route),
        "access": access(route),
        "upstream": config.upstreams[route.upstream].name,
        "paths": paths(route),
        "paths_because": paths_because(config, route),
        "cors": cors(&route.cors),
        "rate": rate(route.rate),
        "own_paths": covered.iter().map(|own| own.path.as_str()).collect::<Vec<_>>(),
    })
}

/// How often an address may ask, if not as it may on all others.
fn rate(rate: Rate) -> Option<String> {
    match rate {
        Rate::Common => None,
        Rate::Own { requests_per_second, burst } => {
            Some(format!("{requests_per_second}/s, {burst} at once"))
        }
        Rate::Unlimited => Some("none".to_owned()),
    }
}

/// Pages of which other origins may read.
fn cors(cors: &Cors) -> Option<String> {
    match cors {
        Cors::Unset => None,
        Cors::Upstream => Some("upstream".to_owned()),
        Cors::Policy(found) => Some(policy(found)),
    }
}

fn policy(policy: &CorsPolicy) -> String {
    let origins: Vec<String> = policy.origins.iter().map(ToString::to_string).collect();
    let with = match policy.credentials {
        AmbientCredentials::Included => " with credentials",
        AmbientCredentials::Omitted => "",
    };
    format!("{}{with}", origins.join(","))
}

/// Prints where a request would go and why; fails when it would go nowhere.
pub(super) fn tell(place: &Place, config: &Config, question: &Question) -> ExitCode {
    let json = place.format == Some(Format::Json);
    match answer(config, question) {
        Ok(members) if json => {
            let members = members.into_iter().map(|(name, value)| (name.to_owned(), value.into()));
            say(&format!("{:#}\n", Value::Object(members.collect())))
        }
        Ok(members) => {
            let rows = members.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
            say(&table(&["NAME", "VALUE"], rows.collect()))
        }
        Err(refusal) if json => match say(&format!("{:#}\n", json!({ "refused": refusal }))) {
            ExitCode::SUCCESS => ExitCode::FAILURE,
            unsaid => unsaid,
        },
        Err(refusal) => fail(1, &refusal),
    }
}

/// In the order in which the pipeline decides.
fn answer(config: &Config, question: &Question) -> Result<Vec<(&'static str, String)>, String> {
    let written = question.path.as_deref().unwrap_or_default();
    let written = written.split_once('?').map_or(written, |(path, _)| path);
    let path = path::judge(written).map_err(|why| format!("path_ambiguous: {}", why.as_str()))?;
    let (normal, readings) = (&path.normal, path.readings());
    let host = match &question.host {
        Some(written) => host::host_name(written)
            .ok_or_else(|| format!("host_malformed: {written:?} is no host"))?,
        None => String::new(),
    };
    let method = &question.method.clone().unwrap_or(Method::GET);
    let judged = message::check_method(method).and_then(|()| message::check_forwarded(method));
    judged
        .map_err(|rejection| format!("{}: {method} is not forwarded", rejection.reason.code()))?;
    let asked = vec![
        ("method", method.to_string()),
        ("host", if host.is_empty() { "*".to_owned() } else { host.clone() }),
        ("path", normal.to_string()),
    ];
    let dialects = server::own_endpoints(config).map_err(|error| error.to_string())?;
    let resolution = intercept::resolve(&dialects, (&path, &readings), method).map_err(told)?;
    match resolution {
        Resolution::NotOurs => {}
        // Whoever names no method asks whose the path is.
        Resolution::WrongMethod(allow) if question.method.is_none() => {
            let why = "the gateway's own endpoints come before every route".to_owned();
            return Ok(vec![("methods", allow), ("path", normal.to_string()), ("why", why)]);
        }
        Resolution::WrongMethod(allow) => {
            return Err(format!("method_not_allowed: the gateway's own endpoint takes {allow}"));
        }
        Resolution::Ours { .. } => {
            let why = "the gateway's own endpoints come before every route".to_owned();
            return Ok(asked.into_iter().chain([("why", why)]).collect());
        }
    }
    let routes = Routes::new(&config.routes, |_| ());
    let found = routes.find_judged(&host, (&path, &readings), method);
    let found = found.map_err(|rejection| match rejection.detail {
        Some(_) => told(rejection),
        None => format!("{}: {normal} goes nowhere", rejection.reason.code()),
    })?;
    let route = &config.routes[found.index];
    let others: Vec<&str> = in_match_order(&config.routes)
        .into_iter()
        .filter(|other| covers(other, &host, normal) && !std::ptr::eq(*other, route))
        .map(|other| other.id.as_str())
        .collect();
    let mut members = asked;
    members.extend([
        ("route", route.id.clone()),
        ("access", access(route)),
        ("upstream", config.upstreams[route.upstream].name.clone()),
        ("why", why(route, method)),
        ("paths", format!("{}: {}", paths(route), paths_because(config, route))),
    ]);
    members.extend(cors(&route.cors).map(|cors| ("cors", cors)));
    members.extend(rate(route.rate).map(|rate| ("rate", rate)));
    if !others.is_empty() {
        members.push(("passed_over", others.join(", ")));
    }
    Ok(members)
}

fn told(rejection: Rejection) -> String {
    let detail = rejection.detail.unwrap_or_default();
    format!("{}: {detail}", rejection.reason.code())
}

fn why(route: &Route, method: &Method) -> String {
    let host = match &route.host {
        HostMatch::Name(_) => "a route for this very host",
        HostMatch::Label(_) => "a route with a wildcard for this host",
        HostMatch::Any => "a route for every host",
    };
    let path = match route.extent {
        PathMatch::Exact => "for this very path",
        PathMatch::Below => "with the longest path that has this one",
    };
    let named = if route.methods.contains(method) {
        ", which names the method"
    } else if route.methods.is_empty() {
        ""
    } else {
        ", which names GET and so has HEAD"
    };
    format!("{host}, {path}{named}")
}
