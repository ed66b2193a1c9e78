//! Sending a request on that may pass: fields made fit, body streamed, answer
//! streamed back, failures named.

pub mod caching;
pub mod echo;
mod failure;
pub mod field_names;
mod grpc_timeout;
pub mod headers;
pub mod identity;
pub mod switch;
pub mod tunnel;
pub mod websocket;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::auth::source::Source;
use crate::config::{Access, Agents, FieldNames};
use crate::slots::{Holder, Place};
use crate::upstream::Holding;
use crate::upstream::error::Failure;
use crate::upstream::message::{self as upstream, Content, Head, Interim};

use super::body::progress::BodyProgress;
use super::body::request::{self, ClientBody, RequestBody};
use super::body::response::ResponseBody;
use super::connection::{self, Connection, Protocol};
use super::destination::Destination;
use super::fields::REQUEST_ID;
use super::gateway::Gateway;
use super::grpc::{self, is_grpc};
use super::passed::Passed;
use super::reason::{Reason, Rejection};
use super::record::RequestRecord;
use super::revocation::RevocationWatch;
use super::site::Site;
use echo::socket::EchoSocket;
use field_names::TrailerFilter;
use headers::{ForwardedFacts, Passing};
use switch::Switching;
use tunnel::upkeep::Upkeep;
use tunnel::{Carries, TunnelContext, UpstreamEnd};
use websocket::Agreement;

/// How long a raw tunnel of which one side has ended may be quiet.
const HALF_CLOSED: Duration = Duration::from_secs(600);

impl Passed {
    /// On whose account what it takes is counted. Who is nobody's is told by its address:
    /// else anybody could take a public route's upstream from all.
    fn holder(&self) -> Holder {
        match &self.principal {
            Some(principal) => Holder::Account(principal.account_id()),
            None => Holder::Address(Source::of(self.client.address)),
        }
    }

    /// What goes to the upstream, once its fields are made fit.
    fn head(&self, parts: Parts, host: HeaderValue, interim: Option<Interim>) -> Head {
        let Parts { method, headers: fields, .. } = parts;
        Head { method, target: self.target.clone(), host, fields, interim }
    }

    /// Tells when the principal may no longer do what it was let do.
    fn watch(&self, gateway: &Gateway, record: &RequestRecord) -> Option<RevocationWatch> {
        let principal = self.principal.as_ref()?;
        let session = record.session.as_ref();
        let renewable =
            session.and_then(|session| gateway.core.renewable(principal, session.renewal.expose()));
        Some(RevocationWatch::new(&gateway.core, principal, &self.route, renewable))
    }

    /// What may end a tunnel that is opened for it.
    pub fn terms(
        &self,
        (gateway, connection): (&Gateway, &Connection),
        record: &mut RequestRecord,
        carries: Carries,
        mut held: Vec<Place>,
    ) -> TunnelContext<impl Future<Output = ()> + Send + use<>> {
        let timeouts = &connection.rules.timeouts;
        let idle = timeouts.tunnel_idle.map(Upkeep::Idle);
        let upkeep = match (self.route.agents, carries) {
            (_, Carries::Bytes) => idle.unwrap_or(Upkeep::HalfClosed(HALF_CLOSED)),
            (Agents::Keys | Agents::Any, Carries::Frames) => {
                timeouts.agent_ping.map_or(Upkeep::None, |every| Upkeep::Pings {
                    every,
                    payload: gateway.ids.number().to_be_bytes(),
                })
            }
            (Agents::NotAccepted, Carries::Frames) => idle.unwrap_or(Upkeep::None),
        };
        held.extend(record.place.take());
        let agent = self.principal.as_ref().filter(|_| self.route.agents.are_accepted());
        let agent = agent.and_then(|principal| {
            let seen = (self.client.address, record.now());
            gateway.connected_agents.list(principal, gateway.ids.number(), seen)
        });
        TunnelContext {
            agent,
            carries,
            watch: self.watch(gateway, record),
            going_away: gateway.lifecycle.drain_started(),
            upkeep,
            held,
            counters: Arc::clone(&gateway.counters),
        }
    }
}

