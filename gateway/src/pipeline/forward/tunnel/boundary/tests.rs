use proptest::prelude::*;

use super::*;

pub fn frame(length: usize, masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut frame = vec![0x82];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => frame.push(mask + length),
        (_, Ok(length)) => {
            frame.push(mask + 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(mask + 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend([1, 2, 3, 4]);
    }
    frame.resize(frame.len() + length, 0x88);
    frame
}

proptest! {
    #[test]
    fn frames_end_where_they_end_however_the_bytes_come(
        lengths in proptest::collection::vec(
            prop_oneof![0..130usize, Just(65_535), Just(65_536)], 1..5),
        masked: bool,
        cut in 1..4096usize,
    ) {
        let mut boundary = FrameBoundary::default();
        for length in lengths {
            let frame = frame(length, masked);
            let (last, rest) = frame.split_last().unwrap();
            for piece in rest.chunks(cut) {
                boundary.advance(piece);
                prop_assert!(!boundary.is_between_frames());
            }
            boundary.advance(&[*last]);
            prop_assert!(boundary.is_between_frames());
        }
    }

    /// So many bytes as `wanted` says, one time after another, are just the frame's.
    #[test]
    fn nobody_reads_beyond_the_frame_under_way(
        length in prop_oneof![0..130usize, Just(65_535), Just(65_536)],
        masked: bool,
        read in 1..14usize,
        most in 1..4096usize,
    ) {
        let frame = frame(length, masked);
        let mut boundary = FrameBoundary::default();
        let mut at = read.min(frame.len() - 1);
        prop_assume!(at > 0);
        boundary.advance(&frame[..at]);
        while !boundary.is_between_frames() {
            let wanted = boundary.wanted(most);
            let left = boundary.payload_left;
            let expected = if left == 0 { 1 } else { most.min(usize::try_from(left).unwrap()) };
            prop_assert_eq!(wanted, expected);
            boundary.advance(&frame[at..at + wanted]);
            at += wanted;
        }
        prop_assert_eq!(at, frame.len());
    }
}
