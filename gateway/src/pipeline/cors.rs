//! Which pages of other origins may read responses, and what they may send (Fetch 3.3).
//!
//! A browser asks before it sends what no form could (a preflight), and shows a page only
//! responses that name the page's origin. Both are answered here by one policy: a route's,
//! or the auth API's. Whom a policy does not list gets responses without these fields, and
//! the browser keeps them from the page. What a page may cause all the same is judged in
//! [`cross_site`], by another list.
//!
//! [`cross_site`]: super::cross_site

pub mod policy;

use std::ops::ControlFlow;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri, Version};

use crate::canonical::path;
use crate::config::Access;
use crate::config::page_origin::PageOrigin;
use crate::dialect::{Candidate, Contract};
use crate::telemetry::access_log::Decision;
use crate::telemetry::counters::Counters;

use super::body::response::ResponseBody;
use super::connection::Connection;
use super::forward::identity::is_credential;
use super::reason::{Reason, Rejection};
use super::record::RequestRecord;
use super::route::{ReadPath, Route, Routes};
use super::site::Site;
use super::{message, respond};
use policy::{Applied, Policy, Rule, Told, list};

/// A name this long is no field's that an operator would look for.
const SHOWN_NAME_BYTES: usize = 64;

/// Under which policy the responses of endpoints are that share a path of ours.
#[must_use]
pub fn of_endpoint(site: &Site, candidates: &[Candidate]) -> Applied {
    let contract = candidates.first().map(|candidate| candidate.dialect.contract());
    Applied::of(contract.and_then(|contract| policy_of_contract(site, contract)))
}

/// The auth API's, links among it. A page that may use that is not one that may administer,
/// and the console's are for themselves.
fn policy_of_contract(site: &Site, contract: Contract) -> Option<&Arc<Policy>> {
    match contract {
        Contract::Form
        | Contract::Status
        | Contract::Envelope
        | Contract::Plain
        | Contract::Links => site.cors.as_ref(),
        Contract::Admin | Contract::Console => None,
    }
}

/// What a page's request says of itself, kept until there is a response. Boxed, as what
/// few requests have is, so that the others' futures stay small.
pub struct Page {
    /// `None`: it came more than once, so nobody knows which a browser wrote.
    origin: Option<HeaderValue>,
    /// Where the request was sent to, should it be refused before anybody else looks.
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
}

impl Page {
    /// `None`: the request does not state an origin, or there is no policy to judge it by.
    #[must_use]
    pub fn of<B>(site: &Site, request: &Request<B>) -> Option<Box<Self>> {
        let headers = request.headers();
        if !headers.contains_key(header::ORIGIN) || !site.has_cors_policies() {
            return None;
        }
        let asked = requested_method(headers).filter(|_| request.method() == Method::OPTIONS);
        Some(Box::new(Self {
            origin: once(headers, &header::ORIGIN).cloned(),
            method: asked.unwrap_or_else(|| request.method().clone()),
            uri: request.uri().clone(),
            version: request.version(),
            host: once(headers, &header::HOST).cloned(),
        }))
    }

    /// The policy of a request that was refused before its route was known. Where none can
    /// be, what we say is what the auth API might.
    fn policy<'s>(&self, site: &'s Site, connection: &Connection) -> Option<&'s Arc<Policy>> {
        let of_auth_api = site.cors.as_ref();
        let written = self.uri.path();
        let path =
            path::judge(written).ok().filter(|_| written.len() <= connection.rules.uri_bytes);
        let Some(path) = path.map(|judged| judged.normal) else { return of_auth_api };
        if let Some(contract) = site.dialects.owner(&path) {
            return policy_of_contract(site, contract);
        }
        let Some(host) = self.host() else { return of_auth_api };
        match site.routes.find(&host, &path, &self.method) {
            Ok(route) => route.cors.policy(),
            Err(lost) if lost.reason == Reason::RouteUnknown => of_auth_api,
            // The path is somebody's, by another method.
            Err(_) => {
                let origin = self.origin.as_ref()?;
                let mut rules = site.routes.at(&host, &path).iter().map(|route| &route.cors);
                rules.find_map(|rule| rule.policy().filter(|policy| policy.lists(origin)))
            }
        }
    }

    fn host(&self) -> Option<String> {
        let (mut head, ()) = Request::new(()).into_parts();
        head.uri.clone_from(&self.uri);
        head.version = self.version;
        head.headers.extend(self.host.clone().map(|host| (header::HOST, host)));
        message::host(&head).ok().map(|host| host.name)
    }
}

