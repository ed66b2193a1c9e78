use proptest::prelude::*;

use super::{IN_ORDER, LENGTHS, ROWS, Unreadable, decode};

fn text(coded: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut decoded = Vec::new();
    decode(coded, |octet| decoded.push(octet)).map(|_| decoded)
}

fn bits(code: u32, length: u8) -> impl Iterator<Item = bool> {
    (0..length).rev().map(move |place| code >> place & 1 == 1)
}

/// The code of an octet, or of the end.
fn code(symbol: usize) -> impl Iterator<Item = bool> {
    let length = LENGTHS[symbol];
    let row = ROWS[usize::from(length)];
    let place = IN_ORDER.iter().position(|it| usize::from(*it) == symbol).expect("a symbol");
    let place = u32::try_from(place).expect("a small number");
    bits(row.first + place - row.at, length)
}

fn octets(bits: &[bool], padding: bool) -> Vec<u8> {
    let octet = |eight: &[bool]| {
        (0..8).fold(0, |octet, at| octet << 1 | u8::from(*eight.get(at).unwrap_or(&padding)))
    };
    bits.chunks(8).map(octet).collect()
}

/// RFC 7541 5.2 to the letter: a bit at a time, until a code is complete.
fn bit_by_bit(coded: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let (mut decoded, mut begun) = (Vec::new(), Vec::new());
    let codes: Vec<Vec<bool>> = (0..=256).map(|symbol| code(symbol).collect()).collect();
    for bit in coded.iter().flat_map(|octet| bits(u32::from(*octet), 8)) {
        begun.push(bit);
        if let Some(symbol) = codes.iter().position(|it| *it == begun) {
            decoded.push(u8::try_from(symbol).map_err(|_| Unreadable)?);
            begun.clear();
        }
    }
    let is_padding = begun.len() < 8 && begun.iter().all(|bit| *bit);
    if is_padding { Ok(decoded) } else { Err(Unreadable) }
}

#[test]
fn every_octet_alone_and_after_others_is_read_from_its_code() {
    for symbol in 0..=255 {
        for before in ["", "0", "00", "~~~", "aaaa"] {
            let mut plain = before.as_bytes().to_vec();
            plain.push(symbol);
            let coded: Vec<bool> = plain.iter().flat_map(|it| code(usize::from(*it))).collect();
            assert_eq!(text(&octets(&coded, true)), Ok(plain), "{symbol} after {before:?}");
        }
    }
}

#[test]
fn the_end_is_no_octet() {
    let end: Vec<bool> = code(256).collect();
    assert_eq!(text(&octets(&end, true)), Err(Unreadable));
    let behind: Vec<bool> = code(usize::from(b'a')).chain(end).collect();
    assert_eq!(text(&octets(&behind, true)), Err(Unreadable));
}

proptest! {
    #[test]
    fn any_string_is_read_from_its_code(plain: Vec<u8>) {
        let coded: Vec<bool> = plain.iter().flat_map(|it| code(usize::from(*it))).collect();
        prop_assert_eq!(text(&octets(&coded, true)), Ok(plain.clone()));
        if !coded.len().is_multiple_of(8) {
            prop_assert_ne!(text(&octets(&coded, false)), Ok(plain), "padding of zeroes");
        }
    }

    #[test]
    fn what_is_read_is_what_the_rfc_reads(
        coded in prop::collection::vec(prop_oneof![any::<u8>(), 0xf8..=0xff_u8], 0..12),
    ) {
        prop_assert_eq!(text(&coded), bit_by_bit(&coded));
    }
}
