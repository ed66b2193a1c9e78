//! A GitHub of the tests' own: people who agree in a browser, codes that work
//! once, an API that answers to tokens, and everything that can go wrong with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::client::{Body, body};
use super::streaming::streaming;
use super::upstream::{Kind, Received, Recording, Upstream, visible};

pub const CLIENT_ID: &str = "Iv1.abc123def456";
pub const CLIENT_SECRET: &str = "only-the-app-and-github-know-this";

pub const TOKEN_PATH: &str = "/login/oauth/access_token";
pub const API: &str = "/api/v3";
const AUTHORIZE_PATH: &str = "/login/oauth/authorize";

/// Somebody with a GitHub account.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: u64,
    pub login: String,
    pub name: Value,
    pub avatar: Value,
    /// Address, primary, verified.
    pub emails: Vec<(String, bool, bool)>,
    /// Organisations and teams (`organisation/team`), with the state there.
    pub memberships: Vec<(String, &'static str)>,
}

impl Person {
    /// With one address, primary and verified.
    pub fn new(id: u64, login: &str, email: &str) -> Self {
        Self {
            id,
            login: login.to_owned(),
            name: json!("Mona Lisa Octocat"),
            avatar: json!(format!("https://avatars.githubusercontent.com/u/{id}")),
            emails: vec![(email.to_owned(), true, true)],
            memberships: Vec::new(),
        }
    }

    pub fn octocat() -> Self {
        Self::new(583_231, "octocat", "octocat@github.example")
    }

    /// Address, primary, verified.
    pub fn emails(mut self, emails: &[(&str, bool, bool)]) -> Self {
        self.emails = emails.iter().map(|&(email, p, v)| (email.to_owned(), p, v)).collect();
        self
    }

    /// `active` or `pending` in an organisation or team.
    pub fn member(mut self, of: &str, state: &'static str) -> Self {
        self.memberships.push((of.to_owned(), state));
        self
    }
}

/// What goes wrong at a path, from now on.
#[derive(Clone, Debug)]
pub enum Fault {
    Status(u16),
    /// A status with a field beside it.
    StatusWith(u16, &'static str, &'static str),
    /// 200 with this body.
    Says(&'static str),
    /// 200 with so many spaces before the JSON's end.
    Padded(usize),
    /// The body breaks off.
    Truncated,
    /// A good answer, so much later.
    After(Duration),
    /// No answer, ever.
    Silent,
    /// A good answer, when there is a permit for it.
    Held(Arc<Semaphore>),
}

pub struct GitHub {
    upstream: Upstream,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Codes not yet redeemed.
    codes: HashMap<String, Agreed>,
    tokens: HashMap<String, Person>,
    /// Who sits at a browser that comes here.
    visitor: Option<Person>,
    faults: HashMap<String, Fault>,
    made: u32,
    /// Requests that have no answer yet, and the most there ever were.
    open: usize,
    most_open: usize,
}

/// What somebody agreed to in a browser.
struct Agreed {
    person: Person,
    challenge: Option<String>,
    redirect: Option<String>,
}

impl GitHub {
    pub async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let upstream = Upstream::http(Kind::TlsHttp1, move |request| {
            let state = Arc::clone(&shared);
            async move { answer(&state, request).await }
        })
        .await;
        Self { upstream, state }
    }

    /// `[github]`; further keys may follow.
    pub fn section(&self) -> String {
        let url = self.upstream.url();
        let roots = self.upstream.roots().expect("it speaks TLS").display();
        format!(
            "[github]\nclient_id = \"{CLIENT_ID}\"\nbase_url = \"{url}\"\napi_url = \"{url}{API}\"\n\
             roots = \"{roots}\"\n"
        )
    }

    /// Lets somebody agree without a word about redirects or challenges: the code.
    pub fn code(&self, person: &Person) -> String {
        lock(&self.state).agree(person, None, None)
    }

    /// Lets somebody agree at the URL that a browser was sent to: where it is sent
    /// back to, with code and state.
    pub fn authorize(&self, url: &str, person: &Person) -> Uri {
        let rest = url.strip_prefix(&self.upstream.url());
        let rest: Uri = rest.unwrap_or_else(|| panic!("not here: {url}")).parse().expect("a URL");
        lock(&self.state).send_back(&rest, person).parse().expect("a URL")
    }

    /// Whoever comes here with a browser is this person, and agrees.
    pub fn signed_in(&self, person: &Person) {
        lock(&self.state).visitor = Some(person.clone());
    }

    /// `path` is the token's, or relative to the API.
    pub fn fault(&self, path: &str, fault: Fault) {
        lock(&self.state).faults.insert(path.to_owned(), fault);
    }

