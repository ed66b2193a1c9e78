//! Front ends on other origins than the gateway's, as Chromium lets them.

use super::*;

/// Sends what a front end sends to the gateway of `?gate=`, and tells its own server what
/// it was let read: for each a status, 0 where the browser showed nothing.
fn front_end(requests: &str) -> String {
    format!(
        r#"(async () => {{
            const gate = new URLSearchParams(location.search).get("gate");
            const said = {{}};
            const send = async (name, path, options = {{}}) => {{
                said[name] = {{ status: 0 }};
                const response = await fetch(gate + path, options).catch(() => null);
                if (response === null) return null;
                const id = response.headers.get("x-request-id");
                said[name] = {{ status: response.status, named: id !== null }};
                return response.json().catch(() => null);
            }};
            const json = (body, method = "POST") => ({{
                method, headers: {{ "content-type": "application/json" }}, body: JSON.stringify(body),
            }});
            const login = (password) => json({{ username: "{ADMIN}", password }});
            {requests}
            await fetch("/done", {{ method: "POST", body: JSON.stringify(said) }});
        }})()"#
    )
}

/// What the page at this origin was let read.
async fn said(page_server: &Upstream, origin: &str, gateway: &Gateway) -> Value {
    let _browser = Browser::at(&format!("{origin}/page?gate={}", url(gateway, "https")));
    let report = arrived(page_server, "/done").await;
    serde_json::from_slice(&report.body).expect("the page sends JSON")
}

#[track_caller]
fn check_said(said: &Value, expected: &[(&str, u16)]) {
    for (name, status) in expected {
        assert_eq!(said[name]["status"], *status, "{name}: {said}");
        // The id of a request is for support, where the page shows an error.
        assert_eq!(said[name]["named"].as_bool().unwrap_or(false), *status != 0, "{name}: {said}");
    }
}

const BEARER: &str = r#"
    await send("wrong", "/api/auth/login", login("a guess"));
    const pair = await send("login", "/api/auth/login", login("correct horse battery"));
    const fresh = await send("refresh", "/api/auth/refresh", json({ refresh_token: pair?.refresh_token }));
    const headers = { authorization: `Bearer ${fresh?.access_token}` };
    await send("read", "/app/things", { headers });
    const put = json({}, "PUT");
    await send("write", "/app/things", { ...put, headers: { ...put.headers, ...headers } });
    await send("bare", "/app/things");
    await send("unknown", "/nowhere", { headers });
    await send("custom", "/app/things", { headers: { ...headers, "x-custom": "1" } });
    await send("silent", "/silent", { headers });
"#;

/// The application is no better than its route: it lets everybody read.
async fn generous() -> Upstream {
    Upstream::http1(|request| async {
        let mut answer = ok(request).await;
        answer.headers_mut().insert("access-control-allow-origin", "*".parse().expect("a value"));
        answer
    })
    .await
}

#[tokio::test]
async fn a_front_end_on_another_origin_signs_in_refreshes_and_calls_a_route() {
    let pages = serving(front_end(BEARER)).await;
    let app = generous().await;
    let page = pages.url();
    let config = format!(
        "[client]\norigins = [\"{page}\"]\n[cors]\norigins = [\"{page}\"]\n{}\
         [[route]]\npath = \"/app\"\nupstream = \"app\"\ncors = \"gateway\"\n\
         [[route]]\npath = \"/silent\"\nupstream = \"echo\"\n",
        app.section("app")
    );
    let gateway = Gateway::start(&config).await;
    let said = said(&pages, &page, &gateway).await;
    let served = [("login", 200), ("refresh", 200), ("read", 200), ("write", 200)];
    check_said(&said, &served);
    check_said(&said, &[("wrong", 401), ("bare", 401), ("unknown", 404)]);
    check_said(&said, &[("custom", 0), ("silent", 0)]);
    let methods: Vec<Method> = app.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, [Method::GET, Method::PUT], "no preflight comes through");
    // One answer serves every method and field that it names.
    logged(&gateway, "/silent").await;
    let log = gateway.log_lines();
    let asked: Vec<_> =
        lines(&log, "/app/things").into_iter().filter(|line| line["method"] == "OPTIONS").collect();
    let reasons: Vec<_> = asked.iter().map(|line| &line["reason"]).collect();
    assert_eq!(reasons, ["ok", "preflight_refused"], "{asked:?}");
    assert_eq!(asked[1]["detail"], "x-custom is not in `cors.fields`");
}

