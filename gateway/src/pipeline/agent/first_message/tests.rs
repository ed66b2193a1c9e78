use std::collections::HashSet;

use proptest::prelude::*;

use super::{Credential, Fault, FirstMessage, MAX_BYTES, MAX_FRAMES, Reader};
use crate::pipeline::frame;

const KEY: &str = r#"{"type":"auth","api_key":"sk_live_x"}"#;
const MASK: [u8; 4] = [7, 0, 201, 44];

/// A client's frame with this first byte.
fn sent(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let opcode = frame::Opcode::Text;
    frame::put_header(&mut frame, true, opcode, payload.len() as u64);
    frame[0] = first;
    frame[1] |= 0x80;
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// All that is said, in pieces of so many bytes, and what is left behind the message.
fn read(bytes: &[u8], cut: usize) -> Result<(Vec<String>, Vec<u8>), Fault> {
    let mut reader = Reader::default();
    let mut said = Vec::new();
    let mut pieces = bytes.chunks(cut);
    while let Some(piece) = pieces.next() {
        reader.feed(piece);
        while let Some(next) = reader.read()? {
            let (word, last) = match next {
                FirstMessage::Credential(Credential::Key(key)) => {
                    (format!("key {}", key.expose()), true)
                }
                FirstMessage::Credential(Credential::Token(token)) => {
                    (format!("token {}", token.expose()), true)
                }
                FirstMessage::Ping(payload) => (format!("ping {payload:?}"), false),
                FirstMessage::Close => ("close".to_owned(), true),
            };
            said.push(word);
            if last {
                let rest = [&*reader.into_rest(), &pieces.collect::<Vec<_>>().concat()].concat();
                return Ok((said, rest));
            }
        }
    }
    Ok((said, Vec::new()))
}

proptest! {
    #[test]
    fn a_message_is_the_same_however_it_is_cut_and_what_follows_is_kept(
        parts in proptest::collection::vec(0..20usize, 0..8),
        pings in proptest::collection::vec(proptest::option::of(0..125u8), 9),
        behind: Vec<u8>,
        cut in 1..80usize,
    ) {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        let mut rest = KEY.as_bytes();
        let last = parts.len();
        for (number, ping) in pings.iter().enumerate().take(last + 1) {
            if let Some(length) = ping {
                let payload: Vec<u8> = (0..*length).collect();
                bytes.extend(sent(0x89, &payload));
                expected.push(format!("ping {payload:?}"));
            }
            let length = parts.get(number).map_or(rest.len(), |length| *length.min(&rest.len()));
            let (part, left) = rest.split_at(length);
            rest = left;
            let fin = if number == last { 0x80 } else { 0 };
            bytes.extend(sent(fin | u8::from(number == 0), part));
        }
        bytes.extend(&behind);
        expected.push("key sk_live_x".to_owned());
        prop_assert_eq!(read(&bytes, cut), Ok((expected, behind)));
    }

    #[test]
    fn any_bytes_are_read_or_refused_alike_however_they_are_cut(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        cut in 1..80usize,
    ) {
        prop_assert_eq!(read(&bytes, cut), read(&bytes, usize::MAX));
    }
}

#[test]
fn a_message_may_have_further_members() {
    let text = r#"{"type":"auth","token_type":"x","api_key":"k","id":1,"id":[]}"#;
    let said = (vec!["key k".to_owned()], Vec::new());
    assert_eq!(read(&sent(0x81, text.as_bytes()), usize::MAX), Ok(said));
}

#[test]
fn what_is_no_first_message_is_refused_for_what_it_is() {
    let text = |text: &str| sent(0x81, text.as_bytes());
    let cases: Vec<(&str, Vec<u8>, Fault)> = vec![
        ("no JSON", text("sk_live_x"), Fault::NotUnderstood),
        ("nothing", text(""), Fault::NotUnderstood),
        ("another type", text(r#"{"type":"hello","api_key":"k"}"#), Fault::NotUnderstood),
        ("no type", text(r#"{"api_key":"k"}"#), Fault::NotUnderstood),
        ("no credential", text(r#"{"type":"auth"}"#), Fault::NotUnderstood),
        ("two", text(r#"{"type":"auth","api_key":"k","token":"t"}"#), Fault::NotUnderstood),
        ("one twice", text(r#"{"type":"auth","api_key":"k","api_key":"l"}"#), Fault::NotUnderstood),
        (
            "a type twice",
            text(r#"{"type":"auth","type":"auth","token":"t"}"#),
            Fault::NotUnderstood,
        ),
        ("no text", text(r#"{"type":"auth","api_key":7}"#), Fault::NotUnderstood),
        ("null", text(r#"{"type":"auth","token":null}"#), Fault::NotUnderstood),
        ("a list", text(r#"["auth","k"]"#), Fault::NotUnderstood),
        ("two messages in one", text(&[KEY, KEY].concat()), Fault::NotUnderstood),
        ("not UTF-8", sent(0x81, b"{\"type\":\"\xff\"}"), Fault::NotUtf8),
        ("binary", sent(0x82, KEY.as_bytes()), Fault::Binary),
        ("a message in a message", [sent(0x01, b"{"), text(KEY)].concat(), Fault::Frame),
        ("the end of none", sent(0x80, KEY.as_bytes()), Fault::Frame),
        ("half a close code", sent(0x88, b"\x03"), Fault::Frame),
        ("one byte too many", text(&" ".repeat(MAX_BYTES + 1)), Fault::TooLarge),
        (
            "one byte too many in parts",
            [sent(0x01, &[b' '; MAX_BYTES]), sent(0x80, b" ")].concat(),
            Fault::TooLarge,
        ),
        ("pings without end", sent(0x89, b"").repeat(MAX_FRAMES + 1), Fault::TooManyFrames),
    ];
    for (what, bytes, fault) in cases {
        assert_eq!(read(&bytes, usize::MAX), Err(fault), "{what}");
    }
}

#[test]
fn a_message_of_the_largest_size_is_read() {
    let padded = format!("{KEY}{}", " ".repeat(MAX_BYTES - KEY.len()));
    let said = (vec!["key sk_live_x".to_owned()], Vec::new());
    assert_eq!(read(&sent(0x81, padded.as_bytes()), usize::MAX), Ok(said));
}

#[test]
fn what_is_too_large_is_refused_before_it_has_come() {
    for length in [MAX_BYTES as u64 + 1, u64::MAX >> 1] {
        let mut announced = vec![0x81, 0xff];
        match u16::try_from(length) {
            Ok(short) => {
                announced[1] = 0xfe;
                announced.extend(short.to_be_bytes());
            }
            Err(_) => announced.extend(length.to_be_bytes()),
        }
        announced.extend(MASK);
        assert_eq!(read(&announced, usize::MAX), Err(Fault::TooLarge), "{length}");
    }
}

#[test]
fn a_close_with_or_without_a_code_is_understood() {
    for payload in [&b""[..], b"\x03\xe9", b"\x03\xe9bye"] {
        let closed = (vec!["close".to_owned()], Vec::new());
        assert_eq!(read(&sent(0x88, payload), usize::MAX), Ok(closed), "{payload:?}");
    }
}

/// Both are read by programs: the codes of the close frames by agents, the others in logs.
#[test]
fn every_fault_has_its_codes() {
    let cases = [
        (Fault::Late, 4401, "first_message_late"),
        (Fault::TooLarge, 1009, "first_message_too_large"),
        (Fault::TooManyFrames, 1008, "first_message_too_large"),
        (Fault::Frame, 1002, "first_message_malformed"),
        (Fault::Binary, 1003, "first_message_malformed"),
        (Fault::NotUtf8, 1007, "first_message_malformed"),
        (Fault::NotUnderstood, 4401, "first_message_malformed"),
    ];
    for (fault, close_code, code) in cases {
        assert_eq!((fault.close_code(), fault.code()), (close_code, code), "{fault:?}");
    }
    let words: HashSet<_> = cases.iter().map(|(fault, ..)| fault.as_str()).collect();
    assert_eq!(words.len(), cases.len());
    assert!(!words.contains(""));
}
