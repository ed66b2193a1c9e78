//! `[dialect.*]` and `[admin]`: where the APIs of the gateway itself are, and how they behave.

use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::canonical::path::is_below;
use crate::contract::Contract;
use crate::contract::shared_path::may_share_prefix;

use super::bounds::SECOND;
use super::client::{A_NETWORK, networks};
use super::document::Section;
use super::form::read_path;
use super::reader::Reader;
use super::record::{Fallback, FallbackSource, fixed};
use super::units::{DURATION_FORMS, parse_duration, show_duration};
use super::{AdminApi, Delivery, Dialect, Dialects, PathMatch};

/// What a dialect's keys are when they are left out.
struct DialectDefaults {
    contract: Contract,
    access_ttl: Duration,
    require_special: bool,
}

pub(super) fn read_dialects(
    reader: &Reader,
    section: &Section<'_>,
    refresh_ttl: Duration,
) -> Dialects {
    // The plain environment name gives the default of the contracts that know it; a
    // contract's own key wins (C5).
    let from_environment = match reader.variable(EXPIRE_VARIABLE) {
        Some(found) => parse_duration(&found.value)
            .filter(|length| ACCESS_TTL.contains(length) && *length <= refresh_ttl)
            .unwrap_or_else(|| {
                let message = format!(
                    "expected a duration like {DURATION_FORMS}, or seconds, not longer than auth.refresh_ttl"
                );
                let help = format!("write a value like {EXPIRE_VARIABLE}=8h");
                reader.note(found.origin, "", &message, help);
                SECOND
            }),
        None => SECOND * 8 * 3_600,
    };
    let read = |contract: Contract, access_ttl, require_special| {
        let section = section.section(contract.as_str());
        let defaults = DialectDefaults { contract, access_ttl, require_special };
        let read = read_dialect(&section, &defaults, refresh_ttl);
        (read, section)
    };
    let (form, form_section) = read(Contract::Form, SECOND * 1_800, false);
    let (status, status_section) = read(Contract::Status, from_environment, false);
    let (envelope, envelope_section) = read(Contract::Envelope, from_environment, true);
    if reader.variable(EXPIRE_VARIABLE).is_some() {
        let length = show_duration(from_environment.min(refresh_ttl));
        let source = FallbackSource::Variable(EXPIRE_VARIABLE.to_owned());
        for section in [&status_section, &envelope_section] {
            let fallback = Fallback { source: source.clone(), ..fixed(length.as_str()) };
            section.falls_back("access_ttl", fallback);
        }
    }
    let (plain, plain_section) = read(Contract::Plain, SECOND * 3_600, false);
    let dialects = Dialects {
        form,
        status,
        rotate_refresh: status_section.boolean("rotate_refresh", true),
        envelope,
        plain,
        keys: plain_section.boolean("keys", true),
        reveal_unknown_user: plain_section.boolean("reveal_unknown_user", false),
    };
    // Whole, so that none can be left out.
    let Dialects {
        form,
        status,
        envelope,
        plain,
        rotate_refresh: _,
        keys: _,
        reveal_unknown_user: _,
    } = &dialects;
    check_prefixes(&[
        (Contract::Status, status, &status_section),
        (Contract::Envelope, envelope, &envelope_section),
        (Contract::Form, form, &form_section),
        (Contract::Plain, plain, &plain_section),
    ]);
    for section in [form_section, status_section, envelope_section, plain_section] {
        section.finish();
    }
    dialects
}

/// Notes contracts at one prefix whose requests could not be told apart.
fn check_prefixes(read: &[(Contract, &Dialect, &Section<'_>)]) {
    for (index, (contract, dialect, section)) in read.iter().enumerate() {
        for (known, other, _) in &read[..index] {
            let is_shared = dialect.enabled && other.enabled && dialect.prefix == other.prefix;
            if is_shared && !may_share_prefix(*contract, *known) {
                let name = known.as_str();
                let message = format!(
                    "the dialect {name} uses this prefix, and requests for the two could not be distinguished"
                );
                let help = "give one of them a prefix of its own, or enabled = false";
                section.note(section.origin(), "prefix", message, help);
            }
        }
    }
}

const EXPIRE_VARIABLE: &str = "JWT_EXPIRE_DURATION";
const ACCESS_TTL: std::ops::RangeInclusive<Duration> = SECOND..=Duration::from_secs(365 * 86_400);
/// Where the documents of the contracts are, wherever these are mounted.
const DOCUMENTS: &str = "/api/openapi";

/// What the paths of an API of ours begin with.
pub(super) fn read_prefix(section: &Section<'_>, default: &str) -> String {
    let found = section.text("prefix", "a path like \"/api/v1\"");
    section.falls_back("prefix", fixed(default));
    let Some(found) = found else {
        return default.to_owned();
    };
    let prefix = match read_path(&found.value, PathMatch::Below) {
        Ok(prefix) => prefix,
        Err(unfit) => {
            unfit.note(section, "prefix", &found);
            return default.to_owned();
        }
    };
    if prefix == "/" {
        let (message, help) =
            ("expected a path of at least one segment", format!("write \"{default}\""));
        section.note(found.origin, "prefix", message, help);
    } else if is_below(&prefix, DOCUMENTS) {
        let help = format!("choose another, such as \"{default}\"");
        section.note(found.origin, "prefix", "is used by the gateway itself", help);
    }
    prefix
}

/// From where the admin API may be used; wherever it can be reached when nothing is written.
fn read_networks(section: &Section<'_>) -> Vec<IpNet> {
    let written = section.texts("networks", A_NETWORK);
    if !section.is_given("networks") {
        return vec![Ipv4Net::default().into(), Ipv6Net::default().into()];
    }
    if written.is_empty() {
        let help = "enabled = false switches the admin API off";
        let message = "an empty list refuses every client";
        section.note(section.given_at("networks"), "networks", message, help);
    }
    networks(section, "networks", written)
}

pub(super) fn read_admin(section: Section<'_>, dialects: &Dialects) -> AdminApi {
    let admin = AdminApi {
        enabled: section.boolean("enabled", true),
        prefix: read_prefix(&section, Contract::Admin.entry().prefix),
        networks: read_networks(&section),
    };
    let taken = dialects.all().any(|dialect| dialect.enabled && dialect.prefix == admin.prefix);
    if admin.enabled && taken {
        let help = "choose another, such as \"/api/admin\"";
        section.note(section.origin(), "prefix", "a dialect uses this path", help);
    }
    section.finish();
    admin
}

fn read_dialect(
    section: &Section<'_>,
    defaults: &DialectDefaults,
    refresh_ttl: Duration,
) -> Dialect {
    let prefix = read_prefix(section, defaults.contract.entry().prefix);
    let deliveries =
        [("body", Delivery::Body), ("cookie", Delivery::Cookie), ("auto", Delivery::Auto)];
    let dialect = Dialect {
        enabled: section.boolean("enabled", true),
        prefix,
        // What is not written follows a shorter life of the session.
        access_ttl: section.duration(
            "access_ttl",
            defaults.access_ttl.min(refresh_ttl),
            ACCESS_TTL,
        ),
        require_special: section.boolean("require_special", defaults.require_special),
        delivery: section.choice("delivery", &deliveries, Delivery::Body),
    };
    if dialect.access_ttl > refresh_ttl {
        let message = format!(
            "an access token of {} would outlive the refresh token (auth.refresh_ttl)",
            defaults.contract.as_str()
        );
        let help = "set it no longer than auth.refresh_ttl, or that longer";
        section.note(section.origin(), "access_ttl", message, help);
    }
    dialect
}
