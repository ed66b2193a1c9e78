//! The ways to a session beside a password: GitHub, and links that come by mail.

use super::*;
use crate::support::backends::Backend;
use crate::support::gateway::ECHO;
use crate::support::github::{CLIENT_SECRET, GitHub, Person};

const PUBLIC: &str = "public_url = \"https://gateway.example\"\n";
const LINKS: &str = "[links]\npublic_url = \"https://gate.example\"\n";
const NEW: &str = "a password of mine";

/// With GitHub, and more of the configuration.
async fn with_github(github: &GitHub, more: &str) -> Gateway {
    let open = "[auth]\nregistration = \"open\"\n";
    let config = format!("{}{PUBLIC}{open}{more}{ECHO}", github.section());
    Gateway::builder().config(&config).env("GITHUB_CLIENT_SECRET", CLIENT_SECRET).start().await
}

/// Where a page's link leads whose address has this part.
fn link(page: &str, part: &str) -> String {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let found = links.into_iter().find(|link| link.contains(part));
    found.unwrap_or_else(|| panic!("no link with {part}: {page}")).replace("&amp;", "&")
}

/// A window that GitHub has sent back here.
fn returning(gateway: &Gateway, cookies: &str) -> Client {
    window_from("cross-site", Client::anonymous(gateway)).with("cookie", cookies)
}

#[tokio::test]
async fn somebody_signs_in_with_github_and_comes_back_to_where_they_were() {
    let github = GitHub::start().await;
    // GitHub sends browsers back to the contract's path, or where it is off to the console's.
    for more in ["", "[dialect.envelope]\nenabled = false\n"] {
        let gateway = with_github(&github, more).await;
        let led = visitor(&gateway).get("/app?x=1").await.expect(303);
        let page = text(&visitor(&gateway).get(led.field("location")).await.expect(200));
        let begun = visitor(&gateway).get(&link(&page, "/github?")).await.expect(303);
        let back = github.authorize(begun.field("location"), &Person::octocat());
        let target = back.path_and_query().expect("a path").as_str();
        let done = returning(&gateway, &jar(&begun)).get(target).await.expect(303);
        assert_eq!(done.field("location"), "/app?x=1");
        let cookies = jar(&done);
        let app = visitor(&gateway).with("cookie", &cookies);
        app.get("/app?x=1").await.expect(200);
        let account = text(&app.get(&format!("{BASE}/account")).await.expect(200));
        assert!(account.contains("octocat@github.example"), "{account}");
    }
}

#[tokio::test]
async fn who_is_refused_by_github_reads_a_page_and_can_go_back() {
    let github = GitHub::start().await;
    for more in ["", "[dialect.envelope]\nenabled = false\n"] {
        let gateway = with_github(&github, more).await;
        let begin = format!("{BASE}/github?return_to=%2Fapp");
        let begun = visitor(&gateway).get(&begin).await.expect(303);
        let back = github.authorize(begun.field("location"), &Person::octocat());
        let target = back.path_and_query().expect("a path").as_str();
        let (path, query) = target.split_once('?').expect("a query");
        let state = query.split('&').find(|pair| pair.starts_with("state=")).expect("a state");
        let target = format!("{path}?error=access_denied&{state}");
        let refused = returning(&gateway, &jar(&begun)).get(&target).await;
        assert_eq!(refused.field("content-type"), "text/html; charset=utf-8", "{refused:?}");
        let page = text(&refused);
        for part in
            ["GITHUB_CODE_REFUSED", "GitHub refused the code", refused.field("x-request-id")]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(hidden(&page, "return_to"), "/app");
        assert!(link(&page, "/github?").ends_with("return_to=%2Fapp"), "{page}");
    }
}

/// A console whose gateway sends links by mail.
async fn with_mail(server: &Backend) -> Gateway {
    let mail =
        format!("[mail]\nurl = \"smtp://{}\"\nfrom = \"gate@corp.example\"\n", server.address());
    Gateway::start(&format!("{LINKS}{mail}{ECHO}")).await
}

/// The path and query of the link in the server's message of that number.
async fn mailed(server: &Backend, number: usize) -> String {
    let link = crate::links::link_in(server, number).await;
    link.trim().strip_prefix("https://gate.example").expect("it leads to public_url").to_owned()
}

