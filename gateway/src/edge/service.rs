//! What a listener serves, and what serves it: the edge knows connections and messages, and
//! nothing of what is done with them.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::auth::ports::Clock;
use crate::lifecycle::Lifecycle;
use crate::pipeline::body::response::ResponseBody;
use crate::pipeline::connection::Connection;
use crate::pipeline::connection::rules::ConnectionRules;
use crate::pipeline::reason::FramingFault;
use crate::pipeline::rest::Lingering;
use crate::pipeline::{self, Gateway};
use crate::slots::Slots;
use crate::telemetry::counters::Counters;

/// Requests in, responses out.
pub trait Service: Send + Sync + 'static {
    /// What a connection is held to that begins now. It keeps them to its end.
    fn rules(&self) -> Arc<ConnectionRules>;

    /// Answers a request, whatever comes; with `fault` one that cannot be read.
    fn answer(
        self: Arc<Self>,
        connection: Arc<Connection>,
        fault: Option<FramingFault>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;
}

impl Service for Gateway {
    fn rules(&self) -> Arc<ConnectionRules> {
        Arc::clone(&self.site.load().connections)
    }

    fn answer(
        self: Arc<Self>,
        connection: Arc<Connection>,
        fault: Option<FramingFault>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send {
        pipeline::handle(self, connection, fault, request)
    }
}

/// What the listeners of the process share.
pub struct Edge {
    pub slots: Arc<Slots>,
    /// Clients that go on sending what nobody wants.
    pub lingering: Arc<Lingering>,
    pub counters: Arc<Counters>,
    pub lifecycle: Lifecycle,
    pub clock: Arc<dyn Clock>,
}

/// What one connection is served by.
pub struct Serving<S> {
    pub edge: Arc<Edge>,
    pub service: Arc<S>,
    pub rules: Arc<ConnectionRules>,
    /// Where it was accepted.
    pub listener: Arc<str>,
}
