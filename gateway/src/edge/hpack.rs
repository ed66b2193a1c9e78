//! Reads header blocks (RFC 7541) as far as it takes to know what the library does not
//! tell: whether a `:path` holds a `#`, which the library cuts off, whether it is one for
//! which the library resets the stream, and whether there is any pseudo-header at all,
//! which in trailers it passes over.
//!
//! It is the library's own reading, done a second time: of a field in the dynamic table
//! it remembers how long it is, so that both tables lose their entries at the same time,
//! and what there was to know about it. Whatever it cannot read is an error, and nothing
//! behind it may reach the library.

mod huffman;

use std::collections::VecDeque;

use http::uri::PathAndQuery;

use super::framing::is_ordinary;

/// What a block holds beside fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    pub pseudo: bool,
    pub fragment: bool,
    /// The library does not take the `:path`.
    pub unfit: bool,
    /// Its value in this block; none if it stands in the table.
    pub value: Option<Span>,
}

/// A string literal (RFC 7541 5.2) in a block, with its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: usize,
    pub to: usize,
    /// What it decodes to has so many.
    pub octets: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a header block that does not follow RFC 7541")]
pub struct Unreadable;

/// SETTINGS_HEADER_TABLE_SIZE that nobody has changed.
const TABLE_BYTES: usize = 4096;
/// What each entry counts beside its octets (RFC 7541 4.1).
const ENTRY_BYTES: usize = 32;
/// As the library does; every value below fits without overflow.
const MAX_INTEGER_OCTETS: u32 = 4;

#[derive(Debug, Default)]
pub struct Reader {
    table: Table,
}

impl Reader {
    /// Reads a whole block.
    ///
    /// # Errors
    /// When it does not follow the rules; the reader knows nothing more from then on.
    pub fn read(&mut self, block: &[u8]) -> Result<Found, Unreadable> {
        let mut found = Found::default();
        let mut input = Input(block);
        let mut may_resize = true;
        while let Some(&first) = input.0.first() {
            let entry = match first {
                0x80.. => self.table.get(input.integer(7)?)?,
                0x40..=0x7f => {
                    let (entry, value) = self.literal(&mut input, 6, Kept::Indexed)?;
                    self.table.insert(entry);
                    found.note_value(block, value);
                    entry
                }
                0x20..=0x3f if may_resize => {
                    self.table.resize(input.integer(5)?)?;
                    continue;
                }
                0x20..=0x3f => return Err(Unreadable),
                0x00..=0x1f => {
                    let (entry, value) = self.literal(&mut input, 4, Kept::Nowhere)?;
                    found.note_value(block, value);
                    entry
                }
            };
            may_resize = false;
            found.pseudo |= entry.name != Name::Field;
            found.fragment |= entry.name == Name::Path && entry.fragment;
            found.unfit |= entry.unfit;
        }
        Ok(found)
    }

    /// The field, and its value if the library does not take it.
    fn literal<'a>(
        &self,
        input: &mut Input<'a>,
        prefix: u32,
        kept: Kept,
    ) -> Result<(Entry, Option<Value<'a>>), Unreadable> {
        let (name, name_bytes) = match input.integer(prefix)? {
            0 => {
                let mut spelled = Spelled::default();
                let length = input.string(|octet| spelled.add(octet))?;
                (spelled.name(), length)
            }
            index => {
                let known = self.table.get(index)?;
                (known.name, known.name_bytes)
            }
        };
        if (name, kept) == (Name::Field, Kept::Nowhere) {
            // A token, mostly, with every request. The library ends the connection where
            // it is no string, so that nothing behind it is read by either.
            input.octets()?;
            let entry = Entry { name, name_bytes, value_bytes: 0, fragment: false, unfit: false };
            return Ok((entry, None));
        }
        let (mut fragment, mut all_ordinary, mut is_first) = (false, true, true);
        let before = input.0;
        let value_bytes = input.string(|octet| {
            fragment |= octet == b'#';
            // One that begins with something else is no path, but an asterisk.
            all_ordinary &= is_ordinary(octet) && (octet == b'/' || !is_first);
            is_first = false;
        })?;
        let value = Value { from: before, octets: value_bytes as usize, rest: input.0.len() };
        let unfit = name == Name::Path && !all_ordinary && !value.is_taken()?;
        let entry = Entry { name, name_bytes, value_bytes, fragment, unfit };
        Ok((entry, unfit.then_some(value)))
    }
}

impl Found {
    /// The first: behind two the library resets the stream in any case.
    fn note_value(&mut self, block: &[u8], value: Option<Value<'_>>) {
        let span = |value: Value<'_>| Span {
            from: block.len() - value.from.len(),
            to: block.len() - value.rest,
            octets: value.octets,
        };
        self.value = self.value.or(value.map(span));
    }
}

/// A value of a `:path`.
struct Value<'a> {
    /// From its length on, with what stands behind it.
    from: &'a [u8],
    octets: usize,
    /// How much stands behind it.
    rest: usize,
}

