//! The console: browsers are led to a sign-in, their sessions are renewed, and its pages do what
//! they say, for those who may.

mod leading;
mod pages;
mod sessions;
mod things;
mod ways;

use http::{Method, Request};

use crate::support::client::{Answer, Body, Client, body, request};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, Gateway};

const BASE: &str = "/.portcullis/console";
const FORM: &str = "application/x-www-form-urlencoded";

/// Somebody who opens pages in a window, and sends their forms.
fn window(client: Client) -> Client {
    window_from("same-origin", client)
}

/// Somebody whom a page of this kind of site has led to a page.
fn window_from(site: &str, client: Client) -> Client {
    client
        .with("sec-fetch-mode", "navigate")
        .with("sec-fetch-dest", "document")
        .with("sec-fetch-site", site)
        .with("accept", "text/html,application/xhtml+xml")
}

fn visitor(gateway: &Gateway) -> Client {
    window(Client::anonymous(gateway))
}

fn form(path: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut request = request(Method::POST, path);
    request.headers_mut().insert("content-type", FORM.parse().expect("a field value"));
    *request.body_mut() = body(encoded);
    request
}

/// The cookies an answer sets, as the next request sends them.
fn jar(answer: &Answer) -> String {
    let lines = answer.fields("set-cookie");
    let pairs = lines.iter().map(|line| line.split(';').next().expect("a pair"));
    pairs.collect::<Vec<_>>().join("; ")
}

async fn sign_in(gateway: &Gateway, name: &str, password: &str) -> String {
    let fields = [("name", name), ("password", password), ("return_to", "")];
    let request = form(&format!("{BASE}/sign-in"), &fields);
    jar(&visitor(gateway).request(request).await.expect(303))
}

/// A window of somebody who has signed in.
async fn signed_in(gateway: &Gateway, name: &str, password: &str) -> Client {
    let cookies = sign_in(gateway, name, password).await;
    visitor(gateway).with("cookie", &cookies)
}

async fn admin(gateway: &Gateway) -> Client {
    signed_in(gateway, ADMIN, ADMIN_PASSWORD).await
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// The value of a hidden field of a page's form.
fn hidden(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).expect("the field");
    rest.split('"').next().expect("a value").to_owned()
}

/// A key that a page shows.
fn shown_key(page: &str) -> String {
    let (_, rest) = page.split_once("id=\"key\"").expect("a key is shown");
    let (_, rest) = rest.split_once('>').expect("an element");
    rest.split('<').next().expect("its text").to_owned()
}
