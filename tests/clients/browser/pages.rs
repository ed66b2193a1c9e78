//! Pages that ask for more at once than an address may, as Chromium asks for it.

use crate::support::backends::Backend;

use super::*;

/// What JupyterLab's page asks for.
const PARTS: usize = 90;
/// Modules of a front end under development, each a request.
const MODULES: usize = 310;

fn html(text: String) -> Response<Body> {
    Response::builder().header(CONTENT_TYPE, "text/html").body(body(text)).expect("a page")
}

fn script(text: &'static str) -> Response<Body> {
    Response::builder().header(CONTENT_TYPE, "text/javascript").body(body(text)).expect("a script")
}

/// A page of many parts, which tells how many of them it got.
async fn laboratory() -> Upstream {
    use std::fmt::Write as _;
    Upstream::http1(|request: Request<Recording>| async move {
        let path = request.uri().path();
        if path.starts_with("/part/") {
            return script("window.parts = (window.parts ?? 0) + 1");
        }
        match path {
            // Without the name and password that this page was found by.
            "/start" => html("<script>location = location.origin + '/lab'</script>".to_owned()),
            "/lab" => {
                let mut page = "<!doctype html>".to_owned();
                for part in 0..PARTS {
                    let _ = write!(page, "<script src=/part/{part}></script>");
                }
                page += "<script>onload = () => fetch('/done', { method: 'POST', body: parts })</script>";
                html(page)
            }
            _ => ok(request).await,
        }
    })
    .await
}

/// The requests that a limit of their address has refused.
fn refused(gateway: &Gateway) -> Vec<Value> {
    let log = gateway.log_lines().into_iter();
    log.filter(|line| line["reason"] == "rate_limited").collect()
}

#[tokio::test]
async fn a_page_of_many_parts_comes_whole_under_the_default_limit() {
    let app = laboratory().await;
    // Chromium comes by itself, and not through a proxy.
    let gateway = Gateway::start(&format!(
        "console.enabled = false\n[client]\ntrusted_proxies = []\n{}",
        app.routes()
    ))
    .await;
    let own =
        url(&gateway, "https").replace("//", &format!("//{ADMIN}:correct%20horse%20battery@"));
    let _browser = Browser::at(&format!("{own}/start"));
    let done = arrived(&app, "/done").await;
    assert_eq!(String::from_utf8_lossy(&done.body), PARTS.to_string());
    assert_eq!(refused(&gateway), Vec::<Value>::new());
}

/// Vite's development server with a front end of so many modules.
async fn vite() -> Backend {
    use std::fmt::Write as _;
    let directory = TempDir::with_prefix("portcullis-vite-").expect("a directory can be made");
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).expect("a file can be written");
    };
    write("index.html", "<script type=module src=/main.js></script>");
    let mut main = String::new();
    for module in 0..MODULES {
        write(&format!("m{module}.js"), "export const one = 1;");
        let _ = writeln!(main, "import {{ one as one{module} }} from './m{module}.js';");
    }
    let sum: Vec<String> = (0..MODULES).map(|module| format!("one{module}")).collect();
    let _ = writeln!(main, "fetch('/done/' + ({}));", sum.join(" + "));
    write("main.js", &main);
    let host = fresh_host();
    let mut command = Command::new("node");
    command.arg(CLIENTS.join("node_modules/vite/bin/vite.js")).arg(directory.path());
    command.args(["--host", &host.to_string(), "--port", &Backend::PORT.to_string()]);
    command.arg("--strictPort");
    Backend::installed(host, command, directory).await
}

/// More than may wait for an address: such a route has a rate of its own, or none.
#[tokio::test]
async fn a_front_end_under_development_comes_whole_from_a_route_without_a_rate() {
    let vite = vite().await;
    let start = Upstream::http1(|_| async {
        let user = json!({ "username": ADMIN, "password": ADMIN_PASSWORD });
        html(format!(
            "<script>const headers = {{ 'content-type': 'application/json' }};
             fetch('/api/auth/login', {{ method: 'POST', headers, body: JSON.stringify({user}) }})
                 .then(() => location = '/')</script>"
        ))
    })
    .await;
    let config = format!(
        "[dialect.status]\ndelivery = \"cookie\"\n{}{}\
         [[route]]\nupstream = \"vite\"\nrate = \"none\"\n\
         [[route]]\npath = \"/start\"\nupstream = \"start\"\npublic = true\n",
        vite.section("vite"),
        start.section("start"),
    );
    let gateway = Gateway::start(&config).await;
    let _browser = Browser::at(&format!("{}/start", url(&gateway, "https")));
    logged(&gateway, &format!("/done/{MODULES}")).await;
    assert_eq!(refused(&gateway), Vec::<Value>::new());
}