    pub fn mend(&self) {
        lock(&self.state).faults.clear();
    }

    /// Requests without an answer now, and the most there ever were at once.
    pub fn open(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.open, state.most_open)
    }

    pub fn requests(&self) -> Vec<Received> {
        self.upstream.requests()
    }

    /// Paths of the requests so far, without queries.
    pub fn paths(&self) -> Vec<String> {
        self.requests().iter().map(|request| request.uri.path().to_owned()).collect()
    }

    /// Every access token given out.
    pub fn tokens(&self) -> Vec<String> {
        lock(&self.state).tokens.keys().cloned().collect()
    }

    /// Waits until every connection so far has ended.
    pub async fn disconnected(&self) {
        self.upstream.disconnected().await;
    }
}

impl State {
    fn fresh(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{:016x}", u64::from(self.made) * 0x9e37_79b9)
    }

    fn agree(
        &mut self,
        person: &Person,
        challenge: Option<String>,
        redirect: Option<String>,
    ) -> String {
        let code = self.fresh("code");
        let agreed = Agreed { person: person.clone(), challenge, redirect };
        self.codes.insert(code.clone(), agreed);
        code
    }

    /// Where somebody who agrees at this URL is sent.
    fn send_back(&mut self, at: &Uri, person: &Person) -> String {
        assert_eq!(at.path(), AUTHORIZE_PATH);
        let query = parse_form(at.query().expect("a query"));
        assert_eq!(query["client_id"], CLIENT_ID);
        assert_eq!(query["code_challenge_method"], "S256");
        let (challenge, redirect) = (query["code_challenge"].clone(), &query["redirect_uri"]);
        let code = self.agree(person, Some(challenge), Some(redirect.clone()));
        format!("{redirect}?code={code}&state={}", query["state"])
    }

    fn redeem(&mut self, form: &HashMap<String, String>) -> Value {
        let sent = |name: &str| form.get(name).map(String::as_str);
        if (sent("client_id"), sent("client_secret")) != (Some(CLIENT_ID), Some(CLIENT_SECRET)) {
            return error(
                "incorrect_client_credentials",
                "The client_id and/or client_secret passed are incorrect.",
            );
        }
        let bad = || error("bad_verification_code", "The code passed is incorrect or expired.");
        // Tried once, whatever comes of it.
        let Some(agreed) = sent("code").and_then(|code| self.codes.remove(code)) else {
            return bad();
        };
        let challenge = sent("code_verifier")
            .map(|verifier| URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())));
        if agreed.challenge.is_some() && agreed.challenge != challenge {
            return bad();
        }
        if sent("redirect_uri").is_some_and(|sent| agreed.redirect.as_deref() != Some(sent)) {
            return error(
                "redirect_uri_mismatch",
                "The redirect_uri MUST match the registered callback URL for this application.",
            );
        }
        let token = self.fresh("gho");
        self.tokens.insert(token.clone(), agreed.person);
        json!({ "access_token": token, "scope": "read:user,user:email", "token_type": "bearer" })
    }
}

fn error(code: &str, description: &str) -> Value {
    let uri = "/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors";
    json!({ "error": code, "error_description": description, "error_uri": uri })
}

/// A request that has no answer yet.
struct Open<'a>(&'a Mutex<State>);

impl<'a> Open<'a> {
    fn begin(state: &'a Mutex<State>) -> Self {
        let mut counts = lock(state);
        counts.open += 1;
        counts.most_open = counts.most_open.max(counts.open);
        Self(state)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        lock(self.0).open -= 1;
    }
}

