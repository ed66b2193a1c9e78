//! git, which sends nothing before it is asked, and then a name and a password.

use http::Response;

use crate::support::client::body;
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};
use crate::support::upstream::Upstream;

use super::{client, fails, succeeds};

const COMMIT: &str = "2c26b46b68ffc68ff99b453c1d30413413422d70";

/// A repository as files (the dumb protocol); git wants no more for a list.
#[tokio::test]
async fn git_reads_a_repository_by_password_and_by_key() {
    let upstream = Upstream::http1(|request: http::Request<_>| async move {
        let listed = request.uri().path() == "/team/app.git/info/refs";
        let text = if listed { format!("{COMMIT}\trefs/heads/main\n") } else { String::new() };
        let status = if listed { 200 } else { 404 };
        let answer = Response::builder().status(status).header("content-type", "text/plain");
        answer.body(body(text)).expect("an answer")
    })
    .await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let (_, key) = gateway.create_key(ADMIN, &[], &[]).await;
    let password = ADMIN_PASSWORD.replace(' ', "%20");
    let list = |user: &str, password: &str| {
        let mut git = client("git");
        let port = gateway.address().port();
        git.args(["-c", "credential.helper=", "ls-remote"]);
        git.arg(format!("https://{user}:{password}@localhost:{port}/team/app.git"));
        git.env("GIT_SSL_CAINFO", gateway.path("server.pem")).env("GIT_TERMINAL_PROMPT", "0");
        git.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", gateway.path("."));
        git
    };
    for (user, password) in [(ADMIN, &*password), ("oauth2", &key)] {
        let output = succeeds(list(user, password), &gateway).await;
        assert_eq!(output, format!("{COMMIT}\trefs/heads/main\n"));
        let received = upstream.next_request().await;
        assert_eq!(received.field("authorization"), None);
        assert_eq!(received.field("x-portcullis-username"), Some(ADMIN));
    }
    let refused = fails(list(ADMIN, "wrong"), &gateway).await;
    assert!(refused.contains("Authentication failed"), "{refused}");
}
