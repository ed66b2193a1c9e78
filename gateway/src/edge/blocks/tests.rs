mod differential;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{BlockGate, CONTINUATION, DATA, END_HEADERS, HEADERS, PADDED, PREFACE_BYTES, PRIORITY};

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What comes through of these frames when they come in such pieces.
fn through(frames: &[Vec<u8>], piece: usize) -> Vec<Vec<u8>> {
    let preface = vec![b'P'; usize::try_from(PREFACE_BYTES).unwrap()];
    let sent = [preface.clone(), frames.concat()].concat();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut passed = runtime.block_on(async move {
        let (mut client, server) = tokio::io::duplex(piece);
        let sending = tokio::spawn(async move {
            let _ = client.write_all(&sent).await;
        });
        let (mut gate, mut passed) = (BlockGate::new(server), Vec::new());
        let mut room = [0; 37];
        loop {
            let count = gate.read(&mut room).await.unwrap();
            if count == 0 {
                break;
            }
            passed.extend_from_slice(&room[..count]);
        }
        drop(gate);
        sending.await.unwrap();
        passed
    });
    assert_eq!(passed.drain(..preface.len()).collect::<Vec<_>>(), preface);
    let mut cut = Vec::new();
    while !passed.is_empty() {
        let length = u32::from_be_bytes([0, passed[0], passed[1], passed[2]]) as usize;
        cut.push(passed.drain(..9 + length).collect());
    }
    cut
}

const PLAIN: &[u8] = b"\x82\x87\x84";
const WITH_FRAGMENT: &[u8] = b"\x82\x87\x04\x02/#";
const MARK: &[u8] = b"\x00\x18portcullis-path-fragment\x011";

#[test]
fn what_is_in_order_passes_as_it_is() {
    let frames = [
        frame(4, 0, 0, &[]),
        frame(HEADERS, END_HEADERS, 1, PLAIN),
        frame(DATA, 0, 1, &[9; 300]),
        frame(HEADERS, END_HEADERS | 1, 1, b"\x00\x01a\x01b"),
        frame(HEADERS, 0, 3, &PLAIN[..1]),
        frame(CONTINUATION, END_HEADERS, 3, &PLAIN[1..]),
        frame(HEADERS, END_HEADERS | PADDED | PRIORITY, 5, b"\x02\0\0\0\x01\x10\x82\x87\x84zz"),
    ];
    for piece in [1, 2, 7, 64, 4096] {
        assert_eq!(through(&frames, piece), frames, "in pieces of {piece}");
    }
}

#[test]
fn a_head_whose_path_holds_a_fragment_is_marked_and_the_next_is_not() {
    let frames = [
        frame(HEADERS, END_HEADERS | 1, 1, WITH_FRAGMENT),
        frame(HEADERS, END_HEADERS | 1, 3, PLAIN),
        frame(HEADERS, 0, 5, &WITH_FRAGMENT[..4]),
        frame(CONTINUATION, END_HEADERS, 5, &WITH_FRAGMENT[4..]),
    ];
    let full = [WITH_FRAGMENT, &b"\x00\x01a\x00".repeat(4094)].concat();
    let frames = [
        &frames[..],
        &[
            frame(HEADERS, END_HEADERS | PADDED, 7, &[&[2][..], WITH_FRAGMENT, b"zz"].concat()),
            frame(HEADERS, END_HEADERS | 1, 9, &full),
        ],
    ]
    .concat();
    let expected = [
        frame(HEADERS, END_HEADERS | 1, 1, &[WITH_FRAGMENT, MARK].concat()),
        frames[1].clone(),
        frames[2].clone(),
        frame(CONTINUATION, END_HEADERS, 5, &[&WITH_FRAGMENT[4..], MARK].concat()),
        frame(HEADERS, END_HEADERS | PADDED, 7, &[&[2], WITH_FRAGMENT, MARK, b"zz"].concat()),
        // There is no room for it.
        frame(HEADERS, 1, 9, &full),
        frame(CONTINUATION, END_HEADERS, 9, MARK),
    ];
    for piece in [1, 5, 64, 4096] {
        assert_eq!(through(&frames, piece), expected, "in pieces of {piece}");
    }
}

