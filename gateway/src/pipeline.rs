//! The way of a request, top to bottom. This file is the order and nothing else.
//!
//! [`handle`] wraps `process`: whatever happens inside, the request gets an
//! answer with its id, and one line in the access log.

pub mod admit;
pub mod agent;
pub mod authenticate;
pub mod authorize;
pub mod body;
pub mod bounds;
pub mod client;
pub mod connection;
pub mod cookie;
pub mod cors;
pub mod cross_site;
pub mod destination;
pub mod forward;
pub mod frame;
pub mod gateway;
pub mod grpc;
pub mod ids;
pub mod intercept;
pub mod message;
pub mod observed;
pub mod outgoing;
pub mod reason;
pub mod record;
pub mod respond;
pub mod rest;
pub mod route;
pub mod site;
pub mod throttle;
pub mod watch;

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::auth::Core;
use crate::auth::error::Refusal;
use crate::auth::ports::Source;
use crate::auth::principal::Principal;
use crate::canonical::path;
use crate::config::schemes::Schemes;
use crate::config::{Access, SniRule, Tickets};
use crate::dialect::delivery::Delivery;
use crate::dialect::{self, Candidate, Resolution};
use crate::telemetry::access_log::Decision;
use crate::telemetry::audit::{Actor, AuditRecord, Event, Outcome};
use crate::telemetry::counters::Counters;

use crate::slots::Holder;
use admit::turn::{self};
use agent::Arrival;
use agent::first_message::Fault;
use authenticate::ticket;
use authenticate::{BrowserTokens, Presented, Proven};
use body::{BodyError, ClientBody, ResponseBody};
use bounds::AgentBound;
use client::report::IgnoredReport;
use client::{Client, Peer};
use connection::{Connection, Left, Protocol, Upgrade};
pub use gateway::{Advisory, Gateway};
pub use site::Site;

use cors::Preflight;
use forward::caching::keep_private;
use forward::{Accepted, websocket};
use intercept::Call;
use reason::{Reason, Rejection};
use record::{BrowserSession, CancelGuard, RequestRecord};
use respond::Wanted;
use route::Route;
use throttle::{Caller, Page};

/// Answers a request, whatever comes.
pub async fn handle(
    gateway: Arc<Gateway>,
    connection: Arc<Connection>,
    fault: Option<reason::FramingFault>,
    mut request: Request<Incoming>,
) -> Response<ResponseBody> {
    // Kept to the end, whatever is configured meanwhile.
    let site = gateway.site.load_full();
    if connection.protocol == Protocol::Http2 {
        message::trim_values(request.headers_mut());
    }
    let request_id = gateway.ids.request_id();
    let target =
        request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let record = RequestRecord::new(
        &connection,
        Arc::clone(&request_id),
        request.method().clone(),
        target,
        request.headers(),
        Arc::clone(gateway.core.clock()),
        gateway.sink.clone(),
    );
    // Dropped before the end, it counts the request as cancelled by the client.
    let mut guard = CancelGuard::new(record);
    let grpc = grpc::Form::of(request.headers());
    let wants_page = site.pages && respond::wants_page(request.headers());
    let asking_page = cors::Page::of(&site, &request);
    let asked_upgrade = request.headers().contains_key(header::UPGRADE);
    // Taken apart where it is used: else this future had room for its parts as well.
    let request = with_body(request, &connection);
    guard.record().body = request.body().progress();
    let outcome = process(&gateway, &site, &connection, guard.record(), fault, request).await;
    let mut record = guard.into_record();
    let mut response = match outcome {
        Ok(response) => response,
        Err(rejection) => {
            let rejection = blame_framing(&connection, rejection);
            note(&gateway, &mut record, &rejection);
            let wanted = Wanted { wants_page, grpc };
            let mut response =
                respond::reject((&gateway, &site), &connection, &record, &rejection, wanted);
            if record.signs_out && rejection.reason == Reason::HeldNotStored {
                let delivery = record.dialect.as_ref().map(|dialect| dialect.delivery());
                let delivery = delivery.map(|rule| rule.choose(|| record.by_cookie));
                response.headers_mut().extend(delivery.map(Delivery::forget).unwrap_or_default());
            }
            response
        }
    };
    if asked_upgrade && connection.upgrade() == Upgrade::Undecided {
        connection.decide_upgrade(Upgrade::Refused);
    }
    if record.access.method == Method::HEAD {
        respond::leave_out_body(&mut response);
    }
    record.access.status = response.status();
    cors::share(&site, &record.cors, asking_page.as_deref(), &mut response);
    if let Some(renewed) = record.session.as_ref().and_then(|session| session.renewed.as_ref())
        // It may have taken its time, and the session have ended meanwhile.
        && gateway.core.verify_access(renewed.access.text.expose()).is_ok()
    {
        cookie::renew(&mut response, renewed);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert(respond::REQUEST_ID, id);
    }
    // Of a connection of ours with TLS only (RFC 6797 7.2).
    if let Some(hsts) = site.hsts.as_ref().filter(|_| connection.scheme() == "https") {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert_with(|| hsts.clone());
    }
    if record.ends_flow {
        let (name, value) = dialect::flow::forget();
        headers.append(name, value);
    }
    if gateway.lifecycle.is_stopping()
        && connection.protocol == Protocol::Http1
        && !headers.contains_key(header::UPGRADE)
    {
        respond::close(headers);
    }
    // Last, for it must know whether the connection closes anyway. What switches protocols
    // goes on behind the body.
    let client = record.access.client;
    if let Some(body) = record.body.as_ref().filter(|body| !body.ended())
        && record.access.status != StatusCode::SWITCHING_PROTOCOLS
        && rest::settle(
            (&gateway.lingering, site.connections.lingering_source(client)),
            &connection,
            body,
            respond::closes(headers),
        )
        .await
    {
        respond::close(headers);
    }
    response.map(|body| body.with_record(record))
}