/// # Errors
/// Why there is no answer of the upstream.
pub async fn forward(
    gateway: &Arc<Gateway>,
    site: &Site,
    connection: &Arc<Connection>,
    record: &mut RequestRecord,
    (mut parts, body): (Parts, ClientBody),
    passed: Passed,
) -> Result<Response<ResponseBody>, Rejection> {
    let destination = &passed.route.destination;
    record.access.upstream = Some(Arc::clone(destination.name()));
    let switching = Switching::asked(&parts, connection.protocol, &passed.route)?;
    // hyper hands the bytes over once the answer is 101; taken before the request is.
    let client_upgrade =
        switching.is_some().then(|| parts.extensions.remove::<hyper::upgrade::OnUpgrade>());
    let field_names = destination.field_names(&parts.headers, connection.protocol);
    prepare((gateway, site), connection, record, &mut parts, (&passed, field_names))?;
    let principal = passed.principal.as_deref();
    let mut held = Vec::new();
    if let Some(switching) = &switching {
        // Before the upstream is asked: what may not stay open is not opened.
        held = gateway.bounds.tunnel(principal, &passed.route, &site.concurrency)?;
        switching.add_to(&mut parts.headers);
    }
    let mut window = passed.route.timeout;
    let pace = if is_grpc(&parts.headers) && connection.protocol == Protocol::Http2 {
        // The first message, of either side, may take as long as the client waits for it, if
        // somebody answers for that.
        let wait = grpc_timeout::read(&parts.headers).filter(|_| principal.is_some());
        window = wait.map_or(window, |wait| wait.max(window));
        // A stream that both sides keep open and use now and then; the number of
        // streams of a connection is what bounds it.
        Duration::MAX
    } else {
        request::window(&connection.rules.timeouts, principal)
    };
    let trailers = TrailerFilter {
        rules: Arc::clone(&site.field_rules),
        names: field_names,
        route: Arc::clone(&passed.route.id),
        report: Arc::clone(&gateway.removals),
    };
    let body = RequestBody::new(body, passed.route.body_bytes, pace, Some(trailers))?;
    let progress = body.progress();
    record.body = Some(Arc::clone(&progress));
    let client_upgrade = client_upgrade.flatten();
    let upstream = match destination {
        Destination::Http { upstream, .. } => upstream,
        Destination::Echo { .. } => {
            let (Some(Switching::WebSocket(handshake)), Some(client)) = (switching, client_upgrade)
            else {
                return echo::answer(parts, body, passed.target.as_str()).await;
            };
            let answer = Agreement::new(handshake, &parts.headers)?.answer();
            let ends = (answer, UpstreamEnd::Echo(EchoSocket::default()));
            let terms = passed.terms((gateway, connection), record, Carries::Frames, held);
            let client = (client, Arc::clone(&record.access.request_id));
            return Ok(tunnel::open(gateway, connection, client, ends, terms));
        }
    };
    let method = parts.method.clone();
    let host = parts.headers.remove(header::HOST).ok_or(Reason::HostMissing)?;
    let (interim, listening) = listen_for_interim(connection, parts.version).unzip();
    let asked = Instant::now();
    // A call may stream for hours before its answer begins.
    let mut watch = if is_grpc(&parts.headers) { passed.watch(gateway, record) } else { None };
    let content = (!body.is_end_stream()).then(|| Box::pin(body.map_err(Into::into)) as Content);
    let head = passed.head(parts, host, interim);
    let deadline = Deadline { window, progress: &progress, watch: watch.as_mut() };
    let outcome = {
        let exchange = std::pin::pin!(upstream.send(passed.holder(), head, content));
        head_of(connection, exchange, deadline).await
    };
    record.note_upstream(asked);
    if let Some(exchange) = listening {
        connection.end_interim(exchange, outcome.is_ok()).await;
    }
    let (response, mut holding) = outcome.map_err(|rejection| {
        // A body that failed took the upstream's connection with it: the client is
        // at fault, and the upstream must not be blamed.
        progress.failure().map_or(rejection, Rejection::from)
    })?;
    progress.note_answer();
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        if watch.is_none() && is_stream(response.headers()) {
            watch = passed.watch(gateway, record);
        }
        if is_event_stream(response.headers()) && !response.body().is_end_stream() {
            // Only now it is known; refused, the upstream is hung up on.
            holding.hold(gateway.bounds.event_stream(principal, &site.concurrency)?);
        }
        return Ok(stream_back(record, (response, holding), &method, watch));
    }
    let (Some(switching), Some(client)) = (switching, client_upgrade) else {
        // Nobody asked for it, so nobody knows what would follow (CVE-2026-71324).
        return Err(Reason::UpstreamUpgrade.with_detail("unsolicited 101"));
    };
    switching.check_answer(response.headers())?;
    let (mut response, far, share) = switch(record, response, holding);
    switching.add_to(response.headers_mut());
    held.push(share);
    let terms = passed.terms((gateway, connection), record, switching.carries(), held);
    let client = (client, Arc::clone(&record.access.request_id));
    Ok(tunnel::open(gateway, connection, client, (response, far), terms))
}

