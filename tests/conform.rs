//! `portcullis conform` against a gateway that keeps the contracts, and against one
//! that breaks them in one place.

mod liar;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use toml::Table;

use crate::support::client::Client;
use crate::support::gateway::{ADMIN_PASSWORD, Gateway};
use crate::support::installation::Installation;
use crate::support::process::{Ended, Process};
use crate::support::within;

use liar::{Liar, Lie};

/// What the repository ships.
const SHIPPED: &str = include_str!("../config.toml");
/// Rows do not wait for the rate limit.
const QUICK: &str = "[limits]\nrequests_per_second = 10000\nburst = 30000\n";
/// So that tickets can be tried as well.
const STREAM_PATH: &str = "/api/stream";
const STREAM: &str = "[[route]]\npath = \"/api/stream\"\nupstream = \"echo\"\nws_token = true\n";
/// A whole run keeps to the default rate limit, which takes its time.
const WHOLE_RUN: Duration = Duration::from_secs(120);
/// What is named has to be there, and is not skipped if it seems not to be.
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
];
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
    let skipped: Vec<&str> = of("skip").iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(skipped, SKIPPED, "{:#?}", of("skip"));
    assert_eq!(ended.stderr, "", "nothing is left behind");
    let users = gateway.manage(&["user", "list"], None).await;
    assert!(!users.contains("conform-"), "{users}");
}

/// What cannot be seen from outside of a gateway with the shipped configuration.
const SKIPPED: &[&str] =
    &["S0-13", "S1-18", "S1-22", "S1-26", "S1-29", "S2-13", "S2-16", "S2-18", "S3-13"];