const UNFIT_MARK: &[u8] = b"\x00\x15portcullis-path-unfit\x011";

/// The library ends the connection for the first, and resets the stream for the others.
#[test]
fn a_path_that_the_library_does_not_take_is_replaced_by_one_as_long() {
    for (block, passed) in [
        (&b"\x82\x87\x44\x04/\xe9\xe8a"[..], &b"\x82\x87\x44\x04/___"[..]),
        (b"\x82\x04\x03/ab\x87\x04\x03/?<", b"\x82\x04\x03/ab\x87\x04\x03/__"),
        (b"\x82\x00\x05:path\x02\"a\x87", b"\x82\x00\x05:path\x02/_\x87"),
        // In Huffman code.
        (b"\x82\x44\x83\x63\xff\xe7", b"\x82\x44\x02/_"),
    ] {
        let flags = END_HEADERS | 1;
        let frames = [
            frame(HEADERS, flags, 1, block),
            frame(
                HEADERS,
                flags | PADDED | PRIORITY,
                3,
                &[b"\x02\0\0\0\x01\x10", block, b"zz"].concat(),
            ),
            frame(HEADERS, 1, 5, &block[..1]),
            frame(CONTINUATION, END_HEADERS, 5, &block[1..]),
        ];
        let marked = [passed, UNFIT_MARK].concat();
        let expected = [
            frame(HEADERS, flags, 1, &marked),
            frame(
                HEADERS,
                flags | PADDED | PRIORITY,
                3,
                &[b"\x02\0\0\0\x01\x10", &marked[..], b"zz"].concat(),
            ),
            frames[2].clone(),
            frame(CONTINUATION, END_HEADERS, 5, &marked[1..]),
        ];
        for piece in [1, 5, 4096] {
            assert_eq!(through(&frames, piece), expected, "{block:02x?} in pieces of {piece}");
        }
    }
}

#[test]
fn the_length_of_a_long_path_is_written_as_the_rfc_has_it() {
    for (octets, length) in [
        (126, &[0x7e][..]),
        (127, &[0x7f, 0]),
        (128, &[0x7f, 1]),
        (255, &[0x7f, 0x80, 1]),
        (1337, &[0x7f, 0xba, 9]),
    ] {
        let written = super::string(&vec![b'_'; octets]);
        assert_eq!((&written[..length.len()], written.len()), (length, length.len() + octets));
    }
}

#[test]
fn trailers_with_any_pseudo_header_are_made_malformed() {
    for trailers in
        [b"\x04\x01/".as_slice(), b"\x82", b"\x00\x01a\x01b\x84", b"\x00\x07:status\x03200"]
    {
        let frames =
            [frame(HEADERS, END_HEADERS, 1, PLAIN), frame(HEADERS, END_HEADERS | 1, 1, trailers)];
        let passed = through(&frames, 4096);
        assert_eq!(passed[0], frames[0]);
        let malformed = [trailers, b"\x00\x0aconnection\x011"].concat();
        assert_eq!(passed[1..], [frame(HEADERS, END_HEADERS | 1, 1, &malformed)]);
    }
}

/// Its table would not be the library's any more.
#[test]
fn nothing_passes_behind_a_block_that_cannot_be_read() {
    let dependent = frame(HEADERS, END_HEADERS | PRIORITY, 1, b"\0\0\0\x01\x10\x82\x87\x84");
    for bad in [frame(HEADERS, END_HEADERS, 1, b"\x82\x04\x05/"), dependent] {
        let frames = [bad, frame(HEADERS, END_HEADERS, 3, PLAIN)];
        for piece in [3, 4096] {
            let expected = [frame(HEADERS, 0, 1, &[]), frame(HEADERS, 0, 1, &[])];
            assert_eq!(through(&frames, piece), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_pieces_in_which_frames_come_change_nothing(
        frames in proptest::collection::vec(
            (0_u8..10, any::<u8>(), 0_u32..5, proptest::collection::vec(any::<u8>(), 0..40)),
            0..8,
        ),
        piece in 1_usize..50,
    ) {
        let frames: Vec<_> = frames
            .into_iter()
            .map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload))
            .collect();
        prop_assert_eq!(through(&frames, piece), through(&frames, 1 << 16));
    }
}
