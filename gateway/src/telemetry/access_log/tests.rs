use std::net::IpAddr;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};

use super::{AccessRecord, Agent, Decision};
use crate::auth::time::Timestamp;
use crate::telemetry::log::Style;

const STYLES: [Style; 3] = [Style::Json, Style::Text, Style::Combined];

fn record(target: &str) -> AccessRecord {
    AccessRecord {
        at: Timestamp(1_800_000_000_000),
        request_id: "the-request".into(),
        client: IpAddr::from([192, 0, 2, 7]),
        method: Method::GET,
        target: PathAndQuery::try_from(target).unwrap(),
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
    let line = written(&record("/a\u{9b}31mred"), Style::Text);
    assert!(line.contains("/a\\u{9b}31mred"), "{line:?}");
}

#[test]
fn the_text_style_has_the_same_facts_as_the_json() {
    let line = written(&record("/a/path"), Style::Text);
    assert_eq!(
        line,
        "2027-01-15T08:00:00.000Z 192.0.2.7 h2 GET /a/path 200 user=- scheme=- public reason=ok \
         route=/ upstream=app in=1 out=2 3.0ms id=the-request upstream_ms=2.0 tls=1.3 alpn=h2\n"
    );
}
