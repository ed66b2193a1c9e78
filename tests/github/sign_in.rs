//! `POST /auth/github`: whose account a code opens, and what is said when it opens
//! none (S2-18).

use serde_json::{Value, json};

use super::{PATH, data, gateway, refused, sign_in, start, users};
use crate::support::client::{Client, typed_request};
use crate::support::gateway::{ADMIN, ADMIN_PASSWORD, ECHO, Gateway};
use crate::support::github::{CLIENT_SECRET, Fault, GitHub, Person, TOKEN_PATH};

const MALLORY: u64 = 666;

#[tokio::test]
async fn a_code_signs_a_new_person_in_and_the_token_works() {
    let (github, gateway) = start().await;
    let answer = sign_in(&gateway, &github.code(&Person::octocat())).await.expect(200);
    let data = data(&answer);
    let user = &data["user"];
    let expected = json!({
        "id": user["id"], "email": "octocat@github.example", "firstName": "Mona",
        "lastName": "Lisa Octocat", "role": "user",
        "avatarUrl": "https://avatars.githubusercontent.com/u/583231",
    });
    assert_eq!(*user, expected);
    assert!(user["id"].as_str().is_some_and(|id| id.starts_with("usr_")), "{user}");
    let token = data["token"].as_str().expect("a token");
    assert!(token.starts_with("eyJhbGciOiJIUzI1NiIs"), "{token}");
    assert_eq!(data.as_object().map(serde_json::Map::len), Some(2), "{data}");
    let me = Client::bearer(&gateway, token).get("/api/auth/me").await.expect(200).json();
    assert_eq!(me["data"]["emailVerified"], true, "{me}");
    let echoed = Client::bearer(&gateway, token).get("/anything").await.expect(200).json();
    assert_eq!(echoed["headers"]["x-portcullis-email"][0], "octocat@github.example", "{echoed}");
}

/// Addresses, logins and names come and go; the number stays.
#[tokio::test]
async fn a_known_number_signs_in_whatever_the_address_is_now() {
    let (github, gateway) = start().await;
    let id = |answer| data(&answer)["user"]["id"].clone();
    let first = id(sign_in(&gateway, &github.code(&Person::octocat())).await);
    for emails in [
        &[("elsewhere@github.example", true, true)][..],
        &[("octocat@github.example", true, false)],
        &[],
    ] {
        let moved = Person::new(583_231, "mona", "").emails(emails);
        assert_eq!(id(sign_in(&gateway, &github.code(&moved)).await), first, "{emails:?}");
    }
    // The address belongs to the account, whoever at GitHub has it now.
    let heir = Person::new(MALLORY, "mallory", "octocat@github.example");
    refused(&sign_in(&gateway, &github.code(&heir)).await, 409, "EMAIL_ALREADY_EXISTS");
    assert_eq!(users(&gateway).await, [ADMIN, "octocat@github.example"]);
}

/// The operator has vouched for the address: nothing is taken from the account.
#[tokio::test]
async fn a_verified_address_links_the_account_an_operator_made_for_it() {
    let (github, gateway) = start().await;
    let add = ["user", "add", "mona", "--email", "octocat@github.example", "--role", "ops"];
    gateway.manage(&add, Some("mona's own password\n")).await;
    let answer = sign_in(&gateway, &github.code(&Person::octocat())).await.expect(200);
    assert_eq!(data(&answer)["user"]["role"], "ops");
    assert_eq!(users(&gateway).await, [ADMIN, "mona"]);
    Client::basic(&gateway, "mona", "mona's own password").get("/").await.expect(200);
}

/// Somebody may have registered with an address that is not theirs and waited for its
/// owner. The owner gets the account, and whoever waited is out.
#[tokio::test]
async fn a_verified_address_takes_over_an_account_nobody_has_vouched_for() {
    let (github, gateway) = start().await;
    let registration = json!({
        "email": "Octocat@GitHub.example", "firstName": "Not", "lastName": "Mona",
        "password": "mallory waits!",
    });
    let mallory = Client::anonymous(&gateway);
    let registered = mallory.post_json("/api/auth/register", &registration).await.expect(201);
    let before = data(&registered);
    let waiting = Client::bearer(&gateway, before["token"].as_str().expect("a token"));
    waiting.get("/").await.expect(200);

    let answer = sign_in(&gateway, &github.code(&Person::octocat())).await.expect(200);
    assert_eq!(data(&answer)["user"]["id"], before["user"]["id"], "one account");
    waiting.get("/").await.expect(401);
    Client::basic(&gateway, "octocat@github.example", "mallory waits!").get("/").await.expect(401);
    let owner = Client::bearer(&gateway, data(&answer)["token"].as_str().expect("a token"));
    owner.get("/").await.expect(200);
}

