//! The flow that begins here: `/auth/github/start` and `/auth/github/callback`.

use http::header::{COOKIE, LOCATION, SET_COOKIE};
use serde_json::Value;

use super::{data, gateway, refused, users};
use crate::support::client::{Answer, Client};
use crate::support::gateway::{ADMIN, ECHO, Gateway};
use crate::support::github::{GitHub, Person, parse_form};

const START: &str = "/api/auth/github/start";
const CALLBACK: &str = "/api/auth/github/callback";
const FLOW: &str = "__Host-portcullis-github";
const ACCESS: &str = "__Host-portcullis-access";
const PUBLIC: &str = "public_url = \"https://gateway.example\"\n";

async fn start() -> (GitHub, Gateway) {
    let github = GitHub::start().await;
    let gateway = gateway(&github, PUBLIC, "").await;
    (github, gateway)
}

async fn start_with_cookies() -> (GitHub, Gateway) {
    let github = GitHub::start().await;
    let tables = "[dialect.envelope]\ndelivery = \"cookie\"\n";
    let gateway = gateway(&github, PUBLIC, tables).await;
    (github, gateway)
}

/// A cookie that an answer sets, with its attributes.
#[track_caller]
fn set_cookie<'a>(answer: &'a Answer, name: &str) -> (&'a str, Vec<&'a str>) {
    let lines = answer.fields(SET_COOKIE.as_str());
    let mut found = lines.into_iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let line = found.next().unwrap_or_else(|| panic!("{name} is not set: {answer:?}"));
    assert!(found.next().is_none(), "{name} is set twice: {answer:?}");
    let mut parts = line.split("; ");
    (parts.next().expect("a value"), parts.collect())
}

/// The cookie is to be forgotten.
#[track_caller]
fn assert_forgotten(answer: &Answer) {
    let (value, attributes) = set_cookie(answer, FLOW);
    assert_eq!(value, "");
    assert!(attributes.contains(&"Max-Age=0"), "{attributes:?}");
}

/// A browser on its way: what it was told to keep, and where it was sent.
struct Begun {
    cookie: String,
    url: String,
}

impl Begun {
    async fn at(gateway: &Gateway, query: &str) -> Self {
        let answer = Client::anonymous(gateway).get(&format!("{START}{query}")).await.expect(302);
        let url = answer.field(LOCATION.as_str()).to_owned();
        Self { cookie: format!("{FLOW}={}", set_cookie(&answer, FLOW).0), url }
    }

    /// Where it is sent back to: path and query.
    fn agreed(&self, github: &GitHub, person: &Person) -> String {
        let back = github.authorize(&self.url, person);
        assert_eq!(back.host(), Some("gateway.example"));
        back.path_and_query().expect("a path").to_string()
    }

    fn parameter(&self, name: &str) -> String {
        let query = self.url.split_once('?').expect("a query").1;
        parse_form(query).remove(name).unwrap_or_else(|| panic!("{name} in {query}"))
    }
}

async fn come_back(gateway: &Gateway, cookies: &[&str], target: &str) -> Answer {
    let client = Client::anonymous(gateway);
    // What browsers say of a page that GitHub sent them to.
    let client = client.with("sec-fetch-site", "cross-site").with("sec-fetch-mode", "navigate");
    let client = cookies.iter().fold(client, |client, cookie| client.with(COOKIE.as_str(), cookie));
    client.get(target).await
}

#[tokio::test]
async fn a_browser_is_sent_to_github_with_a_state_and_a_challenge_of_its_own() {
    let (_github, gateway) = start().await;
    let answer = Client::anonymous(&gateway).get(START).await.expect(302);
    assert_eq!(answer.field("cache-control"), "no-store");
    let (value, mut attributes) = set_cookie(&answer, FLOW);
    assert!(!value.is_empty());
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=600", "Path=/", "SameSite=Lax", "Secure"]);

    let (one, other) = (Begun::at(&gateway, "").await, Begun::at(&gateway, "").await);
    assert_eq!(one.parameter("redirect_uri"), format!("https://gateway.example{CALLBACK}"));
    for name in ["state", "code_challenge"] {
        assert!(one.parameter(name).len() >= 32, "{}", one.url);
        assert_ne!(one.parameter(name), other.parameter(name));
    }
    assert_ne!(one.cookie, other.cookie);
    assert!(one.cookie.contains(&one.parameter("state")));
}

