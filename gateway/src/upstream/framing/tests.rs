use proptest::prelude::*;

use super::{Asked, FramingFault, MAX_FIELDS, MAX_HEAD_BYTES, ResponseScanner};

/// Feeds the bytes in pieces; says what was passed, and how many responses ended.
fn scan(bytes: &[u8], piece: usize, asked: Asked) -> Result<(usize, usize), FramingFault> {
    let mut scanner = ResponseScanner::default();
    let (mut buffer, mut passed, mut ended) = (Vec::new(), 0, 0);
    for piece in bytes.chunks(piece.max(1)) {
        buffer.extend_from_slice(piece);
        while !buffer.is_empty() {
            let (pass, complete) = scanner.scan(&buffer, asked)?;
            if pass == 0 {
                break;
            }
            buffer.drain(..pass);
            passed += pass;
            ended += usize::from(complete);
        }
    }
    Ok((passed, ended))
}

/// However the bytes are cut, all of them pass, and so many responses end.
fn passes(bytes: &str, asked: Asked, ended: usize) {
    for piece in [1, 2, 3, 7, bytes.len()] {
        let outcome = scan(bytes.as_bytes(), piece, asked);
        assert_eq!(outcome, Ok((bytes.len(), ended)), "{bytes:?} in pieces of {piece}");
    }
}

#[test]
fn a_response_ends_where_its_fields_say() {
    let other = Asked::Other;
    passes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", other, 1);
    passes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", other, 1);
    passes("HTTP/1.1 204 No Content\r\n\r\n", other, 1);
    passes("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", other, 1);
    passes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Asked::Head, 1);
    passes(
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        other,
        1,
    );
    // Only the end of the connection ends this.
    passes("HTTP/1.1 200 OK\r\n\r\nanything\r\n\r\nat all", other, 0);
    // What follows is no response.
    passes("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\x02", other, 1);
}

#[test]
fn an_answer_that_can_be_read_in_two_ways_is_a_fault() {
    let (line, length) = (FramingFault::StatusLine, FramingFault::ContentLength);
    for (head, fault) in [
        ("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", length),
        ("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n", length),
        ("HTTP/1.1 2x0 OK\r\n\r\n", line),
        ("HTTP/1.1 200OK\r\n\r\n", line),
        ("HTTP/1.1 2000\r\n\r\n", line),
        ("HTTP/1.1 200 O\u{1}K\r\n\r\n", line),
        ("HTTP/1.1 099 Few\r\n\r\n", line),
        ("HTTP/1.1 600 Many\r\n\r\n", line),
        ("HTTP/1.1  200 OK\r\n\r\n", line),
    ] {
        for piece in [1, head.len()] {
            assert_eq!(scan(head.as_bytes(), piece, Asked::Other), Err(fault), "{head:?}");
        }
    }
    // A length of nothing says what is so anyway.
    passes("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Asked::Other, 1);
    // The space before no reason is often forgotten.
    passes("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Asked::Other, 1);
}

#[test]
fn a_head_has_so_many_bytes_and_no_more() {
    let head = |length: usize| {
        let (begin, end) = ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ", "\r\n\r\n");
        let padding = "x".repeat(length - begin.len() - end.len());
        format!("{begin}{padding}{end}")
    };
    passes(&head(MAX_HEAD_BYTES), Asked::Other, 1);
    let large = head(MAX_HEAD_BYTES + 1);
    let without_end = &head(2 * MAX_HEAD_BYTES)[..MAX_HEAD_BYTES + 7];
    for bytes in [&large, without_end] {
        for piece in [1 << 10, bytes.len()] {
            let outcome = scan(bytes.as_bytes(), piece, Asked::Other);
            assert_eq!(outcome, Err(FramingFault::HeadTooLarge));
        }
    }
}

/// What it announces can be its body, or the next response's beginning.
#[test]
fn a_204_that_announces_a_body_is_the_last_of_its_connection() {
    let next = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for head in [
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        for behind in ["", "0\r\n\r\n", "hello", next] {
            for piece in [1, 7, 1 << 10] {
                let bytes = format!("{head}{behind}");
                let outcome = scan(bytes.as_bytes(), piece, Asked::Other);
                assert_eq!(outcome, Ok((head.len(), 1)), "{bytes:?} in pieces of {piece}");
            }
        }
    }
}

#[test]
fn blanks_may_stand_behind_the_size_of_a_chunk_and_nowhere_else() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for size in ["2 ", "2\t", "02  \t ", "2 ;a=b", "2 ; a"] {
        passes(&format!("{head}{size}\r\nok\r\n0  \r\n\r\n"), Asked::Other, 1);
    }
    for size in [" 2", "2 2", "2 x", " ", "2 \n", "2\u{b}"] {
        let bytes = format!("{head}{size}\r\nok\r\n0\r\n\r\n");
        for piece in [1, bytes.len()] {
            let outcome = scan(bytes.as_bytes(), piece, Asked::Other);
            assert_eq!(outcome, Err(FramingFault::Chunk), "{size:?}");
        }
    }
    // As many as an extension may have bytes.
    let endless = format!("{head}2{}", " ".repeat((16 << 10) + 1));
    assert_eq!(scan(endless.as_bytes(), 1 << 10, Asked::Other), Err(FramingFault::Chunk));
}

#[test]
fn a_response_has_so_many_fields_and_no_more() {
    let response = |fields: usize| {
        let more = "X-Field: a\r\n".repeat(fields - 1);
        format!("HTTP/1.1 200 OK\r\n{more}Content-Length: 0\r\n\r\n")
    };
    passes(&response(MAX_FIELDS), Asked::Other, 1);
    let many = response(MAX_FIELDS + 1);
    let outcome = scan(many.as_bytes(), many.len(), Asked::Other);
    assert_eq!(outcome, Err(FramingFault::FieldCount));
}

#[test]
fn nothing_passes_unasked() {
    assert_eq!(scan(b"H", 1, Asked::Nothing), Err(FramingFault::Unexpected));
}

proptest! {
    /// Whatever an upstream says, the verdict does not depend on how it is cut.
    #[test]
    fn the_verdict_does_not_depend_on_the_pieces(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "HTTP/1\\.[01] [1-5][0-9]{2} ?[a-z]{0,4}\r\n(((Content-Length: [0-9]{1,2}|Transfer-Encoding: chunked|X: ?[a-z]{0,3})\r\n){0,3})\r\n([0-9a-f]{1,2}\r\n[a-z\r\n]{0,20}){0,3}"
                .prop_map(String::into_bytes),
        ],
        piece in 1..20_usize,
        head in any::<bool>(),
    ) {
        let asked = if head { Asked::Head } else { Asked::Other };
        let whole = scan(&bytes, bytes.len(), asked);
        let pieces = scan(&bytes, piece, asked);
        prop_assert_eq!(whole.is_ok(), pieces.is_ok());
        if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
            prop_assert_eq!(whole, pieces);
        }
    }
}
