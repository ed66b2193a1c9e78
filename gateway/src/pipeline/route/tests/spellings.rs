//! However a path is spelled and whatever server reads it, nobody comes by a route to what
//! a stricter one protects.
//!
//! The servers are modelled here, on their own: what they do to a path is no list that the
//! gateway has too. So is who passes which route ([`written`]).

mod written;

use std::collections::BTreeSet;

use http::Method;
use proptest::prelude::*;

use self::written::Written;
use super::configured;
use crate::canonical::path::{Reading, judge};
use crate::config::{Chosen, PathForm, Route};
use crate::pipeline::destination::of_nowhere;
use crate::pipeline::route::Routes;

/// What a server does to a path before it looks for the resource, step by step.
#[derive(Debug, Clone, Copy)]
enum Step {
    Decode,
    /// A `;` ends a segment, as Java servers have it.
    CutSegments,
    /// A `;`, `?` or `#` ends the path.
    CutPath,
    /// `\` is a slash, as on Windows.
    Backslashes,
    MergeSlashes,
    /// At the beginning only.
    MergeFirst,
    /// `.` and `..` are followed (RFC 3986 5.2.4).
    Dots,
    FoldHex,
}

impl Step {
    fn take(self, path: &[u8]) -> Vec<u8> {
        let segments = || path.split(|byte| *byte == b'/');
        match self {
            Step::Decode => decoded(path),
            Step::CutSegments => {
                let cut =
                    |segment: &[u8]| segment.split(|byte| *byte == b';').next().map(<[u8]>::to_vec);
                segments().filter_map(cut).collect::<Vec<_>>().join(&b'/')
            }
            Step::CutPath => {
                path.split(|byte| b";?#".contains(byte)).next().unwrap_or_default().to_vec()
            }
            Step::Backslashes => {
                path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
            }
            Step::MergeSlashes => {
                let mut merged = path.to_vec();
                merged.dedup_by(|a, b| *a == b'/' && *b == b'/');
                merged
            }
            Step::MergeFirst => {
                let from = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
                [b"/", &path[from..]].concat()
            }
            Step::Dots => {
                let mut kept: Vec<&[u8]> = Vec::new();
                for segment in segments() {
                    match segment {
                        b"." => {}
                        b".." => drop(kept.pop()),
                        segment => kept.push(segment),
                    }
                }
                let joined = kept.join(&b'/');
                if joined.starts_with(b"/") { joined } else { [b"/", &joined[..]].concat() }
            }
            Step::FoldHex => {
                let mut folded = path.to_vec();
                for at in 0..folded.len() {
                    if folded[at] == b'%' {
                        folded.iter_mut().skip(at + 1).take(2).for_each(u8::make_ascii_uppercase);
                    }
                }
                folded
            }
        }
    }
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let digits = path.get(at + 1..at + 3).and_then(|it| std::str::from_utf8(it).ok());
        let digits = digits.filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if path[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}

/// A server: what it does, in order. No server that we know of decodes more than twice.
fn server() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Decode),
        2 => Just(Step::CutSegments),
        1 => Just(Step::CutPath),
        1 => Just(Step::Backslashes),
        2 => Just(Step::MergeSlashes),
        1 => Just(Step::MergeFirst),
        2 => Just(Step::Dots),
        1 => Just(Step::FoldHex),
    ];
    proptest::collection::vec(step, 1..7).prop_map(|steps| {
        let mut decodings = 0;
        let may = |step: &Step| {
            decodings += usize::from(matches!(step, Step::Decode));
            !matches!(step, Step::Decode) || decodings <= 2
        };
        steps.into_iter().filter(may).collect()
    })
}

/// Who reads a resource in one way asks for it plainly so.
fn plainly(resource: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(byte);
    let spelled = |byte: &u8| {
        if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
    };
    resource.iter().map(spelled).collect()
}

/// A path of few letters, each spelled somehow, with what may be put between them.
fn spelling() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => Just("/"), 2 => Just("//"), 3 => Just("%2F"), 1 => Just("%2f"), 2 => Just("%252F"),
        1 => Just("\\"), 1 => Just("%5C"), 1 => Just("%255c"),
        6 => Just("a"), 2 => Just("%61"), 1 => Just("%2561"),
        5 => Just("b"), 1 => Just("%62"), 1 => Just("%2562"), 2 => Just("c"), 2 => Just("ab"),
        2 => Just(";"), 2 => Just("%3B"), 1 => Just("%3b"), 1 => Just("%253B"),
        1 => Just("%3F"), 1 => Just("%23"), 1 => Just("%253F"),
        2 => Just("."), 2 => Just(".."), 1 => Just("%2e"), 1 => Just("%252E"), 1 => Just("%25"),
        1 => Just("/x/.."), 1 => Just(";x"), 1 => Just("%2E%2e"), 1 => Just("/;"),
    ];
    proptest::collection::vec(piece, 0..9).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// As many of the routes as can stand beside each other, and these as configured.
fn set(routes: &[Written]) -> (Vec<&Written>, Vec<Route>) {
    let (mut text, mut kept, mut all) = (String::new(), Vec::new(), Vec::new());
    for (id, route) in routes.iter().enumerate() {
        let more = format!("{text}{}id = \"{id}\"\n", route.text());
        if let Ok(configured) = configured(&more) {
            (text, all) = (more, configured);
            kept.push(route);
        }
    }
    (kept, all)
}

/// The place of the route that a path belongs to when it is asked for plainly.
fn plain_route(routes: &Routes, host: &str, resource: &[u8], method: &Method) -> Option<usize> {
    let path = plainly(resource);
    let judged = judge(&path);
    let path = judged.as_ref().map_or(&*path, |judged| &*judged.normal);
    routes.find(host, path, method).ok().map(|route| route.index)
}

