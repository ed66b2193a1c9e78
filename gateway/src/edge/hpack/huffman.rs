//! The code of RFC 7541 B. It is canonical: codes of one length follow each other in the
//! order of their symbols, so that the lengths say everything.

use super::Unreadable;

const SYMBOLS: usize = 257;
const LONGEST: u32 = 30;

/// How long the code of each octet is, and that of the end.
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// By length: the first code, how many there are, and where their symbols stand.
const ROWS: [Row; LONGEST as usize + 1] = rows();
const IN_ORDER: [u16; SYMBOLS] = in_order();

#[derive(Clone, Copy)]
struct Row {
    first: u32,
    count: u32,
    at: u32,
}

const fn rows() -> [Row; LONGEST as usize + 1] {
    let mut rows = [Row { first: 0, count: 0, at: 0 }; LONGEST as usize + 1];
    let mut symbol = 0;
    while symbol < SYMBOLS {
        rows[LENGTHS[symbol] as usize].count += 1;
        symbol += 1;
    }
    let mut length = 1;
    while length <= LONGEST as usize {
        let before = rows[length - 1];
        rows[length].first = (before.first + before.count) << 1;
        rows[length].at = before.at + before.count;
        length += 1;
    }
    rows
}

const fn in_order() -> [u16; SYMBOLS] {
    let mut ordered = [0; SYMBOLS];
    let (mut length, mut next) = (0, 0);
    while length <= LONGEST as usize {
        let mut symbol: u16 = 0;
        while (symbol as usize) < SYMBOLS {
            if LENGTHS[symbol as usize] as usize == length {
                ordered[next] = symbol;
                next += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    ordered
}

/// By the octet that comes next: the symbol whose code it begins with, and how long that
/// is; 0 where the code is longer than an octet. Nearly all that clients send is here.
const SHORT: [(u16, u16); 256] = short();

const fn short() -> [(u16, u16); 256] {
    let mut short = [(0, 0); 256];
    let mut length: u16 = 1;
    while length <= 8 {
        let row = ROWS[length as usize];
        let mut code = row.first;
        while code < row.first + row.count {
            let symbol = IN_ORDER[(row.at + code - row.first) as usize];
            let mut next = (code as usize) << (8 - length);
            let end = (code as usize + 1) << (8 - length);
            while next < end {
                short[next] = (symbol, length);
                next += 1;
            }
            code += 1;
        }
        length += 1;
    }
    short
}

/// Each octet of a coded string, and how many there are.
pub(super) fn decode(coded: &[u8], mut each: impl FnMut(u8)) -> Result<u32, Unreadable> {
    // What comes next stands at the top of the window, with zeroes below what is held.
    let (mut window, mut held, mut decoded) = (0_u64, 0_u32, 0);
    let mut octets = coded.iter();
    loop {
        if held < LONGEST {
            for octet in octets.by_ref().take(((u64::BITS - held) / 8) as usize) {
                held += 8;
                window |= u64::from(*octet) << (u64::BITS - held);
            }
        }
        let [first, second, third, fourth, ..] = window.to_be_bytes();
        let (symbol, length) = match SHORT[usize::from(first)] {
            (_, 0) => long(u32::from_be_bytes([first, second, third, fourth]))?,
            found => found,
        };
        let length = u32::from(length);
        if length > held {
            break;
        }
        // The end has no place in a string.
        each(u8::try_from(symbol).map_err(|_| Unreadable)?);
        (window, held, decoded) = (window << length, held - length, decoded + 1);
    }
    // What is left is padding: less than an octet of the end's beginning.
    if held < 8 && window == !(u64::MAX >> held) { Ok(decoded) } else { Err(Unreadable) }
}

/// The symbol whose code is longer than an octet, and how long that is.
fn long(next: u32) -> Result<(u16, u16), Unreadable> {
    for (length, row) in (0..).zip(&ROWS).skip(9) {
        let code = next >> (32 - length);
        if code.wrapping_sub(row.first) < row.count {
            return Ok((IN_ORDER[(row.at + code - row.first) as usize], length));
        }
    }
    Err(Unreadable)
}

#[cfg(test)]
mod tests;