/// Opens a WebSocket to the route's upstream on behalf of a client whose own side
/// is open already.
///
/// # Errors
/// Why there is none.
pub async fn open_upstream_end(
    (gateway, site): (&Gateway, &Site),
    connection: &Connection,
    record: &mut RequestRecord,
    (mut parts, agreement): (Parts, Agreement),
    passed: &Passed,
) -> Result<(UpstreamEnd, Option<Place>), Rejection> {
    let destination = &passed.route.destination;
    record.access.upstream = Some(Arc::clone(destination.name()));
    let field_names = destination.field_names(&parts.headers, connection.protocol);
    prepare((gateway, site), connection, record, &mut parts, (passed, field_names))?;
    agreement.ask(&mut parts.headers);
    let upstream = match destination {
        Destination::Http { upstream, .. } => upstream,
        Destination::Echo { .. } => return Ok((UpstreamEnd::Echo(EchoSocket::default()), None)),
    };
    let progress = RequestBody::none().progress();
    let host = parts.headers.remove(header::HOST).ok_or(Reason::HostMissing)?;
    let head = passed.head(parts, host, None);
    let deadline = Deadline { window: passed.route.timeout, progress: &progress, watch: None };
    let asked = Instant::now();
    let exchange = std::pin::pin!(upstream.send(passed.holder(), head, None));
    let outcome = head_of(connection, exchange, deadline).await;
    record.note_upstream(asked);
    let (response, holding) = outcome?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status().as_u16();
        return Err(Reason::UpstreamUpgrade.with_detail(format!("it answered {status}")));
    }
    agreement.check_answer(response.headers())?;
    let (_, far, share) = switch(record, response, holding);
    Ok((far, Some(share)))
}

/// Parts an upstream's 101 from the connection that has become a tunnel.
fn switch(
    record: &RequestRecord,
    response: upstream::Response,
    holding: Holding,
) -> (Response<()>, UpstreamEnd, Place) {
    let (response, switched, share) = holding.into_switched(response);
    let (mut parts, ()) = response.into_parts();
    if let Ok(request_id) = HeaderValue::from_str(&record.access.request_id) {
        headers::prepare_response(&mut parts.headers, &request_id, false);
    }
    parts.extensions.clear();
    (Response::from_parts(parts, ()), UpstreamEnd::Upstream(switched), share)
}

/// A response, and what it has of its upstream.
type Answered = (upstream::Response, Holding);

fn prepare(
    (gateway, site): (&Gateway, &Site),
    connection: &Connection,
    record: &mut RequestRecord,
    parts: &mut Parts,
    (passed, names): (&Passed, FieldNames),
) -> Result<(), Rejection> {
    let asked_host = Some(&*passed.host).filter(|host| !host.is_empty());
    let facts = ForwardedFacts {
        client: passed.client.address,
        peer: connection.peer_ip(),
        scheme: passed.client.scheme,
        host: passed.client.host.as_deref().or(asked_host),
        port: passed.client.port,
        request_id: &record.access.request_id,
        trace: &|| gateway.ids.traceparent(),
    };
    let passing = Passing {
        rules: &site.field_rules,
        names,
        credential: passed.route.credential,
        fields: record.fields,
    };
    let removed = headers::prepare_request(&mut parts.headers, passing, &facts);
    gateway.removals.report(&passed.route.id, &removed);
    record.access.trace = headers::trace_id(&parts.headers);
    // From `:authority` or the absolute form when there was no field. Where no host was
    // named the upstream is asked by its own: HTTP/1.1 wants one.
    let destination = &passed.route.destination;
    if let Ok(host) = HeaderValue::from_str(asked_host.unwrap_or(destination.authority())) {
        parts.headers.insert(header::HOST, host);
    }
    if let (Access::Authenticated { .. }, Some(principal)) =
        (&passed.route.access, &passed.principal)
    {
        identity::inject(&mut parts.headers, &site.identity, principal)?;
    }
    Ok(())
}

