//! A path: its normal form is one, means the same, and is read the same further on, as is
//! what was written; where servers read it in several ways, none of these leads elsewhere.

use http::Uri;
use portcullis::canonical::path::{Reading, is_below, judge, normalise};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_readings(text);
    let Ok(normal) = normalise(text) else { return };
    assert_eq!(normalise(&normal).as_deref(), Ok(&*normal), "the form of a form");
    assert!(normal.bytes().all(|byte| byte.is_ascii_graphic()));
    for ambiguous in ["//", "\\", ";", "#", "?", "\"", "<", ">", "^", "`", "{", "|", "}"] {
        assert!(!normal.contains(ambiguous), "{normal} holds {ambiguous}");
    }
    assert!(normal.split('/').all(|segment| segment != "." && segment != ".."));

    let once = decode(normal.as_bytes());
    assert_eq!(decode(text.as_bytes()), once, "the meaning stays");
    assert!(!once.iter().any(u8::is_ascii_control) && !once.contains(&b'\\'));
    assert!(!once.iter().any(|byte| matches!(byte, 0xc0 | 0xc1 | 0xf5..=0xff)));
    for overlong in once.windows(2) {
        assert!(!matches!(overlong, [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]), "{normal}");
    }
    let slashes = |bytes: &[u8]| bytes.split(|byte| *byte == b'/').count();
    let twice = decode(&once);
    assert_eq!(slashes(&once), slashes(normal.as_bytes()), "no slash was hidden");
    assert_eq!(twice, once, "no escape was hidden");

    let line = format!("GET {normal} HTTP/1.1\r\n\r\n");
    let mut fields = [];
    let mut request = httparse::Request::new(&mut fields);
    assert!(request.parse(line.as_bytes()).is_ok_and(|status| status.is_complete()), "{normal}");
    assert_eq!(request.path, Some(&*normal));
    let uri: Uri = normal.parse().expect("a normal form is a URI");
    assert_eq!((uri.path(), uri.query(), uri.authority()), (&*normal, None, None));

    // A route for a directory covers what lies in it, and nothing beside it.
    for (slash, _) in normal.match_indices('/') {
        let route = &normal[..slash];
        assert!(is_below(&normal, route) && is_below(&normal, &normal[..=slash]));
        assert!(!is_below(&format!("{route}x"), route));
    }
}

fn check_readings(text: &str) {
    let Ok(judged) = judge(text) else { return };
    let once = decode(text.as_bytes());
    for form in [text.as_bytes(), &once, &decode(&once)] {
        assert!(!form.iter().any(u8::is_ascii_control) && !form.contains(&b'\\'));
        for segment in form.split(|byte| *byte == b'/') {
            let cut = segment.split(|byte| b";?#".contains(byte)).next().unwrap_or_default();
            assert!(cut != b"." && cut != b"..", "{text}");
        }
    }
    let readings = judged.readings();
    assert_eq!(readings.is_empty(), judged.reading == Reading::One);
    assert!(readings.len() <= 78, "{text}: {}", readings.len());
    let spelled = |reading: &String| *reading == judged.normal;
    assert!(readings.is_empty() || readings.iter().any(spelled), "{text}");
    for reading in readings {
        assert!(reading.starts_with('/') && reading.is_ascii());
        let dots = |segment: &str| segment == "." || segment == "..";
        assert!(!reading.split('/').any(dots), "{text} is read as {reading}");
        // What is encoded deeper than servers decode is no part of what they read.
        if let Ok(read) = judge(&reading) {
            assert_eq!(read.normal, reading);
        }
    }
}

/// Each escape replaced once; a broken one stands for itself.
fn decode(mut bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    while let Some((&byte, rest)) = bytes.split_first() {
        let hex = |at: usize| rest.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.extend(u8::try_from(high << 4 | low));
                bytes = &rest[2..];
            }
            _ => {
                decoded.push(byte);
                bytes = rest;
            }
        }
    }
    decoded
}
