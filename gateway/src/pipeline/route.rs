//! Which route a request takes.
//!
//! Host first: routes for this very host come before those with a wildcard for its
//! first label, and these before routes for all. Then the path: a route for this very
//! path alone, else the longest that has what lies below it. Only then the method: a
//! request whose path belongs to a route never slips to a shorter, laxer one because of
//! its method.
//!
//! A path that servers read in several ways has a route only where that allows it, and
//! where none of these ways leads to what a stricter route to the same server protects.

pub mod review;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;

use crate::canonical::path::{Judged, Reading, is_below};
use crate::config::page_origin::PageOrigin;
use crate::config::schemes::Schemes;
use crate::config::{
    self, Access, Agents, CredentialForwarding, HostMatch, PathForm, PathMatch, RawProtocol,
    Tickets,
};

use super::cors::policy::Rule;
use super::destination::Destination;
use super::rate_limit::RateLimit;
use super::reason::{Reason, Rejection};

/// A path, and what servers may read in it ([`Judged::readings`]).
pub type ReadPath<'a> = (&'a Judged<'a>, &'a [String]);

/// A route as requests see it. `D` is where they go; nothing, for who only asks which route
/// has a request.
#[derive(Debug)]
pub struct Route<D = Destination> {
    pub id: Arc<str>,
    /// Its place among the configured ones.
    pub index: usize,
    methods: Vec<Method>,
    pub destination: D,
    pub access: Access,
    pub body_bytes: Option<u64>,
    pub timeout: std::time::Duration,
    pub credential: CredentialForwarding,
    pub tickets: Tickets,
    pub agents: Agents,
    pub upgrades: Vec<RawProtocol>,
    pub origins: Vec<PageOrigin>,
    paths: PathForm,
    /// Stricter routes to the same server, by their places in [`Routes::paths`].
    stricter: Vec<usize>,
    pub cors: Rule,
    pub schemes: Schemes,
}

/// Where the requests of an address take their tokens.
#[derive(Debug)]
enum Rate {
    /// From its bucket for all of the gateway.
    Common,
    /// From one for this route.
    Own(Box<RateLimit>),
    Unlimited,
}

impl Rate {
    fn new(rate: config::Rate) -> Self {
        match rate {
            config::Rate::Common => Self::Common,
            config::Rate::Own { requests_per_second, burst } => {
                Self::Own(Box::new(RateLimit::of_route(requests_per_second, burst)))
            }
            config::Rate::Unlimited => Self::Unlimited,
        }
    }
}

impl<D> Route<D> {
    fn new(index: usize, route: &config::Route, destination: D) -> Self {
        Self {
            paths: route.paths.form,
            stricter: route.paths.stricter.clone(),
            id: route.id.as_str().into(),
            index,
            methods: route.methods.clone(),
            destination,
            access: route.access.clone(),
            body_bytes: route.body_bytes,
            timeout: route.timeout,
            credential: route.credential,
            tickets: route.tickets,
            agents: route.agents,
            upgrades: route.upgrades.clone(),
            origins: route.origins.clone(),
            cors: Rule::new(&route.cors),
            schemes: route.schemes,
        }
    }

    /// Whether it is there for this method, and not for every one.
    #[must_use]
    pub fn names(&self, method: &Method) -> bool {
        self.methods.contains(method)
    }

    /// The methods it takes; none is every one.
    #[must_use]
    pub fn methods(&self) -> Vec<&str> {
        let mut methods: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        if methods.contains(&"GET") && !methods.contains(&"HEAD") {
            methods.push("HEAD");
        }
        methods
    }
}

/// All routes, by host.
#[derive(Debug)]
pub struct Routes<D = Destination> {
    names: BTreeMap<String, OfHost<D>>,
    /// By what follows the first label.
    labels: BTreeMap<String, OfHost<D>>,
    any: OfHost<D>,
    /// What each is for, in the order of the configured ones.
    paths: Vec<(String, PathMatch)>,
    cors_policies: bool,
    /// Of each route, in the order of the configuration; empty if all have the common one.
    rates: Vec<Rate>,
}

