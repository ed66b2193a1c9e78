//! The OpenAPI documents: valid, and true of the gateway that serves them. The
//! judges are openapi-spec-validator and schemathesis, in the versions that
//! `openapi/requirements.txt` names.

pub mod document;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::gateway::Gateway;

use document::Document;

/// No limit is to be met, for what is documented is not how often.
const CONFIG: &str = r#"
[auth]
registration = "open"

[limits]
requests_per_second = 1000000
burst = 1000000
max_login_attempts = 1000000
user_attempts = 1000000
registrations = 1000000

[[route]]
upstream = "echo"
"#;

/// Where the programs lie; installed when they are missing.
pub static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let status = Command::new(root().join("tests/openapi/install")).status();
    assert!(status.expect("the installer starts").success(), "the installer fails");
    root().join("target/openapi-venv/bin")
});

#[test]
fn every_document_is_valid_openapi() {
    for name in document::NAMES {
        let judged =
            run(Command::new(PROGRAMS.join("openapi-spec-validator")).arg(Document::file(name)));
        assert!(judged.status.success(), "{name}: {}", text(&judged));
    }
}

#[test]
fn a_document_that_is_no_openapi_is_noticed() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("status.json");
    let mut document = Document::load("status").json;
    document["paths"]["/api/auth/login"]["post"]["responses"] = json!([]);
    std::fs::write(&path, document.to_string()).expect("a file can be written");
    let judged = run(Command::new(PROGRAMS.join("openapi-spec-validator")).arg(path));
    assert!(!judged.status.success(), "{}", text(&judged));
}

#[tokio::test]
async fn the_form_contract_answers_as_documented() {
    answers_as_documented("form").await;
}

#[tokio::test]
async fn the_status_contract_answers_as_documented() {
    answers_as_documented("status").await;
}

#[tokio::test]
async fn the_envelope_contract_answers_as_documented() {
    answers_as_documented("envelope").await;
}

#[tokio::test]
async fn the_plain_contract_answers_as_documented() {
    answers_as_documented("plain").await;
}

#[tokio::test]
async fn links_answer_as_documented() {
    answers_as_documented("links").await;
}

#[tokio::test]
async fn the_administration_answers_as_documented() {
    let site = Site::alone("admin").await;
    site.gateway.manage(&["user", "roles", USER, "admin"], None).await;
    let judged = site.judge(&site.document("admin").await, &[]);
    assert!(judged.status.success(), "{}", text(&judged));
}