fn with_body(request: Request<Incoming>, connection: &Arc<Connection>) -> Request<ClientBody> {
    let expect = request.headers().get(header::EXPECT).cloned();
    request.map(|incoming| ClientBody::new(incoming, expect.as_ref(), connection))
}

/// From a request to its answer, or to the reason why there is none.
async fn process(
    gateway: &Arc<Gateway>,
    site: &Arc<Site>,
    connection: &Arc<Connection>,
    record: &mut RequestRecord,
    fault: Option<reason::FramingFault>,
    request: Request<ClientBody>,
) -> Result<Response<ResponseBody>, Rejection> {
    let (mut parts, body) = request.into_parts();

    let client = identify_client(site, &gateway.ignored, connection, &parts.headers);
    let (address, source) = (client.address, Source::of(client.address));
    record.access.client = address;
    record.scheme = client.scheme;
    let request_id = Arc::clone(&record.access.request_id);
    let mut caller = Caller { client: address, source, request_id, page: Page::Meant };
    let preflight = Preflight::read(&parts, body.is_empty());
    // A token first: it is cheap, and what comes after costs more. It covers malformed
    // requests too. Only where routes have buckets of their own the route is found before.
    let ahead = site.routes.have_rates().then(|| {
        Box::new(read_head(gateway, site, connection, fault, record, &parts, preflight.as_deref()))
    });
    if let Some(turn) = take_token(gateway, site, connection, record, (&parts.headers, &client))? {
        let turn = turn.await;
        record.left = Left::UnderWay;
        turn?;
    }
    let head = match ahead {
        Some(head) => (*head)?,
        None => read_head(gateway, site, connection, fault, record, &parts, preflight.as_deref())?,
    };
    let origin = Origin {
        host: client.host.as_deref().unwrap_or(&head.host.authority),
        scheme: client.scheme,
    };
    let route = match head.way {
        Way::Answered(response) => return Ok(*response),
        Way::Own(own) => {
            let (candidates, parameters) = *own;
            let call = Call { caller: &caller, parts: &parts, origin, parameters };
            // Apart, so that every other request's future is smaller.
            return Box::pin(intercept::serve(gateway, site, record, &candidates, call, body))
                .await;
        }
        Way::Route(route) => route,
    };

    // A ticket never goes on from where the route takes one, and counts only for what
    // it is made for. Elsewhere it is spent: it may be in somebody's log by now.
    let (ticket, target) = match route.tickets {
        Tickets::Accepted => ticket::split_target(&head.target)?,
        Tickets::NotAccepted => (None, head.target),
    };
    let opens = route.access != Access::Public && websocket::is_upgrade(&parts);
    if let Some(ticket) = ticket.as_deref().filter(|_| !opens) {
        ticket::spend(&gateway.core, ticket).await?;
    }
    let ticket = ticket.as_deref().filter(|_| opens);

    // On a public route nobody is asked, and no credential is judged.
    let principal = match route.access {
        Access::Public => {
            record.fields = authenticate::unasked(gateway.core.as_ref(), &parts.headers);
            record.allow(Decision::Public, None);
            None
        }
        // With `cors = "upstream"`: what is unjudged goes on without a credential.
        Access::Authenticated { .. } if preflight.is_some() => {
            cors::remove_credentials(&mut parts.headers);
            record.allow(Decision::Public, None);
            None
        }
        Access::Authenticated { .. } => {
            let presented =
                presented(&gateway.core, site, record, &parts.headers, route.schemes, ticket)?;
            // Before it is verified: a foreign page costs its visitor no attempt.
            match cross_site::check(&parts, origin, &route.origins) {
                Err(foreign) if presented.is_ambient() => return Err(foreign),
                Err(_) => caller.page = Page::Foreign,
                Ok(()) => {}
            }
            // An agent says who it is when the WebSocket is open.
            if route.agents.are_accepted()
                && presented == Presented::Nothing
                && let Some(handshake) = websocket::handshake(&parts, connection.protocol)?
            {
                parts.headers.remove(header::HOST);
                let (gateway, site) = (Arc::clone(gateway), Arc::clone(site));
                let connection = Arc::clone(connection);
                let (route, host) = (Arc::clone(route), head.host.authority);
                let arrival = Arrival {
                    gateway,
                    site,
                    connection,
                    caller,
                    client,
                    route,
                    parts,
                    target,
                    host,
                };
                return arrival.receive(handshake);
            }
            let proven = prove(gateway, record, &caller, presented).await?;
            turn::note_proven(gateway, site, connection, (&client, &parts.headers), presented);
            // After authentication: who is refused a route may be told so.
            authorize::authorize(&proven, &route.access)?;
            record.allow(Decision::Allowed, Some(Arc::clone(&proven)));
            Some(proven)
        }
    };

    take_place_under_way(gateway, site, record, &client)?;
    parts.headers.remove(header::HOST);
    let accepted = Accepted {
        route,
        principal: principal.as_ref(),
        target,
        host: &head.host.authority,
        client: &client,
    };
    let mut response =
        forward::forward(gateway, site, connection, record, (parts, body), accepted).await?;
    if principal.is_some() {
        let (method, status) = (&record.access.method, response.status());
        keep_private(method, status, response.headers_mut(), site.credentials());
    }
    Ok(response)
}

