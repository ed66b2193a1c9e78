use std::time::Duration;

use super::*;
use crate::pipeline::rate_limit::policy::Policy;
use crate::pipeline::reason::examples::examples;

/// What a status means to a client of gRPC, who reads the number alone.
#[test]
fn grpc_clients_get_the_number_that_tells_them_what_to_do() {
    for reason in examples() {
        let row = reason.row();
        let expected = match row.status.as_u16() {
            401 => GrpcStatus::Unauthenticated,
            403 => GrpcStatus::PermissionDenied,
            404 | 405 => GrpcStatus::Unimplemented,
            408 => GrpcStatus::DeadlineExceeded,
            413 | 429 => GrpcStatus::ResourceExhausted,
            500 => GrpcStatus::Internal,
            501..600 => GrpcStatus::Unavailable,
            _ => GrpcStatus::InvalidArgument,
        };
        assert_eq!(row.grpc, expected, "{reason:?}");
    }
    // As the wire has them (grpc/status.h).
    assert_eq!(GrpcStatus::Unauthenticated as u16, 16);
    assert_eq!(GrpcStatus::Unavailable as u16, 14);
}

/// After these the next bytes of the connection cannot be trusted, or are a body that nobody
/// reads; after all others it goes on.
#[test]
fn a_connection_ends_with_what_makes_its_bytes_doubtful() {
    for reason in examples() {
        let doubtful = matches!(
            reason,
            Reason::Framing(_)
                | Reason::HostMissing
                | Reason::HostMalformed
                | Reason::HostMismatch
                | Reason::TargetMalformed
                | Reason::MethodRefused
                | Reason::MethodMalformed
                | Reason::UpgradeMalformed
                | Reason::BodyTooLarge
                | Reason::BodyStalled
                | Reason::BodyBroken
                | Reason::Internal
        );
        assert_eq!(reason.row().fate == Fate::Close, doubtful, "{reason:?}");
    }
}

#[test]
fn refusals_that_operators_watch_are_counted_each_under_its_name() {
    let retry_after = Duration::ZERO;
    let policy = Policy { name: "ip", burst: 60, window_seconds: 3 };
    for (reason, counted) in [
        (Reason::Framing(FramingFault::Chunk), Some("framing_faults")),
        (Reason::RateLimited { retry_after, policy }, Some("rate_limited")),
        (Reason::LockedOut { retry_after }, Some("locked_out")),
        (Reason::RegistrationsOverLimit { retry_after }, Some("registrations_over_limit")),
        (Reason::LimitReached(Entity::Key), Some("limits_reached")),
        (Reason::HasherBusy, Some("hashing_shed")),
        (Reason::AttemptsQueued, Some("hashing_shed")),
        (Reason::UserAttemptsQueued { retry_after }, Some("user_attempts_shed")),
        (Reason::BodyStalled, Some("bodies_stalled")),
        (Reason::RequestsOverAddressLimit, Some("requests_over_address_limit")),
        (Reason::AgentsOverLimit, Some("agents_over_limit")),
        (Reason::AgentsOverAddressLimit, Some("agents_over_address_limit")),
        (Reason::FirstMessage(Fault::Late), Some("agents_timed_out")),
        (Reason::FirstMessage(Fault::TooLarge), None),
        (Reason::ConnectionsOverAddressLimit, Some("connections_over_address_limit")),
        (Reason::StreamsOverLimit, Some("streams_over_limit")),
        (Reason::AgentsOverBound(AgentBound::Server), Some("agents_over_server_limit")),
        (Reason::AgentsOverBound(AgentBound::Key), Some("agents_over_key_limit")),
        (Reason::AgentsOverBound(AgentBound::Owner), Some("agents_over_owner_limit")),
        (Reason::UpstreamShareTaken, Some("upstream_shares_taken")),
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