/// The statement that must fail, whose answer is altered, and how.
fn lies() -> Vec<(&'static str, &'static str, Lie)> {
    const LOGIN: &str = "POST /api/auth/login";
    const LOGIN_V1: &str = "POST /api/v1/auth/login";
    const REGISTER_V1: &str = "POST /api/v1/auth/register";
    const KEYS: &str = "POST /api/v1/auth/keys";
    const SOCKET: &str = "GET /api/v1/agents/ws";
    let longer = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.e30.c2ln";
    vec![
        ("S0-03", REGISTER_V1, Lie::Set("/token_type", json!("Bearer"))),
        ("S0-03", REGISTER_V1, Lie::Drop("/user/full_name")),
        ("S0-04", REGISTER_V1, Lie::Set("/user/id", json!("42"))),
        ("S0-05", REGISTER_V1, Lie::Status(201)),
        ("S0-07", LOGIN_V1, Lie::Replace("detail", "error")),
        ("S0-08", LOGIN_V1, Lie::Set("/user", json!({}))),
        ("S0-08", LOGIN_V1, Lie::Drop("/refresh_token")),
        ("S0-09", "GET /api/v1/servers", Lie::Status(401)),
        ("S0-10", LOGIN_V1, Lie::Set("/access_token", json!(longer))),
        ("S0-11", "POST /api/v1/auth/refresh", Lie::Set("/refresh_token", json!("new"))),
        ("S0-14", "GET /api/admin/keys/*", Lie::Recall),
        ("S0-15", "POST /api/admin/keys", Lie::Set("/server", json!("another"))),
        ("S0-16", SOCKET, Lie::Status(401)),
        ("S0-17", SOCKET, Lie::Socket(r#"{"type":"auth_success"}"#, None)),
        ("S0-19", "DELETE /api/admin/keys/*", Lie::Instead(204, "")),
        ("S0-19", SOCKET, Lie::Deaf(r#"{"type":"auth_success"}"#)),
        ("S1-01", "GET /api/ws-token", Lie::Status(403)),
        ("S1-02", "GET /api/conform", Lie::Status(200)),
        ("S1-04", "GET /api/", Lie::Status(200)),
        ("S1-07", LOGIN, Lie::Status(200)),
        ("S1-08", LOGIN, Lie::Set("/token_type", json!("bearer"))),
        ("S1-08", LOGIN, Lie::Drop("/refresh_token")),
        ("S1-13", LOGIN, Lie::Set("/access_token", json!(longer))),
        ("S1-15", "POST /api/auth/refresh", Lie::Drop("/status")),
        ("S1-17", "POST /api/logout", Lie::Instead(200, r#"{"status":"success"}"#)),
        ("S1-19", "POST /api/logout", Lie::Status(401)),
        ("S1-21", "POST /api/change-password", Lie::Status(200)),
        ("S1-23", "POST /api/change-password", Lie::Instead(200, r#"{"status":"success"}"#)),
        ("S1-24", "GET /api/ws-token", Lie::Replace("token", "ticket")),
        ("S1-25", "GET /api/stream", Lie::Deaf("")),
        ("S1-27", "GET /api/stream", Lie::Deaf("")),
        ("S1-28", "GET /api/health", Lie::Drop("/version")),
        ("S1-31", "GET /api/conform", Lie::Field("retry-after", None)),
        ("S1-31", "GET /api/conform", Lie::Field("retry-after", Some("86400"))),
        ("S1-32", "GET /api/conform", Lie::Field("retry-after", Some("60"))),
        ("S2-02", "GET /api/auth/me", Lie::Drop("/timestamp")),
        ("S2-02", LOGIN, Lie::Set("/timestamp", json!("2026-03-05T12:00:00Z"))),
        ("S2-04", "GET /api/auth/providers", Lie::Set("/data/github", json!(true))),
        ("S2-05", "GET /api/auth/providers", Lie::Set("/data/githubClientId", json!("Iv1"))),
        ("S2-08", "POST /api/auth/register", Lie::Status(201)),
        ("S2-10", "POST /api/auth/register", Lie::Status(200)),
        ("S2-11", "POST /api/auth/register", Lie::Replace("usr_", "user-")),
        ("S2-12", "POST /api/auth/register", Lie::Set("/data/user/role", json!("admin"))),
        ("S2-14", "POST /api/auth/register", Lie::Replace("EMAIL_ALREADY_EXISTS", "CONFLICT")),
        ("S2-17", LOGIN, Lie::Replace("INVALID_CREDENTIALS", "USER_NOT_FOUND")),
        ("S2-19", "GET /api/auth/me", Lie::Set("/data/createdAt", json!("2026-01-15T08:30:00Z"))),
        ("S2-21", "POST /api/auth/refresh", Lie::Set("/data/user/role", json!("user"))),
        ("S2-24", "POST /api/auth/switch-workspace", Lie::Status(403)),
        ("S3-03", LOGIN_V1, Lie::Set("/expires_in", json!("3600"))),
        ("S3-03", LOGIN_V1, Lie::Set("/user/id", json!("usr_abc123"))),
        ("S3-06", LOGIN_V1, Lie::Replace("Invalid credentials", "Wrong password")),
        ("S3-09", "POST /api/v1/auth/refresh", Lie::Set("/code", json!("INVALID"))),
        ("S3-11", "POST /api/v1/auth/logout", Lie::Instead(200, "{}")),
        ("S3-12", "POST /api/v1/auth/logout", Lie::Replace("error", "detail")),
        ("S3-15", KEYS, Lie::Status(200)),
        ("S3-16", KEYS, Lie::Set("/apiKey", json!("sk_live_short"))),
        ("S3-17", "GET /api/v1/auth/keys", Lie::Set("/0/apiKey", json!("sk_live_planted"))),
        ("S3-18", "GET /api/v1/auth/keys", Lie::Set("/0/lastUsed", json!("2023-10-27T10:00:00Z"))),
        ("S3-19", "DELETE /api/v1/auth/keys/*", Lie::Instead(204, "")),
        ("S3-20", "DELETE /api/v1/auth/keys/*", Lie::Status(403)),
        ("C3", LOGIN, Lie::Replace(r#""status":"error""#, r#""success":false"#)),
        ("C14", "GET /api/v1/servers", Lie::Replace("error", "detail")),
        ("C14", "GET /api/conform", Lie::Field("www-authenticate", Some("Bearer"))),
        ("C14", "POST /api/conform", Lie::Field("grpc-status", Some("2"))),
        ("D-05", SOCKET, Lie::Socket(r#"{"type":"auth_error"}"#, Some(1000))),
        ("D-13", "GET /api/conform", Lie::Replace("GET", "forged-by-conform")),
        ("D-15", "GET /api/admin/users", Lie::Status(200)),
    ]
}

/// The outcome of one statement, seen through a proxy that may lie.
async fn judged(gateway: &Gateway, liar: &Liar, id: &str) -> (Ended, String, String) {
    let arguments = [&["--format", "json", "--only", id], NAMED].concat();
    let run = conform(gateway, liar.address, &arguments);
    let ended = whole(run).await;
    let (outcome, detail) = outcomes(&ended).remove(id).expect("it was asked for");
    (ended, outcome, detail)
}

#[tokio::test]
async fn one_altered_answer_fails_the_statement_it_breaks() {
    let rows = lies();
    let mut running = JoinSet::new();
    for share in rows.chunks(rows.len().div_ceil(AT_ONCE)) {
        let share = share.to_vec();
        running.spawn(async move {
            let gateway = Gateway::start(&shipped(&[QUICK, STREAM])).await;
            let mut wrong = Vec::new();
            for (id, asked, lie) in share {
                let liar = Liar::start(&gateway, asked, lie.clone()).await;
                let (ended, outcome, detail) = judged(&gateway, &liar, id).await;
                if outcome != "fail" || ended.status.code() != SOME_FAILED {
                    wrong.push(format!("{id} {asked} {lie:?}: {outcome} {detail}"));
                }
            }
            wrong
        });
    }
    let wrong = running.join_all().await.concat();
    assert!(wrong.is_empty(), "not caught: {wrong:#?}");
}

/// Else the rows above would prove nothing.
#[tokio::test]
async fn the_same_statements_hold_without_the_lie() {
    let gateway = Gateway::start(&shipped(&[QUICK, STREAM])).await;
    let mut only: Vec<&str> = lies().iter().map(|(id, ..)| *id).collect();
    only.dedup();
    let asked: Vec<&str> = only.iter().flat_map(|id| ["--only", *id]).collect();
    let arguments = [&["--format", "json"], NAMED, asked.as_slice()].concat();
    let ended = whole(conform(&gateway, gateway.address(), &arguments)).await;
    for (id, (outcome, detail)) in outcomes(&ended) {
        assert_eq!(outcome, "ok", "{id}: {detail}");
    }
}

#[tokio::test]
async fn every_form_of_the_report_says_the_same_and_is_whole() {
    let gateway = Gateway::start(&shipped(&[QUICK])).await;
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
    let counts = [("ok", 19), ("failed", 1), ("skipped", 2)];
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
    assert!(lines[1].starts_with("S1-18 skip  "), "{text}");
    assert!(lines[2].starts_with("S3-01 ok    "), "{text}");
    assert_eq!(lines[22], "19 ok, 1 failed, 2 skipped");

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
        ([&here[..], &["--admin-user", "ann"]].concat(), "ann is no admin", "role admin"),
        (vec!["--url", &url], ADMIN_PASSWORD, "certificate"),
        (vec!["--url", &unused, "--insecure"], ADMIN_PASSWORD, "refused"),
        (vec!["--url", "ftp://localhost"], ADMIN_PASSWORD, "https://"),
        ([&here[..], &["--only", "S9-01"]].concat(), ADMIN_PASSWORD, "no statement S9-01"),
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
    let installation = Installation::new().file("password", &line);
    let ended = installation.env("ADMIN_PASSWORD_FILE", "password").run(&arguments, None).await;
    assert_eq!(ended.status.code(), ALL_HELD, "{ended:?}");
}

#[tokio::test]
async fn an_interrupted_run_removes_what_it_has_made() {
    let gateway = Gateway::start(&shipped(&[QUICK])).await;
    for signal in [Signal::INT, Signal::TERM] {
        let run = conform(&gateway, gateway.address(), &[]);
        let begun = run.stdout.find(|lines| (lines.len() > 3).then_some(()));
        within("the first verdicts", begun).await.expect("it runs");
        run.signal(signal);
        let ended = whole(run).await;
        assert_eq!(ended.status.code(), CANNOT_RUN, "{ended:?}");
        assert!(ended.stderr.contains("interrupted"), "{ended:?}");
        let admin = Client::admin(&gateway);
        for list in ["users", "servers", "workspaces", "keys"] {
            let left = admin.get(&format!("/api/admin/{list}")).await.expect(200).json();
            assert!(!left.to_string().contains("conform"), "{list}: {left:#}");
        }
    }
}

/// What an operator has changed is said, and is no failure.
#[tokio::test]
async fn settings_of_the_operator_are_skipped_with_their_reason() {
    let config = "[auth]\nregistration = \"closed\"\n[dialect.plain]\nenabled = false\n\
                  [limits]\nrequests_per_second = 10000\nburst = 30000\nmax_login_attempts = 7\n\
                  login_window = \"10m\"\n[dialect.status]\naccess_ttl = \"1h\"\n\
                  [[route]]\nupstream = \"echo\"\n";
    let gateway = Gateway::start(config).await;
    let ended = whole(conform(&gateway, gateway.address(), &["--format", "json"])).await;
    assert_eq!(ended.status.code(), ALL_HELD, "{ended:?}");
    let outcomes = outcomes(&ended);
    for (id, why) in [
        ("S0-02", "registration is closed"),
        ("S0-16", "--agent-path"),
        ("S1-09", "set to 3600 s"),
        ("S1-30", "set to 7 in 600 s"),
        ("S1-34", "met no limit"),
        ("S2-10", "registration is closed"),
        ("S3-03", "plain is not served"),
        ("C1", "plain is not served"),
    ] {
        let (outcome, detail) = &outcomes[id];
        assert_eq!(outcome, "skip", "{id}: {detail}");
        assert!(detail.contains(why), "{id}: {detail}");
    }
    // A dialect that was asked for has to be there.
    let asked = ["--format", "json", "--dialect", "plain", "--only", "S3-03"];
    let ended = whole(conform(&gateway, gateway.address(), &asked)).await;
    assert_eq!(ended.status.code(), SOME_FAILED, "{ended:?}");
}
