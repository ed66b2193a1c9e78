//! The way of a request, top to bottom. This file is the order and nothing else.
//!
//! [`handle`] wraps `process`: whatever happens inside, the request gets an
//! answer with its id, and one line in the access log.

pub mod agent;
pub mod authenticate;
pub mod authorize;
pub mod body;
pub mod bounds;
pub mod client;
pub mod connected_agents;
pub mod connection;
pub mod cookie;
pub mod cors;
pub mod cross_site;
pub mod decide;
pub mod destination;
pub mod fields;
pub mod forward;
pub mod frame;
pub mod gateway;
pub mod grpc;
pub mod ids;
pub mod intercept;
pub mod message;
pub mod observed;
pub mod outgoing;
pub mod passed;
pub mod rate_limit;
pub mod reason;
pub mod record;
pub mod respond;
pub mod rest;
pub mod revocation;
pub mod route;
pub mod site;
pub mod status;
pub mod throttle;

pub use gateway::{Advisory, Gateway};
pub use site::Site;

use std::pin::pin;
use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::dialect;
use crate::dialect::delivery::Delivery;
use crate::panics;
use crate::telemetry::request_scope;

use body::request::ClientBody;
use body::response::ResponseBody;
use connection::{Connection, Protocol, Upgrade};
use decide::{Decided, decide};
use forward::caching::keep_private;
use reason::{Reason, Rejection};
use record::{CancelGuard, RequestRecord};
use respond::Wanted;

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
    let record = RequestRecord::new(
        &connection,
        Arc::clone(&request_id),
        &request,
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
    let outcome = {
        // Pinned where it is made: one that was moved had room here twice.
        let work = pin!(process(&gateway, &site, &connection, guard.record(), fault, request));
        let work = pin!(panics::caught(work));
        request_scope::poll_within(&request_id, work).await
    };
    let outcome = outcome.unwrap_or_else(|| {
        gateway.counters.panics.increment();
        tracing::error!(request_id = &*request_id, "request handler panicked");
        Err(Reason::Internal.into())
    });
    let record = guard.record();
    let mut response = match outcome {
        Ok(response) => response,
        Err(rejection) => {
            let rejection = blame_framing(&connection, rejection);
            record.refuse(&rejection, &gateway.counters);
            let wanted = Wanted { wants_page, grpc };
            let mut response =
                respond::reject((&gateway, &site), &connection, record, &rejection, wanted);
            if record.signs_out && rejection.reason == Reason::RevocationNotStored {
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
    cors::share((&site, &connection), &record.cors, asking_page.as_deref(), &mut response);
    if let Some(renewed) = record.session.as_ref().and_then(|session| session.renewed.as_ref())
        // It may have taken its time, and the session have ended meanwhile.
        && gateway.core.verify_access(renewed.access.text.expose()).is_ok()
    {
        cookie::renew(&mut response, renewed);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert(fields::REQUEST_ID, id);
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
        && body
            .settle(
                (&gateway.lingering, connection.rules.lingering_source(client)),
                &connection,
                respond::closes(headers),
            )
            .await
    {
        respond::close(headers);
    }
    response.map(|body| body.with_record(guard.into_record()))
}

fn with_body(request: Request<Incoming>, connection: &Arc<Connection>) -> Request<ClientBody> {
    let expect = request.headers().get(header::EXPECT).cloned();
    request.map(|incoming| ClientBody::new(incoming, expect.as_ref(), connection))
}

/// From a request to its response, or to the reason why there is none.
async fn process(
    gateway: &Arc<Gateway>,
    site: &Arc<Site>,
    connection: &Arc<Connection>,
    record: &mut RequestRecord,
    fault: Option<reason::FramingFault>,
    request: Request<ClientBody>,
) -> Result<Response<ResponseBody>, Rejection> {
    let (mut parts, body) = request.into_parts();
    let asked = (&mut parts, body.is_empty());
    let passed = match decide(gateway, site, connection, record, fault, asked).await? {
        Decided::Passed(passed) => passed,
        Decided::Answered(response) => return Ok(*response),
        // Apart, so that every other request's future is smaller.
        Decided::Own(own) => {
            return Box::pin(intercept::serve(gateway, site, record, *own, (parts, body))).await;
        }
        Decided::Agent(agent) => {
            let (gateway, site) = (Arc::clone(gateway), Arc::clone(site));
            return agent.receive(gateway, site, Arc::clone(connection), parts);
        }
    };
    let under_way = (&gateway.under_way, site.concurrency.requests_per_address);
    bounds::take_place_under_way(under_way, record, &passed.client)?;
    parts.headers.remove(header::HOST);
    let is_proven = passed.principal.is_some();
    let mut response =
        forward::forward(gateway, site, connection, record, (parts, body), passed).await?;
    if is_proven {
        let (method, status) = (&record.access.method, response.status());
        keep_private(method, status, response.headers_mut(), site.credentials());
    }
    Ok(response)
}

/// A body that broke off because its framing was wrong is that fault.
fn blame_framing(connection: &Connection, rejection: Rejection) -> Rejection {
    match (&rejection.reason, connection.fault()) {
        (Reason::BodyBroken, Some(fault)) => Reason::Framing(fault).into(),
        _ => rejection,
    }
}

#[cfg(test)]
mod tests;
