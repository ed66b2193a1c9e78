//! What an operator wants to know of a set of routes: in which order they match, and
//! which of them may not be meant so.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use http::Method;

use crate::config::rules::{is_same_server, lets_others_in};
use crate::config::{Access, Config, HostMatch, PathMatch, Route};

use super::{Routes, has_path};

/// A protected route beside some to the same server that let others in.
#[derive(Debug)]
pub struct Note<'a> {
    pub route: &'a Route,
    /// At least one.
    pub laxer: Vec<&'a Route>,
    pub concern: Concern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// The route is exact, and what lies below its path goes to a laxer one.
    Below,
    /// The same path goes to a laxer one when another host is asked for.
    OtherHost,
}

/// The routes in the order in which they match.
#[must_use]
pub fn in_match_order(routes: &[Route]) -> Vec<&Route> {
    let mut ordered: Vec<&Route> = routes.iter().collect();
    ordered.sort_by_key(|route| {
        let (rank, host) = match &route.host {
            HostMatch::Name(name) => (0, name.as_str()),
            HostMatch::Label(suffix) => (1, suffix.as_str()),
            HostMatch::Any => (2, ""),
        };
        let path = (route.extent == PathMatch::Below, Reverse(route.path.len()), &route.path);
        (rank, host, path, route.methods.is_empty())
    });
    ordered
}

/// Whether a route's host and path are a request's, in normal form; the method aside.
#[must_use]
pub fn covers(route: &Route, host: &str, path: &str) -> bool {
    let host_fits = match &route.host {
        HostMatch::Any => true,
        HostMatch::Name(name) => name == host,
        HostMatch::Label(suffix) => host.split_once('.').is_some_and(|(_, rest)| rest == suffix),
    };
    host_fits && has_path(&route.path, route.extent, path)
}

/// The routes beside laxer ones that may open what they protect: one note of each concern.
#[must_use]
pub fn review(config: &Config) -> Vec<Note<'_>> {
    let Config { routes, upstreams, .. } = config;
    let found = Routes::new(routes, |_| ());
    let find = |host: &str, path: &str, method: &Method| {
        found.find(host, path, method).ok().map(|found| found.index)
    };
    let mut hosts: Vec<String> = routes.iter().map(|route| witness_host(&route.host)).collect();
    hosts.sort();
    hosts.dedup();
    let mut notes: Vec<Note<'_>> = Vec::new();
    for route in routes.iter().filter(|route| route.access != Access::Public) {
        let own = witness_host(&route.host);
        let below = witness_below(&route.path);
        let is_laxer = |other: &Route| {
            is_same_server(&upstreams[other.upstream], &upstreams[route.upstream])
                && lets_others_in(other, route)
        };
        let methods = witness_methods(route);
        let laxer = |host: &str, path: &str| -> Vec<usize> {
            let found = methods.iter().filter_map(|method| find(host, path, method));
            found.filter(|place| is_laxer(&routes[*place])).collect()
        };
        let mut note = |places: Vec<usize>, concern| {
            let places: BTreeSet<usize> = places.into_iter().collect();
            let laxer: Vec<&Route> = places.into_iter().map(|place| &routes[place]).collect();
            if !laxer.is_empty() {
                notes.push(Note { route, laxer, concern });
            }
        };
        if route.extent == PathMatch::Exact {
            note(laxer(&own, &below), Concern::Below);
        }
        let mut elsewhere = Vec::new();
        for host in hosts.iter().filter(|host| **host != own) {
            elsewhere.extend(laxer(host, &route.path));
            if route.extent == PathMatch::Below {
                elsewhere.extend(laxer(host, &below));
            }
        }
        note(elsewhere, Concern::OtherHost);
    }
    notes
}

/// A host that only such rules fit, which no request can name.
fn witness_host(host: &HostMatch) -> String {
    match host {
        HostMatch::Any => String::new(),
        HostMatch::Name(name) => name.clone(),
        HostMatch::Label(suffix) => format!(".{suffix}"),
    }
}

/// A path below, which no route can name.
fn witness_below(path: &str) -> String {
    format!("{}/\0", path.trim_end_matches('/'))
}

fn witness_methods(route: &Route) -> Vec<Method> {
    if route.methods.is_empty() { vec![Method::GET, Method::POST] } else { route.methods.clone() }
}
