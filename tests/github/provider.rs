//! What the gateway makes of GitHub's answers, whoever asked it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use portcullis::auth::federation::{
    FederatedIdentity, FederationError, Grant, IdentityProvider as _,
};
use portcullis::auth::secret::Secret;
use portcullis::config::file::{Sources, load};
use portcullis::server;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::gateway::{ECHO, SECRET_KEY};
use crate::support::github::{CLIENT_SECRET, Fault, GitHub, Person, TOKEN_PATH, parse_form};
use crate::support::{eventually, within};

const REDIRECT: &str = "https://gateway.example/api/auth/github/callback";

type Provider = portcullis::federation::github::GitHub;
type Outcome = Result<FederatedIdentity, FederationError>;

/// Made from a configuration, as the gateway makes it.
fn provider(github: &GitHub, more: &str) -> Provider {
    provider_with(CLIENT_SECRET, &format!("{}{more}", github.section()))
}

fn provider_with(secret: &str, section: &str) -> Provider {
    let environment = [("GITHUB_CLIENT_SECRET", secret), ("SECRET_KEY", SECRET_KEY)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let sources = Sources {
        file: Some(("config.toml".to_owned(), format!("{section}\n{ECHO}"))),
        environment: BTreeMap::from(environment),
        ..Sources::default()
    };
    let config = load(sources).unwrap_or_else(|problems| panic!("{problems}"));
    server::github(&config.github.expect("it is configured")).expect("it can be set up")
}

async fn exchange(provider: &Provider, code: &str) -> Outcome {
    exchange_grant(provider, grant(code)).await
}

async fn exchange_grant(provider: &Provider, grant: Grant) -> Outcome {
    within("an exchange", provider.exchange(grant)).await
}

fn grant(code: &str) -> Grant {
    Grant { code: code.into(), verifier: None, redirect: None }
}

#[tokio::test]
async fn a_code_becomes_the_person_who_agreed_and_works_once() {
    let github = GitHub::start().await;
    let provider = provider(&github, "");
    let code = github.code(&Person::octocat());
    let identity = FederatedIdentity {
        subject: 583_231,
        login: "octocat".to_owned(),
        email: Some("octocat@github.example".to_owned()),
        name: Some("Mona Lisa Octocat".to_owned()),
        avatar: Some("https://avatars.githubusercontent.com/u/583231".to_owned()),
    };
    assert_eq!(exchange(&provider, &code).await, Ok(identity));
    assert_eq!(exchange(&provider, &code).await, Err(FederationError::CodeRefused));
    let asked = ["/login/oauth/access_token", "/api/v3/user", "/api/v3/user/emails"];
    assert_eq!(github.paths(), [&asked[..], &asked[..1]].concat());
}

#[tokio::test]
async fn a_flow_that_began_here_needs_its_own_verifier_and_redirect() {
    let github = GitHub::start().await;
    let provider = provider(&github, "");
    // RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let url = provider.authorize_url("state-1", challenge, REDIRECT);
    let begin = || {
        let back = github.authorize(&url, &Person::octocat());
        let mut query = parse_form(back.query().expect("code and state"));
        assert_eq!(query["state"], "state-1");
        query.remove("code").expect("a code")
    };
    let grant = |verifier: Option<&str>, redirect: &str| Grant {
        code: Secret::new(begin()),
        verifier: verifier.map(Into::into),
        redirect: Some(redirect.to_owned()),
    };
    exchange_grant(&provider, grant(Some(verifier), REDIRECT)).await.expect("the right pair");
    for wrong in [None, Some("another-verifier-of-forty-three-characters-")] {
        let outcome = exchange_grant(&provider, grant(wrong, REDIRECT)).await;
        assert_eq!(outcome, Err(FederationError::CodeRefused), "{wrong:?}");
    }
    let elsewhere = grant(Some(verifier), "https://elsewhere.example/");
    let outcome = exchange_grant(&provider, elsewhere).await;
    assert_eq!(
        outcome,
        Err(FederationError::Unavailable("GitHub says redirect_uri_mismatch".into()))
    );
}

#[tokio::test]
async fn a_browser_is_asked_for_no_more_than_is_needed() {
    let github = GitHub::start().await;
    for (more, scope) in [
        ("", "read:user user:email"),
        ("organizations = [\"acme\"]", "read:user user:email read:org"),
        ("teams = [\"acme/ops\"]", "read:user user:email read:org"),
    ] {
        let url = provider(&github, more).authorize_url("s&t=a%te", "challenge", REDIRECT);
        let query = parse_form(url.split_once('?').expect("a query").1);
        assert_eq!(query["scope"], scope);
        assert_eq!(query["state"], "s&t=a%te");
        assert_eq!(query["redirect_uri"], REDIRECT);
        assert_eq!(query.len(), 6, "{url}");
    }
}

/// Address, primary, verified.
type Listed = (&'static str, bool, bool);

#[tokio::test]
async fn only_a_primary_and_verified_address_counts() {
    let github = GitHub::start().await;
    let provider = provider(&github, "");
    let cases: [(&[Listed], Option<&str>); 6] = [
        (&[("a@x.example", true, true)], Some("a@x.example")),
        (&[("b@x.example", false, true), ("a@x.example", true, true)], Some("a@x.example")),
        (&[("a@x.example", true, false)], None),
        (&[("a@x.example", true, false), ("b@x.example", false, true)], None),
        (&[("b@x.example", false, true)], None),
        (&[], None),
    ];
    for (emails, counts) in cases {
        let code = github.code(&Person::octocat().emails(emails));
        let identity = exchange(&provider, &code).await.expect("a person");
        assert_eq!(identity.email.as_deref(), counts, "{emails:?}");
    }
}

#[tokio::test]
async fn the_primary_address_is_found_on_a_later_page() {
    let github = GitHub::start().await;
    let provider = provider(&github, "");
    let other = |number| (format!("alias{number}@x.example"), false, true);
    let mut person = Person::octocat();
    person.emails = (0..150).map(other).collect();
    person.emails.push(("a@x.example".to_owned(), true, true));
    let identity = exchange(&provider, &github.code(&person)).await.expect("a person");
    assert_eq!(identity.email.as_deref(), Some("a@x.example"));
    // There is an end to it.
    person.emails = (0..5_000).map(other).collect();
    let before = github.requests().len();
    let identity = exchange(&provider, &github.code(&person)).await.expect("a person");
    assert_eq!(identity.email, None);
    assert!(github.requests().len() - before <= 12);
}

/// A person is a person without an address, a name or a picture; what cannot be a
/// picture's address is none.
#[tokio::test]
async fn what_github_does_not_say_is_absent() {
    let github = GitHub::start().await;
    let provider = provider(&github, "");
    for avatar in [json!(null), json!("javascript:alert(1)"), json!("http://x.example/a.png")] {
        let person = Person { name: json!(null), avatar, ..Person::octocat() };
        let identity = exchange(&provider, &github.code(&person)).await.expect("a person");
        assert_eq!((identity.name, identity.avatar), (None, None));
    }
    let unnamed = Person { name: json!("  "), ..Person::octocat() };
    let identity = exchange(&provider, &github.code(&unnamed)).await.expect("a person");
    assert_eq!(identity.name, None);
    for status in [403, 404] {
        github.fault("/user/emails", Fault::Status(status));
        let code = github.code(&Person::octocat());
        assert_eq!(exchange(&provider, &code).await.expect("a person").email, None);
    }
}

#[tokio::test]
async fn members_of_any_configured_organisation_or_team_are_let_in_and_nobody_else() {
    let github = GitHub::start().await;
    let provider =
        provider(&github, "organizations = [\"acme\", \"globex\"]\nteams = [\"initech/ops\"]");
    let cases: [(&[(&str, &'static str)], bool); 8] = [
        (&[("acme", "active")], true),
        (&[("globex", "active")], true),
        (&[("initech/ops", "active")], true),
        (&[("acme", "pending"), ("initech/ops", "active")], true),
        (&[], false),
        (&[("acme", "pending"), ("initech/ops", "pending")], false),
        (&[("initech", "active"), ("initech/sales", "active")], false),
        (&[("acme-fans", "active"), ("acme/ops", "active")], false),
    ];
    for (memberships, admitted) in cases {
        let join = |person: Person, &(of, state): &(&str, _)| person.member(of, state);
        let person = memberships.iter().fold(Person::octocat(), join);
        let outcome = exchange(&provider, &github.code(&person)).await;
        match outcome {
            Ok(_) => assert!(admitted, "{memberships:?}"),
            Err(error) => {
                assert_eq!(
                    (error, admitted),
                    (FederationError::NotAllowed, false),
                    "{memberships:?}"
                );
            }
        }
    }
}

/// An organisation that has not approved the application hides who is in it.
#[tokio::test]
async fn a_membership_that_may_not_be_seen_is_none() {
    let github = GitHub::start().await;
    let provider = provider(&github, "organizations = [\"acme\"]");
    let member = Person::octocat().member("acme", "active");
    exchange(&provider, &github.code(&member)).await.expect("a member");
    github.fault("/user/memberships/orgs/acme", Fault::Status(403));
    let outcome = exchange(&provider, &github.code(&member)).await;
    assert_eq!(outcome, Err(FederationError::NotAllowed));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    CodeRefused,
    EmailUnverified,
    Unavailable,
    InvalidResponse,
    Timeout,
}

fn failure(outcome: &Outcome) -> Option<Failure> {
    match outcome {
        Ok(_) | Err(FederationError::NotAllowed) => None,
        Err(FederationError::EmailUnverified) => Some(Failure::EmailUnverified),
        Err(FederationError::CodeRefused) => Some(Failure::CodeRefused),
        Err(FederationError::Unavailable(_)) => Some(Failure::Unavailable),
        Err(FederationError::InvalidResponse(_)) => Some(Failure::InvalidResponse),
        Err(FederationError::Timeout) => Some(Failure::Timeout),
    }
}

const MEMBERSHIP: &str = "/user/memberships/orgs/acme";
const EVERYWHERE: &[&str] = &[TOKEN_PATH, "/user", "/user/emails", MEMBERSHIP];

#[tokio::test]
async fn trouble_at_github_is_told_from_a_bad_code_wherever_it_comes() {
    use Failure::{CodeRefused, EmailUnverified, InvalidResponse, Timeout, Unavailable};
    let token: &[&str] = &[TOKEN_PATH];
    let api = &EVERYWHERE[1..];
    let cases: &[(&[&str], Fault, Failure)] = &[
        (EVERYWHERE, Fault::Status(500), Unavailable),
        (EVERYWHERE, Fault::Status(503), Unavailable),
        (EVERYWHERE, Fault::Status(429), Unavailable),
        (EVERYWHERE, Fault::Status(401), Unavailable),
        (EVERYWHERE, Fault::Status(302), InvalidResponse),
        (EVERYWHERE, Fault::Status(307), InvalidResponse),
        (token, Fault::Status(404), Unavailable),
        (&["/user"], Fault::Status(403), Unavailable),
        (api, Fault::StatusWith(403, "retry-after", "60"), Unavailable),
        (api, Fault::StatusWith(403, "x-ratelimit-remaining", "0"), Unavailable),
        (EVERYWHERE, Fault::Truncated, Unavailable),
        (EVERYWHERE, Fault::Says(""), InvalidResponse),
        (EVERYWHERE, Fault::Says("<html>down for maintenance</html>"), InvalidResponse),
        (EVERYWHERE, Fault::Says("{}"), InvalidResponse),
        (EVERYWHERE, Fault::Says("[{}]"), InvalidResponse),
        (EVERYWHERE, Fault::Says("null"), InvalidResponse),
        (&["/user"], Fault::Says(r#"{"id": -1, "login": "octocat"}"#), InvalidResponse),
        (&["/user"], Fault::Says(r#"{"id": 0, "login": "octocat"}"#), InvalidResponse),
        (&["/user"], Fault::Says(r#"{"id": "583231", "login": "octocat"}"#), InvalidResponse),
        (&["/user"], Fault::Says(r#"{"id": 7, "login": "../../user"}"#), InvalidResponse),
        (token, Fault::Says(r#"{"access_token": "", "token_type": "bearer"}"#), InvalidResponse),
        (
            token,
            Fault::Says(r#"{"access_token": "a\r\nb", "token_type": "bearer"}"#),
            InvalidResponse,
        ),
        (token, Fault::Says(r#"{"access_token": "gho", "token_type": "mac"}"#), InvalidResponse),
        (token, Fault::Says(r#"{"error": "incorrect_client_credentials"}"#), Unavailable),
        (token, Fault::Says(r#"{"error": "<script>"}"#), InvalidResponse),
        (token, Fault::Says(r#"{"error": "bad_verification_code"}"#), CodeRefused),
        (token, Fault::Says(r#"{"error": "unverified_user_email"}"#), EmailUnverified),
        (token, Fault::Padded(64 << 10), InvalidResponse),
        (&["/user"], Fault::Padded(64 << 10), InvalidResponse),
        (&["/user/emails"], Fault::Padded(1 << 20), InvalidResponse),
        (EVERYWHERE, Fault::Silent, Timeout),
    ];
    let github = GitHub::start().await;
    let patient = provider(&github, "organizations = [\"acme\"]");
    let hasty = provider(&github, "organizations = [\"acme\"]\ntimeout = \"500ms\"");
    let member = Person::octocat().member("acme", "active");
    for (paths, fault, expected) in cases {
        let provider = if *expected == Timeout { &hasty } else { &patient };
        for path in *paths {
            let before = github.requests().len();
            github.fault(path, fault.clone());
            let outcome = exchange(provider, &github.code(&member)).await;
            assert_eq!(failure(&outcome), Some(*expected), "{path} {fault:?}: {outcome:?}");
            assert!(github.requests().len() - before <= 4, "{path} {fault:?}");
            let targets =
                github.requests().iter().any(|request| request.target().contains("again"));
            assert!(!targets, "a redirect was followed");
            github.mend();
        }
    }
    exchange(&patient, &github.code(&member)).await.expect("all is well again");
    github.disconnected().await;
}

#[tokio::test]
async fn a_github_that_is_gone_or_not_the_real_one_is_unavailable() {
    let github = GitHub::start().await;
    let untrusted: Vec<String> = github
        .section()
        .lines()
        .filter(|line| !line.starts_with("roots"))
        .map(str::to_owned)
        .collect();
    let provider = provider_with(CLIENT_SECRET, &untrusted.join("\n"));
    let outcome = exchange(&provider, &github.code(&Person::octocat())).await;
    assert_eq!(failure(&outcome), Some(Failure::Unavailable), "{outcome:?}");
    assert!(github.requests().is_empty(), "nothing was said to it");

    let gone = github.section();
    let provider = provider_with(CLIENT_SECRET, &gone);
    drop(github);
    let outcome = exchange(&provider, "code").await;
    assert!(matches!(outcome, Err(FederationError::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_wrong_client_secret_is_our_fault_and_not_the_codes() {
    let github = GitHub::start().await;
    let provider = provider_with("another-secret", &github.section());
    let outcome = exchange(&provider, &github.code(&Person::octocat())).await;
    let expected = FederationError::Unavailable("GitHub says incorrect_client_credentials".into());
    assert_eq!(outcome, Err(expected));
}

#[tokio::test]
async fn what_cannot_be_a_code_is_not_sent_to_github() {
    let github = GitHub::start().await;
    let provider = provider(&github, "");
    for code in ["", "a b", "a\r\nb", "ü", &"a".repeat(257)] {
        assert_eq!(exchange(&provider, code).await, Err(FederationError::CodeRefused), "{code:?}");
    }
    // Its characters cannot become other parameters.
    let code = "x&client_secret=y";
    assert_eq!(exchange(&provider, code).await, Err(FederationError::CodeRefused));
    let requests = github.requests();
    assert_eq!(requests.len(), 1);
    let form = parse_form(std::str::from_utf8(&requests[0].body).expect("a form"));
    assert_eq!(form["code"], code);
}

/// Each answer comes in time, and all of them together do not.
#[tokio::test]
async fn the_deadline_is_over_the_whole_exchange() {
    let github = GitHub::start().await;
    let provider = provider(&github, "timeout = \"1s\"");
    for path in [TOKEN_PATH, "/user", "/user/emails"] {
        github.fault(path, Fault::After(Duration::from_millis(600)));
    }
    let outcome = exchange(&provider, &github.code(&Person::octocat())).await;
    assert_eq!(outcome, Err(FederationError::Timeout));
}

/// Some are served, some wait, and the rest is told at once.
#[tokio::test]
async fn sign_ins_that_wait_for_a_slow_github_are_bounded() {
    const AT_ONCE: usize = 32;
    let github = GitHub::start().await;
    // Longer than the test: none of them ends for its age.
    let provider = provider(&github, "timeout = \"60s\"");
    let permits = Arc::new(Semaphore::new(0));
    github.fault(TOKEN_PATH, Fault::Held(Arc::clone(&permits)));
    let codes: Vec<String> = (0..600).map(|number| format!("code-{number}")).collect();
    let exchanges = join_all(codes.iter().map(|code| exchange(&provider, code)));
    let releasing = async {
        let all = async || (github.open().0 == AT_ONCE).then_some(());
        eventually("as many as may be at GitHub", all).await;
        permits.add_permits(1);
        let next = async || (github.requests().len() == AT_ONCE + 1).then_some(());
        eventually("the next in the place of the first", next).await;
        permits.add_permits(codes.len());
    };
    let (outcomes, ()) = tokio::join!(exchanges, releasing);
    let count = |wanted| outcomes.iter().filter(|o| failure(o) == Some(wanted)).count();
    assert_eq!((count(Failure::CodeRefused), count(Failure::Unavailable)), (512, 88));
    // One ends there before its answer is on the way, so that none is counted twice.
    assert_eq!(github.open(), (0, AT_ONCE), "the most at once");
    assert_eq!(github.requests().len(), 512);
    github.mend();
    exchange(&provider, &github.code(&Person::octocat())).await.expect("there is room again");
}

/// Who waits for a place waits no longer than for an answer.
#[tokio::test]
async fn the_deadline_is_over_the_wait_for_a_place_too() {
    let github = GitHub::start().await;
    let provider = provider(&github, "timeout = \"1s\"");
    github.fault(TOKEN_PATH, Fault::Silent);
    let codes: Vec<String> = (0..40).map(|number| format!("code-{number}")).collect();
    let outcomes = join_all(codes.iter().map(|code| exchange(&provider, code))).await;
    assert!(outcomes.iter().all(|outcome| failure(outcome) == Some(Failure::Timeout)));
}

#[tokio::test]
async fn no_error_repeats_a_secret_or_what_github_said() {
    let github = GitHub::start().await;
    let provider = provider(&github, "");
    let said = r#"{"access_token": 7, "token_type": "gho_secret_of_the_answer"}"#;
    for (path, says) in [
        (TOKEN_PATH, said),
        (TOKEN_PATH, r#"{"error": "gho_secret_of_the_answer!"}"#),
        ("/user", r#"{"id": "gho_secret_of_the_answer"}"#),
        ("/user/emails", r#"["gho_secret_of_the_answer"]"#),
    ] {
        github.fault(path, Fault::Says(says));
        let code = github.code(&Person::octocat());
        let error = exchange(&provider, &code).await.expect_err("nonsense");
        let shown = format!("{error} {error:?}");
        for secret in [CLIENT_SECRET, &code, "gho_secret"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(!github.tokens().iter().any(|token| shown.contains(token)), "{shown}");
        github.mend();
    }
}
