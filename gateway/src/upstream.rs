//! Where requests go: what a route names, and one exchange with it.
//!
//! The layer knows what an upstream is to get, and nothing of clients, routes and
//! credentials. What it takes and gives is in [`message`], in no library's words; why
//! there is no response is an [`error::Failure`], which says what failed and how far the
//! request had got.

mod connection;
pub mod error;
mod exchange;
pub mod framing;
mod gate;
mod lease;
pub mod message;
mod pool;
mod preface;
mod replay;
pub mod retry;
mod share;
pub mod tls;
mod uploads;

pub use lease::Lease;
pub use tls::Need;

use std::sync::Arc;

use http::HeaderValue;

use crate::config::{self, HttpTarget, UpstreamHost};
use crate::slots::{Holder, Place};

use error::Failure;
use exchange::{Tried, over_http1, over_http2};
use message::{Content, Head, Response, Switched};
use pool::{Connected, Pool};
use replay::Sent;
use retry::{ConnectionChoice, Over, Reached, Retries};
use share::Shares;
use tls::OutboundTls;

/// What routes name: a server, how it is asked, and what of it each account may have.
pub struct Upstream {
    pub name: Arc<str>,
    /// Said to it in place of the client's.
    host: Option<HeaderValue>,
    pool: Arc<Pool>,
    shares: Arc<Shares>,
}

/// What an exchange has of its upstream until its response has ended.
pub struct Holding {
    // First: whoever waits for the places finds the connection given back.
    lease: Lease,
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

    /// Parts a response with status 101 from the connection behind it, which keeps the share.
    pub fn into_switched(self, mut response: Response) -> (http::Response<()>, Switched, Place) {
        let switched = Switched::new(&mut response, self.lease.into_tunnel());
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
        let pool = Pool::new(Arc::clone(&name), config, target, tls);
        let shares = Arc::clone(pool.shares());
        Self { name, host, pool: Arc::new(pool), shares }
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
            let need = self.pool.need(&request.0.fields)?;
            let (mut next, mut reached) = (ConnectionChoice::Any, Reached::Gateway);
            loop {
                let further =
                    |failure: Failure| Failure { reached: reached.max(failure.reached), ..failure };
                let connected = self.pool.connection(need, next).await.map_err(further)?;
                let (over, tried) = match connected {
                    Connected::Http1 { connection, permit, idle_for } => {
                        let over = idle_for.map_or(Over::New, Over::Idle);
                        let copy = retries.want_copy(over);
                        let lent = (connection, permit);
                        (over, over_http1(&self.pool, lent, request, copy)?.await)
                    }
                    Connected::Http2(shared, stream) => {
                        let lent = (shared, stream);
                        (Over::Shared, over_http2(&self.pool, lent, request)?.await)
                    }
                };
                let (failure, rest) = match tried {
                    Tried::Answered(response, lease) => {
                        return Ok((response, Holding { lease, share, more: None }));
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
        self.pool.authority()
    }

    /// Closes what has been idle too long, and forgets who has nothing of it.
    pub fn sweep(&self) {
        self.pool.sweep();
        self.shares.sweep();
    }
}
