//! What stands around the console's pages, and refusals as pages.

use super::*;
use crate::support::gateway::ECHO;
use crate::support::installation::Installation;

fn routes() -> String {
    let route = |path: &str, keys: &str| format!("[[route]]\npath = \"{path}\"\n{keys}\n");
    [
        "[limits]\nrequests_per_second = 1\nburst = 8\nwait = \"0s\"\n".to_owned(),
        route("/role", "upstream = \"echo\"\nroles = [\"nobody-has-it\"]"),
        route("/dead", "upstream = \"http://127.0.0.1:1\""),
    ]
    .concat()
}

#[tokio::test]
async fn a_refusal_is_a_page_for_a_person_and_json_for_all_others() {
    let gateway = Gateway::start(&routes()).await;
    let cookies = sign_in(&gateway, ADMIN, ADMIN_PASSWORD).await;
    for (path, status, code, words) in [
        ("/role", 403, "FORBIDDEN", "No access"),
        ("/nothing", 404, "NOT_FOUND", "Page not found"),
        ("/dead", 502, "BAD_GATEWAY", "Service not available"),
    ] {
        let page = visitor(&gateway).with("cookie", &cookies).get(path).await.expect(status);
        assert_eq!(page.field("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.field("cache-control"), "no-store");
        let shown = text(&page);
        for part in [words, code, page.field("x-request-id")] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let program = Client::anonymous(&gateway).with("cookie", &cookies).get(path).await;
        program.refused(status, code);
    }
    let browser = visitor(&gateway).with("cookie", &cookies);
    let mut answers = Vec::new();
    for _ in 0..12 {
        answers.push(browser.get("/nothing").await);
    }
    let refused = answers.into_iter().find(|answer| answer.status == 429).expect("a refusal");
    let seconds = refused.field("retry-after").to_owned();
    let shown = text(&refused);
    assert!(shown.contains(&format!("Try again in {seconds} seconds")), "{shown}");
}

#[tokio::test]
async fn refusals_on_the_contracts_paths_stay_json() {
    let gateway = Gateway::start(ECHO).await;
    for path in ["/api/auth/me", "/api/admin/users", "/api/v1/auth/keys"] {
        let refused = visitor(&gateway).get(path).await.expect(401);
        assert_eq!(refused.field("content-type"), "application/json", "{path}");
    }
}

#[tokio::test]
async fn pages_let_nothing_in_from_elsewhere() {
    let gateway = Gateway::start(&format!("auth.registration = \"open\"\n{ECHO}")).await;
    let admin = admin(&gateway).await;
    for below in [
        "/sign-in",
        "/register",
        "/signed-out",
        "/account",
        "/account/password",
        "/servers",
        "/keys",
        "/keys/new",
        "/admin/users",
        "/admin/sessions",
        "/admin/servers",
        "/admin/keys",
        "/admin/lockouts",
        "/admin/refusals",
    ] {
        let page = admin.get(&format!("{BASE}{below}")).await.expect(200);
        let policy = page.field("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(page.field("x-content-type-options"), "nosniff");
        assert_eq!(page.field("cache-control"), "no-store");
        let shown = text(&page);
        for foreign in ["http://", "https://", "<style", " style=", " onclick", "<script>"] {
            assert!(!shown.contains(foreign), "{below}: {foreign}");
        }
    }
}

#[tokio::test]
async fn files_of_pages_are_kept_for_ever_under_names_of_their_content() {
    let gateway = Gateway::start(ECHO).await;
    let page = text(&visitor(&gateway).get(&format!("{BASE}/sign-in")).await.expect(200));
    let names = page.split('"').filter(|part| part.starts_with(&format!("{BASE}/assets/")));
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 3, "{names:?}");
    let mut bytes = 0;
    for name in names {
        let file = visitor(&gateway).get(name).await.expect(200);
        assert_eq!(file.field("cache-control"), "public, max-age=31536000, immutable");
        bytes += file.body.len();
    }
    assert!(bytes < 150 << 10, "{bytes} bytes before any compression");
    let other = visitor(&gateway).get(&format!("{BASE}/assets/console.0000000000000000.css")).await;
    other.expect(404);
}

#[tokio::test]
async fn what_cannot_be_shown_is_told_before_anything_is_made() {
    let large = "x".repeat((256 << 10) + 1);
    for (key, name, content, told) in [
        ("texts", "a.toml", "sign_inn = \"x\"", "did you mean `sign_in`?"),
        ("texts", "a.toml", "sign_in = 5", "sign_in: expected a text"),
        ("texts", "a.toml", "sign_in", "line 1"),
        ("texts", "a.toml", "language = \"de_DE\"", "expected a tag"),
        ("logo", "a.png", "GIF89a", "is no PNG image"),
        ("style", "a.css", large.as_str(), "is larger than 256 KiB"),
        ("style", "b.css", "", "No such file"),
    ] {
        let config = format!("console.{key} = \"{name}\"\n{ECHO}");
        let there = if name == "b.css" { "other" } else { name };
        let installation = Installation::new().file("config.toml", &config).file(there, content);
        for command in ["check", "run"] {
            let ended = installation.run(&[command, "--config", "config.toml"], None).await;
            assert_eq!(ended.status.code(), Some(78), "{command} {key} {told}: {ended:?}");
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(said.contains(told) && said.contains(&format!("console.{key}")), "{said}");
        }
        assert!(!installation.path("data").exists(), "{key}");
    }
}

#[tokio::test]
async fn the_texts_that_are_printed_are_those_that_are_shown() {
    let printed = Installation::new().run(&["config", "texts"], None).await.stdout;
    let texts: toml::Table = printed.parse().expect("TOML");
    let gateway = Gateway::builder()
        .config(&format!("console.texts = \"texts.toml\"\n{ECHO}"))
        .file("texts.toml", &printed)
        .start()
        .await;
    let page = text(&visitor(&gateway).get(&format!("{BASE}/sign-in")).await.expect(200));
    for key in ["sign_in", "name_or_email", "password", "product"] {
        assert!(page.contains(texts[key].as_str().expect("a text")), "{key}");
    }
}

#[tokio::test]
async fn texts_logo_and_colours_are_the_operators() {
    let gateway = Gateway::builder()
        .config(&format!(
            "console.texts = \"texts.toml\"\nconsole.style = \"own.css\"\nconsole.logo = \"own.svg\"\n{ECHO}"
        ))
        .file("texts.toml", "product = \"Acme & Co\"\nsign_in = \"Come in\"\n")
        .file("own.css", ":root { --accent: #123456 }")
        .file("own.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>")
        .start()
        .await;
    let page = text(&visitor(&gateway).get(&format!("{BASE}/sign-in")).await.expect(200));
    assert!(page.contains("Acme &#38; Co") && page.contains("<h1>Come in</h1>"), "{page}");
    let file = |end: &str| {
        let found = page.split('"').find(|part| part.starts_with(BASE) && part.ends_with(end));
        found.expect("the page names it").to_owned()
    };
    let style = text(&visitor(&gateway).get(&file(".css")).await.expect(200));
    assert!(style.ends_with(":root { --accent: #123456 }"));
    let logo = visitor(&gateway).get(&file(".svg")).await.expect(200);
    assert_eq!(text(&logo), "<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
    assert!(logo.field("content-security-policy").contains("sandbox"), "{logo:?}");
}
