//! A tunnel of an agent: whatever it says and however the bytes come, only whole pongs
//! with the gateway's payload are taken out, and everything else is passed on in order.
//!
//! The first line of an input says where to cut, and what follows it is what the agent
//! sends.

use portcullis::pipeline::forward::tunnel::upkeep::{Payload, PongFilter};

use crate::pieces::{first_line, lengths};

const PAYLOAD: Payload = *b"our ping";
/// A pong's header, mask and payload.
const PONG_BYTES: usize = 14;

pub(crate) fn run(data: &[u8]) {
    let (cuts, bytes) = first_line(data);
    let expected = without_pongs(bytes);
    for cuts in [cuts, &[], &[0]] {
        let mut pongs = PongFilter::new(PAYLOAD);
        let (mut passed, mut rest) = (Vec::new(), bytes);
        for length in lengths(cuts) {
            let (piece, behind) = rest.split_at(length.min(rest.len()));
            rest = behind;
            let mut read = [pongs.held(), piece].concat();
            let kept = pongs.pass(&mut read);
            passed.extend_from_slice(&read[..kept]);
            assert!(pongs.held().len() < PONG_BYTES, "more is held back than can be a pong");
            if rest.is_empty() {
                break;
            }
        }
        passed.extend_from_slice(pongs.held());
        assert!(passed == expected, "something else is passed on");
    }
}

/// Reads the frames one by one (RFC 6455 5.2), with everything there.
fn without_pongs(mut bytes: &[u8]) -> Vec<u8> {
    let mut passed = Vec::new();
    while let Some(length) = frame_length(bytes) {
        let (frame, rest) = bytes.split_at(length);
        if !is_ours(frame) {
            passed.extend_from_slice(frame);
        }
        bytes = rest;
    }
    passed.extend_from_slice(bytes);
    passed
}

/// Of the first frame, if it is whole.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let [_, second, rest @ ..] = bytes else { return None };
    let (extended, payload) = match second & 0x7f {
        126 => (2, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (8, u64::from_be_bytes(*rest.first_chunk()?)),
        short => (0, u64::from(short)),
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let length = usize::try_from(payload).ok()?.checked_add(2 + extended + mask)?;
    (length <= bytes.len()).then_some(length)
}

fn is_ours(frame: &[u8]) -> bool {
    let [0x8a, 0x88, a, b, c, d, payload @ ..] = frame else { return false };
    let mask = [a, b, c, d].into_iter().cycle();
    payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask).eq(PAYLOAD)
}