/// Only the primary address, and only verified: anything else proves nothing.
#[tokio::test]
async fn an_address_that_github_has_not_verified_opens_no_account_and_makes_none() {
    let (github, gateway) = start().await;
    gateway
        .manage(
            &["user", "add", "mona", "--email", "octocat@github.example"],
            Some("mona's own password\n"),
        )
        .await;
    let mallory = Person::new(MALLORY, "mallory", "");
    for emails in [
        &[("octocat@github.example", true, false)][..],
        &[("octocat@github.example", true, false), ("mallory@x.example", false, true)],
        &[],
    ] {
        let code = github.code(&mallory.clone().emails(emails));
        refused(&sign_in(&gateway, &code).await, 403, "GITHUB_EMAIL_UNVERIFIED");
    }
    let secondary = [("mallory@x.example", true, true), ("octocat@github.example", false, true)];
    let answer = sign_in(&gateway, &github.code(&mallory.clone().emails(&secondary))).await;
    assert_eq!(data(&answer)["user"]["email"], "mallory@x.example");
    let no_address = Person::new(667, "trudy", "not an address");
    refused(&sign_in(&gateway, &github.code(&no_address)).await, 403, "GITHUB_EMAIL_UNVERIFIED");
    assert_eq!(users(&gateway).await, [ADMIN, "mona", "mallory@x.example"]);
}

