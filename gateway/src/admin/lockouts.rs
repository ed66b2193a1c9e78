//! Addresses that failed to sign in. A running gateway counts them in memory.

use std::net::IpAddr;

use super::record::{Lockout, Record};
use super::{Reply, Span, page};
use crate::auth::Core;
use crate::auth::error::{Entity, Error, Verdict};
use crate::auth::source::Source;
use crate::telemetry::log::rfc3339;

/// In the order of the addresses.
pub(super) async fn list(core: &Core, span: Span<IpAddr>) -> Result<Reply, Error> {
    let now = core.clock().now();
    let mut counts = core.store().list_failures(now).await?;
    counts.sort_unstable_by_key(|count| count.source.address());
    let mut counts = span.of(counts, |count| count.source.address());
    let next = span.cut(&mut counts, |count| count.source.address());
    let lockouts = counts.iter().map(|count| {
        let locked_until = match core.standing().verdict(count.source, now) {
            Verdict::LockedOut(until) => Some(rfc3339(until)),
            Verdict::Allowed => None,
        };
        let (address, failures) = (count.source.address(), count.failures);
        Record::Lockout(Lockout { address, failures, locked_until })
    });
    Ok(page(core, lockouts.collect(), next))
}

pub(super) async fn clear(core: &Core, address: IpAddr) -> Result<Reply, Error> {
    if core.store().forgive(Source::of(address)).await? {
        Ok(Reply::Done)
    } else {
        Err(Error::Unknown(Entity::Lockout))
    }
}
