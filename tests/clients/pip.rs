//! pip, which sends the name and password of an index's URL; `__token__` is what package
//! indexes call the user of a key.

use http::{Request, Response};

use crate::support::client::body;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::upstream::{Recording, Upstream};

use super::{CLIENTS, client, fails, succeeds};

/// An index of one package in two versions.
async fn index() -> Upstream {
    Upstream::http1(|request: Request<Recording>| async move {
        let listed = request.uri().path() == "/simple/sample/";
        let links = "<!doctype html><a href=sample-1.0-py3-none-any.whl>sample-1.0-py3-none-any.whl</a>\n\
                     <a href=sample-1.2-py3-none-any.whl>sample-1.2-py3-none-any.whl</a>";
        let answer = Response::builder()
            .status(if listed { 200 } else { 404 })
            .header("content-type", "text/html");
        answer.body(body(if listed { links } else { "" })).expect("an answer")
    })
    .await
}

#[tokio::test]
async fn pip_finds_versions_by_password_and_by_key() {
    let index = index().await;
    let gateway = Gateway::start(&index.routes()).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let versions = |user: &str, password: &str| {
        let mut pip = client(CLIENTS.join("../openapi-venv/bin/pip"));
        let port = gateway.address().port();
        pip.args(["--isolated", "--no-input", "--disable-pip-version-check", "--no-cache-dir"]);
        pip.args(["index", "versions", "sample", "--retries", "0", "--index-url"]);
        pip.arg(format!("https://{user}:{password}@localhost:{port}/simple/"));
        pip.arg("--cert").arg(gateway.path("server.pem"));
        pip
    };
    for (user, password) in [(ADMIN, &*ADMIN_PASSWORD.replace(' ', "%20")), ("__token__", &key)] {
        let output = succeeds(versions(user, password), &gateway).await;
        assert!(output.contains("sample (1.2)") && output.contains("1.2, 1.0"), "{output}");
        let received = index.next_request().await;
        assert_eq!(received.field("authorization"), None);
        assert_eq!(received.field("x-portcullis-username"), Some(ADMIN));
    }
    let refused = fails(versions("__token__", "a-guess"), &gateway).await;
    assert!(refused.contains("No matching distribution"), "{refused}");
}
