//! `portcullis conform` against a gateway that keeps the contracts, and against one
//! that breaks them in one place.

mod complete;
mod cookies;
mod interrupts;
mod liar;
mod lies;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use toml::Table;

use crate::support::client::body;
use crate::support::gateway::{ADMIN_PASSWORD, Gateway};
use crate::support::installation::Installation;
use crate::support::process::{Ended, Process};
use crate::support::upstream::Upstream;

use liar::{Liar, Lie};
use lies::{LIMITED, NEVER_JUDGED, Row};

/// What the repository ships.
const SHIPPED: &str = include_str!("../config.toml");
/// Rows do not wait for the rate limit.
const QUICK: &str = "[limits]\nrequests_per_second = 10000\nburst = 30000\n";
/// The shipped configuration binds the admin API to this machine, and callers of the
/// tests come from addresses of their own.
const ADMIN_OF_CALLERS: &str = "[admin]\nnetworks = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n";
/// So that tickets can be tried as well.
const STREAM_PATH: &str = "/api/stream";
const STREAM: &str = "[[route]]\npath = \"/api/stream\"\nupstream = \"echo\"\nws_token = true\n";
/// A whole run keeps to the default rate limit, which takes its time.
const WHOLE_RUN: Duration = Duration::from_secs(120);
/// What is named has to be there, and is tried even if it seems not to be.
const NAMED: &[&str] = &[
    "--ticket-path",
    STREAM_PATH,
    "--agent-path",
    "/api/v1/agents/ws",
    "--dialect",
    "form",
    "--dialect",
    "status",
    "--dialect",
    "envelope",
    "--dialect",
    "plain",
    "--expect",
    "auth.registration=open",
];
/// What [`QUICK`] sets.
const QUICK_STATED: &[&str] =
    &["--expect", "limits.requests_per_second=10000", "--expect", "limits.burst=30000"];
/// Rows at work at once.
const AT_ONCE: usize = 4;

const ALL_HELD: Option<i32> = Some(0);
const SOME_FAILED: Option<i32> = Some(1);
const CANNOT_RUN: Option<i32> = Some(2);

/// The shipped configuration with more tables and routes.
fn shipped(more: &[&str]) -> String {
    let mut config: Table = SHIPPED.parse().expect("the shipped configuration is TOML");
    for more in more {
        let more: Table = more.parse().expect("what a test adds is TOML");
        for (key, value) in more {
            match (config.get_mut(&key), value) {
                (Some(toml::Value::Array(list)), toml::Value::Array(more)) => list.extend(more),
                (Some(toml::Value::Table(table)), toml::Value::Table(more)) => table.extend(more),
                (_, value) => drop(config.insert(key, value)),
            }
        }
    }
    config.to_string()
}

/// Starts the command with the certificate of `gateway`.
fn conform(gateway: &Gateway, address: SocketAddr, more: &[&str]) -> Process {
    let url = format!("https://localhost:{}", address.port());
    let ca = gateway.path("server.pem").display().to_string();
    let arguments = [&["conform", "--url", &url, "--ca", &ca], more].concat();
    Installation::new().env("ADMIN_PASSWORD", ADMIN_PASSWORD).start(&arguments, None)
}

/// Waits longer than for other commands.
async fn whole(process: Process) -> Ended {
    let closed = process.stdout.find(|_| None::<()>);
    tokio::time::timeout(WHOLE_RUN, closed).await.expect("a run comes to its end");
    process.end().await
}

/// `outcome` and `detail` of every statement.
fn outcomes(ended: &Ended) -> BTreeMap<String, (String, String)> {
    let report: Value = serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|error| panic!("not a report: {error}: {ended:?}"));
    let statements = report["statements"].as_array().expect("a list of statements");
    let text = |member: &Value| member.as_str().unwrap_or_default().to_owned();
    let outcome = |s: &Value| (text(&s["id"]), (text(&s["outcome"]), text(&s["detail"])));
    statements.iter().map(outcome).collect()
}

