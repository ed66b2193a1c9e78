//! A `User-Agent` in a few words: `Firefox 128 on Linux`, `curl 7.88`. Clients may send
//! anything, so this is for display only.

/// Product tokens of browsers and the names to display. Most browsers also send the tokens of
/// others, for compatibility: the first entry that matches counts.
const BROWSERS: [(&str, &str); 13] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex Browser"),
    ("Vivaldi/", "Vivaldi"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("HeadlessChrome/", "Headless Chrome"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    // Safari sends its version here; the one after its name is the engine's.
    ("Version/", "Safari"),
];

/// Systems, in the same way: Android also names Linux.
const SYSTEMS: [(&str, &str); 8] = [
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
    ("X11", "Unix"),
];

/// The longest text to display.
const MAX_CHARACTERS: usize = 40;

/// The browser if it is in the table, else the first product token with at most two parts of
/// its version.
#[must_use]
pub fn read(user_agent: &str) -> String {
    if let Some(browser) = user_agent.strip_prefix("Mozilla/").and_then(browser) {
        return browser;
    }
    let product = user_agent.split(' ').next().unwrap_or_default();
    let shown = match product.split_once('/') {
        Some((name, version)) if !name.is_empty() => {
            let numbers = numbers(version);
            let short: Vec<&str> = numbers.split('.').take(2).collect();
            format!("{name} {}", short.join(".")).trim_end().to_owned()
        }
        _ => product.to_owned(),
    };
    shown.chars().take(MAX_CHARACTERS).collect()
}

fn browser(user_agent: &str) -> Option<String> {
    let (name, rest) = BROWSERS.iter().find_map(|(token, name)| {
        let (_, rest) = user_agent.split_once(&format!(" {token}"))?;
        Some((name, rest))
    })?;
    let major = numbers(rest).split('.').next().unwrap_or_default();
    let mut shown = format!("{name} {major}").trim_end().to_owned();
    if let Some((_, system)) = SYSTEMS.iter().find(|(token, _)| user_agent.contains(token)) {
        shown.push_str(" on ");
        shown.push_str(system);
    }
    Some(shown.chars().take(MAX_CHARACTERS).collect())
}

/// The leading digits and dots of a version.
fn numbers(version: &str) -> &str {
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    version[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_CHARACTERS, read};

    #[test]
    fn browsers_and_programs_are_read_as_people_call_them() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        let rows = [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0".to_owned(), "Firefox 128 on Linux"),
            (format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/127.0.0.0 Safari/537.36"), "Chrome 127 on Windows"),
            (format!("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {webkit} Chrome/127.0.0.0 Safari/537.36 Edg/127.0.2651.74"), "Edge 127 on macOS"),
            (format!("Mozilla/5.0 (Linux; Android 10; K) {webkit} Chrome/127.0.0.0 Mobile Safari/537.36"), "Chrome 127 on Android"),
            (format!("Mozilla/5.0 (Linux; Android 14; SM-S918B) {webkit} SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36"), "Samsung Internet 25 on Android"),
            (format!("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {webkit} Chrome/127.0.0.0 Safari/537.36"), "Chrome 127 on ChromeOS"),
            (format!("Mozilla/5.0 (X11; Linux x86_64) {webkit} HeadlessChrome/127.0.0.0 Safari/537.36"), "Headless Chrome 127 on Linux"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1".to_owned(), "Safari 17 on iOS"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/127.0.6533.77 Mobile/15E148 Safari/604.1".to_owned(), "Chrome 127 on iOS"),
            ("curl/7.88.1".to_owned(), "curl 7.88"),
            ("git/2.43.0".to_owned(), "git 2.43"),
            ("python-requests/2.31.0".to_owned(), "python-requests 2.31"),
            ("Go-http-client/2.0".to_owned(), "Go-http-client 2.0"),
            ("okhttp/5.0.0-alpha.14 (Linux)".to_owned(), "okhttp 5.0"),
            ("Wget".to_owned(), "Wget"),
            ("tool/".to_owned(), "tool"),
            ("/7".to_owned(), "/7"),
            // No browser of the table: the first product token.
            ("Mozilla/4.0 (compatible)".to_owned(), "Mozilla 4.0"),
        ];
        for (user_agent, expected) in rows {
            assert_eq!(read(&user_agent), expected, "{user_agent}");
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        assert_eq!(read(&"a".repeat(190)), "a".repeat(MAX_CHARACTERS));
    }

    proptest! {
        #[test]
        fn whatever_a_client_says_is_short(user_agent in "(Mozilla/5.0 )?[ -~é]{0,60}( Version/)?[ -~]{0,60}") {
            prop_assert!(read(&user_agent).chars().count() <= MAX_CHARACTERS);
        }
    }
}
