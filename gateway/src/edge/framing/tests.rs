use proptest::prelude::*;

use super::{HeadLimits, RequestScanner};
use crate::pipeline::reason::FramingFault;

const LIMITS: HeadLimits = HeadLimits { bytes: 1024, fields: 8, uri_bytes: 256 };

/// Feeds the bytes in pieces, as a connection would, and says what was passed.
fn scan(bytes: &[u8], piece: usize) -> Result<Vec<u8>, FramingFault> {
    let mut scanner = RequestScanner::new(LIMITS);
    let mut buffer = Vec::new();
    let mut passed = Vec::new();
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            let pass = scanner.scan(&buffer)?;
            if pass == 0 {
                break;
            }
            let mut bytes = buffer.drain(..pass);
            if let Some(line) = scanner.take_line() {
                bytes.by_ref().take(line.written).for_each(drop);
                passed.extend(line.escaped);
            }
            passed.extend(bytes);
        }
    }
    Ok(passed)
}

/// However the bytes are cut, the outcome is the same.
fn check(bytes: &str, expected: Result<usize, FramingFault>) {
    for piece in [1, 2, 3, 7, bytes.len()] {
        let actual = scan(bytes.as_bytes(), piece).map(|passed| passed.len());
        assert_eq!(actual, expected, "{bytes:?} in pieces of {piece}");
    }
}

fn passes(bytes: &str) {
    check(bytes, Ok(bytes.len()));
}

fn fails(bytes: &str, fault: FramingFault) {
    check(bytes, Err(fault));
}

#[test]
fn well_formed_messages_pass_whole() {
    passes("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    passes("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    passes("GET / HTTP/1.0\r\n\r\n");
    passes("POST /a?b=c HTTP/1.1\r\ncontent-length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n");
    passes("POST / HTTP/1.1\r\nContent-Length:0\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    passes("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    passes(
        "POST / HTTP/1.1\r\nTransfer-Encoding:\tchunked \r\n\r\nA;x=\"y\"\r\n0123456789\r\n0;z\r\nX-T: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    );
    passes("GET / HTTP/1.1\r\nX: caf\u{e9}\t!\r\nEmpty:\r\n\r\n");
}

#[test]
fn lengths_that_can_be_read_in_two_ways_fail() {
    let post = |fields: &str| format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
    for value in ["+5", "-5", "0x5", "5_0", "", "5, 5", "5 5", "99999999999999999999", "5,"] {
        fails(&post(&format!("Content-Length: {value}")), FramingFault::ContentLength);
    }
    fails(&post("Content-Length: 5\r\nContent-Length: 5"), FramingFault::ContentLength);
    fails(&post("Content-Length: 5\r\nTransfer-Encoding: chunked"), FramingFault::LengthAndCoding);
    fails(&post("Transfer-Encoding: chunked\r\nContent-Length: 5"), FramingFault::LengthAndCoding);
    for value in
        ["gzip", "gzip, chunked", ",chunked", "chunked,", "chunked, identity", "x chunked", ""]
    {
        let fields = format!("Transfer-Encoding: {value}");
        fails(&post(&fields), FramingFault::TransferCodingUnknown);
    }
    fails(
        &post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        FramingFault::TransferCoding,
    );
    fails("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", FramingFault::TransferCoding);
}

#[test]
fn lines_end_in_crlf_and_nothing_else() {
    fails("GET / HTTP/1.1\nHost: a\n\n", FramingFault::LineEnding);
    fails("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", FramingFault::LineEnding);
    fails("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", FramingFault::LineEnding);
    fails("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", FramingFault::LineEnding);
    fails("\nGET / HTTP/1.1\r\n\r\n", FramingFault::RequestLine);
}

#[test]
fn fields_have_a_name_a_colon_and_no_controls() {
    for field in [
        "no colon",
        ": empty name",
        "Host : a",
        " folded: a",
        "\tfolded",
        "a b: c",
        "a\0b: c",
        "x: a\0b",
        "x: a\u{1}b",
        "x: a\u{7f}b",
        "n\u{e9}: a",
        "(a): b",
    ] {
        fails(&format!("GET / HTTP/1.1\r\nX: 1\r\n{field}\r\n\r\n"), FramingFault::Field);
    }
}

#[test]
fn request_lines_have_one_form() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /",
        "GET",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/1",
        "GET /\u{1} HTTP/1.1",
        "GET  HTTP/1.1",
    ] {
        fails(&format!("{line}\r\n\r\n"), FramingFault::RequestLine);
    }
    for target in ["/a<b", "/a>", "/a`", "/a<?b", "/a<b?\"c\""] {
        fails(&format!("GET {target} HTTP/1.1\r\n\r\n"), FramingFault::TargetOctet);
    }
    let latin = b"GET /\xe9?b=\xe9 HTTP/1.1\r\n\r\n";
    assert_eq!(scan(latin, latin.len()), Err(FramingFault::TargetOctet));
    passes("GET /a?b=|{}^`\\[]\u{e9} HTTP/1.1\r\n\r\n");
    passes("GET /a\"b{}|^[] HTTP/1.1\r\n\r\n");
    fails("GET / HTTP/2.0\r\n\r\n", FramingFault::Version);
    fails("GET / HTTP/0.9\r\n\r\n", FramingFault::Version);
    fails(&format!("{} / HTTP/1.1\r\n\r\n", "A".repeat(33)), FramingFault::MethodTooLong);
    fails(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(256)), FramingFault::UriTooLong);
}