/// What is no contract's is refused in another's shape there, so only valid requests.
#[tokio::test]
async fn contracts_that_share_paths_answer_valid_requests_as_documented() {
    let site = Site::start(CONFIG, "/api/auth/login").await;
    for name in ["form", "status", "envelope", "plain"] {
        let document = site.document(name).await;
        let judged = site.judge(&document, &["--mode", "positive", "--phases", "examples,fuzzing"]);
        assert!(judged.status.success(), "{}", text(&judged));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_as_documented_is_noticed() {
    let site = Site::alone("status").await;
    let mut document = site.document("status").await;
    document.json["components"]["schemas"]["Pair"]["properties"]["token_type"] =
        json!({ "const": "mac" });
    let judged = site.judge(&document, &["--include-path", "/api/auth/login"]);
    assert!(!judged.status.success(), "{}", text(&judged));
    assert!(text(&judged).contains("\"mac\" was expected"), "{}", text(&judged));
}

#[tokio::test]
async fn a_document_is_for_callers_with_a_credential_and_names_what_is_mounted() {
    let config = "[dialect.form]\nenabled = false\n\
                  [dialect.status]\nprefix = \"/gate\"\n\
                  [dialect.plain]\nprefix = \"/keys/v2\"\nkeys = false\n";
    let gateway = Gateway::start(&format!("{CONFIG}{config}")).await;
    let client = Client::admin(&gateway);
    let anonymous = Client::anonymous(&gateway);
    anonymous.get("/api/openapi/status.json").await.refused(401, "AUTHENTICATION_REQUIRED");
    let public = Gateway::start(&format!("{CONFIG}[openapi]\npublic = true\n")).await;
    Client::anonymous(&public).get("/api/openapi/status.json").await.expect(200);
    let paths = async |name: &str| {
        let document = client.get(&format!("/api/openapi/{name}.json")).await.expect(200);
        assert_eq!(document.field("content-type"), "application/json");
        let document = document.json();
        let paths = document["paths"].as_object().expect("a document has paths");
        paths.keys().cloned().collect::<Vec<_>>()
    };
    let status = ["auth/login", "auth/refresh", "change-password", "health", "logout", "ws-token"];
    let mut status: Vec<String> = status.iter().map(|path| format!("/gate/{path}")).collect();
    status.push("/health".to_owned());
    assert_eq!(paths("status").await, status);
    assert_eq!(
        paths("plain").await,
        ["/keys/v2/auth/login", "/keys/v2/auth/logout", "/keys/v2/auth/refresh"]
    );
    anonymous.get("/api/openapi/form.json").await.expect(401);
    client.post("/api/openapi/plain.json").await.expect(405);
}

async fn answers_as_documented(name: &'static str) {
    let site = Site::alone(name).await;
    let judged = site.judge(&site.document(name).await, &[]);
    assert!(judged.status.success(), "{}", text(&judged));
}

/// A gateway, and what there is to name in it.
struct Site {
    gateway: Gateway,
    known: Value,
}

const USER: &str = "ursula";
const PASSWORD: &str = "a password of hers!";
const EMAIL: &str = "ursula@example.com";

impl Site {
    /// One contract alone, for only then are all refusals on its paths its own.
    async fn alone(name: &'static str) -> Self {
        let document = Document::load(name);
        Self::start(&format!("{CONFIG}{}", document.alone()), document.login()).await
    }

    async fn start(config: &str, login: &str) -> Self {
        let gateway = Gateway::start(config).await;
        let made = async |what: &str, members: Value| {
            let answer = Client::admin(&gateway).post_json(what, &members).await;
            answer.expect(201).json()["id"].clone()
        };
        let user = json!({ "username": USER, "password": PASSWORD, "email": EMAIL });
        let user = made("/api/admin/users", user).await;
        let workspace = made("/api/admin/workspaces", json!({ "name": "research" })).await;
        let server = json!({ "name": "web", "owner": user });
        let server = made("/api/admin/servers", server).await;
        let (room, member) = (text_of(&workspace), text_of(&user));
        gateway.manage(&["workspace", "join", room, member], None).await;
        let known = json!({
            "url": format!("https://{}", gateway.address()),
            "certificate": gateway.path("server.pem"),
            "login": login,
            "username": USER,
            "password": PASSWORD,
            "email": EMAIL,
            "account": user,
            "workspace": workspace,
            "server": server,
        });
        Self { gateway, known }
    }

    /// A document as it is served.
    async fn document(&self, name: &'static str) -> Document {
        let path = format!("/api/openapi/{name}.json");
        let json = Client::admin(&self.gateway).get(&path).await.expect(200).json();
        Document { name, json }
    }

    /// What schemathesis says of the gateway, going by a document.
    fn judge(&self, document: &Document, more: &[&str]) -> Output {
        let written = self.gateway.path(format!("{}.json", document.name));
        std::fs::write(&written, document.json.to_string()).expect("a file can be written");
        let place = root().join("tests/openapi");
        run(Command::new(PROGRAMS.join("schemathesis"))
            .current_dir(self.gateway.path("."))
            .env("SCHEMATHESIS_HOOKS", place.join("hooks.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("OPENAPI_KNOWN", self.known.to_string())
            .arg("--config-file")
            .arg(place.join("schemathesis.toml"))
            .arg("run")
            .arg(written)
            .args(["--no-color", "--tls-verify", "server.pem", "--url"])
            .arg(self.known["url"].as_str().expect("a URL is text"))
            .args(more))
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().expect("an id is text")
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}
