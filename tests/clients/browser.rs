//! Chromium, with pages of the gateway's own origin and of another's. It says itself
//! where a request comes from, and adds Basic and cookies as it always does.

mod cross_origin;
mod pages;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName};
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::client::{Body, Client, body};
use crate::support::fresh_host;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::github::{CLIENT_SECRET, GitHub, Person};
use crate::support::upstream::{Received, Recording, Upstream, ok};

use super::{CLIENTS, PATIENCE, url};

const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");
/// As many failures as lock an address out.
const ATTEMPTS: usize = 5;
/// Between two looks at how far a browser has got.
const POLL: Duration = Duration::from_millis(50);

/// A browser that has been sent to a URL, and ends with the test.
struct Browser {
    child: Child,
    _profile: TempDir,
}

impl Browser {
    fn at(url: &str) -> Self {
        assert!(CLIENTS.exists());
        let profile = tempfile::tempdir().expect("a directory can be made");
        let child = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--disable-dev-shm-usage", "--no-proxy-server"])
            .args(["--ignore-certificate-errors", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self { child: child.expect("chromium starts"), _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A page that helmet's default keeps the referrer, and so the origin of forms, from.
fn page(script: &str) -> Response<Body> {
    let html = format!("<!doctype html><title>page</title><body><script>{script}</script>");
    let response = Response::builder().header(CONTENT_TYPE, "text/html");
    response.header(REFERRER_POLICY, "no-referrer").body(body(html)).expect("a page")
}

/// Serves one page at `/page`, and notes what else comes.
async fn serving(script: String) -> Upstream {
    Upstream::http1(move |request: Request<Recording>| {
        let page = (request.uri().path() == "/page").then(|| page(&script));
        async move {
            match page {
                Some(page) => page,
                None => ok(request).await,
            }
        }
    })
    .await
}

/// Waits for a browser, which takes its time to start on a busy machine.
async fn patiently<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask() {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("the browser never got to {what}"))
}

async fn arrived(upstream: &Upstream, path: &str) -> Received {
    let at = |request: &Received| request.uri.path() == path;
    patiently(path, || upstream.completed().into_iter().find(at)).await
}

async fn logged(gateway: &Gateway, path: &str) -> Value {
    patiently(path, || lines(&gateway.log_lines(), path).first().map(|line| (*line).clone())).await
}

fn lines<'a>(log: &'a [Value], path: &str) -> Vec<&'a Value> {
    log.iter().filter(|line| line["type"] == "access" && line["path"] == path).collect()
}

/// What a foreign page can send without asking, five times each, and then a form.
fn attack(gate: &str) -> String {
    let socket = gate.replace("https", "wss");
    format!(
        r#"(async () => {{
            const form = () => new URLSearchParams({{ username: "{ADMIN}", password: "a guess" }});
            const send = (path, body) => fetch("{gate}" + path, {{
                method: "POST", mode: "no-cors", credentials: "include", body,
            }}).catch(() => {{}});
            for (let i = 0; i < {ATTEMPTS}; i++) {{
                await send("/api/v1/auth/login", form());
                await send("/api/auth/login", JSON.stringify({{ username: "{ADMIN}", password: "x" }}));
                await send("/things", form());
                await new Promise((done) => {{
                    new WebSocket("{socket}/socket?token=made-up").onclose = done;
                }});
            }}
            await fetch("/done");
            document.body.innerHTML = '<form method=post action="{gate}/form"></form>';
            document.forms[0].submit();
        }})()"#
    )
}