#[tokio::test]
async fn the_shipped_configuration_keeps_every_statement() {
    let gateway = Gateway::start(&shipped(&[STREAM])).await;
    let run = conform(&gateway, gateway.address(), &[&["--format", "json"], NAMED].concat());
    let ended = whole(run).await;
    let outcomes = outcomes(&ended);
    let of = |word: &str| -> Vec<_> {
        outcomes.iter().filter(|(_, (outcome, _))| outcome == word).collect()
    };
    assert_eq!(ended.status.code(), ALL_HELD, "{:#?}", of("fail"));
    assert!(of("fail").is_empty(), "{:#?}", of("fail"));
    for (family, count) in [("S0-", 20), ("S1-", 35), ("S2-", 25), ("S3-", 20), ("C", 16)] {
        let found = outcomes.keys().filter(|id| id.starts_with(family)).count();
        assert_eq!(found, count, "statements of {family}");
    }
    let not_tried: Vec<&str> = of("not_tried").iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(not_tried, NOT_TRIED, "{:#?}", of("not_tried"));
    assert_eq!(ended.stderr, "", "nothing is left behind");
    let users = gateway.manage(&["user", "list"], None).await;
    assert!(!users.contains("conform-"), "{users}");
}

/// What takes more than a request to a gateway with the shipped configuration.
const NOT_TRIED: &[&str] =
    &["S1-18", "S1-22", "S1-26", "S1-29", "S2-13", "S2-16", "S2-18", "S3-13"];

/// The outcome of one statement, seen through a proxy that may lie.
async fn judged(gateway: &Gateway, liar: &Liar, id: &str) -> (Ended, String, String) {
    let arguments = [&["--format", "json", "--only", id], NAMED].concat();
    let run = conform(gateway, liar.address, &arguments);
    let ended = whole(run).await;
    let (outcome, detail) = outcomes(&ended).remove(id).expect("it was asked for");
    (ended, outcome, detail)
}

#[tokio::test]
async fn one_altered_response_fails_the_statement_it_breaks() {
    let (limited, quick): (Vec<Row>, Vec<Row>) =
        lies::all().into_iter().partition(|(id, ..)| LIMITED.contains(id));
    let mut running = JoinSet::new();
    running.spawn(not_caught(shipped(&[ADMIN_OF_CALLERS, STREAM]), limited));
    for share in quick.chunks(quick.len().div_ceil(AT_ONCE)) {
        running.spawn(not_caught(shipped(&[QUICK, ADMIN_OF_CALLERS, STREAM]), share.to_vec()));
    }
    let wrong = running.join_all().await.concat();
    assert!(wrong.is_empty(), "not caught: {wrong:#?}");
}

/// Rows whose statement does not fail.
async fn not_caught(config: String, rows: Vec<Row>) -> Vec<String> {
    let gateway = Gateway::start(&config).await;
    let mut wrong = Vec::new();
    for (id, asked, lie) in rows {
        let liar = Liar::start(&gateway, asked, lie.clone()).await;
        let (ended, outcome, detail) = judged(&gateway, &liar, id).await;
        if outcome != "fail" || ended.status.code() != SOME_FAILED {
            wrong.push(format!("{id} {asked} {lie:?}: {outcome} {detail}"));
        }
    }
    wrong
}

/// Was: a gRPC call that the rate limit refused failed the statement, since its HTTP
/// status is 200.
#[tokio::test]
async fn a_grpc_call_that_the_rate_limit_refuses_is_sent_again() {
    let gateway = Gateway::start(&shipped(&[QUICK, ADMIN_OF_CALLERS])).await;
    let refused = Arc::new(AtomicBool::new(false));
    let lie = Lie::Limited(Arc::clone(&refused));
    let liar = Liar::start(&gateway, "POST /api/conform", lie).await;
    let (_, outcome, detail) = judged(&gateway, &liar, "C14").await;
    assert_eq!(outcome, "ok", "{detail}");
    assert!(refused.load(Ordering::Relaxed), "no gRPC call was made");
}

