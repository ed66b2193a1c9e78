//! What an operator wants to know of a set of routes: in which order they match, and
//! which of them may not be meant so.

use std::cmp::Reverse;

use http::Method;

use crate::config::{Access, HostMatch, PathMatch, Route};

use super::{Routes, has_path};

/// A protected route beside one that asks for less, to the same upstream.
#[derive(Debug, Clone, Copy)]
pub struct Note<'a> {
    pub route: &'a Route,
    pub laxer: &'a Route,
    pub concern: Concern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// The route is exact, and what lies below its path goes to the laxer one.
    Below,
    /// The same path goes to the laxer one when another host is asked for.
    OtherHost,
}

impl Note<'_> {
    fn says_as(&self, other: &Note<'_>) -> bool {
        std::ptr::eq(self.route, other.route)
            && std::ptr::eq(self.laxer, other.laxer)
            && self.concern == other.concern
    }
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

/// Pairs of routes of which the laxer may open what the other protects.
#[must_use]
pub fn review(routes: &[Route]) -> Vec<Note<'_>> {
    let found = Routes::new(routes);
    let find = |host: &str, path: &str, method: &Method| {
        found.find(host, path, method).ok().map(|found| &routes[found.index])
    };
    let mut hosts: Vec<String> = routes.iter().map(|route| witness_host(&route.host)).collect();
    hosts.sort();
    hosts.dedup();
    let mut notes: Vec<Note<'_>> = Vec::new();
    for route in routes.iter().filter(|route| route.access != Access::Public) {
        let own = witness_host(&route.host);
        let below = witness_below(&route.path);
        let methods = witness_methods(route);
        for method in &methods {
            let laxer = |host: &str, path: &str| {
                find(host, path, method).filter(|other| is_laxer(other, route))
            };
            let mut note = |laxer: Option<_>, concern| {
                let note = laxer.map(|laxer| Note { route, laxer, concern });
                notes.extend(note.filter(|note| !notes.iter().any(|known| known.says_as(note))));
            };
            if route.extent == PathMatch::Exact {
                note(laxer(&own, &below), Concern::Below);
            }
            for host in hosts.iter().filter(|host| **host != own) {
                note(laxer(host, &route.path), Concern::OtherHost);
                if route.extent == PathMatch::Below {
                    note(laxer(host, &below), Concern::OtherHost);
                }
            }
        }
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

/// Whether `other` lets through to the same upstream whom `route` would refuse.
fn is_laxer(other: &Route, route: &Route) -> bool {
    other.upstream == route.upstream
        && match (&other.access, &route.access) {
            (_, Access::Public) => false,
            (Access::Public, Access::Authenticated { .. }) => true,
            (
                Access::Authenticated { roles, scopes, .. },
                Access::Authenticated { roles: wanted, scopes: wanted_scopes, .. },
            ) => {
                (roles.is_empty() && !wanted.is_empty())
                    || (scopes.is_empty() && !wanted_scopes.is_empty())
            }
        }
}
