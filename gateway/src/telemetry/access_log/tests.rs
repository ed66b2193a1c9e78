use std::net::IpAddr;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};

use proptest::prelude::*;

use super::{AccessRecord, Agent, Asked, AskedHost, Decision, shorten, without_credentials};
use crate::auth::time::Timestamp;
use crate::pipeline::reason::explanations::EXPLANATIONS;
use crate::telemetry::log::{Colors, Style};

const STYLES: [Style; 3] = [Style::Json, Style::Text(Colors::Off), Style::Combined];

fn record(target: &str) -> AccessRecord {
    AccessRecord {
        at: Timestamp(1_800_000_000_000),
        request_id: "the-request".into(),
        client: IpAddr::from([192, 0, 2, 7]),
        method: Method::GET,
        target: PathAndQuery::try_from(target).unwrap(),
        asked: Box::new(Asked {
            listener: Some("127.0.0.1:8443".into()),
            host: AskedHost::of(None, Some(&HeaderValue::from_static("app.example"))),
            ..Asked::default()
        }),
        principal: None,
        decision: Decision::Public,
        reason: "ok",
        detail: None,
        route: Some("/".into()),
        upstream: Some("app".into()),
        status: StatusCode::OK,
        bytes_in: 1,
        bytes_out: 2,
        duration_us: 3_000,
        upstream_us: Some(2_000),
        protocol: "h2",
        tls: Some("1.3"),
        alpn: Some("h2"),
        trace: None,
        agent: None,
    }
}

fn written(record: &AccessRecord, style: Style) -> String {
    let mut out = Vec::new();
    record.write(style, &mut out);
    String::from_utf8(out).unwrap()
}

