//! What is wrong with a file that is no TOML, in words of our own: the reader of TOML says
//! where it stopped, and the line there says what was meant.

mod lists;

use std::ops::Range;

use toml::de::Error;

use super::hide;
use super::place::floor_boundary;
use super::problem::{Origin, Problem};
use lists::{inline_table, list, list_above};

/// A mistake on a line: where, what, and what to write instead.
struct Mistake {
    span: Range<usize>,
    message: String,
    help: Option<String>,
    reach: Reach,
}

/// How far a mistake spoils what follows.
#[derive(PartialEq, Eq)]
enum Reach {
    Line,
    /// What is read behind it says nothing.
    Rest,
}

const A_COMMENT: &str = "a comment begins with `#`";
/// Lines at most, so that a file of another kind fills no screen.
const MOST: usize = 10;

/// One problem for each line on which the reader stopped; none behind a mistake that
/// makes the rest unreadable.
pub(super) fn problems(text: &str, errors: &[Error]) -> Vec<Problem> {
    let problem = |mistake: Mistake| Problem {
        origin: Origin::File(mistake.span),
        key: String::new(),
        message: mistake.message,
        help: mistake.help,
    };
    if let Some(mistake) = other_format(text) {
        return vec![problem(mistake)];
    }
    let mut places: Vec<(Range<usize>, bool)> = errors
        .iter()
        .map(|error| (error.span().unwrap_or(0..0), error.message() == "duplicate key"))
        .collect();
    places.sort_by_key(|(span, _)| span.start);
    let mut found = Vec::new();
    let mut judged_to = None;
    for (span, duplicate) in places {
        // A line may have as many as it has characters: only for the first is it looked for.
        if judged_to.is_some_and(|end| span.start <= end) {
            continue;
        }
        if found.len() == MOST {
            break;
        }
        let line = Line::at(text, span.start);
        judged_to = Some(line.start + line.text.len());
        let mut mistake =
            if duplicate { twice(text, &line, &span) } else { judge(text, &line, &span) };
        // What to write repeats what is written.
        let repeats = |said: &String| hide::repeats(said, &text[..line.start], line.text);
        if mistake.help.as_ref().is_some_and(repeats) {
            mistake.help = Some(
                "write a key, `=` and its value; what is secret stands in a file of its own, or in \
                 the environment"
                    .to_owned(),
            );
        }
        let is_last = mistake.reach == Reach::Rest;
        found.push(problem(mistake));
        if is_last {
            break;
        }
    }
    found
}

fn mistake(
    span: Range<usize>,
    message: impl Into<String>,
    help: impl Into<Option<String>>,
) -> Mistake {
    Mistake { span, message: message.into(), help: help.into(), reach: Reach::Line }
}

fn open(span: Range<usize>, message: impl Into<String>, help: String) -> Mistake {
    Mistake { reach: Reach::Rest, ..mistake(span, message, help) }
}

/// A line of a file, without its end.
struct Line<'a> {
    start: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn at(text: &'a str, at: usize) -> Self {
        let mut at = floor_boundary(text, at);
        // The end of the file stands behind its last line.
        if at == text.len() && text.ends_with('\n') {
            at = text.trim_end().len();
        }
        let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
        Self { start, text: text[start..end].trim_end_matches('\r') }
    }

    /// A part of it, as a part of the file.
    fn span(&self, part: &str) -> Range<usize> {
        let begin = part.as_ptr() as usize - self.text.as_ptr() as usize;
        self.start + begin..self.start + begin + part.len()
    }

    fn whole(&self) -> Range<usize> {
        self.span(self.text.trim())
    }
}

