//! Servers, keys and sessions by the console's forms, and what administrators do there.

use serde_json::Value;

use super::*;
use crate::support::eventually;
use crate::support::gateway::ECHO;
use crate::support::tunnel::Tunnel;

const ANN: (&str, &str) = ("ann", "a good password");
/// Of a form that was sent by nobody yet.
const ONCE: &str = "00000000-0000-4000-8000-000000000000";
/// What somebody might put into every text there is.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&amp;";

async fn with_ann(config: &str) -> Gateway {
    let gateway = Gateway::start(config).await;
    gateway.add_user(ANN.0, ANN.1, &["user"]).await;
    gateway
}

async fn ann(gateway: &Gateway) -> Client {
    signed_in(gateway, ANN.0, ANN.1).await
}

async fn show(client: &Client, below: &str) -> String {
    text(&client.get(&format!("{BASE}{below}")).await.expect(200))
}

async fn send(client: &Client, below: &str, fields: &[(&str, &str)]) -> Answer {
    client.request(form(&format!("{BASE}{below}"), fields)).await
}

/// The path of the page that a form leads to, without what it says there.
fn led_to(answer: &Answer) -> String {
    let to = answer.field("location").split('?').next().expect("a path");
    to.strip_prefix(BASE).expect("a page of the console").to_owned()
}

async fn create_server(client: &Client, base: &str, name: &str) -> String {
    let made = send(client, &format!("{base}/servers"), &[("name", name)]).await.expect(303);
    led_to(&made)
}

async fn create_key(client: &Client, list: &str) -> (String, String) {
    let page = show(client, &format!("{list}/new")).await;
    let once = hidden(&page, "form");
    let fields = [("form", once.as_str()), ("name", "agent"), ("scopes", ""), ("expires", "")];
    let made = send(client, &format!("{list}/new"), &fields).await.expect(201);
    (shown_key(&text(&made)), once)
}

/// The id of the only key that a page lists.
fn listed_key(page: &str) -> String {
    let (_, rest) = page
        .split_once("/revoke\"")
        .and_then(|(head, _)| head.rsplit_once("/keys/"))
        .expect("a key is listed");
    rest.to_owned()
}

