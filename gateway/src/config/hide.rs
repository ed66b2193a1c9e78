//! Secrets do not belong into the configuration, but what stands in the wrong place, or in a
//! file that was named by mistake, must not go on into a log. A character becomes a star, so
//! that what follows stays where it was.

use std::borrow::Cow;
use std::ops::Range;

use crate::auth::api_key;

use super::place::floor_boundary;
use super::unknown;

/// Parts of the names of keys whose value is not shown.
const SECRET_WORDS: [&str; 17] = [
    "_auth",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "privatekey",
    "private_key",
    "private-key",
    "sharedkey",
    "shared_key",
    "apikey",
    "api_key",
    "api-key",
    "authkey",
    "auth_key",
];

/// Keys and hashes have at least as many characters.
const LONG_RUN: usize = 16;
/// How a JSON Web Token begins.
const TOKEN: &str = "eyJ";

/// A line of a file, and the text before it. It is shown what a key of ours is given, or one
/// that is meant; a line that gives no key a value may be of a file of keys, or belong to a
/// value that began above it.
pub(super) fn line<'t>(before: &str, text: &'t str) -> Cow<'t, str> {
    let head = head(text, LOOKED_AT);
    let above = open_above(before);
    if above == Some(Shown::No) {
        let start = text.len() - text.trim_start().len();
        let rest = start..text.len();
        return star(text, std::slice::from_ref(&rest));
    }
    let own = if above.is_some() { Vec::new() } else { assignments(head) };
    let mut hidden = hidden_values(head, &own);
    hidden.push(head.len()..text.len());
    hidden.extend(user_of_url(head));
    hidden.extend(credentials(head));
    let is_header = above.is_none() && head.trim_start().starts_with('[');
    // A password file has colons.
    if !is_header && own.iter().all(|given| given.sign == ':') {
        hidden.extend(runs(head));
    }
    star(text, &hidden)
}

/// What is said of it, in which a key is assigned by `=` alone.
pub(super) fn prose(text: &str) -> Cow<'_, str> {
    let head = head(text, LOOKED_AT);
    let mut hidden = values(head, |rest| rest.trim_start().starts_with('='));
    hidden.push(head.len()..text.len());
    hidden.extend(user_of_url(head));
    hidden.extend(of_strangers(head, assignments(head).iter().filter(|given| given.sign == '=')));
    hidden.extend(credentials(head));
    star(text, &hidden)
}

/// Whether something repeats a word of a line that is not shown there.
pub(super) fn repeats(said: &str, before: &str, text: &str) -> bool {
    let shown = line(before, text);
    let kept = text.chars().zip(shown.chars());
    let hidden: String = kept.map(|(is, shown)| if is == shown { ' ' } else { is }).collect();
    let mut words = hidden.split(|c: char| !c.is_alphanumeric());
    words.any(|word| !word.is_empty() && said.contains(word))
}

/// Of a line in bytes; what follows is not shown.
const LOOKED_AT: usize = 4 << 10;
/// Bytes before a line in which a value may have begun that it belongs to.
const FAR: usize = 16 << 10;
/// Values of a line that are looked at; a table on one line has fewer.
const MOST: usize = 64;

fn head(text: &str, most: usize) -> &str {
    &text[..floor_boundary(text, most)]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Yes,
    No,
}

/// What a value of several lines goes on to.
enum End {
    /// The next of these marks.
    Mark(&'static str),
    /// As many closing brackets.
    Brackets(usize),
}

/// Whether the value is shown that has begun above a line and goes on there, if one does.
fn open_above(before: &str) -> Option<Shown> {
    let from = floor_boundary(before, before.len().saturating_sub(FAR));
    let from = if from == 0 { 0 } else { before[from..].find('\n').map_or(0, |end| from + end) };
    let mut open: Option<(End, Shown)> = None;
    for line in before[from..].lines().map(|line| head(line, LOOKED_AT)) {
        open = match open {
            Some((End::Mark(mark), shown)) => {
                (!line.contains(mark)).then_some((End::Mark(mark), shown))
            }
            Some((End::Brackets(depth), shown)) if !begins_anew(line) => {
                let brackets = bare(line).map(|(_, character)| character);
                let depth = brackets.fold(depth, |depth, bracket| match bracket {
                    '[' => depth + 1,
                    ']' => depth.saturating_sub(1),
                    _ => depth,
                });
                (depth > 0).then_some((End::Brackets(depth), shown))
            }
            _ => begun(line),
        };
    }
    open.map(|(_, shown)| shown)
}

/// Whether a line is a table's, or gives a key a value: what it stands in was never closed.
fn begins_anew(line: &str) -> bool {
    let said = without_comment(line).trim();
    let is_header =
        said.starts_with('[') && said.ends_with(']') && !said.contains(['"', '\'', ',']);
    is_header || assignments(line).first().is_some_and(|given| line.trim().starts_with(given.name))
}

/// The value that a line begins and does not end.
fn begun(line: &str) -> Option<(End, Shown)> {
    let own = assignments(line);
    let end = unfinished(&line[own.first()?.behind_sign..])?;
    let shown = if hidden_values(line, &own).is_empty() { Shown::Yes } else { Shown::No };
    Some((end, shown))
}

fn unfinished(value: &str) -> Option<End> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(character) = value[at..].chars().next() {
        let rest = &value[at..];
        if let Some(mark) = ["\"\"\"", "'''"].into_iter().find(|mark| rest.starts_with(mark)) {
            match rest[mark.len()..].find(mark) {
                Some(end) => at += end + 2 * mark.len(),
                None => return Some(End::Mark(mark)),
            }
            continue;
        }
        at += character.len_utf8();
        match character {
            '"' | '\'' => at = closing(value, at, character).unwrap_or(value.len()),
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '#' => break,
            _ => {}
        }
    }
    (depth > 0).then_some(End::Brackets(depth))
}