/// `host` of a line of JSON.
fn host_of(record: &AccessRecord) -> String {
    let line: serde_json::Value = serde_json::from_str(&written(record, Style::Json)).unwrap();
    line["host"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_line_says_which_host_was_asked_for_without_a_password_in_front() {
    let field = HeaderValue::from_static("other.example");
    for (target, host) in [
        (Some("app.example:8443"), "app.example:8443"),
        (Some("user:planted@app.example"), "app.example"),
        (None, "other.example"),
    ] {
        let target = target.map(|target| target.parse().unwrap());
        let mut record = record("/");
        record.asked.host = AskedHost::of(target.as_ref(), Some(&field));
        assert_eq!(host_of(&record), host);
    }
    let mut record = record("/");
    record.asked.host = AskedHost::of(None, HeaderValue::from_bytes(&[b'h'; 8192]).ok().as_ref());
    assert!(host_of(&record).len() < 300, "a line is no longer for a long host");
    record.asked.host = AskedHost::of(None, HeaderValue::from_bytes(b"h\xff").ok().as_ref());
    assert_eq!(host_of(&record), "h\u{fffd}");
    record.asked.host = AskedHost::of(None, HeaderValue::from_bytes(b"h\xc2\x9b2J").ok().as_ref());
    assert_eq!(host_of(&record), "h\\u{9b}2J", "no terminal takes it for a command");
}

#[test]
fn a_line_says_what_a_request_would_switch_to_and_what_came_as_its_credential() {
    let mut record = record("/");
    record.asked.upgrade = Some(HeaderValue::from_static("websocket"));
    record.asked.presented = Some("bearer");
    let line: serde_json::Value = serde_json::from_str(&written(&record, Style::Json)).unwrap();
    assert_eq!(line["upgrade"], "websocket");
    assert_eq!(line["presented"], "bearer");
    assert_eq!(line["listener"], "127.0.0.1:8443");
    assert_eq!(line.get("scheme"), None, "nobody is known");
}

#[test]
fn no_style_writes_the_query() {
    for style in STYLES {
        let line = written(&record("/a/path?token=planted&x=1"), style);
        assert!(line.contains("/a/path"), "{style:?}: {line}");
        assert!(!line.contains('?') && !line.contains("planted"), "{style:?}: {line}");
    }
}

/// U+009B begins a terminal's control sequence as ESC and a bracket do.
#[test]
fn no_style_writes_a_control_character_of_the_request() {
    let agent = |text: &[u8]| HeaderValue::from_bytes(text).ok();
    for style in STYLES {
        let mut record = record("/a\u{9b}31mred");
        record.detail = Some("said \u{1b}[31m\nand more".to_owned());
        record.agent = Some(Box::new(Agent {
            referer: agent(b"https://localhost/\t"),
            user_agent: agent("an agent\u{9b}31m".as_bytes()),
        }));
        let line = written(&record, style);
        let (line, end) = line.split_at(line.len() - 1);
        assert_eq!(end, "\n");
        let raw: Vec<char> = line.chars().filter(|letter| letter.is_control()).collect();
        // JSON may hold what is no control character to it; no terminal reads it there.
        let allowed: &[char] = if style == Style::Json { &['\u{9b}'] } else { &[] };
        assert!(raw.iter().all(|letter| allowed.contains(letter)), "{style:?}: {line:?}");
        assert!(line.contains("red"), "{style:?}: {line:?}");
    }
    let line = written(&record("/a\u{9b}31mred"), Style::Text(Colors::Off));
    assert!(line.contains("/a\\u{9b}31mred"), "{line:?}");
}

#[test]
fn a_line_of_text_says_when_how_bad_what_who_and_why() {
    let line = written(&record("/a/path"), Style::Text(Colors::Off));
    assert_eq!(
        line,
        "2027-01-15T08:00:00.003Z info  GET     200 /a/path - - 3.0ms 192.0.2.7 id=the-request\n"
    );
    let refused = AccessRecord {
        decision: Decision::Refused,
        reason: "role_missing",
        status: StatusCode::FORBIDDEN,
        ..record("/b")
    };
    let line = written(&refused, Style::Text(Colors::Off));
    assert!(line.contains(" warn  GET     403 /b - role_missing "), "{line}");
    let failed = AccessRecord { status: StatusCode::BAD_GATEWAY, ..refused };
    assert!(written(&failed, Style::Text(Colors::Off)).contains(" error GET     502 "));
}

#[test]
fn colours_are_added_around_words_and_change_none_of_them() {
    let record = record("/a/path");
    let (plain, coloured) =
        (written(&record, Style::Text(Colors::Off)), written(&record, Style::Text(Colors::On)));
    assert!(coloured.contains("\u{1b}[32m200\u{1b}[0m"), "{coloured:?}");
    let mut without = String::new();
    for part in coloured.split('\u{1b}') {
        without.push_str(
            part.strip_prefix('[').and_then(|it| it.split_once('m')).map_or(part, |it| it.1),
        );
    }
    assert_eq!(without, plain);
}

proptest! {
    /// So that who follows the log on a terminal reads one line for each request.
    #[test]
    fn a_line_of_text_is_under_160_columns_whatever_is_asked(
        path in "/[!-~]{0,300}|/[\\u{80}-\\u{9f}]{0,80}",
        method in "[A-Z]{1,30}",
        client in any::<IpAddr>(),
        duration_us in 0..10_000_000_000u64,
        reason in prop::sample::select(EXPLANATIONS).prop_map(|known| known.code),
    ) {
        let Ok(target) = PathAndQuery::try_from(path.as_str()) else { return Ok(()) };
        let record = AccessRecord {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            request_id: "0".repeat(36).into(),
            client,
            duration_us,
            reason,
            target,
            ..record("/")
        };
        let line = written(&record, Style::Text(Colors::Off));
        let columns = line.trim_end_matches('\n').chars().count();
        prop_assert!(columns < 160, "{columns}: {line}");
        prop_assert!(line.ends_with(&format!("id={}\n", "0".repeat(36))), "{line}");
    }
}

#[test]
fn a_long_text_keeps_its_beginning_and_its_end() {
    for (text, columns, short) in [
        ("/short", 6, "/short"),
        ("/a/long/path.txt", 9, "/a/l….txt"),
        ("/a/long/path.txt", 8, "/a/l…txt"),
        ("äöüäöü", 3, "ä…ü"),
        ("abc", 1, "…"),
    ] {
        assert_eq!(shorten(text, columns), short, "{text} {columns}");
    }
}

#[test]
fn a_credential_that_stands_in_a_path_is_not_logged() {
    let key = "sk_live_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG0a1b2c";
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";
    for (path, logged) in [
        (format!("/{key}"), "/sk_live_…"),
        (format!("/v1/{key}/things"), "/v1/sk_live_…/things"),
        (format!("/ws/token={key}"), "/ws/token=sk_live_…"),
        (format!("/ws/{token}/x"), "/ws/eyJ…/x"),
        (format!("/ws/token={token}"), "/ws/token=eyJ…"),
        (format!("/x;jwt={token}"), "/x;jwt=eyJ…"),
        (format!("/bearer%20{token}"), "/bearer%20eyJ…"),
        (format!("/a/{}", key.replace('_', "%5F")), "/a/sk_live_…"),
        ("/a%5Fpath/that/is/long/enough".to_owned(), "/a%5Fpath/that/is/long/enough"),
        (
            "/a/path/that/is/long/enough/to/be/one".to_owned(),
            "/a/path/that/is/long/enough/to/be/one",
        ),
        ("/eyJust-a-name/that-is-no-token".to_owned(), "/eyJust-a-name/that-is-no-token"),
        ("/".to_owned(), "/"),
    ] {
        assert_eq!(without_credentials(&path), logged);
    }
}
