//! The code of RFC 7541 B. It is canonical: codes of one length follow each other in the
//! order of their symbols, so that the lengths say everything.

use super::Unreadable;

const SYMBOLS: usize = 257;
const LONGEST: usize = 30;

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
const ROWS: [Row; LONGEST + 1] = rows();
const IN_ORDER: [u16; SYMBOLS] = in_order();

#[derive(Clone, Copy)]
struct Row {
    first: u32,
    count: u32,
    at: u32,
}

const fn rows() -> [Row; LONGEST + 1] {
    let mut rows = [Row { first: 0, count: 0, at: 0 }; LONGEST + 1];
    let mut symbol = 0;
    while symbol < SYMBOLS {
        rows[LENGTHS[symbol] as usize].count += 1;
        symbol += 1;
    }
    let mut length = 1;
    while length <= LONGEST {
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
    while length <= LONGEST {
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

/// Each octet of a coded string, and how many there are.
pub(super) fn decode(coded: &[u8], mut each: impl FnMut(u8)) -> Result<u32, Unreadable> {
    let (mut code, mut length, mut decoded) = (0_u32, 0, 0);
    for octet in coded {
        for place in (0..8).rev() {
            code = code << 1 | u32::from(octet >> place & 1);
            length += 1;
            let Some(row) = ROWS.get(length) else { return Err(Unreadable) };
            if code.wrapping_sub(row.first) < row.count {
                let symbol = IN_ORDER[(row.at + code - row.first) as usize];
                // The end has no place in a string.
                each(u8::try_from(symbol).map_err(|_| Unreadable)?);
                (code, length, decoded) = (0, 0, decoded + 1);
            }
        }
    }
    // What is left is padding: less than an octet of the end's beginning.
    if length < 8 && code == (1 << length) - 1 { Ok(decoded) } else { Err(Unreadable) }
}