#[tokio::test]
async fn a_key_is_made_on_its_servers_page_shown_once_and_lets_agents_in() {
    let agents = "[[route]]\npath = \"/agents\"\nagents = true\nupstream = \"echo\"\n";
    let gateway =
        with_ann(&format!("console.server_creation = \"everybody\"\n{ECHO}{agents}")).await;
    let ann = ann(&gateway).await;
    let server = create_server(&ann, "", "web").await;
    assert!(show(&ann, "/servers").await.contains(">web</a>"));
    let page = show(&ann, &server).await;
    assert!(page.contains(">API Keys</a>") && page.contains("No agents are connected"), "{page}");
    let list = format!("{server}/keys");
    assert!(show(&ann, &list).await.contains(">Create API Key</a>"));
    let (key, once) = create_key(&ann, &list).await;

    let mut agent = Tunnel::opened(&gateway, "/agents", &[("x-api-key", &key)]).await;
    agent.check_open().await;
    let listed = async || {
        let page = show(&ann, &server).await;
        page.contains(&format!("agent ({})", &key[..14])).then_some(())
    };
    eventually("the agent to be listed", listed).await;

    // Neither the list nor the form, nor the same form sent again, shows or makes another.
    for below in [&list, &format!("{list}/new")] {
        assert!(!show(&ann, below).await.contains(&key));
    }
    let again = send(&ann, &format!("{list}/new"), &[("form", &once), ("name", "agent")]).await;
    let again = text(&again.expect(400));
    assert!(
        again.contains("does not create a second key") && !again.contains("sk_live_"),
        "{again}"
    );
    assert!(!gateway.log_lines().iter().any(|line| line.to_string().contains(&key)));

    let id = listed_key(&show(&ann, &list).await);
    let confirm = show(&ann, &format!("/keys/{id}/revoke")).await;
    let of = hidden(&confirm, "server");
    let revoked = send(&ann, &format!("/keys/{id}/revoke"), &[("server", &of)]).await.expect(303);
    assert_eq!(led_to(&revoked), list);
    assert_eq!(agent.closed().await, Some(4401));
    assert!(show(&ann, &list).await.contains("There are no API keys"));
    let gone = async || show(&ann, &server).await.contains("No agents are connected").then_some(());
    eventually("the agent to be gone", gone).await;
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_the_time_that_was_chosen() {
    let gateway = with_ann(ECHO).await;
    let ann = ann(&gateway).await;
    let (old, _) = create_key(&ann, "/keys").await;
    for (overlap, goes_on) in [("3600", 200), ("0", 401)] {
        let id = listed_key(&show(&ann, "/keys").await);
        let page = show(&ann, &format!("/keys/{id}/rotate")).await;
        let (once, server) = (hidden(&page, "form"), hidden(&page, "server"));
        let fields = [("form", once.as_str()), ("server", &server), ("overlap", overlap)];
        let made = send(&ann, &format!("/keys/{id}/rotate"), &fields).await;
        let new = shown_key(&text(&made.expect(201)));
        // Sent again it makes no other.
        send(&ann, &format!("/keys/{id}/rotate"), &fields).await.expect(400);
        Client::api_key(&gateway, &new).get("/").await.expect(200);
        Client::api_key(&gateway, &old).get("/").await.expect(goes_on);
    }
    let id = listed_key(&show(&ann, "/keys").await);
    for wrong in ["", "-1", "a day", "99999999"] {
        send(&ann, &format!("/keys/{id}/rotate"), &[("overlap", wrong)]).await.expect(400);
    }
}

#[tokio::test]
async fn a_key_lasts_for_the_days_that_were_chosen() {
    let gateway = with_ann(ECHO).await;
    let ann = ann(&gateway).await;
    for (days, status) in [("30", 201), ("0", 400), ("-1", 400), ("36500", 400), ("soon", 400)] {
        let once = hidden(&show(&ann, "/keys/new").await, "form");
        let fields = [("form", once.as_str()), ("name", "agent"), ("expires", days)];
        send(&ann, "/keys/new", &fields).await.expect(status);
    }
    // A form that is refused keeps what was chosen.
    let once = hidden(&show(&ann, "/keys/new").await, "form");
    let fields = [("form", once.as_str()), ("scopes", "no{scope"), ("expires", "30")];
    let again = text(&send(&ann, "/keys/new", &fields).await.expect(422));
    assert!(again.contains("<option value=\"30\" selected>"), "{again}");
    let keys = gateway.manage(&["key", "list", "--format", "json"], None).await;
    let listed: Value = serde_json::from_str(&keys).expect("JSON");
    let expires = listed[0]["expires"].as_str().or(listed["items"][0]["expires"].as_str());
    assert!(expires.is_some(), "{listed}");
}

#[tokio::test]
async fn without_an_admin_api_nobody_administers_on_pages_either() {
    let gateway = Gateway::start(&format!("admin.enabled = false\n{ECHO}")).await;
    let admin = admin(&gateway).await;
    assert!(!show(&admin, "/account").await.contains("/admin/"));
    for below in ["/admin/users", "/admin/servers", "/admin/refusals"] {
        admin.get(&format!("{BASE}{below}")).await.expect(404);
    }
    send(&admin, "/admin/servers", &[("name", "x")]).await.expect(404);
}

#[tokio::test]
async fn servers_are_made_by_administrators_unless_everybody_may() {
    let gateway = with_ann(ECHO).await;
    let (ann, admin) = (ann(&gateway).await, admin(&gateway).await);
    assert!(!show(&ann, "/servers").await.contains("Create server"));
    send(&ann, "/servers", &[("name", "mine")]).await.expect(405);
    let all = create_server(&admin, "/admin", "web").await;
    let own = all.strip_prefix("/admin").expect("an administrator's page").to_owned();
    ann.get(&format!("{BASE}{own}")).await.expect(404);
    send(&admin, &format!("{all}/owner"), &[("owner", "nobody-there")]).await.expect(404);
    send(&admin, &format!("{all}/owner"), &[("owner", ANN.0)]).await.expect(303);
    let renamed = send(&ann, &format!("{own}/rename"), &[("name", "ann's")]).await.expect(303);
    assert_eq!(led_to(&renamed), own);
    assert!(show(&ann, &own).await.contains("ann&#39;s"));
    send(&ann, &format!("{own}/delete"), &[]).await.expect(404);
    send(&admin, &format!("{all}/delete"), &[]).await.expect(303);
    ann.get(&format!("{BASE}{own}")).await.expect(404);
}

#[tokio::test]
async fn nobody_reaches_what_is_anothers() {
    let gateway = with_ann(&format!("console.server_creation = \"everybody\"\n{ECHO}")).await;
    gateway.add_user("bob", "another password", &["user"]).await;
    let (ann, bob) = (ann(&gateway).await, signed_in(&gateway, "bob", "another password").await);
    let server = create_server(&ann, "", "ann's").await;
    let (key, _) = create_key(&ann, "/keys").await;
    let id = listed_key(&show(&ann, "/keys").await);
    let sessions = show(&ann, "/account").await;
    let session = gateway.manage(&["session", "list", "--user", "ann", "--format", "json"], None);
    let listed: Value = serde_json::from_str(&session.await).expect("JSON");
    let session = listed[0]["id"].as_str().or(listed["items"][0]["id"].as_str()).expect("an id");
    assert!(!sessions.contains(&format!("{session}/end")), "not the one that is used");
    for below in [&server, &format!("{server}/keys"), &format!("/keys/{id}/revoke")] {
        bob.get(&format!("{BASE}{below}")).await.expect(404);
    }
    for (below, fields) in [
        (format!("{server}/rename"), &[("name", "bob's")][..]),
        (format!("{server}/delete"), &[]),
        (format!("/keys/{id}/rotate"), &[("overlap", "0"), ("form", ONCE)]),
        (format!("/keys/{id}/revoke"), &[]),
        (format!("/account/sessions/{session}/end"), &[]),
    ] {
        send(&bob, &below, fields).await.expect(404);
    }
    Client::api_key(&gateway, &key).get("/").await.expect(200);
    ann.get(&format!("{BASE}/account")).await.expect(200);
}

#[tokio::test]
async fn the_pages_of_administrators_are_for_them_alone_and_from_their_networks() {
    let gateway = with_ann(ECHO).await;
    let ann = ann(&gateway).await;
    let paths = [
        "/admin/users",
        "/admin/sessions",
        "/admin/servers",
        "/admin/keys",
        "/admin/lockouts",
        "/admin/refusals",
    ];
    for below in paths {
        ann.get(&format!("{BASE}{below}")).await.expect(403);
        assert!(!show(&ann, "/account").await.contains(below));
    }
    send(&ann, "/admin/servers", &[("name", "x")]).await.expect(403);
    send(&ann, "/admin/lockouts", &[("address", "192.0.2.1")]).await.expect(403);
    let (key, _) = create_key(&ann, "/keys").await;
    // A key is told of people no more than the API tells it.
    for below in paths.iter().chain(&["/keys", "/account", "/servers", "/keys/new"]) {
        window(Client::api_key(&gateway, &key)).get(&format!("{BASE}{below}")).await.expect(403);
    }
    let far = Gateway::start(&format!("admin.networks = [\"192.0.2.0/24\"]\n{ECHO}")).await;
    let admin = admin(&far).await;
    for below in paths {
        admin.get(&format!("{BASE}{below}")).await.expect(403);
    }
    admin.get(&format!("{BASE}/account")).await.expect(200);
}

#[tokio::test]
async fn an_administrator_looks_after_users_sessions_and_lockouts() {
    let gateway = with_ann(ECHO).await;
    let (ann, admin) = (ann(&gateway).await, admin(&gateway).await);
    let found = show(&admin, "/admin/users?q=AN").await;
    assert!(found.contains(">ann</a>") && !found.contains(">admin</a>"), "{found}");
    let (_, rest) = found.split_once("/admin/users/").expect("a user is listed");
    let user = format!("/admin/users/{}", rest.split('"').next().expect("an id"));
    let page = show(&admin, &user).await;
    assert!(page.contains("Mark address as verified") || !page.contains('@'), "{page}");
    send(&admin, &format!("{user}/roles"), &[("roles", "editor, user")]).await.expect(303);
    assert!(show(&admin, &user).await.contains("value=\"editor user\""));
    send(&admin, &format!("{user}/roles"), &[("roles", "")]).await.expect(400);
    send(&admin, &format!("{user}/end-sessions"), &[]).await.expect(303);
    ann.get(&format!("{BASE}/account")).await.expect(303);
    send(&admin, &format!("{user}/state"), &[("state", "disabled")]).await.expect(303);
    let visitor = visitor(&gateway);
    send(&visitor, "/sign-in", &[("name", ANN.0), ("password", ANN.1)]).await.expect(401);
    send(&admin, &format!("{user}/state"), &[("state", "enabled")]).await.expect(303);
    let last = send(&admin, "/admin/users/nobody/state", &[("state", "disabled")]).await;
    last.expect(404);
    for _ in 0..5 {
        let wrong = window(Client::anonymous(&gateway).from_address("198.51.100.7"));
        send(&wrong, "/sign-in", &[("name", ANN.0), ("password", "wrong")]).await.expect(401);
    }
    let wrong = window(Client::anonymous(&gateway).from_address("198.51.100.7"));
    let locked = send(&wrong, "/sign-in", &[("name", ANN.0), ("password", ANN.1)]).await;
    let locked = locked.expect(429);
    let shown = text(&locked);
    let wait = format!("Try again in {} seconds", locked.field("retry-after"));
    assert!(shown.contains(&wait) && shown.contains("value=\"ann\""), "{shown}");
    assert!(show(&admin, "/admin/lockouts").await.contains("198.51.100.7"));
    send(&admin, "/admin/lockouts", &[("address", "198.51.100.7")]).await.expect(303);
    send(&wrong, "/sign-in", &[("name", ANN.0), ("password", ANN.1)]).await.expect(303);
    // They come from the log, which is written beside the answers.
    eventually("the refusals to be listed", async || {
        let refusals = show(&admin, "/admin/refusals").await;
        let parts = ["locked_out", "password_wrong", "198.51.100.7"];
        parts.iter().all(|part| refusals.contains(part)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_password_change_ends_the_other_sessions_and_says_what_was_wrong() {
    let gateway = with_ann(ECHO).await;
    let (here, there) = (ann(&gateway).await, ann(&gateway).await);
    let change = |current: &'static str, new: &'static str| [("current", current), ("new", new)];
    let wrong = send(&here, "/account/password", &change("wrong", "long enough")).await.expect(401);
    assert!(text(&wrong).contains("<form method=\"post\""), "{wrong:?}");
    let short = send(&here, "/account/password", &change(ANN.1, "short")).await.expect(422);
    assert!(text(&short).contains("PASSWORD_NOT_ACCEPTABLE"), "{short:?}");
    let done = send(&here, "/account/password", &change(ANN.1, "long enough")).await.expect(303);
    assert_eq!(led_to(&done), "/account");
    here.get(&format!("{BASE}/account")).await.expect(200);
    there.get(&format!("{BASE}/account")).await.expect(303);
}

#[tokio::test]
async fn one_session_ends_another_and_all_others() {
    let gateway = with_ann(ECHO).await;
    let (here, there) = (ann(&gateway).await, ann(&gateway).await);
    let page = show(&here, "/account").await;
    let (head, _) = page.split_once("/end\"").expect("another session");
    let (_, id) = head.rsplit_once("/sessions/").expect("its id");
    send(&here, &format!("/account/sessions/{id}/end"), &[]).await.expect(303);
    there.get(&format!("{BASE}/account")).await.expect(303);
    let others = [ann(&gateway).await, ann(&gateway).await];
    send(&here, "/account/sessions/end-others", &[]).await.expect(303);
    for other in others {
        other.get(&format!("{BASE}/account")).await.expect(303);
    }
    here.get(&format!("{BASE}/account")).await.expect(200);
}

#[tokio::test]
async fn every_text_is_shown_as_text() {
    let open = "console.server_creation = \"everybody\"\nauth.registration = \"open\"\n";
    let gateway = with_ann(&format!("{open}{ECHO}")).await;
    let cookies = sign_in(&gateway, ANN.0, ANN.1).await;
    let ann = visitor(&gateway).with("cookie", &cookies).with("user-agent", HOSTILE);
    let server = create_server(&ann, "", HOSTILE).await;
    let page = show(&ann, "/keys/new").await;
    let once = hidden(&page, "form");
    let fields = [("form", once.as_str()), ("name", HOSTILE), ("expires", "")];
    let made = send(&ann, "/keys/new", &fields).await.expect(201);
    let mut pages = vec![text(&made)];
    let marked = window(Client::anonymous(&gateway).with("user-agent", HOSTILE));
    let fields = [("name", ANN.0), ("password", ANN.1), ("return_to", HOSTILE)];
    send(&marked, "/sign-in", &fields).await.expect(303);
    let typed = [("name", HOSTILE), ("password", "x"), ("return_to", HOSTILE)];
    pages.push(text(&send(&marked, "/sign-in", &typed).await.expect(401)));
    let query: String = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    for below in [
        server.clone(),
        format!("{server}/keys"),
        format!("{server}?done={query}&name={query}"),
        format!("/keys/new?name={query}&scopes={query}&expires={query}"),
        format!("/sign-in?name={query}&return_to={query}"),
        format!("/register?username={query}&email={query}&full_name={query}"),
        "/keys".to_owned(),
        "/account".to_owned(),
        "/servers".to_owned(),
    ] {
        pages.push(show(&ann, &below).await);
    }
    let admin = admin(&gateway).await;
    admin.get(&format!("/%3Cscript%3E?{query}")).await;
    for below in ["/users", "/sessions", "/servers", "/keys", "/refusals"] {
        pages.push(show(&admin, &format!("/admin{below}")).await);
    }
    pages.push(show(&admin, &format!("/admin/users?q={query}")).await);
    for page in pages {
        for part in ["<img src=x", "onerror=alert(1)>\"", "<script>"] {
            assert!(!page.contains(part), "{page}");
        }
    }
}

/// What was typed comes back behind the sign-in, and no secret stands in an address.
#[tokio::test]
async fn an_expired_session_leads_to_the_sign_in_and_back_with_what_was_typed() {
    let gateway = with_ann(ECHO).await;
    let anonymous = visitor(&gateway);
    let fields = [("form", "x"), ("name", "my agent"), ("scopes", "read"), ("expires", "")];
    let led = send(&anonymous, "/keys/new", &fields).await.expect(303);
    let to = led.field("location").to_owned();
    assert!(!to.contains("agent"), "{to}");
    let page = text(&anonymous.get(&to).await.expect(200));
    let back = hidden(&page, "return_to").replace("&#38;", "&");
    let session = sign_in(&gateway, ANN.0, ANN.1).await;
    let kept = visitor(&gateway).with("cookie", &session).with("cookie", &jar(&led));
    let form = text(&kept.get(&back).await.expect(200));
    assert!(form.contains("value=\"my agent\"") && form.contains("value=\"read\""), "{form}");
    let fields = [("current", "a secret of mine"), ("new", "another secret")];
    let led = send(&anonymous, "/account/password", &fields).await.expect(303);
    assert!(!led.field("location").contains("secret"), "{led:?}");
    assert_eq!(led.headers.get("set-cookie"), None, "a secret is kept nowhere");
}

#[tokio::test]
async fn a_form_that_is_not_the_pages_own_is_refused() {
    let gateway = with_ann(ECHO).await;
    let ann = ann(&gateway).await;
    let wrong: &[(&str, &[u8], u16)] = &[
        ("application/json", b"{}", 415),
        (FORM, b"current=a&current=b&new=c", 400),
        (FORM, b"current=a&new=b&more=c", 400),
        (FORM, b"current=%FF&new=b", 400),
        (FORM, b"new=long+enough", 400),
        (FORM, b"", 400),
    ];
    for (kind, bytes, status) in wrong {
        let mut request = request(Method::POST, &format!("{BASE}/account/password"));
        request.headers_mut().insert("content-type", kind.parse().expect("a field value"));
        *request.body_mut() = body(bytes.to_vec());
        ann.request(request).await.expect(*status);
    }
}

#[tokio::test]
async fn registration_is_on_the_page_where_it_is_open() {
    let gateway = Gateway::start(&format!("auth.registration = \"open\"\n{ECHO}")).await;
    let visitor = visitor(&gateway);
    assert!(show(&visitor, "/sign-in").await.contains("Create an account"));
    let fields = [
        ("username", "bob"),
        ("email", "bob@example.com"),
        ("password", "long enough"),
        ("return_to", "/there"),
    ];
    let short =
        fields.map(|(name, value)| (name, if name == "password" { "short" } else { value }));
    let refused = text(&send(&visitor, "/register", &short).await.expect(422));
    assert!(
        refused.contains("value=\"bob@example.com\"") && !refused.contains("short"),
        "{refused}"
    );
    let made = send(&visitor, "/register", &fields).await.expect(303);
    assert_eq!(made.field("location"), format!("{BASE}/continue?return_to=%2Fthere"));
    let browser = visitor.with("cookie", &jar(&made));
    let seen = browser.get("/there").await.expect(200).json();
    assert_eq!(seen["headers"]["x-portcullis-username"][0], "bob");
    let closed = Gateway::start(ECHO).await;
    let visitor = super::visitor(&closed);
    assert!(!show(&visitor, "/sign-in").await.contains("Create an account"));
    let refused = send(&visitor, "/register", &fields).await.expect(403);
    assert!(text(&refused).contains("REGISTRATION_CLOSED"), "{refused:?}");
}

/// Where the page of a refusal leads back to.
fn way_back(refused: &Answer) -> String {
    let page = text(refused);
    let (_, rest) = page.split_once("<a class=\"button\" href=\"").expect("a way back");
    rest.split('"').next().expect("an address").replace("&#38;", "&").replace("&amp;", "&")
}

/// Was: what had been typed was lost, and of what was gone the way back led nowhere.
#[tokio::test]
async fn a_form_that_is_refused_leads_back_to_itself_with_what_was_typed() {
    let links = "[links]\npublic_url = \"https://gate.example\"\n";
    let gateway = with_ann(&format!("{links}{ECHO}")).await;
    let session = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let admin = visitor(&gateway).with("cookie", &session);
    let server = create_server(&admin, "/admin", "web").await;
    let list = show(&admin, "/admin/users?q=ann").await;
    let (_, rest) = list.split_once("/admin/users/").expect("a user is listed");
    let ann = format!("/admin/users/{}", rest.split('"').next().expect("an id"));
    for (below, fields) in [
        ("/admin/users".to_owned(), [("email", "no address"), ("roles", "reader")]),
        (format!("{ann}/roles"), [("roles", "no/role more"), ("more", "x")]),
        (format!("{server}/owner"), [("owner", "nobody at all"), ("more", "x")]),
        (format!("{server}/rename"), [("name", "a name"), ("more", "x")]),
        ("/admin/servers".to_owned(), [("name", "another name"), ("more", "x")]),
    ] {
        let refused = send(&admin, &below, &fields).await;
        assert!((400..500).contains(&refused.status.as_u16()), "{below}: {refused:?}");
        // In a cookie, so that no address keeps it.
        let back = way_back(&refused);
        assert!(!back.contains('?'), "{back}");
        let kept = admin.clone().with("cookie", &jar(&refused));
        let page = kept.get(&back).await.expect(200);
        assert_eq!(jar(&page), "__Host-portcullis-typed=", "it is spent");
        let page = text(&page);
        for (_, value) in fields.iter().filter(|(name, _)| *name != "more") {
            assert!(page.contains(&format!("value=\"{value}\"")), "{below}: {value}: {page}");
        }
    }
    // What is gone is no place to go back to.
    let keys = format!("{server}/keys");
    create_key(&admin, &keys).await;
    let page = show(&admin, &keys).await;
    let (head, _) = page.split_once("/revoke\"").expect("a key is listed");
    let (_, id) = head.rsplit_once("/keys/").expect("its id");
    let revoke = format!("/admin/keys/{id}/revoke");
    let (_, server) = server.rsplit_once('/').expect("an id");
    send(&admin, &revoke, &[("server", server)]).await.expect(303);
    let gone = send(&admin, &revoke, &[("server", server)]).await.expect(404);
    assert_eq!(way_back(&gone), format!("{BASE}/admin/keys"));
    let nothing = "00000000-0000-4000-8000-000000000001";
    for (below, fields, list) in [
        (format!("/admin/users/{nothing}/roles"), [("roles", "user")], "/admin/users"),
        (format!("/admin/servers/{nothing}/rename"), [("name", "x")], "/admin/servers"),
        (format!("/admin/servers/{nothing}/owner"), [("owner", "ann")], "/admin/servers"),
    ] {
        let gone = send(&admin, &below, &fields).await.expect(404);
        assert_eq!(way_back(&gone), format!("{BASE}{list}"));
    }
}

/// Was: whoever signed in behind another site's link found its values in the form.
#[tokio::test]
async fn no_link_fills_in_a_form() {
    let links = "[links]\npublic_url = \"https://gate.example\"\n";
    let gateway = with_ann(&format!("auth.registration = \"open\"\n{links}{ECHO}")).await;
    let session = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    let planted = "name=planted&username=planted&email=planted&full_name=planted&roles=planted\
                   &scopes=planted&owner=planted&expires=365";
    let server = create_server(&admin(&gateway).await, "/admin", "web").await;
    for site in ["same-origin", "cross-site", "none"] {
        let person = window_from(site, Client::anonymous(&gateway));
        for below in ["/sign-in", "/register"] {
            let page = show(&person, &format!("{below}?{planted}")).await;
            assert!(!page.contains("value=\"planted"), "{site} {below}: {page}");
        }
        let signed_in = person.with("cookie", &session);
        for below in ["/keys/new", "/admin/users", "/admin/servers", &server] {
            let page = show(&signed_in, &format!("{below}?{planted}")).await;
            assert!(!page.contains("\"planted"), "{site} {below}: {page}");
            assert!(!page.contains("\"365\" selected"), "{site} {below}: {page}");
        }
    }
}

#[tokio::test]
async fn an_account_page_has_everything_of_its_user() {
    let gateway = with_ann(&format!("console.server_creation = \"everybody\"\n{ECHO}")).await;
    let ann = ann(&gateway).await;
    create_server(&ann, "", "my machine").await;
    create_key(&ann, "/keys").await;
    let page = show(&ann, "/account").await;
    for part in ["my machine", "/rotate\"", ">current<", "Change password"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!show(&admin(&gateway).await, "/account").await.contains("my machine"));
}

#[tokio::test]
async fn what_cannot_be_done_now_is_told_on_the_forms_own_page() {
    let gateway = with_ann(ECHO).await;
    gateway.manage(&["store", "export", "--output", "frozen.jsonl", "--freeze", "60s"], None).await;
    let visitor = visitor(&gateway);
    let refused = send(&visitor, "/sign-in", &[("name", ANN.0), ("password", ANN.1)]).await;
    let shown = text(&refused.expect(503));
    for part in ["SERVICE_UNAVAILABLE", "value=\"ann\"", "role=\"alert\""] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    gateway.manage(&["store", "thaw"], None).await;
    send(&visitor, "/sign-in", &[("name", ANN.0), ("password", ANN.1)]).await.expect(303);
}
