use proptest::prelude::*;

use super::{Ambiguity, Reading, is_below, judge, normalise};

fn check(path: &str, expected: Result<&str, Ambiguity>) {
    assert_eq!(normalise(path), expected.map(Into::into), "{path}");
}

#[test]
fn plain_paths_are_passed_as_they_are() {
    for path in ["/", "/a", "/a/", "/a/b.c/d-e_f~g", "/a/...", "/a/.well-known", "/@x/+,=:$&'()*!"]
    {
        check(path, Ok(path));
    }
}

#[test]
fn escapes_have_one_spelling() {
    check("/%41%7e", Ok("/A~"));
    check("/%40internal/v1%3Aadmin%2b", Ok("/@internal/v1:admin+"));
    check("/%c3%a9", Ok("/%C3%A9"));
    check("/a%20b", Ok("/a%20b"));
    check("/100%25", Ok("/100%25"));
    check("/a|b{c}\"<>^`", Ok("/a%7Cb%7Bc%7D%22%3C%3E%5E%60"));
    check("/é", Ok("/%C3%A9"));
    check("/a%3bb", Ok("/a%3Bb"));
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    check("", Err(Ambiguity::NoLeadingSlash));
    check("a", Err(Ambiguity::NoLeadingSlash));
    check("*", Err(Ambiguity::NoLeadingSlash));
    check("/a%2Fb", Err(Ambiguity::EncodedSlash));
    check("/a%5cb", Err(Ambiguity::Backslash));
    check("/a\\b", Err(Ambiguity::Backslash));
    check("/a%00", Err(Ambiguity::EncodedControl));
    check("/a%0d%0a", Err(Ambiguity::EncodedControl));
    check("/a%7f", Err(Ambiguity::EncodedControl));
    check("/a;b", Err(Ambiguity::Parameter));
    check("/..;/b", Err(Ambiguity::DotSegment));
    check("/a//b", Err(Ambiguity::EmptySegment));
    check("//", Err(Ambiguity::EmptySegment));
    check("/a//", Err(Ambiguity::EmptySegment));
    check("/./a", Err(Ambiguity::DotSegment));
    check("/a/..", Err(Ambiguity::DotSegment));
    check("/a/%2e%2E/b", Err(Ambiguity::DotSegment));
    check("/a/.%2e/", Err(Ambiguity::DotSegment));
    check("/%252e", Err(Ambiguity::DotSegment));
    check("/%2541", Err(Ambiguity::DoubleEncoding));
    check("/..%3Bx/b", Err(Ambiguity::DotSegment));
    check("/%25%32%66", Err(Ambiguity::DoubleEncoding));
    check("/a%2", Err(Ambiguity::BrokenEscape));
    check("/a%zz", Err(Ambiguity::BrokenEscape));
    check("/a#b", Err(Ambiguity::Fragment));
    check("/a b", Err(Ambiguity::EncodedControl));
}

