use std::sync::Arc;

use http::HeaderMap;
use proptest::prelude::*;
use tracing::subscriber::with_default;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{
    ASSERTED, ASSERTED_FAMILIES, FieldRules, MAX_TOLD, Names, Removal, RemovalReport, Removed,
    TrailerFilter,
};
use crate::config::identity::{PRESETS, preset};
use crate::config::{FieldNames, FieldOverrides, IdentityHeaders, NamePattern};
use crate::pipeline::tests::Logged;
use crate::telemetry::counters::Counters;

/// What RFC 9110 5.6.2 allows in a name beside letters and digits.
const MARKS: &[u8] = b"!#$%&'*+-.^_`|~";

/// Names that have a meaning here without an assertion.
const OTHERS: [&str; 9] = [
    "authorization",
    "x-api-key",
    "x-request-id",
    "content-length",
    "transfer-encoding",
    "proxy-connection",
    "keep-alive",
    "http2-settings",
    "x-forwarded-for",
];

fn rules() -> FieldRules {
    FieldRules::new(&IdentityHeaders::default(), &FieldOverrides::default())
}

fn overridden(allow: &[&str], remove: &[&str]) -> FieldRules {
    let patterns = |names: &[&str]| {
        let pattern = |name: &&str| match name.strip_suffix('*') {
            Some(prefix) => NamePattern::Family(prefix.to_owned()),
            None => NamePattern::Exact((*name).to_owned()),
        };
        names.iter().map(pattern).collect()
    };
    let overrides = FieldOverrides { allow: patterns(allow), remove: patterns(remove) };
    FieldRules::new(&IdentityHeaders::default(), &overrides)
}

/// Every name that only the gateway may send, with one of each family.
fn asserted() -> Vec<String> {
    let presets = PRESETS.iter().filter_map(|name| preset(name));
    let injected =
        presets.flat_map(|names| names.all().map(ToString::to_string).collect::<Vec<_>>());
    let families = ASSERTED_FAMILIES.iter().map(|family| format!("{family}anything"));
    injected.chain(families).chain(ASSERTED.map(str::to_owned)).collect()
}

fn with_meaning() -> Vec<String> {
    asserted().into_iter().chain(OTHERS.map(str::to_owned)).collect()
}