/// Lets the page that asked read the response, if its origin is listed.
pub fn share(
    (site, connection): (&Site, &Connection),
    applied: &Applied,
    page: Option<&Page>,
    response: &mut Response<ResponseBody>,
) {
    // No page reads the head of a WebSocket.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let (policy, told) = match applied {
        Applied::Nothing => return,
        Applied::Policy(policy) => (policy, Told::Response),
        Applied::Preflight(policy, methods) => (policy, Told::Preflight(methods)),
        Applied::Unknown => match page.and_then(|page| page.policy(site, connection)) {
            Some(policy) => (policy, Told::Response),
            None => return,
        },
    };
    let origin = page.and_then(|page| page.origin.as_ref());
    policy.write(origin, told, response.headers_mut());
}

/// A browser's question whether a page may send a request (Fetch 4.8).
#[derive(Debug)]
pub struct Preflight {
    /// `None`: more than one, or none at all.
    origin: Option<HeaderValue>,
    /// The method that the page would use; `None`: it is not one.
    method: Option<Method>,
    /// The fields that it would set.
    fields: Vec<HeaderValue>,
}

impl Preflight {
    /// `None`: the request is no preflight. Browsers send them with neither a body nor
    /// an upgrade, and OPTIONS with either is judged as any request is.
    #[must_use]
    pub fn read(parts: &Parts, ends_with_head: bool) -> Option<Box<Self>> {
        let headers = &parts.headers;
        let is_one = parts.method == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && !headers.contains_key(header::UPGRADE)
            && ends_with_head;
        is_one.then(|| {
            let fields = headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS);
            Box::new(Self {
                origin: once(headers, &header::ORIGIN).cloned(),
                method: requested_method(headers),
                fields: fields.iter().cloned().collect(),
            })
        })
    }

    fn is_of_listed(&self, policy: &Policy) -> bool {
        self.origin.as_ref().is_some_and(|origin| policy.lists(origin))
    }

    /// The first field that the policy does not let pages set. What is no field's name (a
    /// token, RFC 9110 5.1) is not quoted: the log holds nothing that anybody can write.
    fn unlisted_field(&self, policy: &Policy) -> Option<String> {
        let values = self.fields.iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
        let mut names = values.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
        let listed = |name: &&[u8]| {
            policy.fields.iter().any(|field| name.eq_ignore_ascii_case(field.as_str().as_bytes()))
        };
        let unlisted = names.find(|name| !listed(name))?;
        let name = HeaderName::from_bytes(unlisted).ok();
        let shown = name.filter(|name| name.as_str().len() <= SHOWN_NAME_BYTES);
        Some(shown.map_or_else(|| "a field".to_owned(), |name| name.to_string()))
    }
}

/// The value of a field that comes exactly once.
fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    message::only(headers, name).ok().flatten()
}

fn requested_method(headers: &HeaderMap) -> Option<Method> {
    let value = once(headers, &header::ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(value.as_bytes()).ok()
}

/// Answers a preflight for one of our endpoints, none of which takes OPTIONS itself.
///
/// # Errors
/// When a page may not send what its browser asks about, and for what is no preflight.
pub fn answer_for_endpoint(
    (counters, site): (&Counters, &Site),
    record: &mut RequestRecord,
    path: &str,
    preflight: Option<&Preflight>,
    allow: String,
) -> Result<Response<ResponseBody>, Rejection> {
    let Some(preflight) = preflight else {
        return Err(Reason::MethodNotAllowed { allow }.into());
    };
    let policy = site
        .dialects
        .owner(path)
        .and_then(|contract| policy_of_contract(site, contract))
        .ok_or_else(|| Reason::PreflightRefused.with_detail("no [cors] for this endpoint"))?;
    let there: Vec<&str> = allow.split(", ").collect();
    answer(counters, record, policy, preflight, &there)
}

/// The route that a request goes on by, or the answer to a preflight that does not.
///
/// # Errors
/// When there is no route, or a page may not send what its browser asks about.
pub fn find_route<'s>(
    (counters, site): (&Counters, &'s Site),
    record: &mut RequestRecord,
    (host, path): (&str, ReadPath<'_>),
    method: &Method,
    preflight: Option<&Preflight>,
) -> Result<ControlFlow<Response<ResponseBody>, &'s Arc<Route>>, Rejection> {
    let Some(preflight) = preflight else {
        let route = site.routes.find_judged(host, path, method)?;
        return Ok(ControlFlow::Continue(go_on(record, route)));
    };
    match answered_by(&site.routes, (host, path), preflight.method.as_ref()) {
        Ok(By::Upstream(route)) => Ok(ControlFlow::Continue(go_on(record, route))),
        Ok(By::Here(route)) => {
            let policy = go_on(record, route).cors.policy();
            let policy = policy
                .ok_or_else(|| Reason::PreflightRefused.with_detail("the route has no `cors`"))?;
            answer(counters, record, policy, preflight, &route.methods()).map(ControlFlow::Break)
        }
        Err(lost) => {
            // So that its page can read the 404 of what is asked about.
            let policy = site.cors.as_ref().filter(|policy| {
                lost.reason == Reason::RouteUnknown && preflight.is_of_listed(policy)
            });
            let Some(policy) = policy else { return Err(lost) };
            answer(counters, record, policy, preflight, &[]).map(ControlFlow::Break)
        }
    }
}

/// Notes the route whose rules are a request's.
fn go_on<'g>(record: &mut RequestRecord, route: &'g Arc<Route>) -> &'g Arc<Route> {
    record.note_route(route);
    record.cors = Applied::of(route.cors.policy());
    route
}

