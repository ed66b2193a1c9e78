use super::*;
use crate::auth::account::{AccountId, Username};

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
    let named = |name: &str| {
        let name = Username::parse(name).unwrap();
        Arc::new(Account::new(AccountId(uuid::Uuid::nil()), name, Timestamp(0)))
    };
    for (user, admin) in [("ann", "admin"), (&*"u".repeat(45), &*"a".repeat(200))] {
        for detail in ["roles +ops", &format!("roles +{}", ["operators"; 40].join(" \"x\","))] {
            let refused = AuditRecord {
                at: Timestamp(1_800_000_000_000),
                event: Event::SessionSuperseded,
                outcome: Outcome::Refused,
                reason: "registrations_over_limit",
                account: Some(named(user)),
                actor: Actor::Client {
                    address: "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap(),
                    request_id: "01a22b2b-c586-75c0-ad4f-80de90fe7543".into(),
                    credential: Some("refresh-token"),
                    session: Some(uuid::Uuid::nil()),
                    acting: Some(named(admin)),
                },
                detail: Some(detail.to_owned()),
            };
            let mut out = Vec::new();
            refused.write(Style::Text(Colors::Off), &mut out);
            let line = String::from_utf8(out).unwrap();
            assert!(
                line.contains(" session_superseded refused registrations_over_limit user="),
                "{line}"
            );
            assert!(line.ends_with(" id=01a22b2b-c586-75c0-ad4f-80de90fe7543\n"), "{line}");
            assert!(line.chars().count() <= 160, "{}: {line}", line.chars().count());
        }
    }
}

#[test]
fn a_value_ends_where_it_ends() {
    for (value, written) in [
        ("ann", "ann"),
        ("for 300 s", r#""for 300 s""#),
        (r#"a" by=x"#, r#""a\" by=x""#),
        (r"a\", r#""a\\""#),
        ("a\n\" by=x", r#""a\n\" by=x""#),
    ] {
        assert_eq!(quoted(value), written);
    }
}