/// The visitor has just used the gateway, so that the browser adds its Basic credential.
#[tokio::test]
async fn a_foreign_page_locks_no_visitor_out_and_changes_nothing() {
    let app = serving("location = new URLSearchParams(location.search).get('to')".to_owned()).await;
    let sockets = "[[route]]\npath = \"/socket\"\nupstream = \"echo\"\nws_token = true\n";
    let gateway =
        Gateway::start(&format!("console.enabled = false\n{}{sockets}", app.routes())).await;
    let foreign = serving(attack(&url(&gateway, "https"))).await;
    let own =
        url(&gateway, "https").replace("//", &format!("//{ADMIN}:correct%20horse%20battery@"));
    let _browser = Browser::at(&format!("{own}/page?to={}/page", foreign.url()));
    arrived(&foreign, "/done").await;
    logged(&gateway, "/form").await;
    let log = gateway.log_lines();
    for path in ["/api/v1/auth/login", "/api/auth/login", "/things", "/form"] {
        let refused = lines(&log, path);
        assert_eq!(
            refused.len(),
            if path == "/form" { 1 } else { ATTEMPTS },
            "{path}: {refused:?}"
        );
        for line in refused {
            // Of its own accord it adds Basic to what shows on the page alone.
            let bare = path == "/things" && line["reason"] == "credential_missing";
            assert!(bare || line["reason"] == "cross_site", "{line}");
        }
    }
    assert_eq!(lines(&log, "/socket").len(), ATTEMPTS);
    assert!(lines(&log, "/page").iter().any(|line| line["scheme"] == "basic"));
    let visitor = Client::anonymous(&gateway).from_address("127.0.0.1");
    visitor.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
    assert!(app.requests().iter().all(|request| request.method == Method::GET));
}

/// A login form and a form of the application, from a page with `no-referrer`.
#[tokio::test]
async fn forms_of_the_gateways_own_pages_are_served() {
    let user = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
    let script = format!(
        r#"(async () => {{
            const body = JSON.stringify({user}), headers = {{ "content-type": "application/json" }};
            await fetch("/api/auth/login", {{ method: "POST", headers, body }});
            document.body.innerHTML = `<iframe name=frame></iframe>
                <form method=post action=/api/v1/auth/login target=frame>
                    <input name=username value="{ADMIN}"><input name=password value="{ADMIN_PASSWORD}">
                </form><form method=post action=/things><input name=a value=b></form>`;
            const [login, things] = document.forms;
            document.querySelector("iframe").onload = () => things.submit();
            login.submit();
        }})()"#
    );
    let app = serving(script).await;
    let routes = format!(
        "{}[[route]]\nupstream = \"app\"\n[[route]]\npath = \"/page\"\nupstream = \"app\"\npublic = true\n",
        app.section("app")
    );
    let gateway =
        Gateway::start(&format!("[dialect.status]\ndelivery = \"cookie\"\n{routes}")).await;
    let _browser = Browser::at(&format!("{}/page", url(&gateway, "https")));
    let posted = arrived(&app, "/things").await;
    assert_eq!(posted.field("origin"), Some("null"), "what the browser says has changed");
    assert_eq!(posted.field("sec-fetch-site"), Some("same-origin"));
    assert_eq!(posted.field("x-portcullis-username"), Some(ADMIN));
    let log = gateway.log_lines();
    for path in ["/api/auth/login", "/api/v1/auth/login"] {
        assert_eq!(lines(&log, path)[0]["status"], 200, "{path}");
    }
}

#[tokio::test]
async fn a_browser_signs_in_with_github() {
    let github = GitHub::start().await;
    github.signed_in(&Person::octocat());
    let host = format!("{}:8443", fresh_host());
    let config = format!(
        "{}public_url = \"https://{host}\"\n[[listener]]\naddress = \"{host}\"\n\
         [auth]\nregistration = \"open\"\n[dialect.envelope]\ndelivery = \"cookie\"\n{ECHO}",
        github.section()
    );
    let gateway =
        Gateway::builder().config(&config).env("GITHUB_CLIENT_SECRET", CLIENT_SECRET).start().await;
    let _browser = Browser::at(&format!("https://{host}/api/auth/github/start?return_to=/app"));
    let landed = logged(&gateway, "/app").await;
    assert_eq!(landed["status"], 200, "{landed}");
    assert!(landed["user"].as_str().is_some_and(|user| user.contains("octocat")), "{landed}");
    let log = gateway.log_lines();
    assert_eq!(lines(&log, "/api/auth/github/callback")[0]["status"], 303);
}