#[tokio::test]
async fn a_page_of_no_listed_origin_reads_nothing_and_costs_its_visitor_no_attempt() {
    let guesses = format!(
        r#"for (let i = 0; i < {ATTEMPTS}; i++) {{
            const body = new URLSearchParams({{ username: "{ADMIN}", password: "a guess" }});
            await fetch(gate + "/api/v1/auth/login", {{ method: "POST", mode: "no-cors", body }});
        }}
        {BEARER}"#
    );
    let foreign = serving(front_end(&guesses)).await;
    let app = generous().await;
    let listed = "https://app.example";
    let config = format!(
        "[client]\norigins = [\"{listed}\"]\n[cors]\norigins = [\"{listed}\"]\n{}\
         [[route]]\npath = \"/app\"\nupstream = \"app\"\ncors = \"gateway\"\n",
        app.section("app")
    );
    let gateway = Gateway::start(&config).await;
    let said = said(&foreign, &foreign.url(), &gateway).await;
    for name in ["wrong", "login", "refresh", "read", "write", "bare", "unknown", "custom"] {
        check_said(&said, &[(name, 0)]);
    }
    assert!(app.requests().is_empty());
    let visitor = Client::anonymous(&gateway).from_address("127.0.0.1");
    visitor.login(ADMIN, ADMIN_PASSWORD).await.expect(200);
}

const COOKIES: &str = r#"
    const include = { credentials: "include" };
    await send("login", "/api/auth/login", { ...login("correct horse battery"), ...include });
    await send("read", "/app/things", include);
    await send("write", "/app/things", { ...json({}), ...include });
    await send("omitted", "/app/things", { credentials: "omit" });
"#;

/// A site is a scheme and a host: to another port of it the browser sends `SameSite=Lax`.
#[tokio::test]
async fn cookies_serve_front_ends_of_the_same_site_and_of_no_other() {
    let pages = serving(front_end(COOKIES)).await;
    let app = Upstream::http1(ok).await;
    let public =
        format!("{}[[route]]\npublic = true\nupstream = \"pages\"\n", pages.section("pages"));
    let beside = Gateway::start(&public).await;
    let (same_site, other_site) = (url(&beside, "https"), pages.url());
    let listed = format!("origins = [\"{same_site}\", \"{other_site}\"]\n");
    let config = format!(
        "[client]\n{listed}[cors]\ncredentials = true\n{listed}\
         [dialect.status]\ndelivery = \"cookie\"\n{}\
         [[route]]\npath = \"/app\"\nupstream = \"app\"\ncors = \"gateway\"\n",
        app.section("app")
    );
    let gateway = Gateway::start(&config).await;
    let same = said(&pages, &same_site, &gateway).await;
    check_said(&same, &[("login", 200), ("read", 200), ("write", 200), ("omitted", 401)]);
    // The same front end on another site needs tokens in bodies (`delivery = "body"`).
    let pages_elsewhere = serving(front_end(COOKIES)).await;
    let config = config.replace(&other_site, &pages_elsewhere.url());
    let gateway = Gateway::start(&config).await;
    let other = said(&pages_elsewhere, &pages_elsewhere.url(), &gateway).await;
    check_said(&other, &[("login", 200), ("read", 401), ("write", 401), ("omitted", 401)]);
}

/// The recipe as it stands, but for its ports.
#[tokio::test]
async fn the_page_of_the_recipe_signs_in_and_calls_its_api() {
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/docs/single-page.md");
    let recipe = std::fs::read_to_string(recipe).expect("the recipe is there");
    let block = |language: &str| {
        let behind = recipe.split(&format!("```{language}\n")).nth(1).expect("a block");
        behind.split("```").next().unwrap_or_default().to_owned()
    };
    let calls = block("js").replace("\"https://localhost:8443", "gate + \"");
    let script = format!(
        r#"(async () => {{
            const gate = new URLSearchParams(location.search).get("gate");
            const [username, password] = ["{ADMIN}", "{ADMIN_PASSWORD}"];
            {calls}
            const said = {{ status: things.status, path: (await things.json()).path }};
            await fetch("/done", {{ method: "POST", body: JSON.stringify(said) }});
        }})()"#
    );
    let pages = serving(script).await;
    let public =
        format!("{}[[route]]\npublic = true\nupstream = \"pages\"\n", pages.section("pages"));
    let beside = Gateway::start(&public).await;
    let page = url(&beside, "https");
    let config = block("toml").replace("https://localhost:5173", &page);
    assert!(config.contains(&page) && calls.contains("gate + "), "{config} {calls}");
    let gateway = Gateway::start(&config).await;
    let _browser = Browser::at(&format!("{page}/page?gate={}", url(&gateway, "https")));
    let report = arrived(&pages, "/done").await;
    let said: Value = serde_json::from_slice(&report.body).expect("the page sends JSON");
    assert_eq!(said, json!({ "status": 200, "path": "/things" }));
}
