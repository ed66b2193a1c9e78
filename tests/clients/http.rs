//! requests of PyPI and Node's fetch.

use std::process::Command;

use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};

use super::{node, python, succeeds, url};

async fn check(mut client: Command) {
    let gateway = Gateway::start(ECHO).await;
    client.args([&url(&gateway, "https"), ADMIN, ADMIN_PASSWORD]);
    succeeds(client, &gateway).await;
}

#[tokio::test]
async fn requests_signs_in_and_is_served() {
    check(python("http_client.py")).await;
}

#[tokio::test]
async fn nodes_fetch_signs_in_and_is_served() {
    check(node("fetch.js")).await;
}
