//! Links by which people verify an address or set a password: made by commands, by the admin
//! API, and sent by mail.

use serde_json::json;

use crate::support::backends::Backend;
use crate::support::client::{Client, typed_request};
use crate::support::gateway::{ECHO, Gateway};
use crate::support::upstream::{Upstream, ok};

const LINKS: &str = "[links]\npublic_url = \"https://gate.example\"\n";
const FORM: &str = "application/x-www-form-urlencoded";
const NEW: &str = "a password of mine";

/// The path and query of a link.
fn target(link: &str) -> &str {
    link.trim().strip_prefix("https://gate.example").expect("a link leads to public_url")
}

fn text_of(link: &str) -> &str {
    target(link).strip_prefix("/api/links?link=").expect("a link is below the prefix")
}

#[tokio::test]
async fn somebody_who_is_invited_chooses_a_password_in_a_browser() {
    let upstream = Upstream::http1(ok).await;
    let gateway = Gateway::start(&(upstream.routes() + LINKS)).await;
    let invite = ["user", "invite", "bea@corp.example", "--name", "bea", "--role", "user"];
    let link = gateway.manage(&invite, None).await;
    let browser = Client::anonymous(&gateway).with("accept", "text/html,*/*;q=0.8");
    // Opened as often as one likes, by programs too.
    for _ in 0..2 {
        let page = browser.get(target(&link)).await.expect(200);
        assert_eq!(page.field("content-type"), "text/html; charset=utf-8");
        assert!(page.field("content-security-policy").contains("default-src 'none'"));
        assert_eq!(page.field("referrer-policy"), "strict-origin");
        assert_eq!(page.field("cache-control"), "no-store");
        let html = String::from_utf8_lossy(&page.body).into_owned();
        assert!(html.contains(text_of(&link)) && html.contains("type=\"password\""), "{html}");
    }
    Client::basic(&gateway, "bea", NEW).get("/").await.expect(401);
    let form = format!("link={}&password={}", text_of(&link), NEW.replace(' ', "+"));
    let submit = || typed_request("/api/links", FORM, form.clone());
    browser.request(submit()).await.expect(200);
    Client::basic(&gateway, "bea", NEW).get("/").await.expect(200);
    let received = upstream.next_request().await;
    assert_eq!(received.field("x-portcullis-email"), Some("bea@corp.example"));
    let unsent = gateway.cli(&["user", "reset-link", "bea", "--mail"], None).await;
    assert!(unsent.stderr.contains("no mail was sent: the gateway has no [mail]"), "{unsent:?}");
    // Once.
    let again = browser.request(submit()).await.expect(404);
    assert_eq!(again.field("content-type"), "text/html; charset=utf-8");
    let followed = gateway.wait_for_log(|line| line["event"] == "link_follow").await;
    assert_eq!((&followed["user"], &followed["detail"]), (&"bea".into(), &"invitation".into()));
    gateway.wait_for_log(|line| line["event"] == "user_invite" && line["user"] == "bea").await;
    let log = format!("{:?}", gateway.log_lines());
    assert!(!log.contains(text_of(&link)), "a link is a secret");
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_a_link_of_the_admin_api() {
    let gateway = Gateway::start(&format!("{ECHO}{LINKS}")).await;
    gateway.add_user("ann", "the old password", &[]).await;
    let admin = Client::admin(&gateway);
    let users = admin.get("/api/admin/users").await.expect(200).json();
    let ann = users["items"].as_array().expect("items").iter().find(|it| it["username"] == "ann");
    let id = ann.expect("ann is there")["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/admin/users/{id}/reset-link");
    let made = admin.post_json(&path, &json!({})).await.expect(201).json();
    assert_eq!((&made["user"], &made["mailed"]), (&id.as_str().into(), &false.into()));
    let link = text_of(made["link"].as_str().expect("a link"));
    let anybody = Client::anonymous(&gateway);
    let follow = async |password: &str| {
        anybody.post_json("/api/links", &json!({ "link": link, "password": password })).await
    };
    assert_eq!(
        follow("short").await.expect(422).json()["error"]["code"],
        "PASSWORD_NOT_ACCEPTABLE"
    );
    assert_eq!(follow(NEW).await.expect(200).json(), json!({ "done": "password" }));
    assert_eq!(follow(NEW).await.expect(404).json()["error"]["code"], "LINK_NOT_GOOD");
    Client::basic(&gateway, "ann", NEW).get("/").await.expect(200);
    Client::basic(&gateway, "ann", "the old password").get("/").await.expect(401);
    anybody.get("/api/links?link=AQID").await.expect(404);
    anybody.get("/api/links").await.expect(400);
}

#[tokio::test]
async fn links_are_made_where_somebody_said_where_they_lead() {
    let gateway = Gateway::start(ECHO).await;
    let refused = gateway.cli(&["user", "invite", "bea@corp.example"], None).await;
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("links.public_url"), "{refused:?}");
    let users = gateway.manage(&["user", "list"], None).await;
    assert!(!users.contains("bea"), "{users}");
    // The paths are the upstream's.
    Client::admin(&gateway).get("/api/links").await.expect(200);
}

