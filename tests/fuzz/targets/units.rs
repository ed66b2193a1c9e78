//! Durations and sizes: a number times a unit, never wrapped, in every spelling. Durations
//! of several parts, or of a fraction, are read by the library's grammar.

use std::time::Duration;

use portcullis::config::units::{parse_duration, parse_size};

/// Milliseconds and bytes of each unit. A size may be written in any case.
const DURATIONS: [(&str, u64); 7] = [
    ("ms", 1),
    ("", 1_000),
    ("s", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZES: [(&str, u64); 11] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gib", 1 << 30),
];

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (digits, unit) = split(text);
    let product = |units: &[(&str, u64)], unit: &str| {
        let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
        digits.parse::<u64>().ok()?.checked_mul(*factor)
    };
    let duration = parse_duration(text);
    match product(&DURATIONS, unit).map(Duration::from_millis) {
        Some(product) => assert_eq!(duration, Some(product)),
        // What has no parts is no duration because it is too long.
        None => assert!(duration.is_none() || !DURATIONS.iter().any(|(name, _)| *name == unit)),
    }
    let size = parse_size(text);
    assert_eq!(size, product(&SIZES, &unit.to_ascii_lowercase()));

    if let Some(duration) = duration.filter(|length| length.subsec_nanos() % 1_000_000 == 0) {
        assert_eq!(parse_duration(&format!("{} ms", duration.as_millis())), Some(duration));
    }
    if let Some(size) = size {
        assert_eq!(parse_size(&size.to_string()), Some(size));
    }
}

/// Digits, and what follows them.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    (&text[..text.len() - unit.len()], unit.trim_start())
}