/// The target that is passed on of one with this query, however the bytes are cut.
fn target_of(query: &[u8], piece: usize) -> Result<Vec<u8>, FramingFault> {
    let head = [b"\r\nGET /a?", query, b" HTTP/1.1\r\nX: \"\r\n\r\n"].concat();
    let next = "GET /next?\"<|\u{e9} HTTP/1.1\r\n\r\n".as_bytes();
    let passed = scan(&[&head[..], next].concat(), piece)?;
    let rest = "\r\nX: \"\r\n\r\nGET /next?%22%3C|\u{e9} HTTP/1.1\r\n\r\n";
    let line = passed.strip_suffix(rest.as_bytes()).expect("nothing else is changed");
    let line = line.strip_prefix(b"\r\n").unwrap_or(line);
    let target = line.strip_prefix(b"GET ").and_then(|line| line.strip_suffix(b" HTTP/1.1"));
    Ok(target.expect("the line is as it was").to_vec())
}

#[test]
fn each_octet_of_a_query_is_taken_escaped_or_refused() {
    for octet in 0..=u8::MAX {
        let target = target_of(&[octet], usize::MAX);
        match octet {
            ..=b' ' | b'#' | 0x7f => assert!(target.is_err(), "{octet:#04x}"),
            b'"' | b'<' | b'>' | 0x80.. => {
                assert_eq!(target, Ok(format!("/a?%{octet:02X}").into_bytes()));
                http::Uri::try_from(&[b"/a?", &[octet][..]].concat()[..]).expect_err("the reason");
            }
            _ => assert_eq!(target, Ok([b"/a?", &[octet][..]].concat())),
        }
    }
}

#[test]
fn of_a_query_only_what_the_library_refuses_is_escaped() {
    for (query, passed) in [
        (&b"a=\"b\"&c=<d>"[..], "a=%22b%22&c=%3Cd%3E"),
        (b"?a=%e9%2b+|{}^`\\[]'", "?a=%e9%2b+|{}^`\\[]'"),
        (b"caf\xc3\xa9=\xe9&\xc3\xa9\xc3", "caf\u{e9}=%E9&\u{e9}%C3"),
        // Overlong, a surrogate, and a character that breaks off.
        (b"\xc0\xae\xed\xa0\x80\xf0\x9f\x98", "%C0%AE%ED%A0%80%F0%9F%98"),
    ] {
        for piece in [1, 2, 3, 7, usize::MAX] {
            let expected = format!("/a?{passed}").into_bytes();
            assert_eq!(target_of(query, piece), Ok(expected), "{passed}");
        }
    }
    let absolute = b"GET http://a?\" HTTP/1.1\r\n\r\n";
    assert_eq!(scan(absolute, 1), Ok(b"GET http://a?%22 HTTP/1.1\r\n\r\n".to_vec()));
    fails("GET ?\" HTTP/1.1\r\n\r\n", FramingFault::RequestLine);
    fails("GET a?b://c\" HTTP/1.1\r\n\r\n", FramingFault::RequestLine);
}

/// What a client can make the gateway hold and read is bounded as it will be read.
#[test]
fn an_escaped_query_counts_as_it_is_passed_on() {
    let get = |quotes: usize, field: usize| {
        let (query, value) = ("\"".repeat(quotes), "x".repeat(field));
        format!("GET /?{query} HTTP/1.1\r\nX: {value}\r\n\r\n")
    };
    let passed = |text: &str| scan(text.as_bytes(), text.len()).map(|passed| passed.len());
    assert_eq!(passed(&get(84, 0)), Ok(get(3 * 84, 0).len()));
    fails(&get(85, 0), FramingFault::UriTooLong);
    let field = LIMITS.bytes - get(3 * 84, 0).len();
    assert_eq!(passed(&get(84, field)), Ok(LIMITS.bytes));
    fails(&get(84, field + 1), FramingFault::HeadTooLarge);
}

