//! Paths and hosts of the configuration, brought to the form that requests are
//! compared in. What no request can have, or what looks like a pattern, is refused
//! with what to write instead.

use crate::canonical::host::{self, MAX_NAME_BYTES};
use crate::canonical::path::{self, Ambiguity};

use super::document::Section;
use super::reader::Located;
use super::{HostMatch, PathMatch};

/// Why something cannot be written so, and what can.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    message: String,
    help: String,
}

impl Unfit {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    pub(super) fn note(self, section: &Section<'_>, name: &str, found: &Located<String>) {
        section.note(found.origin.clone(), name, self.message, self.help);
    }
}

/// What patterns are written with. A path that holds one of these as it is written
/// has it as an escape, so that nobody takes a literal star for a wildcard.
const PATTERN: [char; 14] = ['*', '+', '?', '(', ')', '[', ']', '{', '}', '<', '>', '^', '|', '$'];

/// The normal form of a path; where what lies below belongs to it, without a slash at
/// its end.
pub(super) fn read_path(text: &str, extent: PathMatch) -> Result<String, Unfit> {
    if !text.starts_with('/') {
        return Err(Unfit::new(
            "expected a path that begins with \"/\"",
            match text.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
                Some((_, path)) => format!("write \"/{path}\""),
                None if text.contains("://") => "write \"/\"".to_owned(),
                None if text.starts_with(['~', '^']) => {
                    "paths are no patterns: write where the path begins, like \"/app\"".to_owned()
                }
                None => format!("write \"/{text}\""),
            },
        ));
    }
    if let Some((at, found)) = first_pattern(text) {
        return Err(no_pattern(text, at, found));
    }
    let normal = path::normalise(text).map_err(|ambiguity| {
        let found = match ambiguity {
            Ambiguity::EncodedControl if text.contains(' ') => "a space",
            _ => ambiguity.as_str(),
        };
        let message = format!("no request has such a path: {found}");
        Unfit::new(message, help_for(text, ambiguity))
    })?;
    Ok(match extent {
        PathMatch::Exact => normal.into_owned(),
        PathMatch::Below if normal == "/" => normal.into_owned(),
        PathMatch::Below => normal.trim_end_matches('/').to_owned(),
    })
}

/// A character of a pattern; a colon is one where a segment begins (`/users/:id`).
fn first_pattern(text: &str) -> Option<(usize, char)> {
    let mut before = '/';
    text.char_indices().find(|(_, character)| {
        let parameter = *character == ':' && before == '/';
        before = *character;
        parameter || PATTERN.contains(character)
    })
}

fn no_pattern(text: &str, at: usize, found: char) -> Unfit {
    let message = format!("paths are no patterns; `{found}` would mean itself");
    let literal = format!("%{:02X}", u32::from(found));
    // `/admin/*`, `/users/:id` and `/users/{id}` begin with what is meant. Of anything else
    // a part could mean much more: `/a$` is not everything.
    let begins = text[..at].ends_with('/');
    let upto = text[..at].trim_end_matches('/');
    let help = match found {
        '?' => format!(
            "queries are never matched: write \"{}\", or `{literal}` for a literal `?`",
            &text[..at]
        ),
        _ if begins => {
            let upto = if upto.is_empty() { "/" } else { upto };
            format!(
                "a route has all that lies below its path: write \"{upto}\", or `{literal}` for a literal `{found}`"
            )
        }
        '$' => {
            format!("write \"{}\" with exact = true, or `{literal}` for a literal `$`", &text[..at])
        }
        _ => format!("write the path in full, with `{literal}` for a literal `{found}`"),
    };
    Unfit::new(message, help)
}

fn help_for(text: &str, ambiguity: Ambiguity) -> String {
    match ambiguity {
        Ambiguity::EmptySegment | Ambiguity::DotSegment => {
            let segments = text.split('/').filter(|segment| !["", ".", ".."].contains(segment));
            let plain: Vec<&str> = segments.collect();
            format!("write each segment once, like \"/{}\"", plain.join("/"))
        }
        Ambiguity::EncodedControl if text.contains(' ') => {
            format!("write \"{}\"", text.replace(' ', "%20"))
        }
        Ambiguity::Fragment => "write `%23` for a literal `#`".to_owned(),
        Ambiguity::Parameter => "write `%3B` for a literal `;`".to_owned(),
        Ambiguity::BrokenEscape => "write `%25` for a literal `%`".to_owned(),
        Ambiguity::NoLeadingSlash
        | Ambiguity::EncodedSlash
        | Ambiguity::EncodedControl
        | Ambiguity::DoubleEncoding
        | Ambiguity::NotUtf8
        | Ambiguity::Backslash => {
            "write the path as requests have it, without this part".to_owned()
        }
    }
}

/// The normal form of a host, or of one with a wildcard for its first label.
pub(super) fn read_host(text: &str) -> Result<HostMatch, Unfit> {
    if !text.is_ascii() {
        let help = "write its A-label, like \"xn--bcher-kva.example\", as browsers send it";
        return Err(Unfit::new("expected a host name in ASCII", help.to_owned()));
    }
    if let Some(suffix) = text.strip_prefix("*.").filter(|suffix| !suffix.contains('*')) {
        return read_suffix(suffix);
    }
    if text.contains('*') {
        let help = if text == "*" {
            "leave `host` out to match every host"
        } else {
            "write \"*.example.com\", where the star stands for exactly one label, or one route for each host"
        };
        return Err(Unfit::new("expected at most one `*`, as the first label", help.to_owned()));
    }
    host::normalise(text).map(HostMatch::Name).ok_or_else(|| no_host(text))
}

fn read_suffix(suffix: &str) -> Result<HostMatch, Unfit> {
    let name = host::normalise(suffix).ok_or_else(|| no_host(suffix))?;
    let is_number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    if name.starts_with('[') || name.rsplit('.').next().is_some_and(is_number) {
        return Err(Unfit::new(
            "an address has no labels that a `*` could stand for",
            "write the address alone".to_owned(),
        ));
    }
    if name.len() + 2 > MAX_NAME_BYTES {
        return Err(Unfit::new(
            "expected a host name, of at most 253 bytes",
            "write a name like \"*.example.com\"".to_owned(),
        ));
    }
    Ok(HostMatch::Label(name))
}

fn no_host(text: &str) -> Unfit {
    let message = "expected a host name without a port";
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split('/').next().unwrap_or(bare);
    if bare.parse::<std::net::Ipv6Addr>().is_ok() {
        return Unfit::new(message, format!("write \"[{bare}]\""));
    }
    if let Some(suffix) = bare.strip_prefix('.').and_then(host::normalise) {
        return Unfit::new(message, format!("write \"*.{suffix}\""));
    }
    match host::host_name(bare) {
        Some(name) => Unfit::new(message, format!("write \"{name}\"")),
        None => Unfit::new(message, "write a name like \"app.example.com\"".to_owned()),
    }
}

#[cfg(test)]
mod tests;
