//! Where a route's requests go.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;

use crate::config::FieldNames;
use crate::upstream::Upstream;

use super::connection::Protocol;
use super::grpc::is_grpc;

/// Held by each route that names it.
#[derive(Clone)]
pub enum Destination {
    Echo { name: Arc<str>, field_names: FieldNames },
    Http { upstream: Arc<Upstream>, field_names: FieldNames },
}

impl Destination {
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        match self {
            Destination::Echo { name, .. } => name,
            Destination::Http { upstream, .. } => &upstream.name,
        }
    }

    /// `None` of the echo, which is no server.
    #[must_use]
    pub fn upstream(&self) -> Option<&Arc<Upstream>> {
        match self {
            Destination::Echo { .. } => None,
            Destination::Http { upstream, .. } => Some(upstream),
        }
    }

    /// Host and port as they are configured.
    #[must_use]
    pub fn authority(&self) -> &str {
        match self {
            Destination::Echo { name, .. } => name,
            Destination::Http { upstream, .. } => upstream.authority(),
        }
    }

    /// What of a request may be named how. gRPC metadata have names with `_` and `.` by
    /// custom; a server that speaks gRPC hands them on as they are.
    #[must_use]
    pub fn field_names(&self, request: &HeaderMap, protocol: Protocol) -> FieldNames {
        let (Destination::Echo { field_names, .. } | Destination::Http { field_names, .. }) = self;
        match *field_names {
            FieldNames::Strict if protocol == Protocol::Http2 && is_grpc(request) => {
                FieldNames::Any
            }
            configured => configured,
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Destination").field(self.name()).finish()
    }
}

/// For tests of what comes before.
#[cfg(test)]
pub fn of_nowhere(_: usize) -> Destination {
    Destination::Echo { name: "echo".into(), field_names: FieldNames::Strict }
}
