//! What becomes of a request: everything from the client to the permission, and nothing of
//! what comes behind. A token of its address is taken, and a ticket is spent, by that.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use http::Response;
use http::header::HeaderMap;
use http::request::Parts;
use http::uri::PathAndQuery;

use crate::auth::source::Source;
use crate::canonical::path;
use crate::config::{Access, SniRule, Tickets};
use crate::dialect::{Candidate, Resolution};
use crate::telemetry::access_log::Decision;
use crate::telemetry::counters::Counters;

use super::agent::AgentHandshake;
use super::authenticate::request::{prove, read_credential};
use super::authenticate::{self, Presented, ticket};
use super::body::response::ResponseBody;
use super::client::report::IgnoredReport;
use super::client::{self, Client, Peer};
use super::connection::{Connection, Left};
use super::cors::{self, Preflight};
use super::forward::websocket;
use super::gateway::Gateway;
use super::intercept::Own;
use super::passed::Passed;
use super::rate_limit::turn;
use super::reason::{FramingFault, Reason, Rejection};
use super::record::RequestRecord;
use super::route::Route;
use super::site::Site;
use super::throttle::{Caller, Page};
use super::{authorize, bounds, cross_site, intercept, message};

/// What becomes of a request.
pub enum Decided {
    /// It goes to its route's upstream.
    Passed(Passed),
    /// One of the gateway's own endpoints has it.
    Own(Box<Own>),
    /// An agent, which says who it is when its WebSocket is open.
    Agent(Box<AgentHandshake>),
    /// It is answered, and goes nowhere.
    Answered(Box<Response<ResponseBody>>),
}

/// Decides about a request with this head; `is_empty` if it ends with that. What is found out
/// is noted in its record.
///
/// # Errors
/// Why it may not pass.
pub async fn decide(
    gateway: &Gateway,
    site: &Site,
    connection: &Connection,
    record: &mut RequestRecord,
    fault: Option<FramingFault>,
    (parts, is_empty): (&mut Parts, bool),
) -> Result<Decided, Rejection> {
    let client = identify_client(site, &gateway.ignored, connection, &parts.headers);
    let (address, source) = (client.address, Source::of(client.address));
    record.access.client = address;
    record.scheme = client.scheme;
    let request_id = Arc::clone(&record.access.request_id);
    let (page, limits) = (Page::Meant, Arc::clone(&site.attempts));
    let mut caller = Caller { client: address, source, request_id, page, limits };
    let preflight = Preflight::read(parts, is_empty);
    // A token first: it is cheap, and what comes after costs more. It covers malformed
    // requests too. Only where routes have buckets of their own the route is found before.
    let ahead = site.routes.have_rates().then(|| {
        let asked = (&*parts, preflight.as_deref());
        Box::new(read_head(&gateway.counters, site, connection, fault, record, asked))
    });
    if let Some(turn) = take_token(gateway, site, connection, record, (&parts.headers, &client))? {
        let turn = turn.await;
        record.left = Left::UnderWay;
        turn?;
    }
    let head = match ahead {
        Some(head) => (*head)?,
        None => {
            let asked = (&*parts, preflight.as_deref());
            read_head(&gateway.counters, site, connection, fault, record, asked)?
        }
    };
    let route = match head.way {
        Way::Answered(response) => return Ok(Decided::Answered(response)),
        Way::Own(own) => {
            let ((candidates, parameters), host) = (*own, head.host.authority);
            let own = Own { candidates, parameters, caller, client, host };
            return Ok(Decided::Own(Box::new(own)));
        }
        Way::Route(route) => route,
    };

    // A ticket never goes on from where the route takes one, and counts only for what
    // it is made for. Elsewhere it is spent: it may be in somebody's log by now.
    let (ticket, target) = match route.tickets {
        Tickets::Accepted => ticket::split_target(&head.target)?,
        Tickets::NotAccepted => (None, head.target),
    };
    let opens = route.access != Access::Public && websocket::is_upgrade(parts);
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
            let presented = read_credential(
                &gateway.core,
                site,
                record,
                &parts.headers,
                route.schemes,
                ticket,
            )?;
            // Before it is verified: a foreign page costs its visitor no attempt.
            let origin = client.origin(&head.host.authority);
            match cross_site::check(parts, origin, &route.origins) {
                Err(foreign) if presented.is_ambient() => return Err(foreign),
                Err(_) => caller.page = Page::Foreign,
                Ok(()) => {}
            }
            // An agent says who it is when the WebSocket is open.
            if route.agents.are_accepted()
                && presented == Presented::Nothing
                && let Some(handshake) = websocket::handshake(parts, connection.protocol)?
            {
                let (route, principal, host) = (Arc::clone(route), None, head.host.authority);
                let passed = Passed { route, principal, target, host, client };
                return Ok(Decided::Agent(Box::new(AgentHandshake { handshake, caller, passed })));
            }
            let proven = prove(gateway, record, &caller, presented).await?;
            turn::note_proven(gateway, site, connection, (&client, &parts.headers), presented);
            // After authentication: who is refused a route may be told so.
            authorize::authorize(&proven, &route.access)?;
            record.allow(Decision::Allowed, Some(Arc::clone(&proven)));
            Some(proven)
        }
    };

    let (route, host) = (Arc::clone(route), head.host.authority);
    Ok(Decided::Passed(Passed { route, principal, target, host, client }))
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
    let bucket = site.routes.bucket(record.route, &site.rate_limit);
    let taken = bucket.map_or(Ok(()), |bucket| bucket.take(source));
    record.place = bounds::client(&gateway.proxied, connection, client.address)?;
    let (Some(bucket), Err(retry_after)) = (bucket, taken) else { return Ok(None) };
    let under_way = (&gateway.under_way, site.concurrency.requests_per_address);
    bounds::take_place_under_way(under_way, record, client)?;
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
    counters: &Counters,
    site: &'g Site,
    connection: &Connection,
    fault: Option<FramingFault>,
    record: &mut RequestRecord,
    (parts, preflight): (&Parts, Option<&Preflight>),
) -> Result<Head<'g>, Rejection> {
    let host = check_head(site, connection, fault, parts)?;
    let target = message::target(&parts.uri)?;
    if target.as_str().len() > connection.rules.uri_bytes {
        return Err(Reason::Framing(FramingFault::UriTooLong).into());
    }
    let way = find_way(counters, site, record, parts, (&host.name, &target), preflight)?;
    Ok(Head { host, target, way })
}