fn choose(page: &str, password: &str) -> Request<Body> {
    form("/api/links", &[("link", &hidden(page, "link")), ("password", password)])
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_a_link_that_comes_by_mail() {
    let server = Backend::smtp().await;
    let gateway = with_mail(&server).await;
    let add = ["user", "add", "ann", "--email", "ann@corp.example"];
    gateway.manage(&add, Some("the old password\n")).await;
    let person = visitor(&gateway);
    let sign_in = text(&person.get(&format!("{BASE}/sign-in?return_to=%2Fapp")).await.expect(200));
    let forgotten = link(&sign_in, "/forgotten");
    assert!(forgotten.ends_with("return_to=%2Fapp"), "{forgotten}");
    let page = text(&person.get(&forgotten).await.expect(200));
    assert_eq!(hidden(&page, "return_to"), "/app");
    // Whether the address is known is not to be seen.
    let mut told = Vec::new();
    for address in ["nobody@corp.example", "ann@corp.example"] {
        let fields = [("email", address), ("return_to", "/app")];
        let sent = person.request(form(&format!("{BASE}/forgotten"), &fields)).await.expect(303);
        told.push(text(&person.get(sent.field("location")).await.expect(200)));
    }
    assert!(link(&told[0], "/sign-in").ends_with("return_to=%2Fapp"), "{}", told[0]);
    assert_eq!(told[0], told[1]);
    assert!(told[0].contains("has been sent to it"), "{}", told[0]);

    let target = mailed(&server, 1).await;
    let shown = person.get(&target).await.expect(200);
    // In the console's dress; and the address of a page with a link goes nowhere.
    assert!(shown.field("content-security-policy").contains("form-action 'self'"));
    assert_eq!(shown.field("referrer-policy"), "strict-origin");
    let page = text(&shown);
    assert!(page.contains("rel=\"stylesheet\"") && page.contains("<strong>ann</strong>"), "{page}");
    // Was: without a way on.
    let refused = text(&person.request(choose(&page, "short")).await.expect(422));
    assert!(refused.contains("PASSWORD_NOT_ACCEPTABLE"), "{refused}");
    assert_eq!(hidden(&refused, "link"), hidden(&page, "link"));
    let done = text(&person.request(choose(&page, NEW)).await.expect(200));
    assert!(link(&done, "/sign-in").ends_with("/sign-in"), "{done}");
    signed_in(&gateway, "ann", NEW).await.get("/").await.expect(200);
    for again in [person.request(choose(&page, NEW)).await, person.get(&target).await] {
        let again = text(&again.expect(404));
        for part in ["LINK_NOT_GOOD", "request a new one"] {
            assert!(again.contains(part), "{part}: {again}");
        }
        link(&again, "/sign-in");
    }
}

#[tokio::test]
async fn an_administrator_sends_invitations_and_reset_links_by_mail() {
    let server = Backend::smtp().await;
    let gateway = with_mail(&server).await;
    let admin = admin(&gateway).await;
    let users = format!("{BASE}/admin/users");
    let invite = [("email", "bea@corp.example"), ("username", "bea"), ("roles", "user")];
    let invited = admin.request(form(&users, &[&invite[..], &[("mail", "yes")]].concat())).await;
    assert!(text(&invited.expect(201)).contains("also been sent by mail"));
    let page = text(&visitor(&gateway).get(&mailed(&server, 1).await).await.expect(200));
    visitor(&gateway).request(choose(&page, NEW)).await.expect(200);
    signed_in(&gateway, "bea", NEW).await.get("/").await.expect(200);

    let list = text(&admin.get(&format!("{users}?q=bea")).await.expect(200));
    let bea = link(&list, "/admin/users/");
    let reset = admin.request(form(&format!("{bea}/reset-link"), &[("mail", "yes")])).await;
    assert!(text(&reset.expect(201)).contains("also been sent by mail"));
    mailed(&server, 2).await;
    let unsent = admin.request(form(&format!("{bea}/reset-link"), &[])).await.expect(201);
    assert!(!text(&unsent).contains("also been sent by mail"));
}
