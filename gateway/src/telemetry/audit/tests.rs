use super::*;

#[test]
fn the_text_style_escapes_what_a_terminal_would_obey() {
    let record = AuditRecord {
        at: Timestamp(1_800_000_000_000),
        event: Event::KeyRevoke,
        outcome: Outcome::Success,
        reason: "ok",
        account: None,
        actor: Actor::Operator { uid: Some(7) },
        detail: Some("key \u{1b}[31m\nforged".to_owned()),
    };
    for style in [Style::Text(Colors::Off), Style::Combined] {
        let mut out = Vec::new();
        record.write(style, &mut out);
        let line = String::from_utf8(out).unwrap();
        let members: Vec<&str> = line.trim_end_matches('\n').split_whitespace().collect();
        assert_eq!(members[..3], ["2027-01-15T08:00:00.000Z", "info", "audit"], "{line}");
        assert_eq!(members[3..6], ["key_revoke", "by=operator", "uid=7"], "{line}");
        assert!(line.contains(r#"detail="key \u{1b}[31m\nforged""#), "{line}");
        assert_eq!(line.chars().filter(|letter| letter.is_control()).count(), 1, "{line:?}");
    }
}

#[test]
fn a_line_of_text_is_no_longer_than_one_of_a_request() {
    let refused = AuditRecord {
        at: Timestamp(1_800_000_000_000),
        event: Event::UserRoles,
        outcome: Outcome::Refused,
        reason: "last_administrator",
        account: None,
        actor: Actor::Client {
            address: "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap(),
            request_id: "01a22b2b-c586-75c0-ad4f-80de90fe7543".into(),
            credential: Some("bearer"),
            session: Some(uuid::Uuid::nil()),
            acting: None,
        },
        detail: Some(format!("roles +{}", ["operators"; 40].join(","))),
    };
    let mut out = Vec::new();
    refused.write(Style::Text(Colors::Off), &mut out);
    let line = String::from_utf8(out).unwrap();
    let beginning = "2027-01-15T08:00:00.000Z warn  audit user_roles refused last_administrator ";
    assert!(line.starts_with(beginning), "{line}");
    assert!(line.ends_with(" id=01a22b2b-c586-75c0-ad4f-80de90fe7543\n"), "{line}");
    assert!(line.chars().count() <= 160, "{}: {line}", line.chars().count());
}