/// Else a statement could hold whatever a gateway does.
#[tokio::test]
async fn every_statement_has_a_response_that_breaks_it() {
    let listed = Installation::new().run(&["conform", "--list"], None).await;
    let ids: BTreeSet<&str> =
        listed.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(ids.len() > 130, "{listed:?}");
    let rows = lies::all();
    let broken: BTreeSet<&str> = rows.iter().map(|(id, ..)| *id).collect();
    let unseen: BTreeSet<&str> = NEVER_JUDGED.iter().copied().collect();
    assert_eq!(broken.union(&unseen).copied().collect::<BTreeSet<_>>(), ids);
    assert!(broken.is_disjoint(&unseen), "judged after all: {broken:?}");
}

/// Else the rows above would prove nothing.
#[tokio::test]
async fn the_same_statements_hold_without_the_lie() {
    let gateway = Gateway::start(&shipped(&[QUICK, ADMIN_OF_CALLERS, STREAM])).await;
    let liar = Liar::start(&gateway, "*", Lie::None).await;
    let arguments = [&["--format", "json"], NAMED, QUICK_STATED].concat();
    let ended = whole(conform(&gateway, liar.address, &arguments)).await;
    for (id, (outcome, detail)) in outcomes(&ended) {
        let is_tried = ![NOT_TRIED, LIMITED].concat().contains(&id.as_str());
        assert_eq!(outcome, if is_tried { "ok" } else { "not_tried" }, "{id}: {detail}");
    }
}

#[tokio::test]
async fn every_form_of_the_report_says_the_same_and_is_whole() {
    let gateway = Gateway::start(&shipped(&[QUICK, ADMIN_OF_CALLERS])).await;
    // What an answer holds must not become part of the report's own form.
    let planted = "\u{1}<&\"]]>'\n";
    let lie = Lie::Replace("Bearer", "\\u0001<&\\\"]]>'\\n");
    let liar = Liar::start(&gateway, "POST /api/auth/login", lie).await;
    let only = ["--only", "S1-08", "--only", "S1-18", "--only", "S3"];
    let run = async |format: &str| {
        let ended =
            whole(conform(&gateway, liar.address, &[&["--format", format], &only[..]].concat()));
        let ended = ended.await;
        assert_eq!(ended.status.code(), SOME_FAILED, "{ended:?}");
        ended.stdout
    };
    let (text, report, xml) = (run("text").await, run("json").await, run("junit").await);

    let report: Value = serde_json::from_str(&report).expect("JSON");
    let counts = [("ok", 19), ("failed", 1), ("not_tried", 2)];
    for (count, expected) in counts {
        assert_eq!(report[count], expected, "{report:#}");
    }
    let failed = &report["statements"][0];
    assert_eq!((&failed["id"], &failed["outcome"]), (&json!("S1-08"), &json!("fail")));
    let shown = failed["detail"].as_str().expect("a failure has a detail");
    assert!(shown.contains("expected /token_type to be"), "{shown}");
    assert!(!shown.contains("eyJhbGciOiJIUzI1NiIs"), "a token is in the report: {shown}");

    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 23, "{text}");
    assert!(lines[0].starts_with("S1-08 FAIL  "), "{text}");
    assert!(lines[1].starts_with("S1-18 not tried  "), "{text}");
    assert!(lines[2].starts_with("S3-01 ok    "), "{text}");
    assert_eq!(lines[22], "19 ok, 1 failed, 2 not tried");

    assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "), "{xml}");
    assert_eq!(xml.matches("<testsuite ").count(), 2, "{xml}");
    assert_eq!(xml.matches("<testcase ").count(), 22, "{xml}");
    assert_eq!(xml.matches("<failure message=").count(), 1, "{xml}");
    assert_eq!(xml.matches("<skipped message=").count(), 2, "{xml}");
    for tag in xml.split('<').skip(1) {
        let known =
            ["?xml ", "testsuite", "testcase ", "failure ", "skipped ", "/testsuite", "/testcase"];
        assert!(known.iter().any(|known| tag.starts_with(known)), "<{tag}");
    }
    assert!(xml.contains("&lt;&amp;") && !xml.contains(planted), "{xml}");
    assert!(!xml.chars().any(|c| c.is_control() && c != '\n'), "{xml}");
}