/// By whom a preflight is answered.
#[derive(Debug)]
enum By<'r> {
    Upstream(&'r Arc<Route>),
    Here(&'r Arc<Route>),
}

/// The route that the request asked about would take decides, but a preflight is OPTIONS,
/// and passes no route that asks who sends that. Where the route asked about says nothing,
/// OPTIONS passes if nobody needs a credential for it, as any request does. Else it ends
/// here: it has none, and 401 would ask a browser for what it never sends with it.
fn answered_by<'r>(
    routes: &'r Routes,
    (host, path): (&str, ReadPath<'_>),
    method: Option<&Method>,
) -> Result<By<'r>, Rejection> {
    let found = routes.find_judged(host, path, method.unwrap_or(&Method::OPTIONS));
    match found {
        Ok(route) if matches!(route.cors, Rule::Upstream) => {
            let guard = guard_of_options(routes, host, path);
            Ok(guard.map_or(By::Upstream(route), By::Here))
        }
        Ok(route) if matches!(route.cors, Rule::Policy(_)) => Ok(By::Here(route)),
        found => match open_to_options(routes, host, path) {
            Some(open) => Ok(By::Upstream(open)),
            None => found.map(By::Here),
        },
    }
}

/// The route that is there for OPTIONS of the path, if that takes a credential and its
/// preflights are not its upstream's.
fn guard_of_options<'r>(
    routes: &'r Routes,
    host: &str,
    (path, _): ReadPath<'_>,
) -> Option<&'r Arc<Route>> {
    let route = routes.find(host, &path.normal, &Method::OPTIONS).ok()?;
    let guards = route.names(&Method::OPTIONS)
        && route.access != Access::Public
        && !matches!(route.cors, Rule::Upstream);
    guards.then_some(route)
}

/// The route that lets everybody send OPTIONS, if it leaves preflights to its upstream.
fn open_to_options<'g>(
    routes: &'g Routes,
    host: &str,
    path: ReadPath<'_>,
) -> Option<&'g Arc<Route>> {
    let route = routes.find_judged(host, path, &Method::OPTIONS).ok()?;
    let open = route.access == Access::Public && route.cors.policy().is_none();
    open.then_some(route)
}

/// The origin decides whether there is an answer. Of methods and fields the answer tells
/// what is allowed: the browser compares, and names in its console what is not. It does
/// not compare the methods of forms, so those are refused here.
fn answer(
    counters: &Counters,
    record: &mut RequestRecord,
    policy: &Arc<Policy>,
    preflight: &Preflight,
    there: &[&str],
) -> Result<Response<ResponseBody>, Rejection> {
    record.cors = Applied::Policy(Arc::clone(policy));
    if !preflight.is_of_listed(policy) {
        return Err(Reason::PreflightRefused.with_detail(describe(preflight.origin.as_ref())));
    }
    let Some(method) = &preflight.method else {
        return Err(Reason::PreflightRefused.with_detail("the method to be used is not one method"));
    };
    let methods = policy.methods(there);
    record.access.decision = Decision::Own;
    if !methods.contains(&method.as_str()) {
        let unmet =
            Reason::PreflightRefused.with_detail("a method that `cors` does not allow here");
        if [Method::GET, Method::HEAD, Method::POST].contains(method) {
            return Err(unmet);
        }
        record.refuse(&unmet, counters);
    } else if let Some(name) = preflight.unlisted_field(policy) {
        let unmet = format!("{name} is not in `cors.fields`");
        record.refuse(&Reason::PreflightRefused.with_detail(unmet), counters);
    }
    record.cors = Applied::Preflight(Arc::clone(policy), list(methods.into_iter()));
    Ok(respond::preflight())
}

/// An origin as the log has it: in the form in which browsers state one, or not quoted.
fn describe(origin: Option<&HeaderValue>) -> String {
    let stated = origin.and_then(|origin| PageOrigin::parse(origin.to_str().ok()?).ok());
    match (origin, stated) {
        (None, _) => "more than one Origin field".to_owned(),
        (_, Some(page)) => format!("{page} is not in `cors.origins`"),
        (_, None) => "an origin that cannot be in `cors.origins`".to_owned(),
    }
}

/// Takes from a preflight that goes upstream unjudged what an upstream could take for a
/// credential that somebody has judged. Browsers send none with it (Fetch 4.8).
pub fn remove_credentials(headers: &mut HeaderMap) {
    let holds_one = |name: &&HeaderName| is_credential(name.as_str()) || **name == header::COOKIE;
    let names: Vec<HeaderName> = headers.keys().filter(holds_one).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
