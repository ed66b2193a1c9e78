//! The OpenAPI documents: valid, and true of the gateway that serves them. The
//! judges are openapi-spec-validator and schemathesis, in the versions that
//! `openapi/requirements.txt` names.

pub mod document;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};

use document::Document;

/// No limit is to be met, for what is documented is not how often.
const CONFIG: &str = r#"
[limits]
requests_per_second = 1000000
burst = 1000000
max_login_attempts = 1000000
user_attempts = 1000000

[[route]]
upstream = "echo"
"#;

/// Where the programs lie; installed when they are missing.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
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
async fn the_status_contract_answers_as_documented() {
    answers_as_documented("status").await;
}

#[tokio::test]
async fn an_answer_that_is_not_as_documented_is_noticed() {
    let mut document = Document::load("status").json;
    document["components"]["schemas"]["Pair"]["properties"]["token_type"] = json!({"const": "mac"});
    let judged = Run::of("status", &document, &["--include-path", "/api/auth/login"]).await;
    assert!(!judged.status.success(), "{}", text(&judged));
    assert!(text(&judged).contains("\"mac\" was expected"), "{}", text(&judged));
}

async fn answers_as_documented(name: &'static str) {
    let judged = Run::of(name, &Document::load(name).json, &[]).await;
    assert!(judged.status.success(), "{}", text(&judged));
}

/// One run of schemathesis against a gateway of its own.
struct Run;

impl Run {
    async fn of(name: &str, document: &Value, more: &[&str]) -> Output {
        let gateway = Gateway::start(CONFIG).await;
        let url = format!("https://{}", gateway.address());
        let known = json!({
            "document": name,
            "url": url,
            "certificate": gateway.path("server.pem"),
            "username": ADMIN,
            "password": ADMIN_PASSWORD,
        });
        std::fs::write(gateway.path("document.json"), document.to_string())
            .expect("a file can be written");
        let place = root().join("tests/openapi");
        run(Command::new(PROGRAMS.join("schemathesis"))
            .current_dir(gateway.path("."))
            .env("SCHEMATHESIS_HOOKS", place.join("hooks.py"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("OPENAPI_KNOWN", known.to_string())
            .arg("--config-file")
            .arg(place.join("schemathesis.toml"))
            .args(["run", "document.json", "--no-color", "--url", &url])
            .args(["--tls-verify", "server.pem"])
            .args(more))
    }
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