/// JSON or YAML, by their first line that says something.
fn other_format(text: &str) -> Option<Mistake> {
    let is_said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let first = text.lines().find(is_said)?;
    let start = first.as_ptr() as usize - text.as_ptr() as usize;
    let line = Line::at(text, start);
    let said = first.trim();
    let help = "write tables and keys, like [limits] on one line and burst = 60 on the next";
    if said.starts_with('{') {
        return Some(open(line.whole(), "this is JSON, and TOML was expected", help.to_owned()));
    }
    if said.starts_with("-----BEGIN ") {
        let help = "name the configuration; certificates and keys are named in it";
        return Some(open(line.whole(), "this is PEM, and TOML was expected", help.to_owned()));
    }
    let is_key = |key: &str| {
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let is_block = said.strip_suffix(':').is_some_and(is_key);
    if said == "---" || is_block {
        return Some(open(line.whole(), "this is YAML, and TOML was expected", help.to_owned()));
    }
    if said.ends_with('{') && !said.contains('=') {
        let message = "this is no TOML: braces do not make tables";
        return Some(open(line.whole(), message, help.to_owned()));
    }
    None
}

/// A table or a key that is there already.
fn twice(text: &str, line: &Line<'_>, span: &Range<usize>) -> Mistake {
    let name = text.get(span.clone()).unwrap_or_default();
    if line.text.trim_start().starts_with('[') {
        let table = line.text.trim().trim_matches(['[', ']']).to_owned();
        let help = if ["route", "listener"].contains(&table.as_str()) {
            format!("write [[{table}]] for each of them, the first one too")
        } else if table.split('.').next() == Some("upstream") {
            "write [upstream.NAME], each with a name of its own".to_owned()
        } else {
            "put its keys where it is first".to_owned()
        };
        return mistake(span.clone(), format!("the table `{table}` is there twice"), help);
    }
    let help = "leave one of them out".to_owned();
    mistake(span.clone(), format!("the key `{name}` is there twice"), help)
}

fn judge(text: &str, line: &Line<'_>, span: &Range<usize>) -> Mistake {
    let said = line.text.trim();
    if let Some(mistake) = foreign_characters(line) {
        return mistake;
    }
    if let Some(mistake) = list_above(text, span.start) {
        return mistake;
    }
    if let Some(comment) = [";", "//"].iter().find_map(|mark| said.strip_prefix(mark)) {
        let help = format!("write # {}", comment.trim());
        return mistake(line.whole(), A_COMMENT, help);
    }
    if said.starts_with('[') && !said.contains('=') {
        return header(line);
    }
    match split_key(line.text) {
        Some((key, value)) => assignment(text, line, (key, value), span),
        None => no_assignment(line),
    }
}

/// Characters that look like others, or like none.
fn foreign_characters(line: &Line<'_>) -> Option<Mistake> {
    let place =
        |at: usize, character: char| line.start + at..line.start + at + character.len_utf8();
    let quotes = ['“', '”', '„', '‘', '’', '«', '»'];
    for (at, character) in line.text.char_indices() {
        if character == '#' {
            return None;
        }
        // Within quotation marks they are a part of the text.
        if character == '"' || character == '\'' {
            return None;
        }
        if quotes.contains(&character) {
            let plain: String = line.text.trim().replace(quotes, "\"");
            let message = format!("`{character}` is no quotation mark of TOML");
            return Some(mistake(place(at, character), message, format!("write {plain}")));
        }
        let is_blank = character.is_whitespace() && character != ' ' && character != '\t';
        if is_blank || (character.is_control() && character != '\t') || character == '\u{feff}' {
            let message = format!("a character that is not seen: U+{:04X}", u32::from(character));
            let help = "take it out, or write a plain space".to_owned();
            return Some(mistake(place(at, character), message, help));
        }
    }
    None
}

/// `[table]` and `[[table]]`.
fn header(line: &Line<'_>) -> Mistake {
    let said = line.text.trim();
    let before_comment = said.split('#').next().unwrap_or_default().trim_end();
    let opening = if said.starts_with("[[") { "[[" } else { "[" };
    let closing = if opening == "[[" { "]]" } else { "]" };
    let inside = before_comment.trim_start_matches('[').trim_end_matches(']').trim();
    let name = inside.split(']').next().unwrap_or_default().trim().trim_end_matches('.');
    let bare = |name: &str| {
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) && !name.is_empty()
    };
    let rest = inside.split_once(']').map(|(_, rest)| rest.trim_start_matches(']').trim());
    if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
        let help = format!("write {opening}{name}{closing} on a line of its own");
        return mistake(line.span(rest), "nothing follows a table on its line", help);
    }
    if name.is_empty() {
        let help = "write its name, like [limits]".to_owned();
        return mistake(line.whole(), "a table without a name", help);
    }
    if !bare(name) {
        let quotes = name.trim_matches('"');
        let help = format!("write letters, digits, - and _, or quotation marks: [\"{quotes}\"]");
        return mistake(line.whole(), "the name of a table holds something else", help);
    }
    let help = format!("write {opening}{name}{closing}");
    mistake(line.whole(), "the brackets of this table do not match", help)
}

