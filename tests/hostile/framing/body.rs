//! Where a body ends: transfer codings, lengths, chunks.

use super::Verdict::{Broken, Passes, Refused};
use super::{BAD, Case, HELLO, Stage, Verdict, check, request, try_case};

/// A transfer coding that is not ours to decode, or none at all.
const CODING: Verdict = Refused(&[400, 501]);
/// A length nobody can count to.
const ENDLESS: Verdict = Refused(&[400, 413]);

/// The last chunk alone.
const LAST: &[u8] = b"0\r\n\r\n";

/// A POST with these fields.
fn post(name: &'static str, fields: &[u8], body: &[u8], verdict: Verdict) -> Case {
    request(name, b"POST /open HTTP/1.1", fields, body, verdict)
}

/// A POST with this transfer coding.
fn coding(name: &'static str, value: &[u8], body: &[u8], verdict: Verdict) -> Case {
    post(name, &[b"Transfer-Encoding: ", value].concat(), body, verdict)
}

/// A POST with this length.
fn length(name: &'static str, value: &[u8], body: &[u8], verdict: Verdict) -> Case {
    post(name, &[b"Content-Length: ", value].concat(), body, verdict)
}

/// A POST with these chunks.
fn chunks(name: &'static str, body: &[u8], verdict: Verdict) -> Case {
    coding(name, b"chunked", body, verdict)
}

