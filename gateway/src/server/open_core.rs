//! The core over the configured store, the real clock and the outside world.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::federation::IdentityProvider;
use crate::auth::link::LinkPolicy;
use crate::auth::ports::{FailureLimit, Mailer};
use crate::auth::secret::Secret;
use crate::auth::standing::Standing;
use crate::auth::time::Seconds;
use crate::auth::work::Work;
use crate::auth::{Core, Policy, Ports};
use crate::clock::SystemClock;
use crate::config::{self, Config};
use crate::crypto::entropy::SystemEntropy;
use crate::crypto::jwt::Hs256Signer;
use crate::crypto::passwords::HashingPool;
use crate::dialect::links;
use crate::federation::github::GitHub;
use crate::mail::MailQueue;
use crate::store::archive::Snapshots;
use crate::trust::Connector;

use super::StartError;
use super::stores::{Opened, open_store};

/// Machines that keep time by NTP differ by much less.
const CLOCK_SKEW: Seconds = Seconds(5);

/// The core over the configured store and the real clock, and what only this process can do
/// for an export of that store, if it alone has it open.
///
/// # Errors
/// When the store cannot be opened or the secret is too short.
pub async fn open_core(
    config: &Config,
    secret: &Secret,
    github: Option<Arc<dyn IdentityProvider>>,
    mailer: Option<Arc<dyn Mailer>>,
) -> Result<(Core, Option<Arc<dyn Snapshots>>), StartError> {
    let auth = &config.auth;
    let standing = Arc::new(Standing::default());
    let Opened { store, snapshots } = open_store(config, &standing, longest_token(config)).await?;
    warn_of_dear_hashes(&standing, auth.bcrypt_cost);
    let hasher = HashingPool::start(auth.hash_threads, auth.hash_queue, auth.bcrypt_cost)?;
    let signer = Hs256Signer::new(secret, auth.previous_secret_key.as_ref())?;
    let ports = Ports {
        store,
        standing,
        hasher: Arc::new(hasher),
        signer: Arc::new(signer),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy::default()),
        github,
        mailer,
    };
    Ok((Core::new(policy(config), ports), snapshots))
}

fn seconds(length: Duration) -> Seconds {
    Seconds(length.as_secs())
}

/// The longest life of any token: what ended is remembered for as long.
pub(super) fn longest_token(config: &Config) -> Seconds {
    let access = config.dialects.all().map(|dialect| dialect.access_ttl);
    let longest = access.fold(config.auth.refresh_ttl, Duration::max);
    seconds(longest.max(config.console.session_absolute))
}

pub(super) fn policy(config: &Config) -> Policy {
    let auth = &config.auth;
    Policy {
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        refresh_ttl: seconds(auth.refresh_ttl),
        refresh_grace: seconds(auth.refresh_grace),
        renewed_access_ttl: seconds(config.console.access_ttl),
        ticket_ttl: seconds(auth.ticket_ttl),
        clock_skew: if config.store.shared.is_some() { CLOCK_SKEW } else { Seconds(0) },
        registration: auth.registration,
        registrations: registration_limit(config),
        local_accounts: auth.local_accounts,
        failure_window: seconds(config.limits.login_window),
        links: config.links.as_ref().map(|settings| LinkPolicy {
            base: format!("{}{}{}", settings.public_url, settings.prefix, links::QUERY),
            ttl: seconds(settings.ttl),
        }),
    }
}

/// A failed attempt on anybody costs as much as on the account with the dearest hash.
fn warn_of_dear_hashes(standing: &Standing, bcrypt_cost: u32) {
    let (dearest, configured) = (standing.dearest_hash(), Work::of_bcrypt(bcrypt_cost));
    if dearest > configured {
        let times = dearest.0.div_ceil(configured.0);
        tracing::warn!(
            times,
            "a stored password hash costs more than auth.bcrypt_cost, and failed attempts cost as much"
        );
    }
}

/// Of one address in an hour.
fn registration_limit(config: &Config) -> FailureLimit {
    let (attempts, user_attempts) = (config.limits.registrations.saturating_add(1), u32::MAX);
    FailureLimit { attempts, user_attempts, window: Seconds(3_600) }
}

pub(super) fn mailer(config: &Config) -> Result<Option<Arc<dyn Mailer>>, StartError> {
    let (Some(mail), Some(links)) = (&config.mail, &config.links) else { return Ok(None) };
    let started = MailQueue::start(mail, links.public_url.host());
    let queue = started.map_err(|reason| StartError::Mail { reason })?;
    Ok(Some(queue))
}

/// Who vouches for people that sign in with GitHub.
///
/// # Errors
/// When the authorities it is verified against cannot be read.
pub fn github(config: &config::GitHub) -> Result<GitHub, StartError> {
    let made = Connector::new(config.roots.as_deref(), &[b"http/1.1"])
        .and_then(|connector| GitHub::new(config, connector.tls()));
    made.map_err(|reason| StartError::GitHub { reason })
}