#[tokio::test]
async fn coming_back_signs_in_and_ends_the_flow() {
    let (github, gateway) = start().await;
    let begun = Begun::at(&gateway, "?return_to=/app").await;
    let target = begun.agreed(&github, &Person::octocat());
    let answer = come_back(&gateway, &[&begun.cookie], &target).await.expect(200);
    assert_forgotten(&answer);
    let token = data(&answer)["token"].as_str().expect("a token").to_owned();
    Client::bearer(&gateway, &token).get("/").await.expect(200);
    assert!(answer.headers.get(LOCATION).is_none(), "tokens in the body go nowhere else");
    // The same again, from a browser that has kept the cookie.
    let again = come_back(&gateway, &[&begun.cookie], &target).await;
    refused(&again, 401, "GITHUB_CODE_REFUSED");
    assert_forgotten(&again);
}

#[tokio::test]
async fn with_cookies_the_browser_goes_where_it_wanted_and_is_signed_in() {
    let (github, gateway) = start_with_cookies().await;
    for (query, destination) in [
        ("", "/"),
        ("?return_to=/", "/"),
        ("?return_to=/app/page", "/app/page"),
        ("?return_to=%2Fapp%3Fx%3D1%26y%3D%252F%23part", "/app?x=1&y=%2F#part"),
    ] {
        let begun = Begun::at(&gateway, query).await;
        let target = begun.agreed(&github, &Person::octocat());
        let answer = come_back(&gateway, &[&begun.cookie], &target).await.expect(303);
        assert_eq!(answer.field(LOCATION.as_str()), destination);
        assert!(answer.body.is_empty(), "{answer:?}");
        assert_forgotten(&answer);
        let cookie = format!("{ACCESS}={}", set_cookie(&answer, ACCESS).0);
        let me = come_back(&gateway, &[&cookie], "/api/auth/me").await.expect(200);
        assert_eq!(data(&me)["email"], "octocat@github.example");
    }
}

#[tokio::test]
async fn a_browser_is_sent_back_to_paths_of_this_site_only() {
    let (_github, gateway) = start_with_cookies().await;
    let long = format!("/{}", "a".repeat(2048));
    for elsewhere in [
        "https://evil.example/",
        "//evil.example",
        "/%5Cevil.example",
        "%5C%5Cevil.example",
        "/%09/evil.example",
        "/%0A/evil.example",
        "%20/app",
        "/a%0D%0ASet-Cookie:x=y",
        "/%00",
        "/%C3%BC",
        "/%FF",
        "app",
        "",
        "javascript:alert(1)",
        &long,
    ] {
        let answer =
            Client::anonymous(&gateway).get(&format!("{START}?return_to={elsewhere}")).await;
        refused(&answer, 400, "BAD_REQUEST");
        assert!(answer.fields(SET_COOKIE.as_str()).is_empty(), "{elsewhere}");
    }
    let twice =
        Client::anonymous(&gateway).get(&format!("{START}?return_to=/a&return_to=/b")).await;
    refused(&twice, 400, "BAD_REQUEST");
}

/// Somebody else's code and state, or none: nobody is signed in to an account that is
/// not theirs.
#[tokio::test]
async fn a_return_that_did_not_begin_in_this_browser_is_refused() {
    let (github, gateway) = start().await;
    let (own, other) = (Begun::at(&gateway, "").await, Begun::at(&gateway, "").await);
    let target = other.agreed(&github, &Person::octocat());
    let state = other.parameter("state");
    let code =
        parse_form(target.split_once('?').expect("a query").1).remove("code").expect("a code");
    let half = &state[..state.len() / 2];
    let targets = [
        (vec![own.cookie.as_str()], target.clone()),
        (vec![], target.clone()),
        (vec![&other.cookie], format!("{CALLBACK}?code={code}&state=")),
        (vec![&other.cookie], format!("{CALLBACK}?code={code}&state={half}")),
        (vec![&other.cookie], format!("{CALLBACK}?code={code}&state={state}0")),
        (vec!["__Host-portcullis-github=."], format!("{CALLBACK}?code={code}&state=")),
        (vec!["__Host-portcullis-github=.."], format!("{CALLBACK}?code={code}&state=")),
        (vec!["portcullis-github=a.b."], format!("{CALLBACK}?code={code}&state=a")),
    ];
    for (cookies, target) in targets {
        let answer = come_back(&gateway, &cookies, &target).await;
        refused(&answer, 403, "CSRF");
    }
    for target in [
        CALLBACK.to_owned(),
        format!("{CALLBACK}?code={code}"),
        format!("{CALLBACK}?state={state}"),
        format!("{CALLBACK}?code={code}&state={state}&state={state}"),
        format!("{CALLBACK}?code={code}&code={code}&state={state}"),
    ] {
        let answer = come_back(&gateway, &[&other.cookie], &target).await;
        refused(&answer, 400, "BAD_REQUEST");
    }
    let both = come_back(&gateway, &[&own.cookie, &other.cookie], &target).await;
    refused(&both, 400, "BAD_REQUEST");
    assert!(github.requests().is_empty(), "GitHub was not asked");
    assert_eq!(users(&gateway).await, [ADMIN]);
    come_back(&gateway, &[&other.cookie], &target).await.expect(200);
}