#[tokio::test]
async fn a_transfer_coding_is_chunked_once_or_refused() {
    check(&[
        coding("chunked", b"chunked", HELLO, Passes("hello")),
        post("chunked behind a tab", b"Transfer-Encoding:\tchunked ", HELLO, Passes("hello")),
        post("chunked in capitals", b"TRANSFER-ENCODING: Chunked", HELLO, Passes("hello")),
        request(
            "chunked of GET",
            b"GET /open HTTP/1.1",
            b"Transfer-Encoding: chunked",
            HELLO,
            Passes("hello"),
        ),
        post(
            "with a length behind it",
            b"Transfer-Encoding: chunked\r\nContent-Length: 5",
            LAST,
            BAD,
        ),
        post(
            "with a length before it",
            b"Content-Length: 5\r\nTransfer-Encoding: chunked",
            LAST,
            BAD,
        ),
        post(
            "with a length of zero",
            b"Content-Length: 0\r\nTransfer-Encoding: chunked",
            LAST,
            BAD,
        ),
        post(
            "with a length that is right",
            b"Content-Length: 15\r\nTransfer-Encoding: chunked",
            HELLO,
            BAD,
        ),
        post("twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", LAST, CODING),
        post(
            "identity, then chunked",
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            LAST,
            CODING,
        ),
        post(
            "chunked, then identity",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            LAST,
            CODING,
        ),
        coding("chunked in chunked", b"chunked, chunked", LAST, CODING),
        coding("a cow", b"cow, chunked", LAST, CODING),
        coding("an empty element first", b",chunked", LAST, CODING),
        coding("an empty element last", b"chunked,", LAST, CODING),
        coding("identity", b"identity", b"", CODING),
        coding("gzip", b"gzip", b"", CODING),
        coding("gzip, chunked", b"gzip, chunked", LAST, CODING),
        coding("chunked, gzip", b"chunked, gzip", LAST, CODING),
        coding("xchunked", b"xchunked", LAST, CODING),
        coding("chunk", b"chunk", LAST, CODING),
        coding("a quoted value", b"\"chunked\"", LAST, CODING),
        coding("a parameter", b"chunked;q=1", LAST, CODING),
        coding("no value", b"", b"", CODING),
        coding("a vertical tab before it", b"\x0bchunked", LAST, CODING),
        coding("a no-break space before it", b"\xa0chunked", LAST, CODING),
        coding("a NUL behind it", b"chunked\0", LAST, CODING),
        post("a space before the colon", b"Transfer-Encoding : chunked", LAST, BAD),
        post("a space before the name", b" Transfer-Encoding: chunked", LAST, BAD),
        post("folded", b"Transfer-Encoding:\r\n chunked", LAST, CODING),
        post("a NUL in the name", b"Transfer\0-Encoding: chunked", LAST, BAD),
        request(
            "another field with an underscore",
            b"GET /open HTTP/1.1",
            b"Transfer_Encoding: chunked",
            b"",
            Passes(""),
        ),
        request("in HTTP/1.0", b"POST /open HTTP/1.0", b"Transfer-Encoding: chunked", LAST, BAD),
        request(
            "in HTTP/1.0, kept alive",
            b"POST /open HTTP/1.0",
            b"Connection: keep-alive\r\nTransfer-Encoding: chunked",
            LAST,
            BAD,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_content_length_is_one_number_or_refused() {
    check(&[
        length("a number", b"5", b"hello", Passes("hello")),
        post("no space", b"content-length:5", b"hello", Passes("hello")),
        length("spaces around", b"\t 5 \t", b"hello", Passes("hello")),
        length("zero", b"0", b"", Passes("")),
        request("of GET", b"GET /open HTTP/1.1", b"Content-Length: 5", b"hello", Passes("hello")),
        post("none", b"", b"", Passes("")),
        request("a look-alike name", b"GET /open HTTP/1.1", b"Content_Length: 5", b"", Passes("")),
        length("a plus", b"+5", b"hello", BAD),
        length("a minus", b"-5", b"hello", BAD),
        length("minus zero", b"-0", b"", BAD),
        length("hexadecimal", b"0x5", b"hello", BAD),
        length("an underscore", b"5_0", b"hello", BAD),
        length("a space inside", b"5 0", b"hello", BAD),
        length("a fraction", b"5.0", b"hello", BAD),
        length("an exponent", b"5e0", b"hello", BAD),
        length("a parameter", b"5;a", b"hello", BAD),
        length("a word", b"five", b"hello", BAD),
        post("nothing", b"Content-Length:", b"hello", BAD),
        length("a digit of another script", b"\xd9\xa5", b"hello", BAD),
        length("a vertical tab", b"\x0b5", b"hello", BAD),
        length("a NUL", b"5\0", b"hello", BAD),
        post("a space before the colon", b"Content-Length : 5", b"hello", BAD),
        length("a list of equals", b"5, 5", b"hello", BAD),
        length("a list", b"5, 6", b"hello", BAD),
        post("two equal lines", b"Content-Length: 5\r\nContent-Length: 5", b"hello", BAD),
        post("two lines", b"Content-Length: 5\r\nContent-Length: 0", b"hello", BAD),
        length("2^64", b"18446744073709551616", b"hello", ENDLESS),
        length("2^64 and five", b"18446744073709551621", b"hello", ENDLESS),
        length("thirty digits", b"999999999999999999999999999999", b"hello", ENDLESS),
    ])
    .await;
}

#[tokio::test]
async fn chunks_are_well_formed_or_refused() {
    check(&[
        chunks("none", b"0\r\n\r\n", Passes("")),
        chunks("two", b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", Passes("hello")),
        chunks("capital digits", b"A\r\n0123456789\r\n0\r\n\r\n", Passes("0123456789")),
        chunks("small digits", b"a\r\n0123456789\r\n0\r\n\r\n", Passes("0123456789")),
        chunks("leading zeros", b"0005\r\nhello\r\n000\r\n\r\n", Passes("hello")),
        chunks("an extension", b"5;name=value\r\nhello\r\n0;last\r\n\r\n", Passes("hello")),
        chunks("a quoted extension", b"5;name=\"a;b\"\r\nhello\r\n0\r\n\r\n", Passes("hello")),
        chunks("a trailer", b"5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n", Passes("hello")),
        chunks("line ends as data", b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", Passes("\r\n0\r\n\r\n")),
        chunks("no size", b"\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("no digits", b";ext\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("a letter too far", b"g\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("a prefix", b"0x5\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("a plus", b"+5\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("a minus", b"-5\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("an underscore", b"0_5\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("a space before", b" 5\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("a space inside", b"0 5\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("a NUL", b"5\0\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("2^64 and five", b"10000000000000005\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("68 bits", b"ffffffffffffffff0\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("a bare line feed behind a size", b"5\nhello\r\n0\r\n\r\n", Broken),
        chunks("a bare carriage return behind a size", b"5\rhello\r\n0\r\n\r\n", Broken),
        chunks("a bare line feed behind data", b"5\r\nhello\n0\r\n\r\n", Broken),
        chunks("a bare line feed in an extension", b"5;a\nb\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("a bare carriage return in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("a bare line feed behind the last size", b"5\r\nhello\r\n0\n\r\n", Broken),
        chunks("a bare line feed at the end", b"5\r\nhello\r\n0\r\n\n", Broken),
        chunks("no line end behind data", b"5\r\nhello0\r\n\r\n", Broken),
        chunks("more data than its size", b"4\r\nhello\r\n0\r\n\r\n", Broken),
        chunks("other bytes for a line end", b"5\r\nhelloXX0\r\n\r\n", Broken),
        chunks("a trailer without a colon", b"5\r\nhello\r\n0\r\nX\r\n\r\n", Broken),
        chunks(
            "a trailer with a space before its colon",
            b"5\r\nhello\r\n0\r\nX : 1\r\n\r\n",
            Broken,
        ),
        chunks("a folded trailer", b"5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n", Broken),
        chunks("a NUL in a trailer", b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n", Broken),
        chunks("a bare line feed behind a trailer", b"5\r\nhello\r\n0\r\nX: 1\n\r\n", Broken),
    ])
    .await;
}

#[tokio::test]
async fn chunk_extensions_have_bounds() {
    let stage = Stage::start().await;
    let head = "POST /open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = |size: usize| format!("1;{}\r\nx\r\n", "e".repeat(size));
    let message = |chunks: String| format!("{head}{chunks}0\r\n\r\n").into_bytes();
    let cases = [
        ("small ones", message(chunk(100).repeat(3)), Passes("xxx")),
        ("a large one", message(chunk(17 << 10)), Broken),
        ("many small ones", message(chunk(1 << 10).repeat(17)), Broken),
    ];
    for (name, message, verdict) in cases {
        let outcome = try_case(&stage, &message, verdict).await;
        assert_eq!(outcome, Ok(()), "{name}");
    }
}
