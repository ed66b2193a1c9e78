use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{
    Beginner, DecodeError, FLOW_COOKIE, MAX_DESTINATION_BYTES, SavedFlow, destination,
    parse_cookie, remember, returned,
};
use crate::auth::federation::Flow;

fn encoded(destination: &str) -> String {
    URL_SAFE_NO_PAD.encode(destination)
}

/// Paths that every browser takes for this site's.
fn of_this_site() -> Vec<String> {
    let longest = format!("/{}", "a".repeat(MAX_DESTINATION_BYTES - 1));
    let plain = ["/", "/app", "/app?tab=2&x=%5C#top", "/a//b", "/.", "/@example.com", "/a:b"];
    plain.map(str::to_owned).into_iter().chain([longest]).collect()
}

/// What leads elsewhere, or what browsers read otherwise than it is written.
fn of_elsewhere() -> Vec<String> {
    let too_long = format!("/{}", "a".repeat(MAX_DESTINATION_BYTES));
    let others = [
        "",
        "app",
        "https://example.com/",
        "//example.com",
        "///example.com",
        "/\\example.com",
        "\\/example.com",
        "/\t/example.com",
        "/a\nb",
        "/a b",
        "/caf\u{e9}",
        "/a\\b",
        "javascript:alert(1)",
    ];
    others.map(str::to_owned).into_iter().chain([too_long]).collect()
}

#[test]
fn a_browser_is_told_to_go_on_to_paths_of_this_site_only() {
    let asked = |path: &str| {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("other", "x")
            .append_pair("return_to", path)
            .finish();
        destination(Some(&query))
    };
    assert_eq!(destination(None), Ok("/".to_owned()));
    assert_eq!(destination(Some("other=1&other=2")), Ok("/".to_owned()));
    for path in of_this_site() {
        assert_eq!(asked(&path), Ok(path));
    }
    for path in of_elsewhere() {
        assert!(matches!(asked(&path), Err(DecodeError::Malformed(_))), "{path:?}");
    }
    let twice = destination(Some("return_to=%2Fa&return_to=%2Fb"));
    assert!(matches!(twice, Err(DecodeError::Malformed(_))), "{twice:?}");
}

#[test]
fn a_cookie_brings_back_what_was_remembered() {
    let begun = |path| [(Beginner::Contract, path), (Beginner::Console, path)];
    for (by, path) in of_this_site().iter().flat_map(begun) {
        let flow = Flow { state: "state".into(), verifier: "verifier".into() };
        let (_, value) = remember(&SavedFlow { flow, return_to: path.clone(), by });
        let text = value.to_str().expect("it is visible ASCII");
        let value = text.strip_prefix(FLOW_COOKIE).and_then(|rest| rest.strip_prefix('='));
        let value = value.and_then(|rest| rest.split(';').next()).expect("a cookie");
        let kept = parse_cookie(value).expect("it is one of ours");
        assert_eq!((kept.flow.state.expose(), kept.flow.verifier.expose()), ("state", "verifier"));
        assert_eq!((kept.by, &kept.return_to), (by, path));
    }
}

/// A page of a neighbouring host can set cookies too.
#[test]
fn a_cookie_that_was_not_written_here_is_none() {
    let slash = encoded("/");
    assert!(parse_cookie(&format!("state.verifier.{slash}")).is_some());
    for cookie in [
        String::new(),
        "state".to_owned(),
        "state.verifier".to_owned(),
        format!(".verifier.{slash}"),
        format!("state..{slash}"),
        format!("..{slash}"),
        format!("state.verifier.{slash}."),
        format!("state.verifier.{slash}.more"),
        format!("state.verifier.{slash}="),
        "state.verifier./".to_owned(),
        format!("state.verifier.{}", URL_SAFE_NO_PAD.encode(b"/\xff")),
    ] {
        assert!(parse_cookie(&cookie).is_none(), "{cookie}");
    }
    for path in of_elsewhere() {
        assert!(parse_cookie(&format!("state.verifier.{}", encoded(&path))).is_none(), "{path:?}");
    }
}

#[test]
fn a_browser_comes_back_with_a_state_and_with_a_code_or_without() {
    let came = |query: &str| {
        returned(Some(query)).map(|returned| {
            let code = returned.code.map(|code| code.expose().to_owned());
            (code, returned.state.expose().to_owned())
        })
    };
    let (code, state) = (|| Some("c".to_owned()), || "s".to_owned());
    assert_eq!(came("code=c&state=s"), Ok((code(), state())));
    assert_eq!(came("state=s&scope=a&code=c&scope=b"), Ok((code(), state())));
    assert_eq!(came("error=access_denied&state=s"), Ok((None, state())));
    // Who has not agreed has not, whatever else is there.
    assert_eq!(came("code=c&error=access_denied&state=s"), Ok((None, state())));
    for query in [
        "",
        "code=c",
        "error=access_denied",
        "state=s",
        "code=c&state=s&state=s",
        "code=c&code=d&state=s",
        "error=a&error=b&state=s",
    ] {
        assert!(matches!(came(query), Err(DecodeError::Malformed(_))), "{query}");
    }
    assert!(returned(None).is_err());
}
