//! What a 401 asks for: by the route, and by what its client makes of a challenge.

use crate::support::client::{BASIC_CHALLENGE, BEARER_CHALLENGE, Client, Protocol, sign_in_admin};
use crate::support::gateway::{ECHO, Gateway};
use crate::support::websocket::open_socket;

const MODE: &str = "sec-fetch-mode";
const TOKEN_SERVER: &str = r#"Bearer realm="https://auth.example/token",service="registry""#;

#[tokio::test]
async fn a_refusal_asks_for_what_its_client_can_bear() {
    let gateway = Gateway::start(ECHO).await;
    let both: &[&str] = &[BASIC_CHALLENGE, BEARER_CHALLENGE];
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let client = || Client::anonymous(&gateway).protocol(protocol);
        for path in ["/", "/api/things", "/v20/things", "/api/auth/me"] {
            client().get(path).await.expect(401).assert_challenges(both);
        }
        // A registry's client takes a Bearer challenge for its token server's address.
        for path in ["/v2/", "/v2/team/app/manifests/latest"] {
            client().get(path).await.expect(401).assert_challenges(&[BASIC_CHALLENGE]);
        }
        for mode in ["cors", "no-cors", "same-origin"] {
            for path in ["/", "/v2/", "/api/auth/me"] {
                let of_page = client().with(MODE, mode).get(path).await.expect(401);
                of_page.assert_challenges(&[BEARER_CHALLENGE]);
            }
        }
        // Of the contracts' own paths none has a page.
        let navigation = client().with(MODE, "navigate").get("/api/auth/me").await.expect(401);
        navigation.assert_challenges(&[BASIC_CHALLENGE]);
        for path in ["/", "/v2/"] {
            let navigation = client().with(MODE, "navigate").get(path).await.expect(303);
            navigation.assert_challenges(&[]);
        }
    }
    let of_page = Client::anonymous(&gateway).with(MODE, "websocket");
    open_socket(&of_page, "/").await.expect(401).assert_challenges(&[BEARER_CHALLENGE]);
}

#[tokio::test]
async fn a_navigation_is_asked_for_a_password_where_no_page_signs_in() {
    let gateway = Gateway::start(&format!("console.enabled = false\n{ECHO}")).await;
    for path in ["/", "/v2/", "/api/auth/me"] {
        let client = Client::anonymous(&gateway).with(MODE, "navigate");
        client.get(path).await.expect(401).assert_challenges(&[BASIC_CHALLENGE]);
    }
}

#[tokio::test]
async fn a_refused_token_is_named_to_whoever_is_offered_bearer() {
    let gateway = Gateway::start(ECHO).await;
    let token = sign_in_admin(&gateway).await.access;
    let client = || Client::bearer(&gateway, &format!("{token}x"));
    client().get("/").await.expect(401).assert_token_challenge();
    let of_page = client().with(MODE, "cors").get("/").await.expect(401);
    let lines = of_page.fields("www-authenticate");
    let refused = format!("{BEARER_CHALLENGE}, error=\"invalid_token\"");
    assert!(lines.len() == 1 && lines[0].starts_with(&refused), "{of_page:?}");
    let navigation = client().with(MODE, "navigate").get("/").await.expect(401);
    assert_eq!(navigation.fields("www-authenticate"), lines);
}

#[tokio::test]
async fn a_route_offers_what_it_names_and_nothing_that_it_does_not_take() {
    let route = |path: &str, keys: &str| {
        format!("[[route]]\npath = \"{path}\"\nupstream = \"echo\"\n{keys}\n")
    };
    let routes = [
        route("/tokens-first", "challenge = [\"bearer\", \"basic\"]"),
        route("/tokens", "challenge = [\"bearer\"]"),
        route("/v2/", &format!("challenge = ['{TOKEN_SERVER}']")),
        route("/named", "challenge = ['Basic realm=\"the archive\"']"),
        route("/passwords", "schemes = [\"cookie\", \"basic\"]"),
        route("/cookies", "schemes = [\"cookie\"]"),
        route("/keys", "schemes = [\"key\"]"),
    ]
    .concat();
    let gateway = Gateway::start(&routes).await;
    let named = r#"Basic realm="the archive""#;
    let tokens_first: &[&str] = &[BEARER_CHALLENGE, BASIC_CHALLENGE];
    for (path, program, navigation, page) in [
        ("/tokens-first", tokens_first, tokens_first, BEARER_CHALLENGE),
        ("/tokens", &[BEARER_CHALLENGE], &[], BEARER_CHALLENGE),
        ("/v2/app", &[TOKEN_SERVER], &[], TOKEN_SERVER),
        ("/named", &[named], &[named], BEARER_CHALLENGE),
        ("/passwords", &[BASIC_CHALLENGE], &[], BEARER_CHALLENGE),
        ("/cookies", &[BEARER_CHALLENGE], &[], BEARER_CHALLENGE),
        // A password that is asked for here would go to the application.
        ("/keys", &[BEARER_CHALLENGE], &[BEARER_CHALLENGE], BEARER_CHALLENGE),
    ] {
        let client = || Client::anonymous(&gateway);
        client().get(path).await.expect(401).assert_challenges(program);
        let navigated = client().with(MODE, "navigate").get(path).await;
        let status = if navigation.is_empty() { 303 } else { 401 };
        navigated.expect(status).assert_challenges(navigation);
        client().with(MODE, "cors").get(path).await.expect(401).assert_challenges(&[page]);
    }
}