/// Key and value, at the first `=` that is in no quotation marks.
fn split_key(line: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, character) in line.char_indices() {
        match (quote, character) {
            (None, '#') => return None,
            (None, '=') => return Some((line[..at].trim(), &line[at + 1..])),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    None
}

/// A line with neither a table nor a key and its value.
fn no_assignment(line: &Line<'_>) -> Mistake {
    let said = line.text.trim();
    let expected = "expected a key and its value, or a table";
    let marks: &[char] = &['"', '\''];
    if let Some(rest) = said.strip_prefix(marks)
        && !rest.contains(marks)
    {
        let help = format!("write \"{}\"", rest.split('=').next().unwrap_or_default().trim());
        return mistake(line.whole(), "a key in quotation marks does not end", help);
    }
    for separator in [':', ' '] {
        if let Some((key, value)) = said.split_once(separator)
            && !key.trim().is_empty()
            && !key.starts_with(['<', '}', ')', '-'])
        {
            let (key, value) = (key.trim(), value.trim());
            let behind = &said[key.len()..];
            let message = "expected `=` between a key and its value";
            if value.is_empty() {
                let help = format!("write [{key}] for a table, or {key} = and a value");
                return mistake(line.span(behind.trim_start()), message, help);
            }
            let help = format!("write {key} = {}", as_value(value));
            return mistake(line.span(behind.trim_start()), message, help);
        }
    }
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '.';
    if !said.is_empty() && said.chars().all(word) {
        let help = format!("write {said} = and its value, or [{said}] for a table");
        return mistake(line.whole(), "a key without a value", help);
    }
    let help = "write key = value, [table], or # before a comment".to_owned();
    mistake(line.whole(), expected, help)
}

/// What a value was meant to be: as it is, or as text.
fn as_value(value: &str) -> String {
    let value = value.trim().trim_end_matches([',', ';']).trim_end();
    let quoted = value.starts_with(['"', '\'', '[', '{']);
    let number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if quoted || number || value == "true" || value == "false" {
        return value.to_owned();
    }
    format!("\"{}\"", value.trim_matches(['"', '\'']))
}

fn assignment(
    text: &str,
    line: &Line<'_>,
    (key, behind): (&str, &str),
    span: &Range<usize>,
) -> Mistake {
    let value = behind.trim();
    if key.is_empty() {
        let help = "write its name before `=`".to_owned();
        return mistake(line.whole(), "a value without a key", help);
    }
    if key.contains(' ') || key.contains(':') {
        let name = key.replace([' ', ':'], "_");
        let message = "a key is one word of letters, digits, - and _";
        let help = format!("write {} = {}", name.trim_matches('_'), as_value(value));
        return mistake(line.span(key), message, help);
    }
    if let Some(rest) = value.strip_prefix('=') {
        let help = format!("write {key} = {}", as_value(rest));
        return mistake(line.span(&value[..1]), "one `=` is enough", help);
    }
    if value.is_empty() || value.starts_with('#') {
        let at = line.span(line.text.trim()).end;
        let help = format!("write a value behind {key} =, or # before the line");
        let place = if value.is_empty() { at..at } else { line.span(&value[..1]) };
        return mistake(place, format!("`{key}` has no value"), help);
    }
    match value.as_bytes().first() {
        Some(b'"' | b'\'') => in_quotes(line, key, value),
        Some(b'[') => list(text, line, (key, value), span),
        Some(b'{') => inline_table(line, (key, value), span),
        _ => bare_value(line, key, value),
    }
}

/// A text in quotation marks.
fn in_quotes(line: &Line<'_>, key: &str, value: &str) -> Mistake {
    let mark = &value[..1];
    let marks = mark.repeat(3);
    if let Some(inside) = value.strip_prefix(&marks) {
        let Some((text, rest)) = inside.split_once(&marks) else {
            let help = format!("write {marks} where it ends");
            let place = line.span(&value[..3]);
            return open(place, "a text of several lines does not end", help);
        };
        let rest = rest.trim();
        if !rest.is_empty() && !rest.starts_with('#') {
            return behind_value(line, key, &value[..6 + text.len()], rest);
        }
        let help = "write \'\'\'…\'\'\', where `\\` stands for itself".to_owned();
        let message = "`\\` begins an escape in \"\"\"…\"\"\", and this is none";
        return mistake(line.span(value), message, help);
    }
    let Some(end) = end_of_text(value) else {
        let text = value[1..].trim_end();
        let help = format!("write {key} = {mark}{text}{mark}");
        let message = format!("the text does not end: a `{mark}` is missing");
        return mistake(line.span(value), message, help);
    };
    let (within, rest) = (&value[..end], value[end..].trim());
    if !rest.is_empty() && !rest.starts_with('#') {
        return behind_value(line, key, within, rest);
    }
    let help = format!("write '{}', where `\\` stands for itself", within.trim_matches('"'));
    mistake(line.span(within), "`\\` begins an escape in \"…\", and this is none", help)
}

/// The length of a text with its quotation marks.
fn end_of_text(value: &str) -> Option<usize> {
    let mark = value.chars().next()?;
    let mut escaped = false;
    for (at, character) in value.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' if mark == '"' => escaped = true,
            _ if character == mark => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Something stands behind a value on its line.
fn behind_value(line: &Line<'_>, key: &str, value: &str, rest: &str) -> Mistake {
    let place = line.span(rest);
    if let Some(comment) = rest.strip_prefix("//") {
        let help = format!("write # {}", comment.trim());
        return mistake(place, A_COMMENT, help);
    }
    if rest.starts_with([',', ';']) {
        let help = format!("write {key} = {value}, and each key on a line of its own");
        return mistake(place, "nothing follows a value on its line", help);
    }
    let help = "write one key on each line, and # before a comment".to_owned();
    mistake(place, "nothing follows a value on its line", help)
}

/// Something that is neither in quotation marks nor in brackets.
fn bare_value(line: &Line<'_>, key: &str, value: &str) -> Mistake {
    let end = value.find('#').unwrap_or(value.len());
    let said = value[..end].trim_end();
    let place = line.span(said);
    let first = said.split([' ', '\t', ',', ';']).next().unwrap_or_default();
    let rest = said[first.len()..].trim();
    if rest.starts_with([',', ';', '/']) {
        return behind_value(line, key, &as_value(first), rest);
    }
    if let Some(text) = said.strip_suffix(['"', '\'']) {
        let help = format!("write {key} = \"{text}\"");
        return mistake(place, "a quotation mark is missing before the text", help);
    }
    let switch = match said.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "enabled" => Some("true"),
        "false" | "no" | "off" | "disabled" => Some("false"),
        _ => None,
    };
    if let Some(switch) = switch {
        let message = format!("`{said}` is neither true, false nor text");
        let help = format!("write {key} = {switch}, or {key} = \"{said}\" for text");
        return mistake(place, message, help);
    }
    let digits = said.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if digits {
        let number: String = said.split('_').collect();
        let number = number.trim_start_matches('0');
        let number = if number.is_empty() { "0" } else { number };
        let help = format!("write {key} = {number}");
        let message = match said.as_bytes() {
            [b'0', _, ..] => "a number does not begin with 0",
            _ if said.contains('_') => "`_` stands between two digits of a number",
            _ => {
                let help = "look whether a part of its name has a value already".to_owned();
                return mistake(line.span(key), format!("`{key}` cannot stand here"), help);
            }
        };
        return mistake(place, message, help);
    }
    let message = if said.starts_with(|c: char| c.is_ascii_digit()) {
        "this is no number, and text must be in quotation marks"
    } else {
        "text must be in quotation marks"
    };
    mistake(place, message, format!("write {key} = \"{said}\""))
}

#[cfg(test)]
mod tests;
