//! Which route a request takes.
//!
//! Host first: routes for this very host come before routes for all. Then the
//! longest path. Only then the method: a request whose path belongs to a route
//! never slips to a shorter, laxer one because of its method.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;

use crate::canonical::path::is_below;
use crate::config::{self, Access, Agents, CredentialForwarding, Tickets};

use super::reason::{Reason, Rejection};

/// A route as requests see it.
#[derive(Debug)]
pub struct Route {
    pub id: Arc<str>,
    path: String,
    methods: Vec<Method>,
    pub upstream: usize,
    pub access: Access,
    pub body_bytes: Option<u64>,
    pub timeout: std::time::Duration,
    pub credential: CredentialForwarding,
    pub tickets: Tickets,
    pub agents: Agents,
}

/// All routes, most specific first.
#[derive(Debug)]
pub struct Routes {
    of_host: BTreeMap<String, Vec<Arc<Route>>>,
    of_any: Vec<Arc<Route>>,
}

impl Routes {
    #[must_use]
    pub fn new(routes: &[config::Route]) -> Self {
        let mut of_host: BTreeMap<String, Vec<Arc<Route>>> = BTreeMap::new();
        let mut of_any = Vec::new();
        for route in routes {
            let host = route.host.clone();
            let route = Route {
                id: route.id.as_str().into(),
                path: route.path.clone(),
                methods: route.methods.clone(),
                upstream: route.upstream,
                access: route.access.clone(),
                body_bytes: route.body_bytes,
                timeout: route.timeout,
                credential: route.credential,
                tickets: route.tickets,
                agents: route.agents,
            };
            let list = match host {
                Some(host) => of_host.entry(host).or_default(),
                None => &mut of_any,
            };
            list.push(Arc::new(route));
        }
        for list in of_host.values_mut().chain([&mut of_any]) {
            // By length, and the same path together.
            list.sort_by(|left, right| {
                let (left, right) = (left.prefix(), right.prefix());
                right.len().cmp(&left.len()).then_with(|| left.cmp(right))
            });
        }
        Self { of_host, of_any }
    }

    /// # Errors
    /// When no route has the path, or none of that path the method.
    pub fn find(&self, host: &str, path: &str, method: &Method) -> Result<&Arc<Route>, Rejection> {
        let of_host = self.of_host.get(host).and_then(|routes| longest(routes, path));
        let candidates = of_host
            .or_else(|| longest(&self.of_any, path))
            .ok_or_else(|| Rejection::from(Reason::RouteUnknown))?;
        candidates
            .iter()
            .find(|route| route.names(method))
            .or_else(|| candidates.iter().find(|route| route.methods.is_empty()))
            .ok_or_else(|| Reason::MethodNotAllowed { allow: allowed(candidates) }.into())
    }
}

impl Route {
    fn prefix(&self) -> &str {
        self.path.trim_end_matches('/')
    }

    fn names(&self, method: &Method) -> bool {
        // HEAD asks for what GET would answer and is permitted with it.
        self.methods.contains(method)
            || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }
}

/// The routes that share the longest matching path; there may be several for
/// different methods.
fn longest<'a>(routes: &'a [Arc<Route>], path: &str) -> Option<&'a [Arc<Route>]> {
    let first = routes.iter().position(|route| is_below(path, &route.path))?;
    let rest = &routes[first..];
    let count = rest.iter().take_while(|route| route.prefix() == rest[0].prefix()).count();
    Some(&rest[..count])
}

fn allowed(routes: &[Arc<Route>]) -> String {
    let mut names: Vec<&str> =
        routes.iter().flat_map(|route| route.methods.iter().map(Method::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests;