const HOSTS: [&str; 3] = ["x.example", "y.example", "other"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn no_spelling_leads_by_a_route_to_what_a_stricter_one_protects(
        set_of in written::routes(),
        requests in proptest::collection::vec((0..HOSTS.len(), spelling(), any::<bool>()), 6),
        servers in proptest::collection::vec(server(), 12),
    ) {
        let (written, all) = set(&set_of);
        let routes = Routes::new(&all, of_nowhere);
        // Pairs of which the first gives no more.
        let mut equal = BTreeSet::new();
        for (host, spelling, get) in &requests {
            let (host, method) = (HOSTS[*host], if *get { Method::GET } else { Method::POST });
            let Ok(judged) = judge(spelling) else { continue };
            let readings = judged.readings();
            let Ok(found) = routes.find_judged(host, (&judged, &readings), &method) else {
                continue;
            };
            let by = found.index;
            for steps in &servers {
                let resource =
                    steps.iter().fold(spelling.as_bytes().to_vec(), |path, step| step.take(&path));
                // Who never decodes means what an escape stands for all the same.
                let decodes = steps.iter().any(|step| matches!(step, Step::Decode));
                let resource = if decodes { resource } else { decoded(&resource) };
                if plain_route(&routes, host, &resource, &method) == Some(by) {
                    continue;
                }
                for other in HOSTS {
                    let protects = plain_route(&routes, other, &resource, &method);
                    let Some(place) = protects.filter(|place| equal.insert((by, *place))) else {
                        continue;
                    };
                    let protects = written[place];
                    prop_assert!(
                        !written[by].is_to_server_of(protects)
                            || !written[by].gives_more_than(protects),
                        "{method} {host} {spelling} passes by {:?}, {steps:?} reads {:?}, which {protects:?} protects",
                        written[by], String::from_utf8_lossy(&resource),
                    );
                }
            }
        }
    }

    #[test]
    fn a_route_knows_each_that_refuses_what_it_gives(set_of in written::routes()) {
        let (written, all) = set(&set_of);
        let pairs = (0..all.len()).flat_map(|by| (0..all.len()).map(move |other| (by, other)));
        let are_one = |by: usize, other: usize| written[by].is_to_server_of(written[other]);
        for (by, other) in pairs.filter(|(by, other)| by != other && are_one(*by, *other)) {
            let (gives, refuses) = (written[by], written[other]);
            let is_known = all[by].paths.stricter.contains(&other);
            prop_assert!(is_known || !gives.gives_more_than(refuses), "{gives:?} {refuses:?}");
            let may_be = all[by].paths.chosen == Chosen::Written || !gives.has_other_rules_than(refuses);
            let is_opaque = all[by].paths.form == PathForm::Opaque;
            prop_assert!(may_be || !is_opaque, "{gives:?} {refuses:?}");
        }
    }

    /// As far as nothing is at stake, what has no `.` or `..` passes.
    #[test]
    fn a_server_with_one_kind_of_rules_gets_every_spelling(
        path in "/(/|a|b|%2F|%2f|;|%3B|=|@|:|%25|%252F|%20|%C3%A9|\\+|!){0,12}",
    ) {
        let routes = Routes::new(&configured("[[route]]\nupstream = \"echo\"\n").expect("a route"), of_nowhere);
        let judged = judge(&path);
        prop_assert!(judged.is_ok(), "{path}: {judged:?}");
        let judged = judged.expect("just seen");
        let readings = judged.readings();
        let found = routes.find_judged("x", (&judged, &readings), &Method::GET);
        prop_assert!(found.is_ok(), "{path}");
    }

    /// The bound on what one request may make us look at.
    #[test]
    fn a_path_has_no_more_readings_than_servers_have_ways(path in spelling()) {
        if let Ok(judged) = judge(&path) {
            let readings = judged.readings();
            prop_assert!(readings.len() <= 78, "{}", readings.len());
            let distinct: BTreeSet<&String> = readings.iter().collect();
            prop_assert_eq!(distinct.len(), readings.len());
            prop_assert_eq!(readings.is_empty(), judged.reading == Reading::One);
        }
    }
}

/// The case of the property that matters most, in words.
#[test]
fn an_opaque_route_takes_what_leads_to_no_stricter_one() {
    let text = "[[route]]\nid = \"open\"\npublic = true\npaths = \"opaque\"\nupstream = \"echo\"\n\
                [[route]]\nid = \"admin\"\npath = \"/admin\"\nupstream = \"echo\"\n";
    let all = configured(text).expect("routes");
    assert_eq!(all[0].paths.form, PathForm::Opaque);
    let routes = Routes::new(&all, of_nowhere);
    let asked = |path: &str| {
        let judged = judge(path).expect("a path");
        let found = routes.find_judged("x", (&judged, &judged.readings()), &Method::GET);
        found.map(|route| route.id.to_string()).map_err(|rejection| rejection.reason.code())
    };
    for path in ["/x", "/@x%2fy", "/p//x", "/p/https://e.org/admin", "/x;admin", "/a%2Fadmin"] {
        assert_eq!(asked(path), Ok("open".to_owned()), "{path}");
    }
    for path in [
        "//admin",
        "/%2Fadmin",
        "/admin%2Fx",
        "/admin;x",
        "/admin%3Bx",
        "/admin%3Fx",
        "/admin%23",
        "/%2561dmin",
        "/admin%252Fx",
        "/;/admin",
        "/;x//admin/y",
        "/%252Fadmin%3B",
    ] {
        assert_eq!(asked(path), Err("path_ambiguous"), "{path}");
    }
    assert_eq!(asked("/admin/x"), Ok("admin".to_owned()));
}
