//! An e-mail address that nobody vouches for names nobody to an upstream.

use serde_json::{Value, json};

use crate::support::client::{Client, sign_in, sign_in_admin};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Upstream, ok};

use super::{AUTHELIA, CUSTOM, GRAFANA, OAUTH2_PROXY, PORTCULLIS, Preset, identity};

const OPEN: &str = "[auth]\nregistration = \"open\"\n[limits]\nburst = 10000\n";
const PASSWORD: &str = "a password, theirs";
const CEO: &str = "ceo@corp.example";

/// Signs up as somebody whose address is the user name; answers the account's `usr_…` id.
async fn register_address(gateway: &Gateway, email: &str) -> String {
    let new = json!({ "email": email, "password": PASSWORD, "firstName": "Mallory",
        "lastName": "M" });
    let client = Client::anonymous(gateway);
    let answer = client.post_json("/api/auth/register", &new).await.expect(201).json();
    answer["data"]["user"]["id"].as_str().expect("an id").to_owned()
}

async fn register_name(gateway: &Gateway, name: &str, email: &str) {
    let new = json!({ "email": email, "username": name, "password": PASSWORD,
        "password_confirm": PASSWORD, "full_name": "Mallory M" });
    Client::anonymous(gateway).post_json("/api/v1/auth/register", &new).await.expect(201);
}

/// What the upstream learns of a caller as user name and e-mail.
async fn learned(upstream: &mut Upstream, client: &Client) -> (Option<String>, Option<String>) {
    client.get("/app").await.expect(200);
    let received = upstream.next_request().await;
    let field = |name: &str| received.field(name).map(str::to_owned);
    (field("x-portcullis-username"), field("x-portcullis-email"))
}

fn known(name: &str, email: Option<&str>) -> (Option<String>, Option<String>) {
    (Some(name.to_owned()), email.map(str::to_owned))
}

/// By every credential, over both versions of HTTP.
async fn callers(gateway: &Gateway, name: &str) -> Vec<Client> {
    let token = sign_in(gateway, name, PASSWORD).await.access;
    let (_, key) = gateway.create_key(name, &[], &[]).await;
    let callers = [
        Client::basic(gateway, name, PASSWORD),
        Client::bearer(gateway, &token),
        Client::api_key(gateway, &key),
    ];
    callers.into_iter().flat_map(|client| [client.clone(), client.h2()]).collect()
}

#[tokio::test]
async fn who_registers_under_an_address_is_known_by_it_when_somebody_vouches_for_it() {
    let mut upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&(upstream.routes() + OPEN)).await;
    let id = register_address(&gateway, CEO).await;
    register_name(&gateway, "ann", "ann@corp.example").await;
    for caller in callers(&gateway, CEO).await {
        assert_eq!(learned(&mut upstream, &caller).await, known(&id, None));
    }
    for caller in callers(&gateway, "ann").await {
        assert_eq!(learned(&mut upstream, &caller).await, known("ann", None));
    }
    gateway.manage(&["user", "verify", "--all"], None).await;
    for caller in callers(&gateway, CEO).await {
        assert_eq!(learned(&mut upstream, &caller).await, known(CEO, Some(CEO)));
    }
    for caller in callers(&gateway, "ann").await {
        assert_eq!(learned(&mut upstream, &caller).await, known("ann", Some("ann@corp.example")));
    }
}

#[tokio::test]
async fn whom_an_operator_or_an_administrator_enters_is_known_by_the_address() {
    let mut upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&upstream.routes()).await;
    let add = ["user", "add", "ann", "--email", "ann@corp.example"];
    gateway.manage(&add, Some(&format!("{PASSWORD}\n"))).await;
    gateway.manage(&["user", "add", CEO], Some(&format!("{PASSWORD}\n"))).await;
    let access = sign_in_admin(&gateway).await.access;
    let bob = json!({ "username": "bob", "email": "bob@corp.example", "password": PASSWORD });
    Client::bearer(&gateway, &access).post_json("/api/admin/users", &bob).await.expect(201);
    // `ann's password`, by htpasswd -B.
    let hash = "$2y$04$abcdefghijklmnopqrstuu5s2Wku.RduWDjJ1Yh7yEGWQ3SfVUnZi";
    gateway.manage(&["user", "import", "-"], Some(&format!("cid@corp.example:{hash}\n"))).await;
    let cid: Value = serde_json::from_str(
        &gateway.manage(&["user", "show", "cid@corp.example", "--format", "json"], None).await,
    )
    .expect("JSON");
    assert_eq!(cid["email_verified"], true);
    for (name, email) in [("ann", "ann@corp.example"), (CEO, CEO), ("bob", "bob@corp.example")] {
        let caller = Client::basic(&gateway, name, PASSWORD);
        assert_eq!(learned(&mut upstream, &caller).await, known(name, Some(email)));
    }
}

