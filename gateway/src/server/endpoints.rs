//! The paths that the gateway serves itself, and the routes beside them.

use std::sync::Arc;

use http::Method;

use crate::auth::password::PasswordRule;
use crate::auth::time::Seconds;
use crate::config::{self, Config, PathMatch};
use crate::console::Console;
use crate::console::link::LinkPages;
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
        config::DocumentReaders::Authenticated => dialect::Admission::Authenticated,
        config::DocumentReaders::Everybody => dialect::Admission::Public,
    };
    let mut mounted = mount(config, console.as_ref());
    mounted.extend(console.map(|console| console as Arc<dyn Dialect>));
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

/// The dialects in order of precedence: of two that share a path, the first is its
/// default, and the first of all shapes what belongs to none (C14).
fn mount(config: &Config, console: Option<&Arc<Console>>) -> Vec<Arc<dyn Dialect>> {
    let dialects = &config.dialects;
    let settings = |dialect: &config::Dialect| Settings {
        prefix: dialect.prefix.clone(),
        access_ttl: Seconds(dialect.access_ttl.as_secs()),
        refresh_ttl: Seconds(config.auth.refresh_ttl.as_secs()),
        password: PasswordRule { special: dialect.require_special },
        delivery: match dialect.delivery {
            config::Delivery::Body => DeliveryRule::Always(Delivery::Body),
            config::Delivery::Cookie => DeliveryRule::Always(Delivery::Cookie),
            config::Delivery::Auto => DeliveryRule::ByClient,
        },
    };
    let (form, status) = (&dialects.form, &dialects.status);
    let (envelope, plain) = (&dialects.envelope, &dialects.plain);
    let mut mounted: Vec<Arc<dyn Dialect>> = Vec::new();
    if status.enabled {
        let rotate = dialects.rotate_refresh;
        mounted.push(Arc::new(Status { settings: settings(status), rotate }));
    }
    if plain.enabled {
        let (keys, reveal) = (dialects.keys, dialects.reveal_unknown_user);
        mounted.push(Arc::new(Plain::new(settings(plain), keys, reveal)));
    }
    if envelope.enabled {
        let settings = settings(envelope);
        let url = config.github.as_ref().and_then(|github| github.public_url.as_ref());
        let callback = url.map(|url| format!("{url}{}{CALLBACK}", settings.prefix));
        mounted.push(Arc::new(Envelope { settings, callback }));
    }
    if form.enabled {
        mounted.push(Arc::new(Form(settings(form))));
    }
    if let Some(settings) = &config.links {
        let (prefix, mail) = (settings.prefix.clone(), config.mail.is_some());
        let pages = Box::new(LinkPages::new(console.cloned()));
        mounted.push(Arc::new(Links { prefix, mail, pages }));
    }
    if config.admin.enabled {
        mounted.push(Arc::new(Admin::new(config.admin.prefix.clone())));
    }
    mounted
}
