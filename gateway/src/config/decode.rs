//! Text from the outside, as editors and other programs leave it: with a byte-order mark,
//! with a line end behind a secret, or in another encoding than UTF-8.

/// Why bytes are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFault {
    Utf16,
    /// On this line, counted from one.
    NotUtf8 {
        line: usize,
    },
}

impl TextFault {
    #[must_use]
    pub fn message(self) -> String {
        match self {
            TextFault::Utf16 => "it is UTF-16 text, and UTF-8 was expected".to_owned(),
            TextFault::NotUtf8 { line } => format!("it is not UTF-8 text: see line {line}"),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(self, name: &str) -> String {
        match self {
            TextFault::Utf16 => {
                format!("save it as UTF-8: iconv -f UTF-16 -t UTF-8 {name} > utf8.txt")
            }
            TextFault::NotUtf8 { .. } => {
                format!("save it as UTF-8: iconv -f WINDOWS-1252 -t UTF-8 {name} > utf8.txt")
            }
        }
    }
}

/// The text of a file, without a byte-order mark.
///
/// # Errors
/// When it is not UTF-8.
pub fn decode(bytes: Vec<u8>) -> Result<String, TextFault> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(TextFault::Utf16);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let upto = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..upto];
        TextFault::NotUtf8 { line: before.split(|byte| *byte == b'\n').count() }
    })?;
    Ok(match text.strip_prefix(MARK) {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

const MARK: char = '\u{feff}';

/// Without a byte-order mark, and without one line end: neither is meant as a part of a
/// secret, and editors and shells add both.
#[must_use]
pub fn bare(text: &str) -> &str {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_and_a_mark_are_no_part_of_a_secret() {
        for (written, meant) in [
            ("pw", "pw"),
            ("pw\n", "pw"),
            ("pw\r\n", "pw"),
            ("pw\n\n", "pw\n"),
            ("\u{feff}pw\r\n", "pw"),
            (" pw ", " pw "),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(bare(written), meant, "{written:?}");
        }
    }

    #[test]
    fn text_of_another_encoding_is_told_with_its_line() {
        assert_eq!(decode(b"\xef\xbb\xbfa = 1".to_vec()).as_deref(), Ok("a = 1"));
        assert_eq!(decode(b"\xff\xfea\0".to_vec()), Err(TextFault::Utf16));
        assert_eq!(decode(b"\xfe\xff\0a".to_vec()), Err(TextFault::Utf16));
        assert_eq!(decode(b"a\nb\n# M\xfcller".to_vec()), Err(TextFault::NotUtf8 { line: 3 }));
    }
}
