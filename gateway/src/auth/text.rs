//! Text that people read: what it may hold to be a name, and how it is shown.
//!
//! A character that is not seen lets one name look like another, turns the line it
//! stands in around, or ends it.

use std::borrow::Cow;
use std::fmt::Write;

/// Controls (Cc), format characters (Cf: marks and overrides of direction, joiners,
/// spaces of no width), line and paragraph separators (Zl, Zp), and what Unicode calls
/// ignorable by default.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// A text as a line or a terminal may show it: hidden characters as `\n` or `\u{202e}`,
/// and then a backslash as two, so that nothing else looks like one of these.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\\' | '"' => shown.extend(['\\', character]),
            '\n' | '\r' | '\t' | '\0' => shown.extend(character.escape_debug()),
            // Writing to a string does not fail.
            _ if is_hidden(character) => drop(write!(shown, "{}", character.escape_unicode())),
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{is_hidden, shown};

    const HIDDEN: &str = "[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}]";
    const SEEN: &str = "[^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}]";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_unicode_calls_so_is_hidden(text in HIDDEN) {
            prop_assert!(text.chars().all(is_hidden), "{:?}", text);
            prop_assert!(!shown(&text).chars().any(is_hidden));
        }

        #[test]
        fn everything_else_is_seen_and_shown_as_it_is(text in SEEN) {
            prop_assert!(!text.chars().any(is_hidden), "{:?}", text);
            prop_assert_eq!(shown(&text), text.as_str());
        }

        #[test]
        fn no_two_texts_with_something_hidden_look_the_same(one: String, two: String) {
            let [one, two] = [one, two].map(|text| format!("{text}\u{200b}"));
            prop_assert_eq!(shown(&one) == shown(&two), one == two);
        }
    }

    #[test]
    fn the_notorious_ones_are_hidden_and_letters_of_all_kinds_are_not() {
        for hidden in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}', '\u{2029}', '\u{feff}'] {
            assert!(is_hidden(hidden), "{hidden:?}");
        }
        for seen in "a é 名前　नमस्ते שלום 🦀 \u{a0}\u{301}\\\"".chars() {
            assert!(!is_hidden(seen), "{seen:?}");
        }
    }

    #[test]
    fn hidden_characters_are_shown_by_their_number() {
        let shown = |text| shown(text).into_owned();
        assert_eq!(shown("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(shown("a\nb\u{1b}[0m"), "a\\nb\\u{1b}[0m");
        assert_eq!(shown("\\u{202e}\u{202e}"), "\\\\u{202e}\\u{202e}");
        assert_eq!(shown("C:\\ \"x\""), "C:\\ \"x\"", "with nothing hidden it is left alone");
    }
}