/// What ends the wait for a response.
struct Deadline<'a> {
    /// Begins anew while the client is still sending its body, and pauses as long as it may:
    /// an upload may take longer than a response.
    window: Duration,
    progress: &'a BodyProgress,
    watch: Option<&'a mut RevocationWatch>,
}

/// Waits for the head of the response.
async fn head_of(
    connection: &Connection,
    mut exchange: Pin<&mut impl Future<Output = Result<Answered, Failure>>>,
    until: Deadline<'_>,
) -> Result<Answered, Rejection> {
    let Deadline { window, progress, mut watch } = until;
    let mut deadline = std::pin::pin!(tokio::time::sleep(window));
    let mut received = progress.received();
    loop {
        tokio::select! {
            outcome = exchange.as_mut() => return outcome.map_err(Into::into),
            rejection = async {
                match watch.as_mut() {
                    Some(watch) => watch.ended().await,
                    None => std::future::pending().await,
                }
            } => return Err(rejection),
            // Being polled is all the connection needs to write them.
            () = connection.interim_pushed.notified() => {}
            () = &mut deadline => {
                let waits = progress.received() == received && !progress.is_paused();
                if progress.ended() || waits {
                    return Err(Reason::UpstreamTimeout.into());
                }
                received = progress.received();
                deadline.as_mut().reset(tokio::time::Instant::now() + window);
            }
        }
    }
}

fn stream_back(
    record: &RequestRecord,
    (response, holding): Answered,
    method: &Method,
    watch: Option<RevocationWatch>,
) -> Response<ResponseBody> {
    let (mut parts, incoming) = response.into_parts();
    // Their length describes a body that is not sent (RFC 9110 8.6).
    let keep_length = *method == Method::HEAD || parts.status == StatusCode::NOT_MODIFIED;
    if let Ok(request_id) = HeaderValue::from_str(&record.access.request_id) {
        headers::prepare_response(&mut parts.headers, &request_id, keep_length);
    }
    parts.version = http::Version::default();
    parts.extensions.clear();
    Response::from_parts(parts, ResponseBody::upstream(incoming, holding, watch))
}

/// Answers that last as long as somebody listens.
fn is_stream(headers: &HeaderMap) -> bool {
    // A stream of gRPC-Web goes only this way.
    grpc::Form::of(headers).is_some() || is_event_stream(headers)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    has_type(headers, "text/event-stream")
}

fn has_type(headers: &HeaderMap, prefix: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..prefix.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// Interim responses (103 Early Hints) go to HTTP/1.1 clients as they come. hyper
/// cannot send them, so they go around it; over HTTP/2 there is no such way.
fn listen_for_interim(
    connection: &Arc<Connection>,
    version: http::Version,
) -> Option<(Interim, connection::Exchange)> {
    if connection.protocol != Protocol::Http1 || version != http::Version::HTTP_11 {
        return None;
    }
    let exchange = connection.begin_interim();
    let connection = Arc::clone(connection);
    let interim: Interim = Arc::new(move |status, headers| {
        // 100 is hyper's own to send, when the body is first read.
        if status != StatusCode::CONTINUE && status != StatusCode::SWITCHING_PROTOCOLS {
            let mut headers = headers.clone();
            headers::prepare_response(&mut headers, &HeaderValue::from_static(""), false);
            headers.remove(REQUEST_ID);
            connection.push_interim(exchange, &interim_head(status, &headers));
        }
    });
    Some((interim, exchange))
}

fn interim_head(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or("");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