/// The characters that stand in no quotation marks, up to a comment. A mark that opens
/// nothing, or is never closed, is one of them.
fn bare(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (text, mut next) = (without_comment(text), 0);
    std::iter::from_fn(move || {
        loop {
            let at = next;
            let character = text[at..].chars().next()?;
            next += character.len_utf8();
            match character {
                '"' | '\'' if opens(text, at) => match closing(text, next, character) {
                    Some(end) => next = end,
                    None => return Some((at, character)),
                },
                _ => return Some((at, character)),
            }
        }
    })
}

/// Behind the mark that closes a text.
fn closing(text: &str, from: usize, mark: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, character) in text[from..].char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if mark == '"' => is_escaped = true,
            _ if character == mark => return Some(from + at + mark.len_utf8()),
            _ => {}
        }
    }
    None
}

/// A text without the comment at its end: behind a blank, and in no quotation marks.
fn without_comment(text: &str) -> &str {
    let mut next = 0;
    while let Some(character) = text[next..].chars().next() {
        let at = next;
        next += character.len_utf8();
        match character {
            '"' | '\'' if opens(text, at) => {
                next = closing(text, next, character).unwrap_or(next);
            }
            '#' if at == 0 || text[..at].ends_with(char::is_whitespace) => return &text[..at],
            _ => {}
        }
    }
    text
}

/// Whether a quotation mark begins a text: an apostrophe does not.
fn opens(text: &str, at: usize) -> bool {
    !text[..at].ends_with(char::is_alphanumeric)
}

fn hidden_values(text: &str, own: &[Assignment<'_>]) -> Vec<Range<usize>> {
    let mut hidden = values(text, |rest| match rest.chars().next() {
        Some('=' | ':') => true,
        Some(first) => first.is_whitespace(),
        None => false,
    });
    hidden.extend(of_strangers(text, own.iter()));
    hidden
}

/// A name that is given a value in a line.
struct Assignment<'t> {
    name: &'t str,
    sign: char,
    behind_sign: usize,
    /// Where the value begins, behind quotation marks.
    value: usize,
    /// As one of our keys would be, or one of YAML or JSON: a password file has no blank.
    is_usual: bool,
}

/// What is given a value: by the first `=` whatever stands before it, by others behind a name
/// of letters; by a colon at the beginning of a line, and behind a quoted name. Base64 ends in
/// `=`, which gives nothing.
fn assignments(text: &str) -> Vec<Assignment<'_>> {
    let mut found = Vec::new();
    for (at, sign) in bare(text) {
        let behind_sign = at + sign.len_utf8();
        if !matches!(sign, '=' | ':') || text[behind_sign..].starts_with('=') {
            continue;
        }
        let before = text[..at].trim_end_matches(['=', ' ', '\t']);
        let quote = before.chars().next_back().filter(|last| matches!(last, '"' | '\''));
        let start = match quote {
            Some(quote) => before[..before.len() - 1].rfind(quote).map_or(0, |open| open + 1),
            None => {
                let end = before.char_indices().rev().find(|(_, c)| ends_name(*c));
                end.map_or(0, |(end, c)| end + c.len_utf8())
            }
        };
        let name = before[start..].trim_end_matches(['"', '\'']);
        let is_first = found.is_empty();
        let gives = match sign {
            '=' => is_first || quote.is_some() || name.chars().all(is_of_name),
            _ => quote.is_some() || (is_first && before.trim_start() == name),
        };
        let rest = &text[behind_sign..];
        if !gives || name.is_empty() || rest.trim_start().is_empty() {
            continue;
        }
        let is_usual = sign == '=' || quote.is_some() || rest.starts_with(char::is_whitespace);
        found.push(Assignment { name, sign, behind_sign, value: value_begins(text, at), is_usual });
        if found.len() == MOST {
            break;
        }
    }
    found
}