#[tokio::test]
async fn a_link_that_is_asked_for_by_mail_comes_by_mail() {
    let server = Backend::smtp().await;
    let mail =
        format!("[mail]\nurl = \"smtp://{}\"\nfrom = \"gate@corp.example\"\n", server.address());
    let register = "[auth]\nregistration = \"open\"\n";
    let gateway = Gateway::start(&format!("{ECHO}{LINKS}{mail}{register}")).await;
    let registration = json!({
        "email": "ann@corp.example", "username": "ann", "full_name": "Ann Lee",
        "password": "the old password", "password_confirm": "the old password",
    });
    let anybody = Client::anonymous(&gateway);
    anybody.post_json("/api/v1/auth/register", &registration).await.expect(201);

    // Whether the address is known is not to be seen.
    let mut id = String::new();
    for address in ["nobody@corp.example", "ann@corp.example"] {
        let asked = anybody.post_json("/api/links/password", &json!({ "email": address })).await;
        let asked = asked.expect(202);
        assert_eq!(asked.body.len(), 0);
        asked.field("x-request-id").clone_into(&mut id);
    }
    let link = link_in(&server, 1).await;
    let sent = gateway.wait_for_log(|line| line["message"] == "mail sent").await;
    assert_eq!(sent["request_id"], id.as_str(), "{sent}");
    let password = json!({ "link": text_of(&link), "password": NEW });
    anybody.post_json("/api/links", &password).await.expect(200);
    let ann = Client::basic(&gateway, "ann", NEW);
    ann.get("/").await.expect(200);
    // It came to the address, and nothing is left to verify.
    let address = async || ann.post("/api/links/address").await;
    assert_eq!(address().await.expect(404).json()["error"]["code"], "EMAIL_NOT_FOUND");

    let bea = json!({
        "email": "bea@corp.example", "username": "bea", "full_name": "Bea Lee",
        "password": "a password of hers", "password_confirm": "a password of hers",
    });
    anybody.post_json("/api/v1/auth/register", &bea).await.expect(201);
    let bea = Client::basic(&gateway, "bea", "a password of hers");
    bea.post("/api/links/address").await.expect(202);
    let link = link_in(&server, 2).await;
    let follow = json!({ "link": text_of(&link) });
    let done = anybody.post_json("/api/links", &follow).await.expect(200).json();
    assert_eq!(done, json!({ "done": "address" }));
    let shown = gateway.manage(&["user", "show", "bea", "--format", "json"], None).await;
    assert!(shown.contains("\"email_verified\": true"), "{shown}");
    anybody.clone().post("/api/links/address").await.expect(401);
}

/// The link of the server's message of that number. Long lines come in parts, for mail has
/// short ones (RFC 2045 6.7).
pub async fn link_in(server: &Backend, number: usize) -> String {
    server
        .printed("a message", |lines| {
            let text = lines.join("\n").replace("=\n", "").replace("=3D", "=");
            assert!(!text.contains("nobody@corp.example"));
            let mut links = text.lines().filter(|line| line.starts_with("https://gate.example/"));
            let ended = text.matches("END MESSAGE").count() >= number;
            links.nth(number - 1).filter(|_| ended).map(str::to_owned)
        })
        .await
}