#[tokio::test]
async fn a_run_that_cannot_be_made_says_why_and_leaves_with_2() {
    let gateway = Gateway::start(&shipped(&[QUICK])).await;
    gateway.add_user("ann", "ann is no admin", &["user"]).await;
    let url = format!("https://localhost:{}", gateway.address().port());
    let ca = gateway.path("server.pem").display().to_string();
    let unused = format!("https://{}", super::config::free_address());
    let here = ["--url", &url, "--ca", &ca];
    for (arguments, password, why) in [
        ([&here[..], &["--admin-user", "nobody"]].concat(), "x", "password of nobody"),
        (here.to_vec(), "not the password", "password of admin"),
        (here.to_vec(), "", "ADMIN_PASSWORD"),
        ([&here[..], &["--admin-user", "ann"]].concat(), "ann is no admin", "role admin"),
        (vec!["--url", &url], ADMIN_PASSWORD, "put this certificate into the file of --ca"),
        (vec!["--url", &unused, "--insecure"], ADMIN_PASSWORD, "refused"),
        (vec!["--url", "ftp://localhost"], ADMIN_PASSWORD, "https://"),
        (
            [&here[..], &["--only", "S9-01"]].concat(),
            ADMIN_PASSWORD,
            "no statement S9-01; `portcullis conform --list`",
        ),
        ([&here[..], &["--expect", "limits.burst=x"]].concat(), ADMIN_PASSWORD, "a number"),
        ([&here[..], &["--dialect", "soap"]].concat(), ADMIN_PASSWORD, "soap"),
        ([&here[..], &["--password", "x"]].concat(), ADMIN_PASSWORD, "--password"),
    ] {
        let arguments = [&["conform"], arguments.as_slice()].concat();
        let installation = Installation::new().env("ADMIN_PASSWORD", password);
        let ended = installation.run(&arguments, None).await;
        assert_eq!(ended.status.code(), CANNOT_RUN, "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(why), "{arguments:?}: {ended:?}");
    }
}

#[tokio::test]
async fn the_password_comes_from_standard_input_or_a_file_as_well() {
    let gateway = Gateway::start(&shipped(&[QUICK])).await;
    let url = format!("https://localhost:{}", gateway.address().port());
    let arguments = ["conform", "--url", &url, "--insecure", "--only", "S1-08"];
    let line = format!("{ADMIN_PASSWORD}\n");
    let ended = Installation::new().run(&arguments, Some(&line)).await;
    assert_eq!(ended.status.code(), ALL_HELD, "{ended:?}");
    // As the gateway takes them: without a byte-order mark and one line end.
    let marked = format!("\u{feff}{ADMIN_PASSWORD}\r\n");
    for written in [&line, &marked] {
        let installation = Installation::new().file("password", written);
        let ended = installation.env("ADMIN_PASSWORD_FILE", "password").run(&arguments, None).await;
        assert_eq!(ended.status.code(), ALL_HELD, "{ended:?}");
        let installation = Installation::new().env("ADMIN_PASSWORD", written);
        let ended = installation.run(&arguments, None).await;
        assert_eq!(ended.status.code(), ALL_HELD, "{ended:?}");
    }
}

/// What an operator has changed is stated; what is not stated fails.
#[tokio::test]
async fn a_number_that_is_not_the_contracts_holds_only_if_it_is_stated() {
    let config = "[limits]\nrequests_per_second = 40\nburst = 50\nmax_login_attempts = 3\n\
                  login_window = \"10m\"\ncount = \"all\"\n[auth]\nrefresh_ttl = \"1d\"\n\
                  [dialect.status]\naccess_ttl = \"1h\"\n[[route]]\nupstream = \"echo\"\n";
    let gateway = Gateway::start(config).await;
    let set = ["S1-09", "S1-10", "S1-30", "S1-33", "S1-34", "C5", "D-16"];
    let only: Vec<&str> = set.iter().flat_map(|id| ["--only", *id]).collect();
    let arguments = [&["--format", "json"], only.as_slice()].concat();
    let ended = whole(conform(&gateway, gateway.address(), &arguments)).await;
    assert_eq!(ended.status.code(), SOME_FAILED, "{ended:?}");
    for (id, (outcome, detail)) in outcomes(&ended) {
        assert_eq!(outcome, "fail", "{id}: {detail}");
    }
    let stated = [
        "limits.requests_per_second=40",
        "limits.burst=50",
        "limits.max_login_attempts=3",
        "limits.login_window=10m",
        "limits.count=all",
        "auth.refresh_ttl=1d",
        "dialect.status.access_ttl=1h",
    ];
    let stated: Vec<&str> = stated.iter().flat_map(|setting| ["--expect", setting]).collect();
    let arguments = [arguments, stated].concat();
    let ended = whole(conform(&gateway, gateway.address(), &arguments)).await;
    assert_eq!(ended.status.code(), ALL_HELD, "{ended:?}");
    for (id, (outcome, detail)) in outcomes(&ended) {
        assert_eq!(outcome, "ok", "{id}: {detail}");
    }
}

#[tokio::test]
async fn settings_of_the_operator_are_not_tried_and_say_why() {
    let config = "[auth]\nregistration = \"closed\"\n[dialect.plain]\nkeys = false\n\
                  [dialect.form]\nenabled = false\n[health]\nenabled = false\n\
                  [limits]\nrequests_per_second = 10000\nburst = 30000\n\
                  [[route]]\nupstream = \"echo\"\n";
    let gateway = Gateway::start(config).await;
    let stated = [
        &["--format", "json", "--expect", "health.enabled=false"],
        &["--expect", "dialect.plain.keys=false"][..],
        QUICK_STATED,
    ];
    let ended = whole(conform(&gateway, gateway.address(), &stated.concat())).await;
    assert_eq!(ended.status.code(), ALL_HELD, "{ended:?}");
    let found = outcomes(&ended);
    for (id, why) in [
        ("S0-16", "form is not served"),
        ("C1", "form is not served"),
        ("S1-27", "--ticket-path"),
        ("S1-28", "health is the upstream's"),
        ("S1-34", "more than a run sends"),
        ("S2-10", "registration is closed"),
        ("S3-15", "switched off"),
        ("C16", "health is the upstream's"),
    ] {
        let (outcome, detail) = &found[id];
        assert_eq!(outcome, "not_tried", "{id}: {detail}");
        assert!(detail.contains(why), "{id}: {detail}");
    }
    for id in ["S1-04", "S2-13", "S3-13"] {
        assert_eq!(found[id].0, "ok", "{id}: {}", found[id].1);
    }
    // What was asked for has to be there.
    for (asked, id) in [
        (["--dialect", "form"], "S0-03"),
        (["--expect", "auth.registration=open"], "S2-10"),
        (["--expect", "dialect.plain.keys=true"], "S3-15"),
        (["--expect", "health.enabled=true"], "C16"),
    ] {
        let arguments = [&["--format", "json", "--only", id], &asked[..]].concat();
        let ended = whole(conform(&gateway, gateway.address(), &arguments)).await;
        assert_eq!(ended.status.code(), SOME_FAILED, "{id}: {ended:?}");
    }
}

/// The upstream's own paths are named; one it does not serve proves nothing.
#[tokio::test]
async fn a_path_that_the_upstream_does_not_serve_is_no_proof() {
    let upstream = Upstream::http1(async |request| {
        let mut response = Response::new(body("a report"));
        if !request.uri().path().starts_with("/api/v1/reports") {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        response
    });
    let upstream = upstream.await;
    let config = format!("{QUICK}{}", upstream.routes());
    let gateway = Gateway::start(&config).await;
    let only = ["--format", "json", "--only", "S1-02", "--only", "S3-01"];
    let ended = whole(conform(&gateway, gateway.address(), &only)).await;
    assert_eq!(ended.status.code(), SOME_FAILED, "{ended:?}");
    let named = ["--proxied-path", "/api/v1/reports/1", "--proxied-v1-path", "/api/v1/reports/2"];
    let arguments = [&only[..], &named[..]].concat();
    let ended = whole(conform(&gateway, gateway.address(), &arguments)).await;
    assert_eq!(ended.status.code(), ALL_HELD, "{ended:?}");
}