#[tokio::test]
async fn a_disabled_account_is_not_opened_by_its_number_nor_by_its_address() {
    let (github, gateway) = start().await;
    gateway
        .manage(
            &["user", "add", "mona", "--email", "octocat@github.example"],
            Some("mona's own password\n"),
        )
        .await;
    gateway.manage(&["user", "disable", "mona"], None).await;
    let code = github.code(&Person::octocat());
    refused(&sign_in(&gateway, &code).await, 401, "INVALID_CREDENTIALS");
    gateway.manage(&["user", "enable", "mona"], None).await;
    sign_in(&gateway, &github.code(&Person::octocat())).await.expect(200);
    gateway.manage(&["user", "disable", "mona"], None).await;
    let code = github.code(&Person::octocat());
    refused(&sign_in(&gateway, &code).await, 401, "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn while_registration_is_closed_only_known_people_and_members_come_in() {
    let github = GitHub::start().await;
    let member = Person::octocat().member("acme", "active");
    let closed = gateway(&github, "", "[auth]\nregistration = \"closed\"\n").await;
    refused(&sign_in(&closed, &github.code(&member)).await, 403, "LOCAL_AUTH_DISABLED");
    assert_eq!(users(&closed).await, [ADMIN]);
    closed
        .manage(
            &["user", "add", "mona", "--email", "octocat@github.example"],
            Some("mona's own password\n"),
        )
        .await;
    sign_in(&closed, &github.code(&member)).await.expect(200);

    // Closed in an incident, it is closed for members as well.
    let organizations = "organizations = [\"acme\"]\n";
    let incident = gateway(&github, organizations, "[auth]\nregistration = \"open\"\n").await;
    incident.manage(&["registration", "close"], None).await;
    refused(&sign_in(&incident, &github.code(&member)).await, 403, "LOCAL_AUTH_DISABLED");
    incident.manage(&["registration", "open"], None).await;
    sign_in(&incident, &github.code(&member)).await.expect(200);

    let members = gateway(&github, organizations, "[auth]\nregistration = \"closed\"\n").await;
    let stranger = Person::new(MALLORY, "mallory", "mallory@x.example");
    refused(&sign_in(&members, &github.code(&stranger)).await, 403, "GITHUB_NOT_ALLOWED");
    sign_in(&members, &github.code(&member)).await.expect(200);
    assert_eq!(users(&members).await, [ADMIN, "octocat@github.example"]);
}

/// Who has left the organisation does not come in, known or not.
#[tokio::test]
async fn membership_is_asked_for_at_every_sign_in() {
    let github = GitHub::start().await;
    let gateway = gateway(&github, "teams = [\"acme/ops\"]\n", "").await;
    let member = Person::octocat().member("acme/ops", "active");
    sign_in(&gateway, &github.code(&member)).await.expect(200);
    let code = github.code(&Person::octocat());
    refused(&sign_in(&gateway, &code).await, 403, "GITHUB_NOT_ALLOWED");
}

#[tokio::test]
async fn an_account_of_githubs_has_no_password_and_needs_none() {
    let github = GitHub::start().await;
    let gateway =
        gateway(&github, "", "[auth]\nregistration = \"open\"\nlocal_accounts = false\n").await;
    let answer = sign_in(&gateway, &github.code(&Person::octocat())).await.expect(200);
    let token = data(&answer)["token"].as_str().expect("a token").to_owned();
    Client::bearer(&gateway, &token).get("/").await.expect(200);
    let (_, open) = start().await;
    for password in ["", "octocat", "583231"] {
        Client::basic(&open, "octocat@github.example", password).get("/").await.expect(401);
    }
}

#[tokio::test]
async fn many_first_sign_ins_at_once_make_one_account() {
    let (github, gateway) = start().await;
    let person = Person::octocat();
    let attempts = (0..8).map(|_| {
        let code = github.code(&person);
        let client = Client::anonymous(&gateway);
        tokio::spawn(async move { client.post_json(PATH, &json!({ "code": code })).await })
    });
    let mut ids = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        let answer = attempt.await.expect("an attempt ends").expect(200);
        ids.push(data(&answer)["user"]["id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(users(&gateway).await, [ADMIN, "octocat@github.example"]);
}

#[tokio::test]
async fn what_goes_wrong_at_github_is_told_apart() {
    let github = GitHub::start().await;
    let patient = gateway(&github, "", "").await;
    let hasty = gateway(&github, "timeout = \"500ms\"\n", "").await;
    let cases: &[(&str, Fault, u16, &str)] = &[
        (TOKEN_PATH, Fault::Status(503), 502, "GITHUB_UNAVAILABLE"),
        (TOKEN_PATH, Fault::Status(302), 502, "GITHUB_UNAVAILABLE"),
        (TOKEN_PATH, Fault::Says("no JSON"), 502, "GITHUB_UNAVAILABLE"),
        (TOKEN_PATH, Fault::Truncated, 502, "GITHUB_UNAVAILABLE"),
        (TOKEN_PATH, Fault::Silent, 504, "GITHUB_TIMEOUT"),
        ("/user", Fault::Status(429), 502, "GITHUB_UNAVAILABLE"),
        ("/user/emails", Fault::Silent, 504, "GITHUB_TIMEOUT"),
        (
            TOKEN_PATH,
            Fault::Says(r#"{"error": "unverified_user_email"}"#),
            403,
            "GITHUB_EMAIL_UNVERIFIED",
        ),
    ];
    for (path, fault, status, code) in cases {
        github.fault(path, fault.clone());
        let gateway = if *status == 504 { &hasty } else { &patient };
        let answer = sign_in(gateway, &github.code(&Person::octocat())).await;
        refused(&answer, *status, code);
        assert_eq!(users(gateway).await, [ADMIN], "nobody came in");
        github.mend();
    }
    refused(&sign_in(&patient, "made-up").await, 401, "GITHUB_CODE_REFUSED");
    sign_in(&patient, &github.code(&Person::octocat())).await.expect(200);
}

#[tokio::test]
async fn without_github_there_is_nothing_to_sign_in_with() {
    let gateway = Gateway::start(ECHO).await;
    refused(&sign_in(&gateway, "code").await, 404, "GITHUB_DISABLED");
}

#[tokio::test]
async fn a_body_that_holds_no_code_is_refused_before_github_is_asked() {
    let (github, gateway) = start().await;
    let client = Client::anonymous(&gateway);
    for (body, status, code) in [
        ("", 400, "BAD_REQUEST"),
        ("{}", 400, "BAD_REQUEST"),
        ("[\"code\"]", 400, "BAD_REQUEST"),
        (r#"{"code": 7}"#, 400, "BAD_REQUEST"),
        (r#"{"code": null}"#, 400, "BAD_REQUEST"),
        (r#"{"code": "a", "code": "b"}"#, 400, "BAD_REQUEST"),
    ] {
        let answer = client.request(typed_request(PATH, "application/json", body)).await;
        refused(&answer, status, code);
    }
    let form =
        client.request(typed_request(PATH, "application/x-www-form-urlencoded", "code=a")).await;
    refused(&form, 415, "UNSUPPORTED_MEDIA_TYPE");
    assert!(github.requests().is_empty());
}

/// Guessed codes would turn GitHub against the application; its outages are nobody's
/// failed attempts.
#[tokio::test]
async fn bad_codes_count_as_failed_attempts_and_outages_do_not() {
    let (github, gateway) = start().await;
    let client = Client::anonymous(&gateway);
    let attempt = async |code: &str| client.post_json(PATH, &json!({ "code": code })).await;
    github.fault(TOKEN_PATH, Fault::Status(503));
    for _ in 0..6 {
        refused(&attempt("code").await, 502, "GITHUB_UNAVAILABLE");
    }
    github.mend();
    for _ in 0..5 {
        refused(&attempt("made-up").await, 401, "GITHUB_CODE_REFUSED");
    }
    let asked = github.requests().len();
    refused(&attempt(&github.code(&Person::octocat())).await, 429, "TOO_MANY_ATTEMPTS");
    client.login(ADMIN, ADMIN_PASSWORD).await.expect(429);
    assert_eq!(github.requests().len(), asked, "GitHub is not asked for a blocked address");
}

#[tokio::test]
async fn a_sign_in_is_audited_and_no_log_holds_its_secrets() {
    let (github, gateway) = start().await;
    let good = github.code(&Person::octocat());
    sign_in(&gateway, &good).await.expect(200);
    sign_in(&gateway, "code-made-up-by-somebody").await.expect(401);
    let audited = |outcome: &'static str| {
        move |line: &Value| {
            line["type"] == "audit"
                && line["event"] == "login"
                && line["credential"] == "github"
                && line["outcome"] == outcome
        }
    };
    let success = gateway.wait_for_log(audited("success")).await;
    assert_eq!(success["user"], "octocat@github.example", "{success}");
    let failure = gateway.wait_for_log(audited("refused")).await;
    assert_eq!(failure["reason"], "github_code_refused", "{failure}");
    let log = format!("{:?}{}", gateway.log_lines(), gateway.stderr());
    let tokens = github.tokens();
    let secrets = [good.as_str(), "code-made-up", CLIENT_SECRET];
    for secret in secrets.into_iter().chain(tokens.iter().map(String::as_str)) {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_number_at_github_is_no_name_to_sign_in_or_be_administered_by() {
    let (github, gateway) = start().await;
    sign_in(&gateway, &github.code(&Person::octocat())).await.expect(200);
    let shown = gateway.manage(&["user", "show", "octocat@github.example"], None).await;
    assert!(shown.contains("octocat@github.example"), "{shown}");
    // With a password of its own, so that the name alone decides.
    let passwd = ["user", "passwd", "octocat@github.example"];
    gateway.manage(&passwd, Some("a password of its own\n")).await;
    let client = Client::basic(&gateway, "octocat@github.example", "a password of its own");
    client.get("/").await.expect(200);
    let number = "github/583231";
    for name in [number, "GitHub/583231"] {
        let client = Client::basic(&gateway, name, "a password of its own");
        client.from_address("192.0.2.1").get("/").await.expect(401);
        let body = json!({ "username": name, "password": "a password of its own" });
        let client = Client::anonymous(&gateway).from_address("192.0.2.2");
        client.post_json("/api/auth/login", &body).await.expect(401);
        let refused = gateway.cli(&["user", "show", name], None).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let refused = gateway.cli(&["key", "create", "--owner", name], None).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    }
}