/// On the heap: hardly any request waits, and no other needs the room.
type Turn<'a> = Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send + 'a>>;

/// Takes a token of the client's address, or answers the turn to wait for.
fn take_token<'a>(
    gateway: &'a Gateway,
    site: &'a Site,
    connection: &'a Connection,
    record: &mut RequestRecord,
    (headers, client): (&'a HeaderMap, &'a Client),
) -> Result<Option<Turn<'a>>, Rejection> {
    let source = Source::of(client.address);
    let bucket = site.routes.bucket(record.route, &gateway.admission);
    let taken = bucket.map_or(Ok(()), |bucket| bucket.take(source));
    record.place = bounds::client(&gateway.proxied, site, connection, client.address)?;
    let (Some(bucket), Err(retry_after)) = (bucket, taken) else { return Ok(None) };
    take_place_under_way(gateway, site, record, client)?;
    record.left = Left::Waiting;
    let turn = turn::wait(gateway, site, connection, (client, headers), (bucket, retry_after));
    Ok(Some(Box::pin(turn)))
}

/// What the head says, once it is judged.
struct Head<'g> {
    host: message::Host,
    target: PathAndQuery,
    way: Way<'g>,
}

fn read_head<'g>(
    gateway: &Gateway,
    site: &'g Site,
    connection: &Connection,
    fault: Option<reason::FramingFault>,
    record: &mut RequestRecord,
    parts: &Parts,
    preflight: Option<&Preflight>,
) -> Result<Head<'g>, Rejection> {
    let host = check_head(site, connection, fault, parts)?;
    let target = message::target(&parts.uri)?;
    if target.as_str().len() > site.connections.uri_bytes {
        return Err(Reason::Framing(reason::FramingFault::UriTooLong).into());
    }
    let way = find_way(gateway, site, record, parts, (&host.name, &target), preflight)?;
    Ok(Head { host, target, way })
}

/// What a request is for. Small, for every request has room for it.
enum Way<'g> {
    /// One of our endpoints, with what stands for the segments in braces of its path.
    Own(Box<(Vec<Candidate>, Vec<String>)>),
    Route(&'g Arc<Route>),
    /// It goes nowhere.
    Answered(Box<Response<ResponseBody>>),
}