#[tokio::test]
async fn nobody_registers_under_the_id_of_somebody_else() {
    let gateway = Gateway::start(&("[[route]]\nupstream = \"echo\"\n".to_owned() + OPEN)).await;
    let id = register_address(&gateway, CEO).await;
    for name in [id.clone(), id.to_ascii_uppercase()] {
        let new = json!({ "email": "mallory@corp.example", "username": name, "password": PASSWORD,
            "password_confirm": PASSWORD, "full_name": "Mallory M" });
        let anybody = Client::anonymous(&gateway);
        anybody.post_json("/api/v1/auth/register", &new).await.expect(422);
    }
    register_name(&gateway, "mallory", "mallory@corp.example").await;
}

/// No field of any preset holds it.
async fn check_preset(preset: Preset) {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&(upstream.routes() + &preset.config() + OPEN)).await;
    register_address(&gateway, CEO).await;
    let client = Client::basic(&gateway, CEO, PASSWORD);
    client.get("/app").await.expect(200);
    let received = upstream.next_request().await;
    let identity = identity(&received.headers);
    assert!(!identity.is_empty(), "{}", preset.name);
    assert!(identity.iter().all(|(_, value)| !value.contains('@')), "{identity:?}");
}

#[tokio::test]
async fn no_field_of_any_preset_holds_an_unverified_address() {
    for preset in [PORTCULLIS, OAUTH2_PROXY, AUTHELIA, GRAFANA, CUSTOM] {
        check_preset(preset).await;
    }
}

#[tokio::test]
async fn the_setting_injects_what_nobody_vouches_for_and_check_warns_of_it() {
    let mut upstream = Upstream::http1(ok).await;
    let setting = "[identity]\nunverified_email = true\n";
    let gateway = Gateway::start(&(upstream.routes() + setting + OPEN)).await;
    register_address(&gateway, CEO).await;
    register_name(&gateway, "ann", "ann@corp.example").await;
    let ceo = Client::basic(&gateway, CEO, PASSWORD);
    assert_eq!(learned(&mut upstream, &ceo).await, known(CEO, Some(CEO)));
    let ann = Client::basic(&gateway, "ann", PASSWORD);
    assert_eq!(learned(&mut upstream, &ann).await, known("ann", Some("ann@corp.example")));
    let checked = gateway.manage(&["check"], None).await;
    assert!(checked.contains("[unverified_email_injected]"), "{checked}");
}

/// As a store of the version before is: nothing says that anybody was told.
#[tokio::test]
async fn the_first_start_says_once_how_many_accounts_inject_less() {
    let upstream = Upstream::http1(ok).await;
    let mut gateway = Gateway::start(&(upstream.routes() + OPEN)).await;
    register_address(&gateway, CEO).await;
    register_name(&gateway, "ann", "ann@corp.example").await;
    let said = |gateway: &Gateway| {
        let lines = gateway.log_lines();
        let wanted =
            |line: &&Value| line["message"] == "unverified e-mail addresses no longer injected";
        lines.iter().find(wanted).cloned()
    };
    gateway.restart().await;
    assert_eq!(said(&gateway), None, "a store that began with this version has nothing to hear");
    gateway.stop().await;
    gateway.manage(&["store", "export", "--output", "old.jsonl"], None).await;
    std::fs::remove_dir_all(gateway.path("data")).expect("it can go");
    gateway.manage(&["store", "import", "old.jsonl"], None).await;
    gateway.restart().await;
    let line = said(&gateway).expect("a line");
    assert_eq!((&line["accounts"], &line["level"]), (&json!(2), &json!("warn")), "{line}");
    assert!(line["remedy"].as_str().is_some_and(|remedy| remedy.contains("user verify")), "{line}");
    gateway.restart().await;
    assert_eq!(said(&gateway), None, "once is enough");
}
