use proptest::prelude::*;

use super::{Ambiguity, is_below, normalise};

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
    check("/a%2Fb", Err(Ambiguity::EncodedSeparator));
    check("/a%5cb", Err(Ambiguity::EncodedSeparator));
    check("/a\\b", Err(Ambiguity::Backslash));
    check("/a%00", Err(Ambiguity::EncodedControl));
    check("/a%0d%0a", Err(Ambiguity::EncodedControl));
    check("/a%7f", Err(Ambiguity::EncodedControl));
    check("/a;b", Err(Ambiguity::Parameter));
    check("/..;/b", Err(Ambiguity::Parameter));
    check("/a//b", Err(Ambiguity::EmptySegment));
    check("//", Err(Ambiguity::EmptySegment));
    check("/a//", Err(Ambiguity::EmptySegment));
    check("/./a", Err(Ambiguity::DotSegment));
    check("/a/..", Err(Ambiguity::DotSegment));
    check("/a/%2e%2E/b", Err(Ambiguity::DotSegment));
    check("/a/.%2e/", Err(Ambiguity::DotSegment));
    check("/%252e", Err(Ambiguity::DoubleEncoding));
    check("/%25%32%66", Err(Ambiguity::DoubleEncoding));
    check("/a%2", Err(Ambiguity::BrokenEscape));
    check("/a%zz", Err(Ambiguity::BrokenEscape));
    check("/a#b", Err(Ambiguity::Fragment));
    check("/a b", Err(Ambiguity::EncodedControl));
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