/// Ours or an upstream's? Ours are exact paths and come before any route.
fn find_way<'g>(
    gateway: &Gateway,
    site: &'g Site,
    record: &mut RequestRecord,
    parts: &Parts,
    (host, target): (&str, &PathAndQuery),
    preflight: Option<&Preflight>,
) -> Result<Way<'g>, Rejection> {
    // One normal form, before anybody compares a path with anything. It decides; what goes
    // on is what was written.
    let path = path::judge(target.path())
        .map_err(|ambiguity| Reason::PathAmbiguous.because(ambiguity.as_str()))?;
    let readings = path.readings();
    let ours = intercept::resolve(&site.dialects, (&path, &readings), &parts.method)?;
    let allow = match (ours, preflight) {
        (Resolution::NotOurs, _) => None,
        (Resolution::Ours { candidates, parameters }, None) => {
            return Ok(Way::Own(Box::new((candidates, parameters))));
        }
        (Resolution::Ours { .. }, Some(_)) => Some(site.dialects.methods(&path.normal)),
        (Resolution::WrongMethod(allow), _) => Some(allow),
    };
    if let Some(allow) = allow {
        let answer =
            cors::answer_for_endpoint((gateway, site), record, &path.normal, preflight, allow);
        return answer.map(|answer| Way::Answered(Box::new(answer)));
    }
    message::check_forwarded(&parts.method)?;
    // No credential comes with a browser's question, so none is asked for.
    let read = (host, (&path, &readings[..]));
    let found = cors::find_route((gateway, site), record, read, &parts.method, preflight)?;
    Ok(match found {
        ControlFlow::Break(answer) => Way::Answered(Box::new(answer)),
        ControlFlow::Continue(route) => Way::Route(route),
    })
}

/// What the bytes said before anything is read into them, and the host that they name.
fn check_head(
    site: &Site,
    connection: &Connection,
    fault: Option<reason::FramingFault>,
    parts: &Parts,
) -> Result<message::Host, Rejection> {
    if let Some(fault) = fault {
        return Err(Reason::Framing(fault).into());
    }
    if message::field_count(&parts.headers, parts.version) > site.connections.header_count {
        return Err(Reason::Framing(reason::FramingFault::FieldCount).into());
    }
    message::check_method(&parts.method)?;
    message::check_target(parts)?;
    message::check_length(&parts.headers)?;
    let host = message::host(parts)?;
    // Who names no host contradicts nobody, and comes to no route that is for one.
    if site.sni == SniRule::MustMatchHost
        && !host.name.is_empty()
        && let Some(sni) = connection.sni().filter(|sni| *sni != host.name)
    {
        return Err(Reason::Misdirected.because(sni));
    }
    Ok(host)
}

/// A place among the requests of an address, for what each may make us hold, unless it has
/// one. A trusted proxy that names no client is nobody's address.
fn take_place_under_way(
    gateway: &Gateway,
    site: &Site,
    record: &mut RequestRecord,
    client: &Client,
) -> Result<(), Rejection> {
    if record.under_way.is_none() && !site.connections.is_trusted_proxy(client.address) {
        let place = gateway.under_way.take(Holder::Address(Source::of(client.address)));
        record.under_way = Some(place.ok_or(Reason::RequestsOverAddressLimit)?);
    }
    Ok(())
}

/// Whom a request is from, by the connection and what trusted proxies say.
fn identify_client(
    site: &Site,
    ignored_fields: &IgnoredReport,
    connection: &Connection,
    headers: &HeaderMap,
) -> Client {
    let peer = Peer {
        address: connection.peer_ip(),
        source: connection.peer_source,
        scheme: connection.scheme(),
    };
    let (proxies, forwarding) = (&site.connections.trusted_proxies, &site.forwarding);
    let client = client::identify(peer, headers, proxies, forwarding);
    if let Some(ignored) = client.ignored {
        ignored_fields.report(peer.address, ignored);
    }
    client
}

/// Where a request was sent to, as a page's own origin would name it.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    pub host: &'a str,
    pub scheme: &'static str,
}

/// The one credential of a request by these schemes, and into its record what becomes of
/// the fields.
fn presented<'a>(
    core: &Core,
    site: &Site,
    record: &mut RequestRecord,
    headers: &'a HeaderMap,
    schemes: Schemes,
    ticket: Option<&'a str>,
) -> Result<Presented<'a>, Rejection> {
    let schemes = site.given(schemes);
    let found = authenticate::presented(core, headers, schemes, ticket)?;
    record.fields = found.fields;
    Ok(found.presented)
}

