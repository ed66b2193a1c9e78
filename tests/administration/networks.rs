//! From where the admin API may be used.

use serde_json::Value;

use super::{Caller, refusal};
use crate::support::client::Client;
use crate::support::gateway::{ECHO, Gateway};

#[tokio::test]
async fn the_admin_api_is_closed_outside_its_networks_before_a_credential_is_looked_at() {
    let networks = "[admin]\nnetworks = [\"127.0.0.0/8\", \"10.1.0.0/16\", \"2001:db8::7\"]\n";
    let config = format!("{networks}[limits]\nburst = 10000\nmax_login_attempts = 1\n{ECHO}");
    let gateway = Gateway::start(&config).await;
    for address in ["127.0.0.1", "10.1.255.255", "2001:db8::7"] {
        let caller = Caller(Client::admin(&gateway).from_address(address));
        caller.call("GET", "/users", Value::Null).await.expect(200);
    }
    for address in ["10.2.0.1", "192.0.2.1", "2001:db8::8"] {
        let admin = Client::admin(&gateway).from_address(address);
        for _ in 0..2 {
            let guess = Client::basic(&gateway, "admin", "a guess").from_address(address);
            let refused = guess.get("/api/admin/users").await;
            assert_eq!(refusal(&refused), (403, "FORBIDDEN".to_owned()), "{address}");
            let message = refused.json()["error"]["message"].to_string();
            assert!(message.contains("admin.networks"), "{refused:?}");
        }
        Caller(admin).call("DELETE", "/users/1/sessions", Value::Null).await.expect(403);
        // Nothing was counted, and all else is as open as before.
        Client::admin(&gateway).from_address(address).get("/").await.expect(200);
    }
    let line = gateway.wait_for_log(|line| line["client"] == "192.0.2.1").await;
    assert_eq!(line["reason"], "admin_network", "{line}");
}

#[tokio::test]
async fn the_admin_api_answers_everywhere_unless_it_is_bound() {
    let gateway = Gateway::start(ECHO).await;
    let caller = Caller(Client::admin(&gateway).from_address("192.0.2.1"));
    caller.call("GET", "/users", Value::Null).await.expect(200);
}