/// What a path is compared as, and whether all servers read it alike.
#[test]
fn what_servers_read_differently_is_told_apart_from_what_leads_elsewhere() {
    use Ambiguity::{
        Backslash, BrokenEscape, DotSegment, DoubleEncoding, EmptySegment, EncodedControl,
        EncodedSlash, NotUtf8, Parameter,
    };
    for (written, normal, reading) in [
        ("/a%2Bb%21", "/a+b!", Reading::One),
        ("/a%25zz", "/a%25zz", Reading::One),
        ("/a%3bb", "/a%3Bb", Reading::Delimited),
        ("/a%3Fb", "/a%3Fb", Reading::Delimited),
        ("/a%23b", "/a%23b", Reading::Delimited),
        ("/a;b", "/a%3Bb", Reading::Several(Parameter)),
        ("/@x%2fy", "/@x%2Fy", Reading::Several(EncodedSlash)),
        ("/p/https://e.org/x", "/p/https://e.org/x", Reading::Several(EmptySegment)),
        ("//a", "//a", Reading::Several(EmptySegment)),
        ("/a%252Fb", "/a%252Fb", Reading::Several(DoubleEncoding)),
        ("/a%2520b", "/a%2520b", Reading::Several(DoubleEncoding)),
        ("/a/...;x/..b", "/a/...%3Bx/..b", Reading::Several(Parameter)),
    ] {
        let judged = judge(written).unwrap_or_else(|why| panic!("{written}: {why:?}"));
        assert_eq!((&*judged.normal, judged.reading), (normal, reading), "{written}");
    }
    for (written, why) in [
        ("/a%2F..", DotSegment),
        ("/a%2F..%2Fb", DotSegment),
        ("/a/..%2fb", DotSegment),
        ("/a/..%252fb", DotSegment),
        ("/a/%252e%252e/b", DotSegment),
        ("/a/.%252e;x/b", DotSegment),
        ("/a//..", DotSegment),
        ("/..;x", DotSegment),
        ("/a;/.;b", DotSegment),
        ("/a/..%253Bx", DotSegment),
        ("/a/..%3F%2F", DotSegment),
        ("/a;\\b", Backslash),
        ("/a;%5Cb", Backslash),
        ("/a%255Cb", Backslash),
        ("/a;%00", EncodedControl),
        ("/a%2500", EncodedControl),
        ("/a/%25252e/b", DotSegment),
        ("/a%250d", EncodedControl),
        ("/a//%c0%af", NotUtf8),
        ("/a%25c0%25ae", NotUtf8),
        ("/a;%zz", BrokenEscape),
    ] {
        assert_eq!(judge(written).map(drop), Err(why), "{written}");
    }
}

#[test]
fn a_path_has_the_readings_of_servers_that_decode_cut_and_merge() {
    let readings = |path| judge(path).expect("a path").readings();
    assert_eq!(readings("/a%20b"), Vec::<String>::new());
    assert_eq!(readings("/a%2Fb"), ["/a%2Fb", "/a/b"]);
    assert_eq!(readings("//a"), ["//a", "/a"]);
    assert_eq!(readings("/a;x/b"), ["/a", "/a%3Bx/b", "/a/b"]);
    assert_eq!(readings("/a%3Bx"), ["/a", "/a%3Bx"]);
    assert_eq!(readings("/a%3Fx"), ["/a", "/a%3Fx"]);
    assert_eq!(readings("/%2561"), ["/%2561", "/a"]);
    // Cut before it is decoded, and after.
    let found = readings("/;%2Fq/a%3Bx");
    for reading in ["/a", "/%3B/q/a%3Bx", "/q/a"] {
        assert!(found.iter().any(|it| it == reading), "{reading} in {found:?}");
    }
}

#[test]
fn prefixes_end_at_a_slash() {
    assert!(is_below("/api", "/api"));
    assert!(is_below("/api/x", "/api"));
    assert!(is_below("/api/x", "/api/"));
    assert!(is_below("/anything", "/"));
    assert!(!is_below("/apix", "/api"));
    assert!(!is_below("/ap", "/api"));
}

proptest! {
    /// The normal form of a normal form is itself, and it holds nothing ambiguous.
    #[test]
    fn normalising_twice_changes_nothing(path in "/[ -~éß%./;\\\\]{0,40}") {
        if let Ok(normal) = normalise(&path) {
            prop_assert_eq!(normalise(&normal), Ok(normal.clone()));
            prop_assert!(normal.is_ascii());
            prop_assert!(!normal.contains("//") && !normal.contains('\\') && !normal.contains(';'));
        }
    }

    /// Decoding the normal form once more never makes a separator or a dot segment.
    #[test]
    fn a_second_decoder_sees_the_same_segments(path in "/[a-f0-9%./]{0,40}") {
        if let Ok(normal) = normalise(&path) {
            let decoded = percent_decode(&normal);
            prop_assert_eq!(decoded.split('/').count(), normal.split('/').count());
            prop_assert!(decoded.split('/').all(|segment| segment != "." && segment != ".."));
        }
    }
}

