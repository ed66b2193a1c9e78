use std::time::Duration;

use super::*;
use crate::auth::error::Entity;
use crate::pipeline::admit::Policy;
use crate::pipeline::reason::FramingFault;

#[test]
fn refusals_that_operators_watch_are_counted_each_under_its_name() {
    let retry_after = Duration::ZERO;
    let policy = Policy { name: "ip", burst: 60, window_seconds: 3 };
    for (reason, counted) in [
        (Reason::Framing(FramingFault::Chunk), Some("framing_faults")),
        (Reason::RateLimited { retry_after, policy }, Some("rate_limited")),
        (Reason::LockedOut { retry_after }, Some("locked_out")),
        (Reason::RegistrationsOverLimit { retry_after }, Some("registrations_over_limit")),
        (Reason::TooMany(Entity::Key), Some("limits_reached")),
        (Reason::HasherBusy, Some("hashing_shed")),
        (Reason::AttemptsQueued, Some("hashing_shed")),
        (Reason::UserAttemptsQueued { retry_after }, Some("user_attempts_shed")),
        (Reason::BodyStalled, Some("bodies_stalled")),
        (Reason::RequestsOverAddressLimit, Some("requests_over_address_limit")),
        (Reason::AgentsOverLimit, Some("agents_over_limit")),
        (Reason::AgentsOverAddressLimit, Some("agents_over_address_limit")),
        (Reason::FirstMessage(Fault::Late), Some("agents_timed_out")),
        (Reason::FirstMessage(Fault::TooLarge), None),
        (Reason::CrossSite, Some("cross_site")),
        (Reason::PreflightRefused, Some("preflights_refused")),
        (Reason::UpstreamProtocol, Some("upstream_faults")),
        (Reason::UpstreamClosed, None),
        (Reason::CredentialMissing, None),
    ] {
        let counters = Counters::default();
        count(&counters, &reason);
        let risen: Vec<_> =
            counters.snapshot().into_iter().filter(|(_, value)| *value > 0).collect();
        let expected: Vec<_> = counted.into_iter().map(|name| (name, 1)).collect();
        assert_eq!(risen, expected, "{reason:?}");
    }
}
