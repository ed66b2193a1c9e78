//! Uploads that are refused before they have come, by everyday clients: each reads why.

use std::path::{Path, PathBuf};
use std::process::Command;

use http::header::CONNECTION;
use http::{Request, Response, StatusCode, Version};

use crate::support::client::{Body, Client, body, sign_in_admin};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::streaming::streaming;
use crate::support::upstream::{Kind, Recording, Upstream, ok};

use super::{CLIENTS, client, node, python, succeeds, url};

/// What is answered where; the last two by an upstream that does not wait for the body.
const CASES: [&str; 8] = [
    "401:/guarded",
    "403:/roles",
    "404:/nowhere",
    "405:/health",
    "413:/limited",
    "429:/api/v1/auth/login",
    "200:/open/200",
    "503:/open/503",
];
const SIZES: [usize; 3] = [1 << 10, 1 << 20, 10 << 20];

struct Stage {
    gateway: Gateway,
    _upstream: Upstream,
    token: String,
}

/// Answers by its path, at once; below `/open/piecemeal` with the head first.
async fn hasty(request: Request<Recording>) -> Response<Body> {
    let path = request.uri().path();
    let status = path.rsplit('/').next().and_then(|last| last.parse().ok());
    let status = status.unwrap_or(StatusCode::OK);
    let content = if path.starts_with("/open/piecemeal") {
        let (pieces, content) = streaming();
        tokio::spawn(async move {
            for piece in ["ea", "rly"] {
                pieces.try_data(piece).await;
            }
        });
        content
    } else {
        body("early")
    };
    let response = Response::builder().status(status);
    let response = match request.version() {
        // With what it has not read it closes.
        Version::HTTP_11 => response.header(CONNECTION, "close"),
        _ => response,
    };
    response.body(content).expect("a response")
}

impl Stage {
    async fn set(kind: Kind) -> Self {
        let upstream = Upstream::http(kind, hasty).await;
        let section = upstream.section("app");
        let to = "upstream = \"app\"\n";
        let config = format!(
            "[limits]\nburst = 10000\nmax_login_attempts = 1\n[client]\ntrusted_proxies = []\n{section}\
             [[route]]\npath = \"/guarded\"\n{to}\
             [[route]]\npath = \"/roles\"\nroles = [\"nobody\"]\n{to}\
             [[route]]\npath = \"/limited\"\npublic = true\nbody_size = \"512\"\n{to}\
             [[route]]\npath = \"/open\"\npublic = true\n{to}"
        );
        let gateway = Gateway::start(&config).await;
        let token = sign_in_admin(&gateway).await.access;
        // The address of all clients is locked out of signing in.
        Client::anonymous(&gateway).login(ADMIN, "a guess").await.expect(401);
        Self { gateway, _upstream: upstream, token }
    }

    async fn check(&self, mut client: Command) {
        client.args([&url(&self.gateway, "https"), &self.token]).args(CASES);
        succeeds(client, &self.gateway).await;
    }
}

#[tokio::test]
async fn requests_of_pypi_is_told_why_its_uploads_are_refused() {
    Stage::set(Kind::Http1).await.check(python("upload.py")).await;
}

#[tokio::test]
async fn nodes_fetch_is_told_why_its_uploads_are_refused() {
    Stage::set(Kind::Http1).await.check(node("upload.js")).await;
}

#[tokio::test]
async fn gos_client_is_told_why_its_uploads_are_refused() {
    Stage::set(Kind::Http1).await.check(client(CLIENTS.join("upload"))).await;
}

#[tokio::test]
async fn javas_client_is_told_why_its_uploads_are_refused() {
    let stage = Stage::set(Kind::H2c).await;
    let mut java = client("java");
    java.arg("-cp").arg(CLIENTS.as_path()).arg("Upload").arg(stage.gateway.path("server.pem"));
    stage.check(java).await;
}

/// The options of one transfer: a POST of a file.
fn transfer(gateway: &Gateway, protocol: &str, file: &Path, path: &str) -> Vec<String> {
    let certificate = gateway.path("server.pem");
    let fixed = ["--silent", "--show-error", "--output", "/dev/null", "--noproxy", "*"];
    let written = ["--write-out", "%{http_code} over %{http_version}\n"];
    let mut options: Vec<_> = fixed.into_iter().chain(written).map(str::to_owned).collect();
    options.extend([protocol.to_owned(), "--cacert".to_owned(), certificate.display().to_string()]);
    options.extend(["--data-binary".to_owned(), format!("@{}", file.display())]);
    options.push(format!("{}{path}", url(gateway, "https")));
    options
}

