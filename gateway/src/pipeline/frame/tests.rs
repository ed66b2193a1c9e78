use proptest::prelude::*;

use super::{Header, MAX_CONTROL_BYTES, Malformed, Opcode, put_header};

/// A client's frame: a server's with the mask put in.
fn client_frame(fin: bool, opcode: Opcode, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    put_header(&mut frame, fin, opcode, payload.len() as u64);
    frame[1] |= 0x80;
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

proptest! {
    #[test]
    fn a_header_says_what_was_meant_once_it_is_complete(
        fin: bool,
        opcode in proptest::sample::select(&[Opcode::Continuation, Opcode::Text, Opcode::Binary]),
        mask: [u8; 4],
        length in prop_oneof![0..200usize, Just(65_535), Just(65_536)],
        cut in 1..70usize,
    ) {
        let payload: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
        let frame = client_frame(fin, opcode, mask, &payload);
        let (header, end) = Header::read(&frame).unwrap().expect("a whole header");
        prop_assert_eq!((header.fin, header.opcode), (fin, opcode));
        prop_assert_eq!(header.length, length as u64);
        for short in 0..end {
            prop_assert_eq!(Header::read(&frame[..short]), Ok(None));
        }
        let mut unmasked = frame[end..].to_vec();
        let mut offset = 0;
        for part in unmasked.chunks_mut(cut) {
            header.unmask(offset, part);
            offset += part.len() as u64;
        }
        prop_assert!(unmasked == payload);
    }
}

#[test]
fn what_no_client_may_send_is_refused_at_its_first_byte_that_says_so() {
    let cases: &[(&str, &[u8])] = &[
        ("a reserved bit", &[0xc1, 0x85]),
        ("another reserved bit", &[0x91, 0x85]),
        ("an opcode of nobody's", &[0x83, 0x85]),
        ("a control opcode of nobody's", &[0x8b, 0x80]),
        ("no mask", &[0x81, 0x05]),
        ("a control frame in parts", &[0x09, 0x80]),
        ("a long control frame", &[0x89, 0xfe]),
        ("a short length in two bytes", &[0x81, 0xfe, 0, 125, 1, 2, 3, 4]),
        ("a short length in eight bytes", &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4]),
        ("the highest bit", &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]),
    ];
    for (what, bytes) in cases {
        assert_eq!(Header::read(bytes), Err(Malformed), "{what}");
        assert_eq!(Header::read(&bytes[..1]), Ok(None), "{what}");
    }
}

#[test]
fn a_control_frame_may_be_as_long_as_the_protocol_allows() {
    for length in [0, MAX_CONTROL_BYTES] {
        let frame = client_frame(true, Opcode::Ping, [1, 2, 3, 4], &vec![0; length]);
        let (header, _) = Header::read(&frame).unwrap().expect("a whole header");
        assert_eq!((header.opcode, header.length), (Opcode::Ping, length as u64));
    }
}
