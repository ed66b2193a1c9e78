//! npm, whose scoped packages have an encoded slash in their paths.

use http::Response;
use serde_json::json;

use crate::support::client::body;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

use super::{CLIENTS, client, succeeds, url};

/// A registry of one package.
async fn registry() -> Upstream {
    let version = json!({"name": "@scope/name", "version": "1.2.3", "dist": {
        "tarball": "https://registry.example/@scope/name/-/name-1.2.3.tgz", "shasum": "0"}});
    let package = json!({"name": "@scope/name", "dist-tags": {"latest": "1.2.3"},
        "versions": {"1.2.3": version}});
    Upstream::http1(move |_| {
        let package = package.to_string();
        async move { Response::new(body(package)) }
    })
    .await
}

#[tokio::test]
async fn npm_finds_a_scoped_package() {
    let upstream = registry().await;
    let route = "[[route]]\npublic = true\nupstream = \"app\"\n";
    let gateway = Gateway::start(&(upstream.section("app") + route)).await;
    let mut command = client("npm");
    command.args(["view", "@scope/name", "version", "--fetch-retries=0", "--loglevel=error"]);
    command.arg(format!("--registry={}/", url(&gateway, "https")));
    command.arg(format!("--cache={}", gateway.path("npm").display()));
    command.arg(format!("--cafile={}", gateway.path("server.pem").display()));
    command.current_dir(&*CLIENTS);
    assert_eq!(succeeds(command, &gateway).await.trim(), "1.2.3");
    assert_eq!(upstream.next_request().await.target(), "/@scope%2fname");
}