#[test]
fn heads_are_bounded() {
    let field = format!("X: {}\r\n", "a".repeat(200));
    fails(&format!("GET / HTTP/1.1\r\n{}\r\n", field.repeat(6)), FramingFault::HeadTooLarge);
    fails(&format!("GET / HTTP/1.1\r\n{}\r\n", "X: 1\r\n".repeat(9)), FramingFault::FieldCount);
}

#[test]
fn chunks_are_framed_exactly() {
    let post = |body: &str| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    for body in [
        "5\nhello\r\n",
        "5\r\nhelloX",
        "5\r\nhello\n",
        "5\r\nhello\rX",
        "g\r\n",
        "\r\n",
        "-5\r\n",
        "0x5\r\n",
        "5 \r\nhello",
        " 5\r\nhello",
        "+5\r\n",
        "1000000000000000\r\n",
        "5;\n",
        "5;\u{1}\r\n",
        "5\r\r\n",
    ] {
        fails(&post(body), FramingFault::Chunk);
    }
    for trailer in
        ["X\r\n\r\n", "X : 1\r\n\r\n", "X: 1\n\n", "Content-Length: 5\r\n\r\n", "Host: b\r\n\r\n"]
    {
        fails(&post(&format!("0\r\n{trailer}")), FramingFault::Trailer);
    }
    fails(&post(&format!("5;{}\r\n", "a".repeat(17 << 10))), FramingFault::Chunk);
}

#[test]
fn bytes_behind_a_request_to_switch_are_held_back() {
    let head = "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    let behind = "GET /smuggled HTTP/1.1\r\n\r\n";
    check(&format!("{head}{behind}"), Ok(head.len()));
    // The same with no body that is said to be none, and behind a body.
    let empty = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n";
    check(&format!("{empty}{behind}"), Ok(empty.len()));
    let body = "POST / HTTP/1.1\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}";
    check(&format!("{body}{behind}"), Ok(body.len()));
    let chunks =
        "POST / HTTP/1.1\r\nUpgrade: tcp\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    check(&format!("{chunks}{behind}"), Ok(chunks.len()));
}

/// Undoes escapes; whoever reads a query reads this.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = text;
    while let [octet, behind @ ..] = rest {
        let digits = behind.first_chunk::<2>().filter(|_| *octet == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => {
                plain.push(escaped);
                rest = &behind[2..];
            }
            None => {
                plain.push(*octet);
                rest = behind;
            }
        }
    }
    plain
}

proptest! {
    /// Whatever a query holds, it is refused or says upstream what it said.
    #[test]
    fn an_escaped_query_says_what_it_said(
        query in proptest::collection::vec(
            prop_oneof![
                any::<u8>().prop_map(|octet| vec![octet]), any::<char>().prop_map(|it| it.to_string().into()),
                Just(b"\"<>".to_vec()), Just(b"%22".to_vec()), Just(b"%".to_vec()), Just(b"?a=b&".to_vec()),
            ], 0..16),
        piece in 1..32usize,
    ) {
        let query = query.concat();
        let refused = query.iter().any(|octet| matches!(octet, 0..=b' ' | b'#' | 0x7f));
        let target = target_of(&query, piece);
        prop_assert_eq!(target.is_err(), refused);
        if let Ok(target) = target {
            prop_assert!(http::Uri::try_from(&target[..]).is_ok());
            prop_assert_eq!(unescape(&target[3..]), unescape(&query));
            let as_it_was = target[3..] == query;
            prop_assert_eq!(as_it_was, http::Uri::try_from(&[b"/a?", &query[..]].concat()[..]).is_ok());
        }
    }

    /// Whatever comes, the scanner neither panics nor depends on how it is cut.
    #[test]
    fn the_cut_of_the_bytes_changes_nothing(
        bytes in proptest::collection::vec(
            prop_oneof![
                Just(b"GET / HTTP/1.1\r\n".to_vec()), Just(b"\r\n".to_vec()), Just(b"Host: a\r\n".to_vec()),
                Just(b"Content-Length: 3\r\n".to_vec()), Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
                Just(b"3\r\nabc\r\n".to_vec()), Just(b"0\r\n\r\n".to_vec()), Just(b"POST /x HTTP/1.1\r\n".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..4),
            ], 0..12),
        piece in 1..16usize,
    ) {
        let bytes = bytes.concat();
        let whole = scan(&bytes, bytes.len().max(1));
        let cut = scan(&bytes, piece);
        prop_assert_eq!(whole.is_ok(), cut.is_ok());
        if let (Ok(whole), Ok(cut)) = (whole, cut) {
            prop_assert_eq!(whole, cut);
        }
    }
}
