//! Mistakes in lists and in tables in braces.

use std::ops::Range;

use super::{Line, Mistake, behind_value, mistake, open, split_key};

pub(super) fn list(
    text: &str,
    line: &Line<'_>,
    (key, value): (&str, &str),
    span: &Range<usize>,
) -> Mistake {
    let start = line.span(value).start;
    let Some(end) = end_of_list(&text[start..]) else {
        return unclosed_list(start, key);
    };
    let rest = text[start + end..].lines().next().unwrap_or_default();
    let (behind, blank) = (rest.trim(), rest.len() - rest.trim_start().len());
    if !behind.is_empty() && !behind.starts_with('#') {
        let said = value.split(['#', ' ']).next().unwrap_or_default();
        // An address of IPv6 begins like a list.
        if behind.starts_with(':') || behind.starts_with('/') {
            let help = format!("write {key} = \"{said}\"");
            return mistake(line.span(said), "text must be in quotation marks", help);
        }
        let begin = start + end + blank;
        return mistake(
            begin..begin + behind.len(),
            "nothing follows a list on its line",
            "write one key on each line, and # before a comment".to_owned(),
        );
    }
    item(text, span)
}

fn unclosed_list(start: usize, key: &str) -> Mistake {
    let help = format!("write `]` where the list of `{key}` ends");
    open(start..start + 1, "the list that begins here does not end", help)
}

/// Something within a list that ends.
fn item(text: &str, span: &Range<usize>) -> Mistake {
    let found = text.get(span.clone()).unwrap_or_default();
    if found.starts_with(',') {
        let help = "write one comma between two of its items".to_owned();
        return mistake(span.clone(), "a comma without an item before it", help);
    }
    let word = found.trim();
    if word.is_empty() || word == "=" {
        let help = "write a comma between two of its items".to_owned();
        return mistake(span.clone(), "the items of a list are separated by commas", help);
    }
    let help = format!("write \"{}\"", word.trim_matches(['"', '\'']));
    mistake(span.clone(), "text must be in quotation marks", help)
}

/// The length of a list with its brackets, if it ends before a line that begins something
/// else.
fn end_of_list(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut line_start) = (0u32, None, false);
    for (at, character) in text.char_indices() {
        if line_start && !character.is_whitespace() {
            line_start = false;
            let line = text[at..].lines().next().unwrap_or_default();
            if begins_something(line) {
                return None;
            }
        }
        match (quote, character) {
            (_, '\n') => (quote, line_start) = (None, true),
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '[') => depth += 1,
            (None, ']') if depth == 1 => return Some(at + 1),
            (None, ']') => depth -= 1,
            (Some(_) | None, _) => {}
        }
    }
    None
}

/// A table, or a key with its value.
fn begins_something(line: &str) -> bool {
    let is_key = |key: &str| !key.is_empty() && !key.contains(['"', '\'', '[', '{']);
    let line = line.trim();
    let is_table = line.starts_with("[[") || (line.starts_with('[') && line.ends_with(']'));
    is_table || split_key(line).is_some_and(|(key, _)| is_key(key))
}

/// The list that a line before has begun.
pub(super) fn list_above(text: &str, at: usize) -> Option<Mistake> {
    let before = text.get(..at)?;
    let start = Line::at(text, at).start;
    let lines = before.get(..start)?.lines().rev();
    for above in lines {
        if let Some((key, value)) = split_key(above) {
            let value = value.trim_start();
            if !value.starts_with('[') {
                return None;
            }
            let begin = value.as_ptr() as usize - text.as_ptr() as usize;
            return match end_of_list(&text[begin..]) {
                None => Some(unclosed_list(begin, key)),
                Some(end) if begin + end > at => Some(item(text, &(at..at))),
                Some(_) => None,
            };
        }
        if above.trim_start().starts_with('[') {
            return None;
        }
    }
    None
}

pub(super) fn inline_table(
    line: &Line<'_>,
    (key, value): (&str, &str),
    span: &Range<usize>,
) -> Mistake {
    let Some(end) = value.find('}') else {
        let start = line.span(value).start;
        let help = format!("write `}}` where the table of `{key}` ends");
        return open(start..start + 1, "the table that begins here does not end", help);
    };
    let rest = value[end + 1..].trim();
    if !rest.is_empty() && !rest.starts_with('#') {
        return behind_value(line, key, &value[..=end], rest);
    }
    let inside = value[1..end].trim();
    if inside.contains(':') && !inside.contains('=') {
        let help = format!("write {key} = {{ {} }}", inside.replace(':', " ="));
        return mistake(line.span(value), "expected `=` between a key and its value", help);
    }
    let place = line.span(value);
    let within = place.contains(&span.start);
    let help = format!("write {key} = {{ a = 1, b = \"text\" }}");
    let place = if within { span.start..span.end.max(span.start) } else { place };
    mistake(place, "keys of a table in braces are separated by commas, and text is quoted", help)
}
