//! A request that goes to its route's upstream.

use std::sync::Arc;

use http::uri::PathAndQuery;

use crate::auth::principal::Principal;

use super::client::Client;
use super::route::Route;

/// A request that may pass, with what was found out about it.
pub struct Passed {
    pub route: Arc<Route>,
    pub principal: Option<Arc<Principal>>,
    /// As it was written, without a ticket.
    pub target: PathAndQuery,
    /// What the client asked for; empty when it named none.
    pub host: String,
    pub client: Client,
}
