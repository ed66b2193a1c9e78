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
        for member in ["event=key_revoke", "outcome=success", "reason=ok", "by=operator", "uid=7"] {
            assert!(members.contains(&member), "{line}");
        }
        assert!(line.contains(r"detail=key \u{1b}[31m\nforged"), "{line}");
        assert_eq!(line.chars().filter(|letter| letter.is_control()).count(), 1, "{line:?}");
    }
}
