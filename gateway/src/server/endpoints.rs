//! The paths that the gateway serves itself, and the routes beside them.

use std::sync::Arc;

use http::Method;

use crate::auth::password::PasswordRule;
use crate::auth::time::Seconds;
use crate::config::{self, Config, PathMatch};
use crate::console::Console;
use crate::console::link::LinkPages;
use crate::contract::Contract;
use crate::dialect::admin::Admin;
use crate::dialect::delivery::{Delivery, DeliveryRule};
use crate::dialect::envelope::{CALLBACK, Envelope};
use crate::dialect::form::Form;
use crate::dialect::links::Links;
use crate::dialect::plain::Plain;
use crate::dialect::status::Status;
use crate::dialect::{self, Dialect, Dialects, HealthPaths, Resolution, Settings};
use crate::pipeline::destination::Destination;
use crate::pipeline::route::Routes;

use super::{StartError, console};

/// The paths that the gateway serves itself.
///
/// # Errors
/// When two of its endpoints cannot be told apart.
pub fn own_endpoints(config: &Config) -> Result<Dialects, StartError> {
    endpoints(config, console::plain(config))
}

pub(super) fn endpoints(
    config: &Config,
    console: Option<Arc<Console>>,
) -> Result<Dialects, StartError> {
    let health = if config.health.enabled { HealthPaths::Own } else { HealthPaths::Upstream };
    let readers = match config.openapi {
        config::DocumentReaders::Authenticated => dialect::EndpointAccess::Authenticated,
        config::DocumentReaders::Everybody => dialect::EndpointAccess::Public,
    };
    let mounted = |contract: &Contract| mount(*contract, config, console.as_ref());
    let mounted = Contract::BY_PRECEDENCE.iter().filter_map(mounted).collect();
    Ok(Dialects::new(mounted, health, readers)?)
}

/// The routes, of which each has requests: an exact one for a path of our own would not.
pub(super) fn reachable_routes(
    config: &Config,
    dialects: &Dialects,
    destinations: &[Destination],
) -> Result<Routes, StartError> {
    for route in config.routes.iter().filter(|route| route.extent == PathMatch::Exact) {
        if !matches!(dialects.resolve(&Method::GET, &route.path), Resolution::NotOurs) {
            return Err(StartError::RouteOfOurs { id: route.id.clone(), path: route.path.clone() });
        }
    }
    Ok(Routes::new(&config.routes, |upstream| destinations[upstream].clone()))
}

/// What serves a contract, if it is switched on.
fn mount(
    contract: Contract,
    config: &Config,
    console: Option<&Arc<Console>>,
) -> Option<Arc<dyn Dialect>> {
    let dialects = &config.dialects;
    let settings = |dialect: &config::Dialect| dialect.enabled.then(|| settings(config, dialect));
    Some(match contract {
        Contract::Form => Arc::new(Form(settings(&dialects.form)?)),
        Contract::Status => {
            let settings = settings(&dialects.status)?;
            Arc::new(Status { settings, rotate: dialects.rotate_refresh })
        }
        Contract::Envelope => {
            let settings = settings(&dialects.envelope)?;
            let url = config.github.as_ref().and_then(|github| github.public_url.as_ref());
            let callback = url.map(|url| format!("{url}{}{CALLBACK}", settings.prefix));
            Arc::new(Envelope { settings, callback })
        }
        Contract::Plain => {
            let (keys, reveal) = (dialects.keys, dialects.reveal_unknown_user);
            Arc::new(Plain::new(settings(&dialects.plain)?, keys, reveal))
        }
        Contract::Links => {
            let prefix = config.links.as_ref()?.prefix.clone();
            let pages = Box::new(LinkPages::new(console.cloned()));
            Arc::new(Links { prefix, mail: config.mail.is_some(), pages })
        }
        Contract::Admin if config.admin.enabled => {
            Arc::new(Admin::new(config.admin.prefix.clone()))
        }
        Contract::Admin => return None,
        Contract::Console => Arc::clone(console?) as Arc<dyn Dialect>,
    })
}

fn settings(config: &Config, dialect: &config::Dialect) -> Settings {
    Settings {
        prefix: dialect.prefix.clone(),
        access_ttl: Seconds(dialect.access_ttl.as_secs()),
        refresh_ttl: Seconds(config.auth.refresh_ttl.as_secs()),
        password: PasswordRule { special: dialect.require_special },
        delivery: match dialect.delivery {
            config::Delivery::Body => DeliveryRule::Always(Delivery::Body),
            config::Delivery::Cookie => DeliveryRule::Always(Delivery::Cookie),
            config::Delivery::Auto => DeliveryRule::ByClient,
        },
    }
}
