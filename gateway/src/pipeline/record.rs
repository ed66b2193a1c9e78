//! What is remembered of a request until its answer has been sent, and then logged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use http::{Request, StatusCode, header};

use crate::auth::ports::Clock;
use crate::auth::principal::Principal;
use crate::auth::renew::Renewed;
use crate::auth::secret::Secret;
use crate::auth::time::Timestamp;
use crate::dialect::{Dialect, Typed};
use crate::slots::Place;
use crate::telemetry::access_log::{AccessRecord, Agent, Asked, AskedHost, Decision};
use crate::telemetry::audit::{Actor, AuditRecord, Event, Outcome};
use crate::telemetry::counters::Counters;
use crate::telemetry::log::Style;
use crate::telemetry::sink::Sink;

use super::authenticate::Fields;
use super::body::progress::{BodyProgress, RequestBodyError};
use super::connection::rules::ConnectionRules;
use super::connection::{Connection, InFlight, Left, Protocol};
use super::cors::policy::Applied;
use super::forward::headers;
use super::reason::rows::count;
use super::reason::{Reason, Rejection};
use super::respond::visit::Visit;
use super::route::Route;

/// A session that the gateway renews.
#[derive(Debug)]
pub struct BrowserSession {
    /// The token by which it is renewed.
    pub renewal: Secret,
    /// What the browser gets in place of the tokens that it came with.
    pub renewed: Option<Arc<Renewed>>,
}

/// One request's entry. Dropped before it is completed, it counts as a reset.
pub struct RequestRecord {
    pub access: AccessRecord,
    /// The contract of ours that the request turned out to speak.
    pub dialect: Option<Arc<dyn Dialect>>,
    /// How somebody asked.
    pub visit: Visit,
    /// The place of its route among the configured ones.
    pub route: Option<usize>,
    /// What becomes of its credential fields.
    pub fields: Fields,
    /// Whether the answer, whatever it is, ends a browser's flow to GitHub.
    pub ends_flow: bool,
    /// Whether a browser is to forget its tokens when what they name has ended.
    pub signs_out: bool,
    /// A token came in a cookie of ours, to one of our endpoints: what answers it goes the
    /// same way.
    pub by_cookie: bool,
    /// What a form of the console brought.
    pub typed: Option<Box<Typed>>,
    /// What a link's own page has sent.
    pub link: Option<Box<Secret>>,
    /// By which the client came, as far as that is known: `http` or `https`.
    pub scheme: &'static str,
    /// The session of a browser that came with cookies.
    pub session: Option<Box<BrowserSession>>,
    /// Which pages of other origins may read the answer.
    pub cors: Applied,
    pub body: Option<Arc<BodyProgress>>,
    /// The client's among requests that come through a trusted proxy; a tunnel keeps it.
    pub place: Option<Place>,
    /// Among the requests of its address that are under way.
    pub under_way: Option<Place>,
    /// How far it has come, if its client leaves now.
    pub left: Left,
    started: Instant,
    connection: Arc<Connection>,
    in_flight: InFlight,
    clock: Arc<dyn Clock>,
    sink: Sink,
}