async fn answer(state: &Mutex<State>, request: Request<Recording>) -> Response<Body> {
    let _open = Open::begin(state);
    let (head, incoming) = request.into_parts();
    let received = incoming.collect().await.expect("a request arrives whole").to_bytes();
    let path = head.uri.path();
    let visitor = lock(state).visitor.clone().filter(|_| path == AUTHORIZE_PATH);
    if let Some(person) = visitor {
        let back = lock(state).send_back(&head.uri, &person);
        let found = Response::builder().status(302).header(LOCATION, back);
        return found.body(body("")).expect("a redirect");
    }
    let api = path.strip_prefix(API);
    let fault = lock(state).faults.get(api.unwrap_or(path)).cloned();
    let (status, answer) = match api {
        None if path == TOKEN_PATH && head.method == Method::POST => {
            assert_eq!(head.headers.get("accept").map(visible), Some("application/json"));
            let form = std::str::from_utf8(&received).expect("a form is ASCII");
            (200, lock(state).redeem(&parse_form(form)))
        }
        Some(api) if head.method == Method::GET => {
            look_up(&lock(state), api, head.uri.query(), &head.headers)
        }
        _ => (404, json!({ "message": "Not Found" })),
    };
    let reply = |status: u16, answer: Body| {
        Response::builder()
            .status(status)
            .header("content-type", "application/json; charset=utf-8")
            .body(answer)
            .expect("a valid answer")
    };
    match fault {
        None => reply(status, body(answer.to_string())),
        Some(Fault::Status(status)) => {
            let mut response = reply(status, body(json!({ "message": "trouble" }).to_string()));
            if status / 100 == 3 {
                let elsewhere = format!("{path}?again").parse().expect("a field value");
                response.headers_mut().insert(LOCATION, elsewhere);
            }
            response
        }
        Some(Fault::StatusWith(status, name, value)) => {
            let mut response = reply(status, body(json!({ "message": "trouble" }).to_string()));
            response.headers_mut().insert(name, value.parse().expect("a field value"));
            response
        }
        Some(Fault::Says(text)) => reply(200, body(text)),
        Some(Fault::Padded(bytes)) => {
            let mut text = answer.to_string();
            let end = text.pop().expect("JSON ends with a brace");
            text.push_str(&" ".repeat(bytes));
            text.push(end);
            reply(200, body(text))
        }
        Some(Fault::Truncated) => {
            let (pieces, streamed) = streaming();
            tokio::spawn(async move {
                pieces.data(&b"{\"access_token\": \"gho"[..]).await;
                pieces.fail().await;
            });
            reply(200, streamed)
        }
        Some(Fault::After(delay)) => {
            tokio::time::sleep(delay).await;
            reply(200, body(answer.to_string()))
        }
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::Held(permits)) => {
            permits.acquire().await.expect("the permits are never closed").forget();
            reply(status, body(answer.to_string()))
        }
    }
}

/// What the API answers to a token.
fn look_up(state: &State, path: &str, query: Option<&str>, headers: &HeaderMap) -> (u16, Value) {
    assert!(visible(&headers["user-agent"]).starts_with("portcullis/"), "{headers:?}");
    assert_eq!(visible(&headers["x-github-api-version"]), "2022-11-28");
    let token =
        headers.get(AUTHORIZATION).map(visible).and_then(|field| field.strip_prefix("Bearer "));
    let Some(person) = token.and_then(|token| state.tokens.get(token)) else {
        return (401, json!({ "message": "Bad credentials" }));
    };
    if path == "/user" {
        let Person { id, login, name, avatar, .. } = person;
        // The public address, which proves nothing.
        let public = "public@github.example";
        let user = json!({
            "id": id, "login": login, "name": name, "avatar_url": avatar, "email": public, "type": "User",
        });
        return (200, user);
    }
    if path == "/user/emails" {
        let query = parse_form(query.unwrap_or_default());
        let number = |name: &str| query[name].parse::<usize>().expect("a number");
        let (page, size) = (number("page"), number("per_page"));
        let listed = person.emails.iter().skip((page - 1) * size).take(size);
        let listed = listed.map(|(email, primary, verified)| {
            json!({ "email": email, "primary": primary, "verified": verified, "visibility": null })
        });
        return (200, listed.collect());
    }
    let member = |of: &str| {
        let found = person.memberships.iter().find(|(name, _)| name.eq_ignore_ascii_case(of));
        found.map_or((404, json!({ "message": "Not Found" })), |(_, state)| {
            (200, json!({ "state": state, "role": "member" }))
        })
    };
    match path.split('/').collect::<Vec<_>>()[..] {
        ["", "user", "memberships", "orgs", organization] => member(organization),
        ["", "orgs", organization, "teams", slug, "memberships", login]
            if login == person.login =>
        {
            member(&format!("{organization}/{slug}"))
        }
        _ => (404, json!({ "message": "Not Found" })),
    }
}

/// `application/x-www-form-urlencoded`, each name once.
pub fn parse_form(text: &str) -> HashMap<String, String> {
    let mut form = HashMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let mut bytes = Vec::new();
        let mut rest = value.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits = [rest.next(), rest.next()].map(|digit| digit.expect("two digits"));
                    let digits = std::str::from_utf8(&digits).expect("hexadecimal digits");
                    u8::from_str_radix(digits, 16).expect("hexadecimal digits")
                }
                plain => plain,
            });
        }
        let value = String::from_utf8(bytes).expect("UTF-8");
        assert!(form.insert(name.to_owned(), value).is_none(), "{name} twice in {text}");
    }
    form
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
