//! Secrets do not belong into the configuration, but what stands in the wrong place, or in a
//! file that was named by mistake, must not go on into a log. A character becomes a star, so
//! that what follows stays where it was.

use std::borrow::Cow;
use std::ops::Range;

use crate::auth::api_key;

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
/// that is meant; a line that gives no key a value may be of a file of keys, or belong to the
/// value above it.
pub(super) fn line<'t>(before: &str, text: &'t str) -> Cow<'t, str> {
    let own = assignments(text);
    let within = is_within_text(before);
    if within || own.is_empty() {
        let is_above = |line: &&str| if within { holds_mark(line) } else { is_begun(line) };
        let above = before.lines().rev().take(FAR).find(is_above);
        if above.is_some_and(|above| !hidden_values(above, &assignments(above)).is_empty()) {
            let start = text.len() - text.trim_start().len();
            let rest = start..text.len();
            return star(text, std::slice::from_ref(&rest));
        }
    }
    let mut hidden = hidden_values(text, &own);
    hidden.extend(user_of_url(text));
    hidden.extend(credentials(text));
    // A password file has colons.
    let gives = own.iter().any(|given| given.sign == '=');
    if !gives && !text.trim_start().starts_with('[') {
        hidden.extend(runs(text));
    }
    star(text, &hidden)
}

/// What is said of it, in which a key is assigned by `=` alone.
pub(super) fn prose(text: &str) -> Cow<'_, str> {
    let mut hidden: Vec<_> = user_of_url(text).into_iter().collect();
    hidden.extend(values(text, |rest| rest.trim_start().starts_with('=')));
    hidden.extend(of_strangers(text, assignments(text).iter().filter(|given| given.sign == '=')));
    hidden.extend(credentials(text));
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

/// Lines between a value's first one and one of its own that is looked at.
const FAR: usize = 1_000;

/// Whether a line begins a table or gives a key a value.
fn is_begun(line: &str) -> bool {
    line.trim_start().starts_with('[') || !assignments(line).is_empty()
}

/// Whether a text of several lines has begun and not ended.
fn is_within_text(before: &str) -> bool {
    MARKS.iter().any(|mark| before.matches(mark).count() % 2 == 1)
}

/// Around a text of several lines.
const MARKS: [&str; 2] = ["\"\"\"", "'''"];

fn holds_mark(line: &str) -> bool {
    MARKS.iter().any(|mark| line.contains(mark))
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
    /// Where the value begins.
    value: usize,
}

/// Values of a line that are looked at; a table on one line has fewer.
const MOST: usize = 64;

/// What is given a value, outside of quotation marks and comments. Base64 ends in `=`, which
/// gives nothing; a colon gives a value at the beginning of a line, and behind a quoted name.
fn assignments(text: &str) -> Vec<Assignment<'_>> {
    let mut found = Vec::new();
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '#') => break,
            (None, '"' | '\'') => quote = Some(character),
            (None, '=' | ':') => {
                let before = text[..at].trim_end();
                let is_quoted = before.ends_with(['"', '\'']);
                let bare = before.trim_end_matches(['"', '\'']);
                let start = bare.char_indices().rev().find(|(_, c)| !is_of_name(*c));
                let name = &bare[start.map_or(0, |(at, c)| at + c.len_utf8())..];
                let is_first = || found.is_empty() && bare.trim_start() == name;
                let is_given = || !text[at..].trim_start_matches([':', '=', ' ', '\t']).is_empty();
                let gives = !name.is_empty() && (character == '=' || is_quoted || is_first());
                if gives && is_given() {
                    let value = value_begins(text, at);
                    found.push(Assignment { name, sign: character, value });
                }
                if found.len() == MOST {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-.".contains(character)
}

/// What is given to names that are neither keys of ours nor meant for one: what they are is
/// not known, and so neither whether it is secret.
fn of_strangers<'a>(
    text: &str,
    given: impl Iterator<Item = &'a Assignment<'a>>,
) -> Option<Range<usize>> {
    let is_strange = |given: &Assignment<'_>| {
        !is_plain(&text[given.value..]) && !unknown::is_familiar(given.name)
    };
    let mut given = given.enumerate();
    // What follows the last one is not looked at.
    let found = given.find(|(index, given)| index + 1 == MOST || is_strange(given));
    found.map(|(_, given)| given.value..text.len())
}

/// Whether a value tells nothing: a switch, a small number, or a table, whose own values are
/// looked at.
fn is_plain(value: &str) -> bool {
    let value = without_comment(value).trim();
    let is_small = value.len() <= 3 && value.bytes().all(|byte| byte.is_ascii_digit());
    value.starts_with('{') || ["true", "false"].contains(&value) || (is_small && !value.is_empty())
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

/// A comment's addresses are no part of a URL.
fn without_comment(text: &str) -> &str {
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '#') if text[..at].ends_with(' ') => return &text[..at],
            _ => {}
        }
    }
    text
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
            ("root:$y$j9T$abcdefgh$0123:19000:0", "root:********************:19000:0"),
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
            assert_eq!(line("", text), shown);
            assert_eq!(line("", text), shown, "{text}");
        }
    }

    #[test]
    fn what_is_not_looked_at_is_not_shown() {
        let text = format!("{}secret_of = \"pw\"", "host = 1000, ".repeat(70));
        let shown = line("", &text);
        assert!(shown.starts_with("host = 1000, host") && shown.ends_with("***"), "{shown}");
    }

    #[test]
    fn a_line_belongs_to_the_value_that_began_above_it() {
        for (before, text, shown) in [
            ("pem = \"\"\"\n", "hunter2", "*******"),
            ("pem = \"\"\"\nburst = 2\n", "  hunter2", "  *******"),
            ("pem = \"\"\"\n\"\"\"\n", "burst = 60", "burst = 60"),
            ("password = [\n  1,\n", "  \"pw\"", "  ****"),
            ("schemes = [\n", "  \"basic\"", "  \"basic\""),
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