impl RequestRecord {
    #[must_use]
    pub fn new<B>(
        connection: &Arc<Connection>,
        request_id: Arc<str>,
        request: &Request<B>,
        clock: Arc<dyn Clock>,
        sink: Sink,
    ) -> Self {
        let protocol = match connection.protocol {
            Protocol::Http1 => "http/1.1",
            Protocol::Http2 => "h2",
        };
        let headers = request.headers();
        let visit = Visit::of(request.method(), headers);
        let target = request.uri().path_and_query().cloned();
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Self {
            visit,
            access: AccessRecord {
                at: clock.now(),
                request_id,
                client: connection.peer_ip(),
                method: request.method().clone(),
                target,
                asked: Box::new(Asked {
                    listener: connection.listener.clone(),
                    host: AskedHost::of(request.uri().authority(), headers.get(header::HOST)),
                    upgrade: headers.get(header::UPGRADE).cloned(),
                    presented: None,
                }),
                principal: None,
                decision: Decision::Refused,
                reason: "ok",
                detail: None,
                route: None,
                upstream: None,
                status: StatusCode::OK,
                bytes_in: 0,
                bytes_out: 0,
                duration_us: 0,
                upstream_us: None,
                protocol,
                tls: connection.tls.as_ref().map(|tls| tls.version),
                alpn: connection.tls.as_ref().and_then(|tls| tls.alpn),
                trace: headers::trace_id(headers),
                agent: (sink.style() == Style::Combined).then(|| {
                    let field = |name| headers.get(name).cloned();
                    let (referer, user_agent) = (field(header::REFERER), field(header::USER_AGENT));
                    Box::new(Agent { referer, user_agent })
                }),
            },
            dialect: None,
            route: None,
            fields: Fields::default(),
            ends_flow: false,
            signs_out: false,
            by_cookie: false,
            typed: None,
            link: None,
            scheme: connection.scheme(),
            session: None,
            cors: Applied::Unknown,
            body: None,
            place: None,
            under_way: None,
            left: Left::UnderWay,
            started: Instant::now(),
            connection: Arc::clone(connection),
            in_flight: connection.begin_request(),
            clock,
            sink,
        }
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn note_route(&mut self, route: &Route) {
        self.access.route = Some(Arc::clone(&route.id));
        self.route = Some(route.index);
    }

    pub fn allow(&mut self, decision: Decision, principal: Option<Arc<Principal>>) {
        self.access.decision = decision;
        self.access.principal = principal;
    }

    /// Notes why the request is refused, and counts it. Somebody known who has come to a
    /// bound of the account has an audit line.
    pub fn refuse(&mut self, rejection: &Rejection, counters: &Counters) {
        self.access.decision = Decision::Refused;
        self.access.reason = rejection.reason.code();
        self.access.detail.clone_from(&rejection.detail);
        count(counters, &rejection.reason);
        self.audit_bound(rejection);
        if let Some(RequestBodyError::Stalled) = self.body.as_ref().and_then(|body| body.failure())
        {
            self.access.detail.get_or_insert_with(|| "the client stopped sending".to_owned());
        }
    }

    fn audit_bound(&self, rejection: &Rejection) {
        let bounded = matches!(
            rejection.reason,
            Reason::StreamsOverLimit | Reason::AgentsOverBound(_) | Reason::UpstreamShareTaken
        );
        let Some(principal) = self.access.principal.as_deref().filter(|_| bounded) else { return };
        self.sink.audit(AuditRecord {
            at: self.now(),
            event: Event::AccountBound,
            outcome: Outcome::Refused,
            reason: rejection.reason.code(),
            account: Some(Arc::clone(&principal.account)),
            actor: Actor::Client {
                address: self.access.client,
                request_id: Arc::clone(&self.access.request_id),
                credential: Some(principal.scheme().as_str()),
                session: principal.session().map(|session| session.0),
                acting: None,
            },
            detail: self.access.route.as_ref().map(|route| format!("route {route}")),
        });
    }

    /// The upstream has begun its answer, or failed to.
    pub fn note_upstream(&mut self, asked: Instant) {
        self.access.upstream_us = Some(microseconds(asked.elapsed()));
    }

    pub fn count_sent(&mut self, bytes: usize) {
        self.access.bytes_out += bytes as u64;
    }

    /// What the connection is held to that it came over.
    pub(super) fn rules(&self) -> &ConnectionRules {
        &self.connection.rules
    }

    /// Whether its connection ends because the client takes nothing.
    #[must_use]
    pub fn has_stalled(&self) -> bool {
        self.connection.is_stalled()
    }

    /// The answer has been handed over to its end.
    pub fn complete(self: Box<Self>) {
        self.write();
    }

    /// The answer ended early, and not by the client's doing.
    pub fn break_off(mut self: Box<Self>, reason: &'static str) {
        self.access.reason = reason;
        self.give_up_body();
        self.write();
    }

    /// The client was given up, for it did not read.
    pub fn stall(mut self: Box<Self>) {
        self.access.reason = "write_stalled";
        self.give_up_body();
        self.write();
    }

    /// The client left before the end; over HTTP/2 it has reset the stream.
    pub fn abandon(mut self: Box<Self>) {
        if self.access.reason == "ok" {
            self.access.reason = "incomplete";
        }
        self.connection.count_reset(self.left, self.clock.now());
        self.give_up_body();
        self.write();
    }

    /// Nobody reads the answer to its end: what is left of the request's body holds up
    /// nothing, such as the reset of its stream.
    fn give_up_body(&self) {
        if let Some(body) = &self.body {
            body.give_up_rest();
        }
    }

    fn write(mut self: Box<Self>) {
        let now = self.clock.now();
        self.in_flight.touch(now);
        self.access.bytes_in = self.body.as_ref().map_or(0, |body| body.received());
        self.access.duration_us = microseconds(self.started.elapsed());
        let Self { access, sink, .. } = *self;
        sink.access(Box::new(access));
    }
}

fn microseconds(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

/// Counts a request whose future was dropped before it had an answer: over
/// HTTP/2 that is a stream the client cancelled.
pub struct CancelGuard(Option<Box<RequestRecord>>);

impl CancelGuard {
    #[must_use]
    pub fn new(record: RequestRecord) -> Self {
        Self(Some(Box::new(record)))
    }

    pub fn record(&mut self) -> &mut RequestRecord {
        self.0.as_mut().expect("the record is taken only by into_record, which consumes the guard")
    }

    #[must_use]
    pub fn into_record(mut self) -> Box<RequestRecord> {
        self.0.take().expect("the record is taken only here")
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if let Some(mut record) = self.0.take() {
            if std::thread::panicking() {
                // A defect, behind which the edge answers for itself.
                record.access.status = StatusCode::INTERNAL_SERVER_ERROR;
                record.break_off(Reason::Internal.code());
                return;
            }
            record.access.reason = "client_left";
            // No status was sent; 499 is what proxies log for this.
            record.access.status = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
            record.abandon();
        }
    }
}

#[cfg(test)]
mod tests;