/// What a request is for, by its head alone. It may be known before a token is taken, and long
/// before the credential is: no [`Decided`] can be made of it yet, for which who asks and the
/// permission are missing. Small, for every request has room for it.
enum Way<'g> {
    /// One of our endpoints, with what stands for the segments in braces of its path.
    Own(Box<(Vec<Candidate>, Vec<String>)>),
    Route(&'g Arc<Route>),
    /// It goes nowhere.
    Answered(Box<Response<ResponseBody>>),
}

/// Ours or an upstream's? Ours are exact paths and come before any route.
fn find_way<'g>(
    counters: &Counters,
    site: &'g Site,
    record: &mut RequestRecord,
    parts: &Parts,
    (host, target): (&str, &PathAndQuery),
    preflight: Option<&Preflight>,
) -> Result<Way<'g>, Rejection> {
    // One normal form, before anybody compares a path with anything. It decides; what goes
    // on is what was written.
    let path = path::judge(target.path())
        .map_err(|ambiguity| Reason::PathAmbiguous.with_detail(ambiguity.as_str()))?;
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
            cors::answer_for_endpoint((counters, site), record, &path.normal, preflight, allow);
        return answer.map(|answer| Way::Answered(Box::new(answer)));
    }
    message::check_forwarded(&parts.method)?;
    // No credential comes with a browser's question, so none is asked for.
    let read = (host, (&path, &readings[..]));
    let found = cors::find_route((counters, site), record, read, &parts.method, preflight)?;
    Ok(match found {
        ControlFlow::Break(answer) => Way::Answered(Box::new(answer)),
        ControlFlow::Continue(route) => Way::Route(route),
    })
}

/// What the bytes said before anything is read into them, and the host that they name.
fn check_head(
    site: &Site,
    connection: &Connection,
    fault: Option<FramingFault>,
    parts: &Parts,
) -> Result<message::Host, Rejection> {
    if let Some(fault) = fault {
        return Err(Reason::Framing(fault).into());
    }
    if message::field_count(&parts.headers, parts.version) > connection.rules.header_count {
        return Err(Reason::Framing(FramingFault::FieldCount).into());
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
        return Err(Reason::Misdirected.with_detail(sni));
    }
    Ok(host)
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
    let (proxies, forwarding) = (&connection.rules.trusted_proxies, &site.forwarding);
    let client = client::identify(peer, headers, proxies, forwarding);
    if let Some(ignored) = client.ignored {
        ignored_fields.report(peer.address, ignored);
    }
    client
}
