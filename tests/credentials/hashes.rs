//! Passwords as the store holds them.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::gateway::{ECHO, Gateway};

const PASSWORD: &str = "a password of hers";

async fn stored_hash(gateway: &Gateway, name: &str) -> String {
    let exported = gateway.manage(&["store", "export"], None).await;
    let records = exported.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let holds = |record: &Value| record.to_string().contains(&format!("\"{name}\""));
    let record = records.into_iter().find(holds).expect("the account is exported").to_string();
    let at = record.find("$2b$").unwrap_or_else(|| panic!("a bcrypt hash: {record}"));
    record[at..at + 60].to_owned()
}

#[tokio::test]
async fn a_password_is_stored_at_the_configured_cost_whoever_set_it() {
    for cost in [4, 6] {
        let open = format!("[auth]\nbcrypt_cost = {cost}\nregistration = \"open\"\n{ECHO}");
        let gateway = Gateway::start(&open).await;
        let prefix = format!("$2b${cost:02}$");
        gateway.add_user("ann", PASSWORD, &[]).await;
        let new = json!({
            "email": "ben@example.com", "username": "ben", "full_name": "Ben",
            "password": PASSWORD, "password_confirm": PASSWORD,
        });
        let answer = Client::anonymous(&gateway).post_json("/api/v1/auth/register", &new).await;
        assert!(answer.status.is_success(), "{answer:?}");
        for name in ["ann", "ben"] {
            let hash = stored_hash(&gateway, name).await;
            assert!(hash.starts_with(&prefix), "{name}: {hash}");
        }
        let change = json!({ "current_password": PASSWORD, "new_password": "her second one" });
        let ann = Client::basic(&gateway, "ann", PASSWORD);
        ann.post_json("/api/change-password", &change).await.expect(200);
        assert!(stored_hash(&gateway, "ann").await.starts_with(&prefix));
    }
}