/// The routes of one host. Those that share a path are for different methods.
#[derive(Debug)]
struct OfHost<D> {
    exact: BTreeMap<String, Vec<Arc<Route<D>>>>,
    /// The longest path first.
    below: Vec<(String, Vec<Arc<Route<D>>>)>,
}

impl<D> Default for OfHost<D> {
    fn default() -> Self {
        Self { exact: BTreeMap::new(), below: Vec::new() }
    }
}

impl<D> Routes<D> {
    /// `destination` makes that of an upstream, by its place among the configured ones.
    #[must_use]
    pub fn new(routes: &[config::Route], destination: impl Fn(usize) -> D) -> Self {
        let mut all = Self {
            names: BTreeMap::new(),
            labels: BTreeMap::new(),
            any: OfHost::default(),
            paths: Vec::new(),
            cors_policies: false,
            rates: Vec::new(),
        };
        for (index, configured) in routes.iter().enumerate() {
            let of_host = match &configured.host {
                HostMatch::Name(name) => all.names.entry(name.clone()).or_default(),
                HostMatch::Label(suffix) => all.labels.entry(suffix.clone()).or_default(),
                HostMatch::Any => &mut all.any,
            };
            let route = Arc::new(Route::new(index, configured, destination(configured.upstream)));
            all.cors_policies |= matches!(route.cors, Rule::Policy(_));
            of_host.owners_at(&configured.path, configured.extent).push(route);
            all.paths.push((configured.path.clone(), configured.extent));
        }
        if routes.iter().any(|route| route.rate != config::Rate::Common) {
            all.rates = routes.iter().map(|route| Rate::new(route.rate)).collect();
        }
        let hosts = all.names.values_mut().chain(all.labels.values_mut());
        for of_host in hosts.chain([&mut all.any]) {
            of_host.below.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        }
        all
    }

    /// The route of a path that servers may read in several ways. `readings` are these.
    ///
    /// # Errors
    /// As [`Self::find`]; and when the route does not take such a path, or somebody could
    /// come by it to what another one protects.
    pub fn find_judged(
        &self,
        host: &str,
        (path, readings): ReadPath<'_>,
        method: &Method,
    ) -> Result<&Arc<Route<D>>, Rejection> {
        let found = self.find(host, &path.normal, method);
        let ambiguity = match path.reading {
            Reading::One => return found,
            Reading::Delimited => None,
            Reading::Several(ambiguity) => Some(ambiguity),
        };
        let refuse = |ambiguity| Reason::PathAmbiguous.with_detail(ambiguity);
        let route = match (found, ambiguity) {
            (Ok(route), Some(ambiguity)) if route.paths == PathForm::Strict => {
                return Err(refuse(ambiguity.as_str()));
            }
            (Ok(route), _) => route,
            // Where it would go is no matter: it goes nowhere.
            (Err(_), Some(ambiguity)) => return Err(refuse(ambiguity.as_str())),
            (Err(rejection), None) => return Err(rejection),
        };
        if readings.iter().any(|reading| self.leads_past(route, host, reading, method)) {
            return Err(refuse("the upstream may read a path that a stricter route is for"));
        }
        Ok(route)
    }

    /// Whether what is read so belongs to another route, and a stricter one might protect
    /// it. What the route has under its plain path as well is nothing more.
    fn leads_past(&self, route: &Route<D>, host: &str, reading: &str, method: &Method) -> bool {
        let has = |(path, extent): &(String, PathMatch)| has_path(path, *extent, reading);
        route.stricter.iter().filter_map(|place| self.paths.get(*place)).any(has)
            && !self.find(host, reading, method).is_ok_and(|found| found.index == route.index)
    }

