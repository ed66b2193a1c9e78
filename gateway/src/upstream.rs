//! Where requests go: what a route names, and one exchange with it.
//!
//! The layer knows what an upstream is to get, and nothing of clients, routes and
//! credentials. What it takes and gives is in [`message`], in no library's words; why
//! there is no response is an [`error::Failure`], which says what failed and how far the
//! request had got.

mod connection;
mod endpoint;
pub mod error;
mod exchange;
pub mod framing;
mod gate;
mod idle;
mod lease;
pub mod message;
mod pool;
mod preface;
mod replay;
pub mod retry;
mod share;
pub mod tls;
pub mod tunnel;
mod uploads;

pub use lease::Lease;
pub use tls::Need;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;
use http::uri::Authority;

use crate::config::{self, HttpTarget, UpstreamHost, UpstreamProtocol};
use crate::slots::{Holder, Place};

use endpoint::{Endpoint, Load};
use error::{CLIENT_CERTIFICATE_CODE, Cause, Failure};
use exchange::{Tried, over_http1, over_http2};
use message::{Content, Head, Response};
use pool::{Connected, Learned, Pool};
use replay::Sent;
use retry::{ConnectionChoice, Over, Reached, Retries};
use share::Shares;
use tls::OutboundTls;
use tunnel::Switched;

/// What routes name: a service, how it is asked, and what of it each account may have.
pub struct Upstream {
    pub name: Arc<str>,
    /// As it is configured.
    authority: Authority,
    /// Said to it in place of the client's.
    host: Option<HeaderValue>,
    shares: Arc<Shares>,
    endpoints: Endpoints,
}

/// The endpoints of an upstream at one moment. Immutable: a change of them is another value.
struct Endpoints(Box<[Arc<Endpoint>]>);

/// What an exchange has of its upstream until its response has ended.
pub struct Holding {
    // First: whoever waits for the places finds the connection given back.
    lease: Lease,
    load: Load,
    share: Place,
    more: Option<Place>,
}

impl Holding {
    /// Holds a place of somebody else's as well.
    pub fn hold(&mut self, place: Option<Place>) {
        debug_assert!(self.more.is_none(), "one place more, and no second");
        self.more = place;
    }

    /// The response has been read to its end.
    pub fn give_back(self) {
        self.lease.give_back();
    }

    /// Parts a response with status 101 from the connection behind it, which stays a load of
    /// its endpoint and keeps the share.
    pub fn into_switched(self, mut response: Response) -> (http::Response<()>, Switched, Place) {
        let switched = Switched::new(&mut response, self.lease.into_tunnel(), self.load);
        (response.map(drop), switched, self.share)
    }
}

impl Upstream {
    #[must_use]
    pub fn new(config: &config::Upstream, target: HttpTarget, tls: Option<OutboundTls>) -> Self {
        let host = match &config.host {
            UpstreamHost::Pass => None,
            // What is allowed in an authority is allowed in a field.
            UpstreamHost::Own => HeaderValue::from_str(target.authority.as_str()).ok(),
            UpstreamHost::Name(name) => HeaderValue::from_str(name).ok(),
        };
        let name: Arc<str> = config.name.as_str().into();
        let authority = target.authority.clone();
        let shares = Arc::new(Shares::new(config, target.protocol == UpstreamProtocol::Http2));
        let learn = learn(Arc::clone(&name), Arc::clone(&shares));
        let endpoint = Endpoint::new(Pool::new(config, target, tls, Box::new(learn)));
        Self { name, authority, host, shares, endpoints: Endpoints(Box::new([endpoint])) }
    }

    /// Sends a request and waits for the head of its response, without a deadline but for
    /// the connection. (Not an `async fn`: its future would have room for the request twice.)
    ///
    /// # Errors
    /// Why there is no response.
    pub fn send(
        &self,
        holder: Holder,
        mut head: Head,
        body: Option<Content>,
    ) -> impl Future<Output = Result<(Response, Holding), Failure>> {
        if let Some(host) = &self.host {
            head.host = host.clone();
        }
        let mut retries = Retries::new(&head.method, body.is_some());
        let mut request = (head, Sent::new(body));
        async move {
            let share = self.shares.take(holder).await?;
            let (mut next, mut reached) = (ConnectionChoice::Any, Reached::Gateway);
            loop {
                let further =
                    |failure: Failure| Failure { reached: reached.max(failure.reached), ..failure };
                // Anew for each try: the one that failed may not be the best for the next.
                let load = self.endpoints.pick().ok_or(Cause::Internal)?.begin();
                let pool = load.pool();
                let need = pool.need(&request.0.fields).map_err(further)?;
                let connected = pool.connection(need, next).await.map_err(further)?;
                let (over, tried) = match connected {
                    Connected::Http1 { connection, permit, idle_for } => {
                        let over = idle_for.map_or(Over::New, Over::Idle);
                        let copy = retries.want_copy(over);
                        let lent = (connection, permit);
                        (over, over_http1(pool, lent, request, copy)?.await)
                    }
                    Connected::Http2(shared, stream) => {
                        let lent = (shared, stream);
                        (Over::Shared, over_http2(pool, lent, request)?.await)
                    }
                };
                let (failure, rest) = match tried {
                    Tried::Answered(response, lease) => {
                        return Ok((response, Holding { lease, load, share, more: None }));
                    }
                    Tried::Failed { failure, rest } => (failure, rest),
                };
                let again = retries.next_try(failure.reached, over);
                let failure = further(failure);
                let (Some(again), Some(rest)) = (again, rest) else { return Err(failure) };
                reached = failure.reached;
                (next, request) = (again, rest);
            }
        }
    }

    /// Host and port as they are configured.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Closes what has been idle too long, and forgets who has nothing of it.
    pub fn sweep(&self) {
        self.endpoints.0.iter().for_each(|endpoint| endpoint.pool().sweep());
        self.shares.sweep();
    }
}

impl Endpoints {
    /// The one for an exchange, or for a further try of it.
    fn pick(&self) -> Option<&Arc<Endpoint>> {
        self.0.first()
    }
}

/// What follows for an upstream from what its connections teach.
fn learn(name: Arc<str>, shares: Arc<Shares>) -> impl Fn(Learned) + Send + Sync {
    let told = AtomicBool::new(false);
    move |learned| match learned {
        Learned::Carries(requests) => shares.settle(requests),
        // Some servers say in TLS that they want a client certificate, and refuse who has none
        // in HTTP, with a response like any other.
        Learned::AsksForCertificate => {
            if !told.swap(true, Ordering::AcqRel) {
                let (upstream, code) = (&*name, CLIENT_CERTIFICATE_CODE);
                tracing::warn!(upstream, code, "client certificate requested by an upstream");
            }
        }
    }
}