fn ends_name(character: char) -> bool {
    character.is_whitespace() || ",{}[]()\"'`=#".contains(character)
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || "_-.".contains(character)
}

/// What is given to names that are neither keys of ours nor meant for one: what they are is
/// not known, and so neither whether it is secret.
fn of_strangers<'a>(
    text: &str,
    given: impl Iterator<Item = &'a Assignment<'a>>,
) -> Option<Range<usize>> {
    let is_strange = |given: &Assignment<'_>| {
        let is_known = given.is_usual && unknown::is_familiar(given.name);
        !is_known && !is_plain(&text[given.value..])
    };
    let mut given = given.enumerate();
    // What follows the last one is not looked at.
    let found = given.find(|(index, given)| index + 1 == MOST || is_strange(given));
    found.map(|(_, given)| given.value..text.len())
}

/// Whether a value tells nothing: a switch, a small number, or a table, whose own values are
/// looked at.
fn is_plain(value: &str) -> bool {
    const LONG: usize = 64;
    if let Some(inside) = value.strip_prefix('{') {
        let inside = inside.trim_start();
        let behind = inside.trim_start_matches(|c| is_of_name(c) || matches!(c, '"' | '\''));
        let behind = behind.trim_start();
        return inside.starts_with('}')
            || (behind.len() < inside.len() && behind.starts_with(['=', ':']));
    }
    let value = without_comment(head(value, LONG)).trim();
    let is_small = value.len() <= 3 && value.bytes().all(|byte| byte.is_ascii_digit());
    ["true", "false"].contains(&value) || (is_small && !value.is_empty())
}

fn star<'t>(text: &'t str, hidden: &[Range<usize>]) -> Cow<'t, str> {
    if hidden.iter().all(Range::is_empty) {
        return Cow::Borrowed(text);
    }
    let star = |(at, character): (usize, char)| {
        if hidden.iter().any(|range| range.contains(&at)) { '*' } else { character }
    };
    Cow::Owned(text.char_indices().map(star).collect())
}

/// Who is named in a URL, and by what password.
fn user_of_url(text: &str) -> Option<Range<usize>> {
    // A comment's addresses are no part of it.
    let text = without_comment(text);
    let at = text.rfind('@')?;
    let is_url = ["url", "://", "redis"].iter().any(|mark| text.contains(mark));
    let start = match text.find("://") {
        Some(scheme) if scheme < at => scheme + "://".len(),
        _ if is_url => value_begins(text, text.find(['=', '"']).unwrap_or(0)),
        // Without a scheme, a user and a password have a colon between them.
        _ => {
            let before = &text[..at];
            let start = before.rfind(['"', '\'', '=', ' ', '[', '`']).map_or(0, |mark| mark + 1);
            before[start..].contains(':').then_some(start)?
        }
    };
    (start < at).then_some(start..at)
}

/// Keys and tokens of ours, wherever they stand.
fn credentials(text: &str) -> Vec<Range<usize>> {
    let begin = |(at, _): &(usize, &str)| !text[..*at].ends_with(is_of_name);
    let of = |beginning: &'static str| text.match_indices(beginning).filter(begin);
    let found = of(api_key::PREFIX).chain(of(TOKEN));
    let whole = found.map(|(at, _)| {
        let end = text[at..].find(|c| !is_of_name(c)).map_or(text.len(), |length| at + length);
        at..end
    });
    whole.filter(|range| range.len() >= LONG_RUN).collect()
}

/// The values of keys that are called after a secret.
fn values(text: &str, is_assigned: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for word in SECRET_WORDS {
        for (start, _) in lower.match_indices(word) {
            if is_of_ours(&lower, start) {
                continue;
            }
            let rest = &lower[start + word.len()..];
            let behind =
                rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
            let name_end = &rest[..rest.len() - behind.len()];
            // The path of a file is no secret.
            if name_end.ends_with("_file") || name_end.ends_with("-file") {
                continue;
            }
            let behind = behind.trim_start_matches(['"', '\'']);
            if is_assigned(behind) {
                found.push(value_begins(text, text.len() - behind.len())..text.len());
            }
        }
    }
    found
}