impl Value<'_> {
    /// Whether the library takes it; asked where it holds an octet that is seldom.
    fn is_taken(&self) -> Result<bool, Unreadable> {
        let mut text = Vec::with_capacity(self.octets);
        Input(self.from).string(|octet| text.push(octet))?;
        Ok(std::str::from_utf8(&text).is_ok() && PathAndQuery::try_from(&text[..]).is_ok())
    }
}

/// Whether a literal becomes an entry of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Indexed,
    Nowhere,
}

/// What is worth knowing about a field.
#[derive(Debug, Clone, Copy)]
struct Entry {
    name: Name,
    name_bytes: u32,
    value_bytes: u32,
    /// Whether there is a `#` in the value.
    fragment: bool,
    /// Whether it is a path that the library does not take.
    unfit: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Field,
    Path,
    OtherPseudo,
}

/// A name, octet by octet.
#[derive(Default)]
struct Spelled {
    octets: usize,
    pseudo: bool,
    /// Whether it begins as `:path` does so far.
    path: bool,
}

impl Spelled {
    const PATH: &'static [u8] = b":path";

    fn add(&mut self, octet: u8) {
        if self.octets == 0 {
            (self.pseudo, self.path) = (octet == b':', true);
        }
        self.path &= Self::PATH.get(self.octets) == Some(&octet);
        self.octets += 1;
    }

    fn name(&self) -> Name {
        match (self.pseudo, self.path && self.octets == Self::PATH.len()) {
            (false, _) => Name::Field,
            (true, true) => Name::Path,
            (true, false) => Name::OtherPseudo,
        }
    }
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    /// An integer whose first octet has a prefix of so many bits (RFC 7541 5.1).
    fn integer(&mut self, prefix: u32) -> Result<usize, Unreadable> {
        let mask = 0xff >> (8 - prefix);
        let mut value = usize::from(self.octet()? & mask);
        if value < usize::from(mask) {
            return Ok(value);
        }
        for place in 0..MAX_INTEGER_OCTETS {
            let octet = self.octet()?;
            value += usize::from(octet & 0x7f) << (7 * place);
            if octet & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unreadable)
    }

    /// A string (RFC 7541 5.2): each octet of it, and how many there are.
    fn string(&mut self, mut each: impl FnMut(u8)) -> Result<u32, Unreadable> {
        let (octets, is_coded) = self.octets()?;
        if is_coded {
            return huffman::decode(octets, each);
        }
        octets.iter().copied().for_each(&mut each);
        u32::try_from(octets.len()).map_err(|_| Unreadable)
    }

    /// The octets of a string, and whether they are its code.
    fn octets(&mut self) -> Result<(&[u8], bool), Unreadable> {
        let is_coded = self.0.first().ok_or(Unreadable)? & 0x80 != 0;
        let length = self.integer(7)?;
        let (octets, rest) = self.0.split_at_checked(length).ok_or(Unreadable)?;
        self.0 = rest;
        Ok((octets, is_coded))
    }

    fn octet(&mut self) -> Result<u8, Unreadable> {
        let (first, rest) = self.0.split_first().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*first)
    }
}

/// The dynamic table (RFC 7541 2.3.2), newest first.
#[derive(Debug)]
struct Table {
    entries: VecDeque<Entry>,
    bytes: usize,
    limit: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { entries: VecDeque::new(), bytes: 0, limit: TABLE_BYTES }
    }
}

impl Table {
    fn get(&self, index: usize) -> Result<Entry, Unreadable> {
        let before = index.checked_sub(1).ok_or(Unreadable)?;
        match STATIC_NAME_BYTES.get(before) {
            Some(&name_bytes) => {
                let name = match index {
                    4 | 5 => Name::Path,
                    ..=14 => Name::OtherPseudo,
                    _ => Name::Field,
                };
                // No entry of it is inserted, so that the length of its value is no matter.
                let name_bytes = u32::from(name_bytes);
                Ok(Entry { name, name_bytes, value_bytes: 0, fragment: false, unfit: false })
            }
            None => self.entries.get(before - STATIC_NAME_BYTES.len()).copied().ok_or(Unreadable),
        }
    }

    fn insert(&mut self, entry: Entry) {
        let bytes = entry.bytes();
        self.shrink_to(self.limit.saturating_sub(bytes));
        // One that is larger than the table empties it (RFC 7541 4.4).
        if bytes <= self.limit {
            self.bytes += bytes;
            self.entries.push_front(entry);
        }
    }

    fn resize(&mut self, limit: usize) -> Result<(), Unreadable> {
        if limit > TABLE_BYTES {
            return Err(Unreadable);
        }
        self.limit = limit;
        self.shrink_to(limit);
        Ok(())
    }

    fn shrink_to(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.bytes -= oldest.bytes();
        }
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        (self.name_bytes as usize) + (self.value_bytes as usize) + ENTRY_BYTES
    }
}

/// The lengths of the names of the static table (RFC 7541 A), from `:authority` to
/// `www-authenticate`.
const STATIC_NAME_BYTES: [u8; 61] = [
    10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13, 19, 16, 16, 14,
    16, 13, 12, 6, 4, 4, 6, 7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18, 19, 5, 7, 7, 11, 6, 10,
    25, 17, 10, 4, 3, 16,
];

#[cfg(test)]
mod tests;
