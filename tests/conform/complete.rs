//! Statements that need a restart, an export, a code of GitHub's or another gateway: tried
//! where the operator provides them, and told apart where not.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use http::StatusCode;
use tokio::sync::{Mutex, Notify};

use crate::config::free_address;
use crate::support::client::body;
use crate::support::gateway::{ADMIN_PASSWORD, Gateway};
use crate::support::github::{CLIENT_SECRET, GitHub, Person};
use crate::support::installation::Installation;
use crate::support::process::Ended;
use crate::support::upstream::Upstream;

use super::liar::{Liar, Lie};
use super::{
    ADMIN_OF_CALLERS, ALL_HELD, NAMED, NOT_TRIED, QUICK, SOME_FAILED, STREAM, conform, outcomes,
    shipped, whole,
};

const NOT_COMPLETE: Option<i32> = Some(3);

/// A bucket that is soon empty and soon full.
const LIMITS: &str = "[limits]\nrequests_per_second = 40\nburst = 50\n";
const LIMITS_STATED: &[&str] =
    &["--expect", "limits.requests_per_second=40", "--expect", "limits.burst=50"];
const TICKETS: &str = "[auth]\nticket_ttl = \"4s\"\n";
const TICKETS_STATED: &[&str] = &["--expect", "auth.ticket_ttl=4s"];
const ADVISORIES: &str = r#"{"pending_update": "9.9.9", "cves": ["CVE-2026-1"]}"#;

/// A gateway and everything that it takes to try all statements on it.
struct Everything {
    gateway: Arc<Mutex<Gateway>>,
    url: String,
    without_accounts: Gateway,
    without_keys: Gateway,
    _github: Arc<GitHub>,
    /// Does what the operator's commands ask for, each at a path of its own.
    operator: Upstream,
    /// Told of every restart.
    restarted: Arc<Notify>,
    /// Has the certificates of all three.
    installation: Installation,
}

impl Everything {
    async fn start(limits: &str) -> Self {
        let github = Arc::new(GitHub::start().await);
        let listener = format!("[[listener]]\naddress = \"{}\"\n", lasting_address());
        let health = "[health]\nadvisory_file = \"advisories.json\"\n";
        let github_section = github.section();
        let parts = [limits, ADMIN_OF_CALLERS, STREAM, TICKETS, health, &listener, &github_section];
        let gateway = Gateway::builder().config(&shipped(&parts));
        let gateway = gateway.file("advisories.json", ADVISORIES);
        let gateway = gateway.env("GITHUB_CLIENT_SECRET", CLIENT_SECRET).start().await;
        let without_accounts = shipped(&["[auth]\nlocal_accounts = false\n"]);
        let without_accounts = Gateway::start(&without_accounts).await;
        let without_keys = Gateway::start(&shipped(&["[dialect.plain]\nkeys = false\n"])).await;
        let certificates = [&gateway, &without_accounts, &without_keys].map(|gateway| {
            std::fs::read_to_string(gateway.path("server.pem")).expect("it has a certificate")
        });
        let url = url_of(&gateway);
        let gateway = Arc::new(Mutex::new(gateway));
        let restarted = Arc::<Notify>::default();
        let shared = (Arc::clone(&gateway), Arc::clone(&github), Arc::clone(&restarted));
        let operator = Upstream::http1(move |request| {
            let (gateway, github, restarted) = shared.clone();
            async move {
                let mut response = http::Response::new(body(""));
                let mut gateway = gateway.lock().await;
                match request.uri().path() {
                    "/restart" => {
                        gateway.restart().await;
                        restarted.notify_waiters();
                    }
                    "/start" => {
                        gateway.kill();
                        gateway.restart().await;
                    }
                    "/restart-with-another-key" => {
                        gateway.set_env("SECRET_KEY", Some("another secret of 32 bytes or more"));
                        gateway.restart().await;
                        restarted.notify_waiters();
                    }
                    "/cut" => restarted.notify_waiters(),
                    "/export" => {
                        let export = gateway.manage(&["store", "export"], None).await;
                        *response.body_mut() = body(export);
                    }
                    "/code" => *response.body_mut() = body(github.code(&Person::octocat())),
                    _ => *response.status_mut() = StatusCode::NOT_FOUND,
                }
                response
            }
        })
        .await;
        let installation = Installation::new()
            .file("all.pem", &certificates.concat())
            .env("ADMIN_PASSWORD", ADMIN_PASSWORD);
        Self {
            gateway,
            url,
            without_accounts,
            without_keys,
            _github: github,
            operator,
            restarted,
            installation,
        }
    }