/// Whether the whole name, around a part of it, is that of a key of ours: none of those takes
/// a secret, and `ws_token` only sounds like one.
fn is_of_ours(text: &str, within: usize) -> bool {
    let before = text[..within].char_indices().rev().find(|(_, c)| !is_of_name(*c));
    let rest = &text[before.map_or(0, |(at, c)| at + c.len_utf8())..];
    let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
    unknown::is_key(&rest[..end])
}

/// What follows what assigns it, and quotation marks.
fn value_begins(text: &str, mark: usize) -> usize {
    text.len() - text[mark..].trim_start_matches(['=', ':', ' ', '\t', '"', '\'']).len()
}

/// Keys and hashes: long, without a blank, and no words.
fn runs(text: &str) -> Vec<Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/_$.-=".contains(c);
    let mut found = Vec::new();
    let mut start = None;
    for (at, character) in text.char_indices().chain([(text.len(), ' ')]) {
        match (is_part(character), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                let run = &text[from..at];
                if run.len() >= LONG_RUN && run.bytes().any(|b| b.is_ascii_digit()) {
                    found.push(from..at);
                }
                start = None;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        for (text, shown) in [
            (r#"url = "redis://gate:pw@h:1/0""#, r#"url = "redis://*******@h:1/0""#),
            (r#"url = "redis://a:p/@"w@h""#, r#"url = "redis://*******@h""#),
            (r#"url = "redis:/a:pw@h""#, r#"url = "***********@h""#),
            ("url = redis://a:é@h", "url = redis://***@h"),
            (r#"burst = "many" # ask ops@example"#, r#"burst = "many" # ask ops@example"#),
            (r#"url = "http://127.0.0.1:3000""#, r#"url = "http://127.0.0.1:3000""#),
            (r#"password = "pw""#, r#"password = "***"#),
            (r#"store = { "password"= 'pw' }"#, r#"store = { "password"= '*****"#),
            (r#"secret_key="pw""#, r#"secret_key="***"#),
            (r#"SECRET_KEY = "pw""#, r#"SECRET_KEY = "***"#),
            (r#"Secret-Key = "pw""#, r#"Secret-Key = "***"#),
            ("ADMIN_PASSWORD=pw", "ADMIN_PASSWORD=**"),
            (r#"access_token = "pw""#, r#"access_token = "***"#),
            (r#"password_file = "pw.txt""#, r#"password_file = "pw.txt""#),
            ("client_secret_file = 7", "client_secret_file = 7"),
            ("ws_token = 5", "ws_token = 5"),
            ("credentials = true", "credentials = true"),
            (r#"to = "u:pw@h:1""#, r#"to = "****@h:1""#),
            (
                r#"upstream = "htp://127.0.0.1" # see ops@example.com"#,
                r#"upstream = "htp://127.0.0.1" # see ops@example.com"#,
            ),
        ] {
            assert_eq!(line("", text), shown);
            assert_eq!(prose(text), shown);
        }
        assert_eq!(prose("store.password: unknown key"), "store.password: unknown key");
        let said = "the secret has 5 bytes; HS256 needs at least 32";
        assert_eq!(prose(said), said);
    }

    #[test]
    fn a_line_of_another_file_shows_no_key_and_no_hash() {
        for (text, shown) in [
            ("password: pw", "password: **"),
            (r#"secret_key "pw""#, r#"secret_key "***"#),
            ("0123456789abcdef0123456789abcdef", "********************************"),
            ("root:$y$j9T$abcdefgh$0123:19000:0", "root:****************************"),
            ("ann:$2y$10$abcdefghijklmnop", "ann:***********************"),
            ("MIIBVAIBADANBgkqhkiG9w0BAQE=", "****************************"),
            ("burst 60", "burst 60"),
            ("[upstream.internal-api-version-2", "[upstream.internal-api-version-2"),
            ("PrivateKey = yAnz5TF+lXX=", "PrivateKey = ************"),
            (
                r#"{"auths":{"r.io":{"auth":"dXNlcjpwYXNzd29yZA=="}}}"#,
                r#"{"auths":{"r.io":{"auth":"********************"}}}"#,
            ),
            ("[upstream.internal-api]", "[upstream.internal-api]"),
            ("ann:$argon2id$v=19$m=65536,t=3", "ann:**************************"),
            ("host:$2y$10$abcdefghijklmnop", "host:***********************"),
            ("DB_PASS=hunter2", "DB_PASS=*******"),
            ("APP__KEY = 'hunter2'", "APP__KEY = '********"),
            ("stripe.key = hunter2", "stripe.key = *******"),
            (r#""my key" = "hunter2""#, r#""my key" = "********"#),
            (r#""é_key" = "hunter2""#, r#""é_key" = "********"#),
            ("rootpw = {SSHA}W6ph5M=", "rootpw = *************"),
            ("ann:{PLAIN}hunter2", "ann:**************"),
            ("*:*:*:postgres:hunter2", "*:********************"),
            ("host:5432:db:user:hunter2", "host:********************"),
            ("it's PGPASS=hunter2", "it's PGPASS=*******"),
            (r#"path = "/a\"" zq = "hunter2""#, r#"path = "/a\"" zq = "********"#),
            ("store.path = 'data'", "store.path = 'data'"),
            ("PORTCULLIS_CORS__CREDENTIALS=maybe", "PORTCULLIS_CORS__CREDENTIALS=maybe"),
            ("path: /x", "path: /x"),
            ("path = /a?b=c", "path = /a?b=c"),
            ("path = /a, zq = pw", "path = /a, zq = **"),
            ("USER_PASS = hunter2", "USER_PASS = *******"),
            ("user_puase = 2", "user_puase = 2"),
            ("proxy_pass = http://127.0.0.1:3000", "proxy_pass = http://127.0.0.1:3000"),
            ("_auth=dXNlcjpw", "_auth=********"),
            (r#"url = "redis://gate:pw #1@h""#, r#"url = "redis://**********@h""#),
            (
                r#"networks = "sk_live_0123456789abcdef""#,
                r#"networks = "************************""#,
            ),
            (r#"“password = "x""#, r#"“password = "**"#),
            (r#""ü-token" = "pw""#, r#""ü-token" = "***"#),
            (
                r#"app = { url = "http://h", protocl = 2 }"#,
                r#"app = { url = "http://h", protocl = 2 }"#,
            ),
            ("url = http://127.0.0.1:3000", "url = http://127.0.0.1:3000"),
            ("burts = 60", "burts = 60"),
            (r#"path = "/a?b=c""#, r#"path = "/a?b=c""#),
        ] {
            assert_eq!(line("", text), shown, "{text}");
        }
    }

    #[test]
    fn what_is_not_looked_at_is_not_shown() {
        let text = format!("{}zq = \"pw\"", "host = 1000, ".repeat(70));
        let shown = line("", &text);
        assert!(shown.starts_with("host = 1000, host") && shown.ends_with("***"), "{shown}");
        let text = format!("path = {}\"pw\"", "a".repeat(LOOKED_AT));
        assert!(line("", &text).ends_with("a***********"), "{text}");
    }

    #[test]
    fn a_line_belongs_to_the_value_that_began_above_it() {
        for (before, text, shown) in [
            ("pem = \"\"\"\n", "hunter2", "*******"),
            ("pem = \"\"\"\nburst = 2\n", "  hunter2", "  *******"),
            ("pem = \"\"\"\n\"\"\"\n", "burst = 60", "burst = 60"),
            ("password = [\n  1,\n", "  \"pw\"", "  ****"),
            ("schemes = [\n", "  \"basic\"", "  \"basic\""),
            ("zq = [\n [\"a\"],\n", " \"pw\" bad", " ********"),
            ("zq = [\n \"a\",\n[limits]\n", "burst 60", "burst 60"),
            ("zq = [\n \"a\"\n]\n", "burst 60", "burst 60"),
            ("name = \"web\"\n", "upstream \"echo\"", "upstream \"echo\""),
            ("# password = \"\"\"\n[[route]]\n", "path = /a", "path = /a"),
            ("zq = '\"\"\"'\n", "path = /a", "path = /a"),
            ("password = 1\n[limits]\n", "burst 60", "burst 60"),
        ] {
            assert_eq!(line(before, text), shown, "{before}");
        }
    }

    proptest! {
        /// Whatever a file of another kind holds.
        #[test]
        fn any_line_is_shown_with_its_length(before in any::<String>(), text in "[^\n]*") {
            prop_assert_eq!(line(&before, &text).chars().count(), text.chars().count());
            prop_assert_eq!(prose(&text).chars().count(), text.chars().count());
        }

        #[test]
        fn what_a_stranger_is_given_is_not_shown(
            name in "[A-Z]{2,5}_(PASS|PWD|PSK|KEY|AUTH)", quote in "[\"']?", value in "[qxz]{5,40}",
        ) {
            let text = format!("{name} = {quote}{value}{quote}");
            prop_assert!(!line("", &text).contains(&value));
            prop_assert!(!prose(&text).contains(&value));
        }
    }
}