/// The variable by which CGI hands a field to a program (RFC 3875 4.1.18), as the
/// servers make it that map the most.
fn cgi(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn token() -> impl Strategy<Value = String> {
    let byte = prop_oneof![
        4 => prop::sample::select(b"abcdefghijklmnopqrstuvwxyz0123456789".to_vec()),
        2 => prop::sample::select(MARKS.to_vec()),
    ];
    prop::collection::vec(byte, 1..24)
        .prop_map(|bytes| String::from_utf8(bytes).expect("marks are ASCII"))
}

/// A name of ours with other marks in place of its dashes, or a name at large.
fn spelled() -> impl Strategy<Value = String> {
    let marks = prop::collection::vec(prop::sample::select(MARKS.to_vec()), 8);
    let known = (prop::sample::select(with_meaning()), marks).prop_map(|(name, marks)| {
        let mut marks = marks.into_iter().cycle();
        let mark = |c| if c == '-' { marks.next().map_or(c, char::from) } else { c };
        name.chars().map(mark).collect()
    });
    prop_oneof![known, token()]
}

proptest! {
    #[test]
    fn no_name_that_passes_is_another_spelling_of_one_with_a_meaning(name in spelled()) {
        let rules = rules();
        for names in [FieldNames::Strict, FieldNames::Any] {
            if rules.check(&name, names).is_ok() {
                let taken = with_meaning();
                let mut others = taken.iter().filter(|other| **other != name);
                let same = others.find(|other| cgi(other) == cgi(&name));
                prop_assert_eq!(same, None, "{} as {:?}", name, names);
                prop_assert!(!asserted().contains(&name));
            }
        }
    }

    #[test]
    fn a_name_passes_only_in_an_allowed_form(name in token()) {
        let rules = rules();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if rules.check(&name, FieldNames::Strict).is_ok() {
            prop_assert!(name.chars().all(plain));
            prop_assert!(rules.check(&name, FieldNames::Any).is_ok());
        } else if rules.check(&name, FieldNames::Any).is_ok() {
            prop_assert!(name.chars().all(|c| plain(c) || c == '_' || c == '.'));
        }
    }

    #[test]
    fn a_search_finds_what_a_look_at_every_entry_finds(
        exact in prop::collection::vec("[a-c-]{1,4}", 0..6),
        families in prop::collection::vec("[a-c-]{1,4}", 0..6),
        name in "[a-c-]{1,6}",
    ) {
        let slices = |names: &[String]| -> Vec<String> { names.to_vec() };
        let names = Names::new(
            exact.iter().map(String::as_str).collect(),
            families.iter().map(String::as_str).collect(),
        );
        let expected = slices(&exact).contains(&name)
            || families.iter().any(|family| name.starts_with(family.as_str()));
        prop_assert_eq!(names.contains(&name), expected);
    }
}

#[test]
fn every_separator_but_the_dash_is_refused_in_a_name() {
    for mark in MARKS.iter().filter(|mark| **mark != b'-') {
        let name = format!("x{0}custom{0}name", char::from(*mark));
        assert_eq!(rules().check(&name, FieldNames::Strict), Err(Removal::Form), "{name}");
    }
}

#[test]
fn underscores_and_dots_pass_on_request_where_they_borrow_no_meaning() {
    let check = |name| rules().check(name, FieldNames::Any);
    for name in ["x-amz-meta-a_b", "grpc_retry.count", "_", "trace.id"] {
        assert_eq!(check(name), Ok(()), "{name}");
    }
    for name in ["script_name", "path_info", "remote_addr", "server.port", "http_host"] {
        assert_eq!(check(name), Err(Removal::Form), "{name}");
    }
    for name in [
        "x_user",
        "x.forwarded.for",
        "x-portcullis_email",
        "x_api_key",
        "keep.alive",
        "x_request_id",
        "content.md5",
    ] {
        assert_eq!(check(name), Err(Removal::Form), "{name}");
    }
    assert_eq!(check("x-a!b"), Err(Removal::Form));
}

#[test]
fn ordinary_fields_pass() {
    for name in [
        "accept",
        "cookie",
        "user-agent",
        "x-custom",
        "remote",
        "x-webauth",
        "x-auth-token",
        "x-auth-key",
        "x-csrf-token",
        "x-requested-with",
        "x-amz-date",
        "x-goog-api-key",
        "sec-fetch-site",
        "x-b3-traceid",
        "baggage",
        "x-request-id",
        "dnt",
        "x-userid",
    ] {
        assert_eq!(rules().check(name, FieldNames::Strict), Ok(()), "{name}");
    }
}

#[test]
fn a_name_that_is_allowed_passes_and_its_other_spellings_do_not() {
    let rules = overridden(&["x-user", "x-envoy-*"], &["x-tenant", "x-tier-*"]);
    for name in ["x-user", "x-envoy-retry-on"] {
        assert_eq!(rules.check(name, FieldNames::Strict), Ok(()), "{name}");
    }
    for name in ["x_user", "x-envoy_retry-on"] {
        assert_eq!(rules.check(name, FieldNames::Any), Err(Removal::Form), "{name}");
    }
    for name in ["x-tenant", "x-tier-gold", "x-user-id"] {
        assert_eq!(rules.check(name, FieldNames::Strict), Err(Removal::Asserted), "{name}");
    }
}

#[test]
fn trailers_keep_to_the_rules_of_heads() {
    let mut trailers = HeaderMap::new();
    for name in [
        "x-sum",
        "x-user",
        "x!portcullis!email",
        "te",
        "authorization",
        "x-api-key",
        "keep-alive",
        "proxy-authorization",
        "traceparent",
        "x-request-id",
    ] {
        trailers.insert(name, "1".parse().unwrap());
    }
    let (left, removed) = rules().clean_trailers(trailers, FieldNames::Strict);
    assert_eq!(left.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-sum"]);
    let mut why: Vec<_> = removed.iter().map(|field| (field.name.as_str(), field.why)).collect();
    why.sort_by_key(|(name, _)| *name);
    assert_eq!(why, [("x!portcullis!email", Removal::Form), ("x-user", Removal::Asserted)]);
}

#[test]
fn the_log_tells_why_a_field_was_removed() {
    assert_eq!(Removal::Form.code(), "field_name_form");
    assert_eq!(Removal::Asserted.code(), "field_asserted");
}

#[test]
fn a_removal_is_told_once_for_each_route_and_name_and_so_many_in_all() {
    let counters = Arc::<Counters>::default();
    let report = RemovalReport::new(Arc::clone(&counters));
    let removed = |name: &str| [Removed { name: name.parse().unwrap(), why: Removal::Form }];
    let logged = Logged::default();
    let told = || logged.events();
    with_default(tracing_subscriber::registry().with(logged.clone()), || {
        for (route, name, expected) in [
            ("/a", "x_a", 1),
            ("/a", "x_a", 1),
            ("/b", "x_a", 2),
            ("/a", "x_b", 3),
            ("/b", "x_a", 3),
        ] {
            report.report(route, &removed(name));
            assert_eq!(told(), expected, "{route} {name}");
        }
        for number in 3..MAX_TOLD {
            report.report("/a", &removed(&format!("x_{number}")));
        }
        assert_eq!(told(), MAX_TOLD);
        // The last word is that there will be no more.
        for number in 0..3 {
            report.report("/c", &removed(&format!("x_{number}")));
        }
        assert_eq!(told(), MAX_TOLD + 1);
    });
    assert_eq!(counters.fields_removed.value(), 5 + (MAX_TOLD as u64 - 3) + 3);
}

#[test]
fn trailers_that_are_removed_are_told_of_like_fields() {
    let counters = Arc::<Counters>::default();
    let filter = TrailerFilter {
        rules: Arc::new(rules()),
        names: FieldNames::Strict,
        route: "/".into(),
        report: Arc::new(RemovalReport::new(Arc::clone(&counters))),
    };
    let mut trailers = HeaderMap::new();
    for name in ["x-sum", "x-user", "x_a"] {
        trailers.insert(name, "1".parse().unwrap());
    }
    let left = filter.clean(trailers);
    assert_eq!(left.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["x-sum"]);
    assert_eq!(counters.fields_removed.value(), 2);
}