    /// A command line that has the operator do this.
    fn command(&self, what: &str) -> String {
        format!("curl --fail --silent --show-error {}/{what}", self.operator.url())
    }

    async fn run(&self, url: &str, more: &[&str]) -> Ended {
        let arguments = ["conform", "--url", url, "--ca", "all.pem", "--format", "json"];
        let arguments = [&arguments[..], NAMED, TICKETS_STATED, more].concat();
        whole(self.installation.start(&arguments, None)).await
    }
}

/// Below the ports that the system gives to whoever asks for any: nobody takes it while the
/// gateway restarts.
fn lasting_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let of_process = u16::try_from(std::process::id() % 100).expect("it is small");
    let ports = (0..10_000)
        .map(|_| 20_000 + (of_process * 100 + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    let free = ports.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    format!("127.0.0.1:{}", free.expect("a port is free"))
}

fn url_of(gateway: &Gateway) -> String {
    format!("https://localhost:{}", gateway.address().port())
}

#[tokio::test]
async fn every_statement_is_tried_and_holds_where_the_operator_provides_for_it() {
    let all = Everything::start(LIMITS).await;
    let (restart, export, code) =
        (all.command("restart"), all.command("export"), all.command("code"));
    let (accounts, keys) = (url_of(&all.without_accounts), url_of(&all.without_keys));
    let provided = [
        ["--restart", &restart],
        ["--export", &export],
        ["--github-code", &code],
        ["--without-accounts", &accounts],
        ["--without-keys", &keys],
    ];
    let arguments = [&["--complete"], LIMITS_STATED, provided.as_flattened()].concat();
    let ended = all.run(&all.url, &arguments).await;
    for (id, (outcome, detail)) in outcomes(&ended) {
        assert_eq!(outcome, "ok", "{id}: {detail}");
    }
    assert_eq!(ended.status.code(), ALL_HELD, "{ended:?}");
    assert_eq!(ended.stderr, "", "nothing is left behind");
    for gateway in [&*all.gateway.lock().await, &all.without_keys] {
        let users = gateway.manage(&["user", "list"], None).await;
        assert!(!users.contains("conform-") && !users.contains("octocat"), "{users}");
        let sessions = gateway.manage(&["session", "list"], None).await;
        assert!(!sessions.contains("admin"), "{sessions}");
    }
}

/// What only a complete run tries could else hold whatever a gateway does.
#[tokio::test]
async fn what_an_operator_provides_for_is_judged_as_well() {
    let all = Everything::start(QUICK).await;
    let (restart, export, code) =
        (all.command("restart"), all.command("export"), all.command("code"));
    let another_key = all.command("restart-with-another-key");
    let another_hash = format!("{export} | sed 's/[$]2b[$]/$argon2id$/'");
    let success = r#"{"status":"success"}"#;
    let truth = Lie::None;
    let here = all.url.as_str();
    for (id, asked, lie, provided) in [
        ("S1-18", "GET /api/conform", Lie::Status(200), ["--restart", &restart]),
        ("S1-22", "POST /api/change-password", Lie::Instead(200, success), ["--export", &export]),
        ("S1-22", "*", truth.clone(), ["--export", &another_hash]),
        ("S1-26", "GET /api/stream", Lie::Deaf(""), ["--expect", "auth.ticket_ttl=2s"]),
        ("S1-26", "GET /api/stream", Lie::Handshake(401), ["--expect", "auth.ticket_ttl=2s"]),
        ("S1-26", "*", truth.clone(), ["--expect", "auth.ticket_ttl=2s"]),
        ("S1-26", "*", truth.clone(), ["--expect", "auth.ticket_ttl=8s"]),
        ("S1-29", "GET /health", Lie::Set("/cves", "none".into()), ["--export", &export]),
        ("S2-13", "*", truth.clone(), ["--without-accounts", here]),
        ("S2-16", "*", truth.clone(), ["--without-accounts", here]),
        (
            "S2-18",
            "POST /api/auth/github",
            Lie::Drop("/data/user/avatarUrl"),
            ["--github-code", &code],
        ),
        ("S2-18", "*", truth.clone(), ["--github-code", "echo never-given-out"]),
        ("S3-13", "*", truth.clone(), ["--without-keys", here]),
        // The last, for nothing is left of any session.
        ("S1-18", "*", truth.clone(), ["--restart", &another_key]),
    ] {
        let liar = {
            let gateway = all.gateway.lock().await;
            Liar::start(&gateway, asked, lie.clone()).await
        };
        let url = format!("https://localhost:{}", liar.address.port());
        let arguments = [&["--only", id], &provided[..]].concat();
        let ended = until_cut(&all, &liar, all.run(&url, &arguments)).await;
        let (outcome, detail) = outcomes(&ended).remove(id).expect("it was asked for");
        assert_eq!(outcome, "fail", "{id} {asked} {lie:?} {provided:?}: {detail}");
        assert_eq!(ended.status.code(), SOME_FAILED, "{id}: {ended:?}");
    }
}

#[tokio::test]
async fn a_run_that_is_to_be_complete_exits_with_3_if_a_statement_is_not_tried() {
    let gateway = Gateway::start(&shipped(&[QUICK, ADMIN_OF_CALLERS, STREAM])).await;
    let only: Vec<&str> = NOT_TRIED
        .iter()
        .filter(|id| **id != "S1-26")
        .chain(&["S1-08"])
        .flat_map(|id| ["--only", *id])
        .collect();
    let run = async |more: &[&str]| {
        let arguments = [&["--format", "json"], NAMED, only.as_slice(), more].concat();
        whole(conform(&gateway, gateway.address(), &arguments)).await
    };
    let ended = run(&["--complete"]).await;
    assert_eq!(ended.status.code(), NOT_COMPLETE, "{ended:?}");
    let found = outcomes(&ended);
    for (id, why) in [
        ("S1-18", "--restart"),
        ("S1-22", "--export"),
        ("S1-29", "health.advisory_file"),
        ("S2-13", "--without-accounts"),
        ("S2-16", "--without-accounts"),
        ("S2-18", "GitHub is not configured"),
        ("S3-13", "--without-keys"),
    ] {
        let (outcome, detail) = &found[id];
        assert_eq!(outcome, "not_tried", "{id}: {detail}");
        assert!(detail.contains(why), "{id}: {detail}");
    }
    assert_eq!(run(&[]).await.status.code(), ALL_HELD);
    // A failure is more than something that was not tried.
    let stated = ["--complete", "--expect", "dialect.status.access_ttl=1h", "--only", "S1-09"];
    assert_eq!(run(&stated).await.status.code(), SOME_FAILED);

    // What takes minutes is waited for only then.
    let ticket = ["--format", "json", "--only", "S1-26", "--ticket-path", super::STREAM_PATH];
    let ended = whole(conform(&gateway, gateway.address(), &ticket)).await;
    let (outcome, detail) = &outcomes(&ended)["S1-26"];
    assert_eq!(outcome, "not_tried");
    assert!(detail.contains("122 s, which only --complete waits for"), "{detail}");
}

/// A command that restarts something else, or nothing, proves nothing; nor does a connection
/// that somebody else has closed.
#[tokio::test]
async fn a_restart_that_nobody_saw_is_not_taken_for_one() {
    let all = Everything::start(QUICK).await;
    let cut = format!("({}) & sleep 1", all.command("cut"));
    let later = format!("(sleep 1; {}) >/dev/null 2>&1 & true", all.command("cut"));
    for (command, outcome, why) in [
        ("true", "not_tried", "outlived"),
        ("exit 7", "not_tried", "exit status: 7"),
        (later.as_str(), "not_tried", "not seen to be away"),
        // While the command runs, whatever closes the connection is its doing.
        (cut.as_str(), "ok", ""),
    ] {
        let liar = {
            let gateway = all.gateway.lock().await;
            Liar::start(&gateway, "*", Lie::None).await
        };
        let url = format!("https://localhost:{}", liar.address.port());
        let arguments = ["--only", "S1-18", "--restart", command];
        let run = all.run(&url, &arguments);
        let ended = until_cut(&all, &liar, run).await;
        let (found, detail) = &outcomes(&ended)["S1-18"];
        assert_eq!(found, outcome, "{command}: {detail}");
        assert!(detail.contains(why), "{command}: {detail}");
    }
}

#[tokio::test]
async fn what_is_provided_and_of_no_use_says_nothing_of_the_gateway() {
    let all = Everything::start(QUICK).await;
    let unused = format!("https://{}", free_address());
    for (id, provided, why) in [
        ("S1-22", ["--export", "echo '{}'"], "no hash"),
        ("S1-22", ["--export", "exit 7"], "exit status: 7"),
        ("S2-18", ["--github-code", "echo"], "no code"),
        // Was: a gateway that cannot be reached failed the statement.
        ("S2-13", ["--without-accounts", &unused], "refused"),
        ("S2-16", ["--without-accounts", &unused], "refused"),
        ("S3-13", ["--without-keys", &unused], "refused"),
    ] {
        let ended = all.run(&all.url, &[&["--only", id], &provided[..]].concat()).await;
        let (outcome, detail) = &outcomes(&ended)[id];
        assert_eq!(outcome, "not_tried", "{id}: {detail}");
        assert!(detail.contains(why) && detail.contains(provided[0]), "{detail}");
        assert_eq!(ended.status.code(), NOT_COMPLETE, "{id}: {ended:?}");
    }
}

/// Was: a gateway that left before the judge had looked failed the statement, and the command
/// was broken off between its end and its start.
#[tokio::test]
async fn a_gateway_that_is_killed_by_the_command_is_seen_to_restart() {
    let all = Everything::start(QUICK).await;
    let kill = format!("kill -9 {}; {}", all.gateway.lock().await.id(), all.command("start"));
    let ended = all.run(&all.url, &["--only", "S1-18", "--restart", &kill]).await;
    assert_eq!(ended.status.code(), ALL_HELD, "{ended:?}");
}

#[tokio::test]
async fn what_a_gateway_with_keys_has_made_is_removed() {
    let all = Everything::start(QUICK).await;
    let ended = all.run(&all.url, &["--only", "S3-13", "--without-keys", &all.url]).await;
    assert_eq!(outcomes(&ended)["S3-13"].0, "fail");
    let gateway = all.gateway.lock().await;
    let keys = gateway.manage(&["key", "list"], None).await;
    assert!(!keys.contains("conform-"), "{keys}");
    // A gateway without the contract says nothing of its keys.
    let plain = shipped(&["[dialect.plain]\nenabled = false\n"]);
    let other = Gateway::start(&plain).await;
    let certificate = std::fs::read_to_string(other.path("server.pem")).expect("a certificate");
    let known = std::fs::read_to_string(all.installation.path("all.pem")).expect("certificates");
    all.installation.write("all.pem", &(known + &certificate));
    drop(gateway);
    let ended = all.run(&all.url, &["--only", "S3-13", "--without-keys", &url_of(&other)]).await;
    assert_eq!(outcomes(&ended)["S3-13"].0, "fail");
}

/// Cuts the connections to the liar when the operator says so, until a run has ended.
async fn until_cut(all: &Everything, liar: &Liar, run: impl Future<Output = Ended>) -> Ended {
    let cut = async {
        loop {
            all.restarted.notified().await;
            liar.cut();
        }
    };
    tokio::select! {
        ended = run => ended,
        () = cut => unreachable!("it goes on"),
    }
}