/// Who is asking. Remembered for the log as soon as it is known.
async fn prove(
    gateway: &Gateway,
    record: &mut RequestRecord,
    caller: &Caller,
    presented: Presented<'_>,
) -> Result<Arc<Principal>, Rejection> {
    if let Presented::Cookie(BrowserTokens { renewal: Some(token), .. }) = presented {
        let session = BrowserSession { renewal: token.into(), renewed: None };
        record.session = Some(Box::new(session));
    }
    let (core, throttle) = (&gateway.core, &gateway.throttle);
    let proven = authenticate::authenticate(core, throttle, caller, presented).await;
    let Proven { principal, renewed } = match proven {
        Ok(proven) => proven.ok_or(Reason::CredentialMissing)?,
        Err(rejection) => {
            audit_reuse(gateway, record, &rejection);
            return Err(rejection);
        }
    };
    if let Some(session) = &mut record.session {
        session.renewed = renewed;
    }
    record.access.principal = Some(Arc::clone(&principal));
    Ok(principal)
}

/// Tells that a browser's session has ended because its token came once too often.
fn audit_reuse(gateway: &Gateway, record: &RequestRecord, rejection: &Rejection) {
    let Reason::CredentialRefused(_, Refusal::RefreshReused) = rejection.reason else { return };
    gateway.sink.audit(AuditRecord {
        at: record.now(),
        event: Event::Refresh,
        outcome: Outcome::Refused,
        reason: rejection.reason.code(),
        account: record
            .session
            .as_ref()
            .and_then(|session| gateway.core.owner_of(session.renewal.expose())),
        actor: Actor::client(
            record.access.client,
            &record.access.request_id,
            Some("refresh-token"),
        ),
        detail: None,
    });
}

/// A body that broke off because its framing was wrong is that fault.
fn blame_framing(connection: &Connection, rejection: Rejection) -> Rejection {
    match (&rejection.reason, connection.fault()) {
        (Reason::BodyBroken, Some(fault)) => Reason::Framing(fault).into(),
        _ => rejection,
    }
}

/// Writes a rejection into the request's record and the counters.
fn note(gateway: &Gateway, record: &mut RequestRecord, rejection: &Rejection) {
    record.access.decision = Decision::Refused;
    record.access.reason = rejection.reason.code();
    record.access.detail.clone_from(&rejection.detail);
    count(&gateway.counters, &rejection.reason);
    bounds::audit(gateway, record, rejection);
    if let Some(BodyError::Stalled) = record.body.as_ref().and_then(|body| body.failure()) {
        record.access.detail.get_or_insert_with(|| "the client stopped sending".to_owned());
    }
}

fn count(counters: &Counters, reason: &Reason) {
    match reason {
        Reason::Framing(_) => counters.framing_faults.increment(),
        Reason::RateLimited { .. } => counters.rate_limited.increment(),
        Reason::LockedOut { .. } => counters.locked_out.increment(),
        Reason::RegistrationsOverLimit { .. } => counters.registrations_over_limit.increment(),
        Reason::TooMany(_) => counters.limits_reached.increment(),
        Reason::HasherBusy | Reason::AttemptsQueued => counters.hashing_shed.increment(),
        Reason::UserAttemptsQueued { .. } => counters.user_attempts_shed.increment(),
        Reason::BodyStalled => counters.bodies_stalled.increment(),
        Reason::ConnectionsOverAddressLimit => counters.connections_over_address_limit.increment(),
        Reason::AgentsOverLimit => counters.agents_over_limit.increment(),
        Reason::RequestsOverAddressLimit => counters.requests_over_address_limit.increment(),
        Reason::AgentsOverAddressLimit => counters.agents_over_address_limit.increment(),
        Reason::StreamsOverLimit => counters.streams_over_limit.increment(),
        Reason::AgentsOverBound(AgentBound::Server) => {
            counters.agents_over_server_limit.increment();
        }
        Reason::AgentsOverBound(AgentBound::Key) => counters.agents_over_key_limit.increment(),
        Reason::AgentsOverBound(AgentBound::Owner) => counters.agents_over_owner_limit.increment(),
        Reason::UpstreamShareTaken => counters.upstream_shares_taken.increment(),
        Reason::FirstMessage(Fault::Late) => counters.agents_timed_out.increment(),
        Reason::CrossSite => counters.cross_site.increment(),
        Reason::PreflightRefused => counters.preflights_refused.increment(),
        Reason::UpstreamProtocol => counters.upstream_faults.increment(),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
