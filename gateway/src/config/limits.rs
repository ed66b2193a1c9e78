//! `[limits]`: what clients may use up.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::auth::ports::AccountLimits;

use super::bounds::{DAY, SECOND, narrow, small};
use super::document::Section;
use super::reader::Reader;
use super::{Counted, Limits};

pub(super) fn read_limits(reader: &Reader, section: Section<'_>) -> Limits {
    let count = |name, default, range| small(section.integer(name, default, range));
    let bytes = |name, default, range| small(section.bytes(name, default, range));
    let number = |name: &str,
                  key: &'static str,
                  unit: &str,
                  otherwise,
                  range: RangeInclusive<u64>| {
        let Some(found) = reader.variable(name) else {
            return otherwise;
        };
        match found.value.trim().parse().ok().filter(|value| range.contains(value)) {
            Some(value) if unit.is_empty() => {
                section.is_found(key, value, found.origin);
                value
            }
            Some(value) => {
                section.is_found(key, format!("{value}{unit}"), found.origin);
                value
            }
            None => {
                let message =
                    format!("expected a whole number from {} to {}", range.start(), range.end());
                let help = format!("write a value like {name}={otherwise}");
                reader.note(found.origin, "", message, help);
                otherwise
            }
        }
    };
    let attempts = section.integer("max_login_attempts", 5, 1..=1_000_000);
    let window = section.duration("login_window", SECOND * 300, SECOND..=DAY);
    let attempts = number("MAX_LOGIN_ATTEMPTS", "max_login_attempts", "", attempts, 1..=1_000_000);
    let window =
        number("RATE_LIMIT_WINDOW_SECONDS", "login_window", "s", window.as_secs(), 1..=86_400);
    let counted = [("passwords", Counted::Passwords), ("all", Counted::All)];
    let held = |name, default| {
        small(section.integer_because(
            name,
            default,
            1..=1_000_000,
            "0 would refuse every client, and more would exceed memory",
        ))
    };
    let unset = AccountLimits::default();
    let per_account = |count| u64::try_from(count).unwrap_or(u64::MAX);
    let limits = Limits {
        requests_per_second: narrow(section.integer("requests_per_second", 20, 1..=1_000_000)),
        burst: narrow(section.integer("burst", 60, 1..=10_000_000)),
        wait: section.duration("wait", SECOND * 3, Duration::ZERO..=SECOND * 60),
        max_login_attempts: narrow(attempts),
        login_window: Duration::from_secs(window),
        user_attempts: narrow(section.integer("user_attempts", 20, 1..=1_000_000)),
        user_pause: section.duration("user_pause", SECOND, Duration::ZERO..=SECOND * 60),
        registrations: narrow(section.integer("registrations", 100, 1..=1_000_000)),
        sessions_per_account: count(
            "sessions_per_account",
            per_account(unset.sessions),
            1..=100_000,
        ),
        keys_per_account: count("keys_per_account", per_account(unset.keys), 1..=100_000),
        counted: section.choice("count", &counted, Counted::Passwords),
        connections: count("connections", 10_000, 1..=10_000_000),
        connections_per_address: count("connections_per_address", 256, 1..=10_000_000),
        requests_per_address: count("requests_per_address", 1_024, 1..=10_000_000),
        head_bytes: bytes("head_size", 32 << 10, 1 << 10..=1 << 20),
        header_count: count("header_count", 100, 8..=100),
        uri_bytes: bytes("uri_size", 8 << 10, 256..=64 << 10),
        body_bytes: section.size("body_size", None),
        h2_streams: narrow(section.integer("h2_streams", 100, 1..=10_000)),
        h2_resets: narrow(section.integer("h2_resets", 100, 1..=1_000_000)),
        agents_unauthenticated: count("agents_unauthenticated", 4_096, 1..=10_000_000),
        agents_unauthenticated_per_address: count(
            "agents_unauthenticated_per_address",
            64,
            1..=10_000_000,
        ),
        streams_per_account: held("streams_per_account", 64),
        agents_per_server: held("agents_per_server", 64),
        agents_per_key: held("agents_per_key", 1_024),
        agents_per_owner: held("agents_per_owner", 10_000),
    };
    section.finish();
    limits
}