fn file(gateway: &Gateway, size: usize) -> PathBuf {
    let file = gateway.path(format!("{size}.bin"));
    std::fs::write(&file, vec![b'x'; size]).expect("the file is written");
    file
}

const PROTOCOLS: [(&str, &str); 2] = [("--http2", "2"), ("--http1.1", "1.1")];

#[tokio::test]
async fn curl_is_told_why_its_uploads_are_refused() {
    for kind in [Kind::Http1, Kind::H2c] {
        let Stage { gateway, _upstream, token } = Stage::set(kind).await;
        let bearer = format!("Authorization: Bearer {token}");
        for (protocol, version) in PROTOCOLS {
            let (mut command, mut expected) = (client("curl"), Vec::new());
            command.arg("--fail-early");
            for size in SIZES {
                let file = file(&gateway, size);
                // What is not refused curl 7.88 goes on sending over HTTP/2 when it has read the
                // response, and reads no more that there is room for it.
                let refused = |case: &&str| version == "1.1" || !case.starts_with("200");
                for case in CASES.into_iter().filter(refused) {
                    let (status, path) = case.split_once(':').expect("a status and a path");
                    if status == "403" {
                        command.args(["--header", &bearer]);
                    }
                    command.args(transfer(&gateway, protocol, &file, path)).arg("--next");
                    expected.push(format!("{status} over {version}"));
                }
            }
            // What is behind the last `--next`.
            command.args(transfer(&gateway, protocol, &file(&gateway, 1), "/guarded"));
            expected.push(format!("401 over {version}"));
            let written = succeeds(command, &gateway).await;
            let written: Vec<_> = written.lines().collect();
            assert_eq!(written, expected, "{protocol} to {kind:?}");
        }
    }
}

/// It sends all, is told what to prove and how, and sends all again. More than the window of
/// a stream curl 7.88 never sends then, over HTTP/2, whoever the server is.
#[tokio::test]
async fn curl_that_takes_any_scheme_uploads_at_its_second_attempt() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    for (protocol, version) in PROTOCOLS {
        let most = if version == "2" { 128 << 10 } else { usize::MAX };
        for size in [1 << 10, 128 << 10, 10 << 20].into_iter().filter(|size| *size <= most) {
            let mut command = client("curl");
            command.args(["--anyauth", "--user", &format!("{ADMIN}:{ADMIN_PASSWORD}")]);
            command.args(transfer(&gateway, protocol, &file(&gateway, size), "/thing"));
            let expected = format!("200 over {version}\n");
            assert_eq!(succeeds(command, &gateway).await, expected, "{protocol}, {size} bytes");
            assert_eq!(upstream.next_request().await.body.len(), size);
        }
    }
}

/// One whose head comes before its body, or behind a password's hash. At the head curl ends
/// its upload short; in each try it has the body nevertheless, or it would say so.
#[tokio::test]
async fn curl_reads_all_of_a_refusal_that_comes_in_the_middle_of_its_upload() {
    const TRIES: usize = 25;
    for kind in [Kind::Http1, Kind::H2c] {
        let upstream = Upstream::http(kind, hasty).await;
        let config = format!(
            "[limits]\nburst = 10000\nmax_login_attempts = 10000\nuser_attempts = 10000\n{}",
            upstream.routes()
        );
        let gateway = Gateway::start(&config).await;
        for (status, path) in [
            ("503", "/open/503"),
            ("503", "/open/piecemeal/503"),
            ("413", "/open/piecemeal/413"),
            ("401", "/guarded"),
        ] {
            for size in [64 << 10, 1 << 20] {
                let file = file(&gateway, size);
                let mut command = client("curl");
                command.arg("--fail-early");
                for attempt in 0..TRIES {
                    if attempt > 0 {
                        command.arg("--next");
                    }
                    if status == "401" {
                        command.args(["--user", &format!("{ADMIN}:a guess")]);
                    }
                    command.args(transfer(&gateway, "--http2", &file, path));
                }
                let written = succeeds(command, &gateway).await;
                let expected = format!("{status} over 2\n").repeat(TRIES);
                assert_eq!(written, expected, "{path} of {kind:?}, {size} bytes");
            }
        }
    }
}