fn percent_decode(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = u8::from_str_radix(&rest[at + 1..at + 3], 16).unwrap();
        out.push(char::from(code));
        rest = &rest[at + 3..];
    }
    out + rest
}

/// A character in so many bytes, whether or not it needs them.
fn encode(character: u32, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut rest = character;
    for byte in bytes.iter_mut().skip(1).rev() {
        *byte = 0x80 | u8::try_from(rest & 0x3f).unwrap();
        rest >>= 6;
    }
    let lead = [0x00, 0xc0, 0xe0, 0xf0, 0xf8, 0xfc][length - 1];
    bytes[0] = lead | u8::try_from(rest).unwrap();
    bytes
}

fn escaped(bytes: &[u8]) -> String {
    let escapes = bytes.iter().map(|byte| format!("%{byte:02X}"));
    std::iter::once("/".to_owned()).chain(escapes).collect()
}

#[test]
fn every_character_passes_in_its_shortest_form_and_in_no_other() {
    let characters = (0xa0..=0xffff).step_by(7).chain((0x1_0000..=0x10_ffff).step_by(977));
    for character in characters.filter_map(char::from_u32) {
        let path = escaped(character.to_string().as_bytes());
        assert_eq!(normalise(&path).as_deref(), Ok(&*path));
        let number = u32::from(character);
        for length in character.len_utf8() + 1..=6 {
            let path = escaped(&encode(number, length));
            assert_eq!(normalise(&path), Err(Ambiguity::NotUtf8), "{path}");
        }
    }
    for number in 0..0x80 {
        for length in 2..=6 {
            let path = escaped(&encode(number, length));
            assert_eq!(normalise(&path), Err(Ambiguity::NotUtf8), "{path}");
        }
    }
}

#[test]
fn a_byte_of_another_encoding_passes_if_it_occurs_in_utf8() {
    let occurring: std::collections::BTreeSet<u8> =
        ('\u{80}'..=char::MAX).step_by(61).flat_map(|c| c.to_string().into_bytes()).collect();
    for byte in 0x80..=0xff {
        let path = escaped(&[byte]);
        let expected = if occurring.contains(&byte) { Ok(()) } else { Err(Ambiguity::NotUtf8) };
        assert_eq!(normalise(&path).map(drop), expected, "{path}");
    }
}

/// How many characters below U+0080 a decoder finds that takes any length for good.
fn ascii_found_leniently(bytes: &[u8]) -> usize {
    let mut found = 0;
    let mut rest = bytes;
    while let Some((&lead, tail)) = rest.split_first() {
        let (length, bits) = match lead {
            0xc0..=0xdf => (1, lead & 0x1f),
            0xe0..=0xef => (2, lead & 0x0f),
            0xf0..=0xf7 => (3, lead & 0x07),
            0xf8..=0xfb => (4, lead & 0x03),
            0xfc..=0xfd => (5, lead & 0x01),
            _ => (0, lead),
        };
        let more = tail.iter().take(length).take_while(|byte| (0x80..0xc0).contains(*byte)).count();
        rest = tail;
        if more == length {
            let value = tail[..length]
                .iter()
                .fold(u64::from(bits), |value, byte| value << 6 | u64::from(byte & 0x3f));
            found += usize::from(value < 0x80);
            rest = &tail[length..];
        }
    }
    found
}

proptest::proptest! {
    #[test]
    fn nobody_reads_a_character_that_is_not_there(
            bytes in proptest::collection::vec(
                proptest::prop_oneof![
                    proptest::strategy::Just(0xe0_u8),
                    proptest::strategy::Just(0xf0_u8),
                    0x80..=0xff_u8,
                    b'a'..=b'z'
                ],
                0..8,
            ),
    ) {
        let path = escaped(&bytes);
        if normalise(&path).is_ok() {
            let there = bytes.iter().filter(|byte| byte.is_ascii()).count();
            proptest::prop_assert_eq!(ascii_found_leniently(&bytes), there, "{}", path);
        }
    }
}