    /// # Errors
    /// When no route has the path, or none of that path the method.
    pub fn find(
        &self,
        host: &str,
        path: &str,
        method: &Method,
    ) -> Result<&Arc<Route<D>>, Rejection> {
        let owners =
            self.owners(host, path).ok_or_else(|| Rejection::from(Reason::RouteUnknown))?;
        choose(owners, method)
            .ok_or_else(|| Reason::MethodNotAllowed { allow: allowed(owners) }.into())
    }

    /// Whether the gateway answers pages of other origins on any of them.
    #[must_use]
    pub fn have_cors_policies(&self) -> bool {
        self.cors_policies
    }

    /// Whether the bucket depends on the route.
    #[must_use]
    pub fn have_rates(&self) -> bool {
        !self.rates.is_empty()
    }

    /// Where requests to this route, or to none, take their tokens; `None`: they need none.
    #[must_use]
    pub fn bucket<'r>(
        &'r self,
        route: Option<usize>,
        common: &'r RateLimit,
    ) -> Option<&'r RateLimit> {
        match route.and_then(|index| self.rates.get(index)) {
            None | Some(Rate::Common) => Some(common),
            Some(Rate::Own(own)) => Some(own),
            Some(Rate::Unlimited) => None,
        }
    }

    /// Forgets full buckets.
    pub fn sweep(&self) {
        for rate in &self.rates {
            if let Rate::Own(admission) = rate {
                admission.sweep();
            }
        }
    }

    /// The routes that share a path, each for its methods.
    #[must_use]
    pub fn at(&self, host: &str, path: &str) -> &[Arc<Route<D>>] {
        self.owners(host, path).unwrap_or_default()
    }

    fn owners(&self, host: &str, path: &str) -> Option<&[Arc<Route<D>>]> {
        let of_label = || self.labels.get(host.split_once('.')?.1)?.owners(path);
        let of_name = self.names.get(host).and_then(|of_host| of_host.owners(path));
        of_name.or_else(of_label).or_else(|| self.any.owners(path))
    }
}

impl<D> OfHost<D> {
    fn owners_at(&mut self, path: &str, extent: PathMatch) -> &mut Vec<Arc<Route<D>>> {
        match extent {
            PathMatch::Exact => self.exact.entry(path.to_owned()).or_default(),
            PathMatch::Below => {
                let known = self.below.iter().position(|(known, _)| known == path);
                let at = known.unwrap_or_else(|| {
                    self.below.push((path.to_owned(), Vec::new()));
                    self.below.len() - 1
                });
                &mut self.below[at].1
            }
        }
    }

    fn owners(&self, path: &str) -> Option<&[Arc<Route<D>>]> {
        let below = || self.below.iter().find(|(prefix, _)| is_below(path, prefix));
        let exact = self.exact.get(path);
        exact.or_else(|| below().map(|(_, routes)| routes)).map(Vec::as_slice)
    }
}

/// Whether a path, in normal form, is one of a route's.
#[must_use]
pub fn has_path(route: &str, extent: PathMatch, path: &str) -> bool {
    match extent {
        PathMatch::Exact => route == path,
        PathMatch::Below => is_below(path, route),
    }
}

/// The one that names the method, else for HEAD what GET would be answered by, else the
/// one for every method.
fn choose<'a, D>(owners: &'a [Arc<Route<D>>], method: &Method) -> Option<&'a Arc<Route<D>>> {
    let naming = |method: &Method| owners.iter().find(|route| route.names(method));
    naming(method)
        .or_else(|| naming(&Method::GET).filter(|_| *method == Method::HEAD))
        .or_else(|| owners.iter().find(|route| route.methods.is_empty()))
}

fn allowed<D>(routes: &[Arc<Route<D>>]) -> String {
    let mut names: Vec<&str> =
        routes.iter().flat_map(|route| route.methods.iter().map(Method::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests;
