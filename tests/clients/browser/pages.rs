//! Pages that ask for more at once than an address may, as Chromium asks for it.

use super::*;

/// What JupyterLab's page asks for.
const PARTS: usize = 90;

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

/// How many requests the address's limit has refused, icons aside.
fn refused(gateway: &Gateway) -> Vec<Value> {
    let log = gateway.log_lines().into_iter();
    log.filter(|line| line["reason"] == "rate_limited").collect()
}

#[tokio::test]
async fn a_page_of_many_parts_comes_whole_under_the_default_limit() {
    let app = laboratory().await;
    let gateway = Gateway::start(&app.routes()).await;
    let own =
        url(&gateway, "https").replace("//", &format!("//{ADMIN}:correct%20horse%20battery@"));
    let _browser = Browser::at(&format!("{own}/start"));
    let done = arrived(&app, "/done").await;
    assert_eq!(String::from_utf8_lossy(&done.body), PARTS.to_string());
    assert_eq!(refused(&gateway), Vec::<Value>::new());
}
