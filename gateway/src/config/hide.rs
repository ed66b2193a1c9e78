//! Secrets do not belong into the configuration, but what stands in the wrong place, or in a
//! file that was named by mistake, must not go on into a log. A character becomes a star, so
//! that what follows stays where it was.

use std::borrow::Cow;
use std::ops::Range;

use super::unknown;

/// Parts of the names of keys whose value is not shown.
const SECRET_WORDS: [&str; 16] = [
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

/// A line of a file. One that gives no key a value may be of a file of keys.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    let mut hidden: Vec<_> = user_of_url(text).into_iter().collect();
    hidden.extend(values(text, |rest| match rest.chars().next() {
        Some('=' | ':') => true,
        Some(first) => first.is_whitespace(),
        None => false,
    }));
    let said = text.trim();
    // Base64 ends in what else assigns, and braces begin another format.
    let is_assignment = said.trim_end_matches('=').contains('=') && !said.starts_with('{');
    if !is_assignment && !said.starts_with('[') {
        hidden.extend(runs(text));
    }
    star(text, &hidden)
}

/// What is said of it, in which a key is assigned by `=` alone.
pub(super) fn prose(text: &str) -> Cow<'_, str> {
    let mut hidden: Vec<_> = user_of_url(text).into_iter().collect();
    hidden.extend(values(text, |rest| rest.trim_start().starts_with('=')));
    star(text, &hidden)
}

/// Whether something of a line is not shown, so that nothing may repeat it either.
pub(super) fn hides(text: &str) -> bool {
    matches!(line(text), Cow::Owned(_))
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
    // What follows is a comment, whose addresses are no part of a URL.
    let text = text.find(" #").map_or(text, |comment| &text[..comment]);
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
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let start = text[..within].rfind(|c: char| !is_part(c)).map_or(0, |at| at + 1);
    let rest = &text[start..];
    let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
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
            assert_eq!(line(text), shown);
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
        ] {
            assert_eq!(line(text), shown);
            assert_eq!(hides(text), text != shown, "{text}");
        }
    }
}
