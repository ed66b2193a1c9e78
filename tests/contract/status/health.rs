//! The health endpoints: whether it serves, which version, and what is known about it.

use serde_json::json;

use crate::support::client::Client;
use crate::support::gateway::{ECHO, Gateway};

const PATHS: [&str; 2] = ["/health", "/api/health"];

/// S1-28.
#[tokio::test]
async fn health_tells_status_and_version() {
    let gateway = Gateway::start(ECHO).await;
    for path in PATHS {
        let answer = Client::anonymous(&gateway).get(path).await.expect(200);
        assert_eq!(answer.field("content-type"), "application/json");
        let expected = json!({ "status": "healthy", "version": env!("CARGO_PKG_VERSION") });
        assert_eq!(answer.json(), expected, "{path}");
    }
}

/// S1-29.
#[tokio::test]
async fn health_tells_of_a_pending_update_and_of_cves() {
    for (advisory, members) in [
        (
            json!({ "pending_update": "9.9.9", "cves": ["CVE-2026-1", "CVE-2026-2"] }),
            vec!["pending_update", "cves"],
        ),
        (json!({ "pending_update": "9.9.9" }), vec!["pending_update"]),
        (json!({ "cves": ["CVE-2026-1"] }), vec!["cves"]),
        (json!({}), vec![]),
    ] {
        let gateway = Gateway::builder()
            .config(&format!("[health]\nadvisory_file = \"advisory.json\"\n{ECHO}"))
            .file("advisory.json", &advisory.to_string())
            .start()
            .await;
        let mut expected = json!({ "status": "healthy", "version": env!("CARGO_PKG_VERSION") });
        for member in members {
            expected[member] = advisory[member].clone();
        }
        for path in PATHS {
            let answer = Client::anonymous(&gateway).get(path).await.expect(200);
            assert_eq!(answer.json(), expected, "{path}");
        }
    }
}
