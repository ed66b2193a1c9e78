//! Which routes have the same rules. A server may read a path as that of another route:
//! between routes with the same rules to the same server nobody gains by that.

mod server;

use http::Method;

use self::server::Address;
use super::{Access, Agents, Chosen, KeyAccess, PathForm, Paths, Rate, Route, Upstream};
use crate::canonical::path::is_below;

/// Decides for each route which others matter to its paths, and the form where nobody has
/// chosen one: opaque only beside routes that have the same rules, or other servers.
pub(super) fn settle_paths(routes: &mut [Route], upstreams: &[Upstream]) {
    let servers: Vec<Option<Address>> = upstreams.iter().map(server::address).collect();
    let settled: Vec<Paths> = routes.iter().map(|route| settle(route, routes, &servers)).collect();
    for (route, paths) in routes.iter_mut().zip(settled) {
        route.paths = paths;
    }
}

fn settle(route: &Route, routes: &[Route], servers: &[Option<Address>]) -> Paths {
    let is_neighbour = |other: &Route| {
        !std::ptr::eq(route, other) && servers[route.upstream] == servers[other.upstream]
    };
    let neighbours = || routes.iter().enumerate().filter(|(_, other)| is_neighbour(other));
    let beside = neighbours().find(|(_, other)| have_other_rules(route, other));
    let stricter = neighbours().filter(|(_, other)| !asks_no_less(route, other));
    let form = match (route.paths.chosen, beside) {
        (Chosen::Written, _) => route.paths.form,
        (Chosen::Auto, None) => PathForm::Opaque,
        (Chosen::Auto, Some(_)) => PathForm::Strict,
    };
    Paths {
        form,
        chosen: route.paths.chosen,
        beside: beside.map(|(place, _)| place),
        stricter: stricter.map(|(place, _)| place).collect(),
    }
}

/// Whether two routes differ in whom they let through, to do what.
///
/// A route's rules are: whether it is public; its roles and scopes, and which keys it takes;
/// by which `schemes` credentials come; its methods, and which protocols a connection may
/// switch to (`upgrades`); and which foreign pages may act for their visitors (`origins`) or
/// read responses (`cors`). How often an address may ask (`rate`) decides with them which of
/// two routes is the stricter one, and not which form their paths have. No rules are where it
/// matches (host and path), what it takes of the gateway (sizes and times), and what the
/// upstream is told (credentials).
///
/// `agents` and `ws_token` are other ways to present a credential, which has to be as good.
/// Where agents are taken, other keys are: that makes no other rules, unless a path of such
/// a route can be read as one of the other's. The way back is looked at path by path: the
/// route for agents is among the stricter ones.
#[must_use]
pub fn have_other_rules(left: &Route, right: &Route) -> bool {
    !(lets_no_more_through(left, right) && lets_no_more_through(right, left)
        || is_agents_way_beside(left, right)
        || is_agents_way_beside(right, left))
}

/// Whether `route` is for agents what `other` is for everybody else, and none of its paths
/// one of the other's: however a path below `/ws` is read, it stays below `/ws`.
fn is_agents_way_beside(route: &Route, other: &Route) -> bool {
    if (route.agents.are_accepted(), other.agents) != (true, Agents::NotAccepted)
        || is_below(&other.path, &route.path)
    {
        return false;
    }
    let with_its_keys = Route { access: with_keys(&route.access, &other.access), ..route.clone() };
    lets_no_more_through(&with_its_keys, other) && lets_no_more_through(other, &with_its_keys)
}

fn with_keys(access: &Access, of: &Access) -> Access {
    match (access.clone(), of) {
        (Access::Authenticated { roles, scopes, .. }, Access::Authenticated { keys, .. }) => {
            Access::Authenticated { roles, scopes, keys: *keys }
        }
        (access, _) => access,
    }
}

/// Whether nobody passes `route` whom `other` refuses, nor more often.
fn asks_no_less(route: &Route, other: &Route) -> bool {
    lets_no_more_through(route, other) && is_no_faster(route.rate, other.rate)
}

fn lets_no_more_through(route: &Route, other: &Route) -> bool {
    // Every member is named, so that a new one has to be judged.
    let Route {
        access: _,
        methods,
        origins,
        id: _,
        host: _,
        path: _,
        extent: _,
        upstream: _,
        body_bytes: _,
        timeout: _,
        credential: _,
        tickets: _,
        agents: _,
        paths: _,
        cors,
        upgrades,
        schemes: _,
        challenge: _,
        sign_in: _,
        rate: _,
    } = route;
    lets_in_no_more(route, &route.access, other)
        && are_among(methods, &other.methods)
        && origins.iter().all(|origin| other.origins.contains(origin))
        && *cors == other.cors
        && upgrades.iter().all(|upgrade| other.upgrades.contains(upgrade))
}

/// Whether somebody passes `route` whom `other` refuses, whatever it is that they ask for.
/// Beside a route for agents others come with other keys, and are meant to.
#[must_use]
pub fn lets_others_in(route: &Route, other: &Route) -> bool {
    let is_beside_agents = other.agents.are_accepted() && !route.agents.are_accepted();
    if is_beside_agents {
        !lets_in_no_more(route, &with_keys(&route.access, &other.access), other)
    } else {
        !lets_in_no_more(route, &route.access, other)
    }
}

/// Whether nobody is let in by `route`, had it this access, whom `other` refuses.
fn lets_in_no_more(route: &Route, access: &Access, other: &Route) -> bool {
    access_asks_no_less(access, &other.access) && route.schemes.are_among(other.schemes)
}

fn access_asks_no_less(access: &Access, other: &Access) -> bool {
    match (access, other) {
        (_, Access::Public) => true,
        (Access::Public, Access::Authenticated { .. }) => false,
        (
            Access::Authenticated { roles, scopes, keys },
            Access::Authenticated { roles: wanted, scopes: wanted_scopes, keys: wanted_keys },
        ) => {
            // One of the roles is enough; all of the scopes are asked for.
            let roles_suffice = wanted.is_empty()
                || !roles.is_empty() && roles.iter().all(|role| wanted.contains(role));
            roles_suffice
                && wanted_scopes.iter().all(|scope| scopes.contains(scope))
                && takes_no_more(*keys, *wanted_keys)
        }
    }
}

/// Whether as good a limit holds for whoever is past this one. Two buckets of routes are
/// more than one, however large they are.
fn is_no_faster(rate: Rate, other: Rate) -> bool {
    other == Rate::Unlimited || rate == Rate::Common && other == Rate::Common
}

fn takes_no_more(keys: KeyAccess, others: KeyAccess) -> bool {
    keys == others || keys == KeyAccess::None || others == KeyAccess::Any
}

/// None are all; HEAD comes with GET.
fn are_among(methods: &[Method], others: &[Method]) -> bool {
    let has = |method: &Method| {
        others.contains(method) || *method == Method::HEAD && others.contains(&Method::GET)
    };
    others.is_empty() || !methods.is_empty() && methods.iter().all(has)
}

/// Whether two upstreams are one server, as far as their addresses tell.
#[must_use]
pub fn is_same_server(left: &Upstream, right: &Upstream) -> bool {
    server::address(left) == server::address(right)
}

#[cfg(test)]
mod tests;
