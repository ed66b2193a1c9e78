use proptest::prelude::*;

use super::*;

const SAFARI_ON_A_PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) \
     AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";

fn read(value: &[u8]) -> Option<String> {
    UserAgent::read(value).map(|read| read.as_str().to_owned())
}

#[test]
fn what_can_be_seen_is_kept_as_it_is() {
    let curl: &[u8] = b"curl/7.88.1";
    let rows: [(&str, &[u8], Option<&str>); 8] = [
        ("a program", curl, Some("curl/7.88.1")),
        ("a browser, whole", SAFARI_ON_A_PHONE.as_bytes(), Some(SAFARI_ON_A_PHONE)),
        ("other letters", "Bücher/1 \u{1f980}".as_bytes(), Some("Bücher/1 \u{1f980}")),
        ("space around it", b"\t curl/8 ", Some("curl/8")),
        ("nothing", b"", None),
        ("space alone", b" \t ", None),
        ("a terminal's command", b"curl\x1b[2J", Some("curl\u{fffd}[2J")),
        ("text that turns around", "a\u{202e}b".as_bytes(), Some("a\u{fffd}b")),
    ];
    for (name, value, expected) in rows {
        assert_eq!(read(value).as_deref(), expected, "{name}");
    }
}

#[test]
fn of_a_long_one_the_beginning_is_kept() {
    let spaced = format!("{} b", "a".repeat(MAX_USER_AGENT_BYTES - 1));
    assert_eq!(read(spaced.as_bytes()).unwrap(), spaced.trim_end_matches(" b"));
    let long = "a".repeat(8 << 10);
    assert_eq!(read(long.as_bytes()).unwrap(), long[..MAX_USER_AGENT_BYTES]);
    let wide = read("é".repeat(8 << 10).as_bytes()).unwrap();
    assert!(wide.chars().all(|character| character == 'é' || character == REPLACEMENT), "{wide}");
}

proptest! {
    #[test]
    fn no_value_is_kept_longer_or_with_anything_hidden(
        value in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        if let Some(text) = read(&value) {
            prop_assert!((1..=MAX_USER_AGENT_BYTES).contains(&text.len()));
            prop_assert!(!text.chars().any(is_hidden), "{:?}", text);
            prop_assert_eq!(read(text.as_bytes()), Some(text.clone()), "it is stored and read again");
        }
    }
}