/// A code that was stolen on another browser's way back: the verifier does not fit.
#[tokio::test]
async fn a_code_of_another_flow_is_refused_by_the_challenge() {
    let (github, gateway) = start().await;
    let (own, other) = (Begun::at(&gateway, "").await, Begun::at(&gateway, "").await);
    let stolen = other.agreed(&github, &Person::octocat());
    let stolen = stolen.replace(&other.parameter("state"), &own.parameter("state"));
    let answer = come_back(&gateway, &[&own.cookie], &stolen).await;
    refused(&answer, 401, "GITHUB_CODE_REFUSED");
}

#[tokio::test]
async fn who_does_not_agree_at_github_is_told_so() {
    let (github, gateway) = start().await;
    let begun = Begun::at(&gateway, "").await;
    let state = begun.parameter("state");
    let denied =
        "error=access_denied&error_description=The+user+has+denied+your+application+access.";
    let foreign = format!("{CALLBACK}?{denied}&state={state}0");
    refused(&come_back(&gateway, &[&begun.cookie], &foreign).await, 403, "CSRF");
    let answer =
        come_back(&gateway, &[&begun.cookie], &format!("{CALLBACK}?{denied}&state={state}")).await;
    refused(&answer, 401, "GITHUB_CODE_REFUSED");
    assert_forgotten(&answer);
    let both = format!("{CALLBACK}?{denied}&code=code&state={state}");
    let both = come_back(&gateway, &[&begun.cookie], &both).await;
    refused(&both, 401, "GITHUB_CODE_REFUSED");
    assert!(github.requests().is_empty());
}

#[tokio::test]
async fn without_github_or_a_public_url_no_flow_begins_here() {
    let github = GitHub::start().await;
    let plain = Gateway::start(ECHO).await;
    let without_url = gateway(&github, "", "").await;
    for gateway in [&plain, &without_url] {
        for target in [START, &format!("{CALLBACK}?code=a&state=b")] {
            let answer = Client::anonymous(gateway).get(target).await;
            refused(&answer, 404, "GITHUB_DISABLED");
        }
    }
}

#[tokio::test]
async fn the_flow_comes_back_to_where_the_contract_is_mounted() {
    let github = GitHub::start().await;
    let tables = "[dialect.envelope]\nprefix = \"/v2/api\"\n";
    let gateway = gateway(&github, PUBLIC, tables).await;
    let answer = Client::anonymous(&gateway).get("/v2/api/auth/github/start").await.expect(302);
    let url = answer.field(LOCATION.as_str());
    let query = parse_form(url.split_once('?').expect("a query").1);
    assert_eq!(query["redirect_uri"], "https://gateway.example/v2/api/auth/github/callback");
}

#[tokio::test]
async fn the_flows_secrets_reach_neither_an_upstream_nor_a_log() {
    let (github, gateway) = start().await;
    let begun = Begun::at(&gateway, "").await;
    let admin =
        Client::admin(&gateway).with(COOKIE.as_str(), &format!("{}; theme=dark", begun.cookie));
    let echoed = admin.get("/anything").await.expect(200).json();
    assert_eq!(echoed["headers"]["cookie"][0], "theme=dark", "{echoed}");

    let target = begun.agreed(&github, &Person::octocat());
    come_back(&gateway, &[&begun.cookie], &target).await.expect(200);
    let seen = |line: &Value| line["path"] == CALLBACK;
    gateway.wait_for_log(seen).await;
    let log = format!("{:?}", gateway.log_lines());
    let code =
        parse_form(target.split_once('?').expect("a query").1).remove("code").expect("a code");
    let kept = begun.cookie.split_once('=').expect("a value").1.split('.');
    for secret in kept.chain([code.as_str()]).filter(|secret| secret.len() > 8) {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
