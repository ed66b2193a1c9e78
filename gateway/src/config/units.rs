//! Durations and sizes as people write them.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// What to write, for messages.
pub const DURATION_FORMS: &str = "\"30s\", \"8h\", \"1d12h\", \"1.5d\" or \"P1D\"";

/// What every duration that is read looks like; not all that looks so is one.
pub const DURATION_PATTERN: &str = "^\\s*[+]?(P|PT)?[0-9][0-9A-Za-z.,:\\sµ]*$";

/// What every size that is read looks like.
pub const SIZE_PATTERN: &str = "^\\s*[0-9]+\\s*([kKmMgG]([iI]?[bB])?|[bB])?\\s*$";

const DAY_MILLIS: u64 = 86_400_000;

/// `30s`, `5m`, `8h`, `7d`, `250ms`, or a whole number of seconds. A day is 24 hours.
/// Units in falling order too (`1d12h`), a fraction of one (`1.5d`), and what ISO 8601
/// writes (`P1DT12H`).
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let Some((number, unit)) = split_unit(text) else { return parse_parts(text) };
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MILLIS,
        _ => return parse_parts(text),
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// The library's grammar knows negative lengths too, which nothing here takes.
fn parse_parts(text: &str) -> Option<Duration> {
    let text = text.trim();
    let length = text.parse::<SignedDuration>().ok().or_else(|| parse_with_days(text));
    let length = length.and_then(|length| length.try_into().ok());
    let length: Duration = length.or_else(|| parse_days(text))?;
    u64::try_from(length.as_millis()).is_ok().then_some(length)
}

/// `1d12h`, `P1D`: the length of a day is for the caller of the library to say.
fn parse_with_days(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

/// `1.5d`: the library has fractions of hours and of what is shorter.
fn parse_days(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.strip_suffix('d')?.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let scale = 10u64.checked_pow(fraction.len().try_into().ok()?)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(DAY_MILLIS)?;
    let fraction = fraction.parse::<u64>().ok()?.checked_mul(DAY_MILLIS)? / scale;
    whole.checked_add(fraction).map(Duration::from_millis)
}

/// `64KiB`, `10MiB`, `1GiB`, `10MB`, or a whole number of bytes.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let bytes = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

/// The shortest of the forms that are read back: `90s`, `8h`, `250ms`.
#[must_use]
pub fn show_duration(length: Duration) -> String {
    let millis = length.as_millis();
    let units = [(u128::from(DAY_MILLIS), "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units.iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit));
    match whole {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

/// In the largest unit of which it is a whole number.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let whole = units.iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| bytes.to_string(), |(unit, name)| format!("{}{name}", bytes / unit))
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// An address stands for the network of itself alone.
#[must_use]
pub fn parse_network(text: &str) -> Option<ipnet::IpNet> {
    let address = || text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
    text.parse().or_else(|_| address()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{DURATION_FORMS, parse_duration, parse_size, show_duration, show_size};

    #[test]
    fn a_duration_is_read_as_people_write_it() {
        for (text, seconds) in [
            ("28800", 28_800),
            ("90m", 5_400),
            ("90 min", 5_400),
            ("1h30m", 5_400),
            ("1h 30m", 5_400),
            ("PT1H", 3_600),
            ("PT1H30M", 5_400),
            ("0.5h", 1_800),
            ("7d", 604_800),
            (" 8h ", 28_800),
            ("1d12h", 129_600),
            ("1d 1m", 86_460),
            ("1.5d", 129_600),
            ("0.25d", 21_600),
            ("P1D", 86_400),
            ("P1DT12H", 129_600),
            // As other programs write it.
            ("08:00:00", 28_800),
            ("8 hours", 28_800),
            ("+8h", 28_800),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        for text in [
            "",
            "h",
            "-1h",
            "9000000000000000:00",
            "1h ago",
            "PT",
            "1x",
            "1h30",
            "12h1d",
            "1.5d12h",
            "1.d",
            ".5d",
            "1.5.5d",
            "-1.5d",
            "-1d",
            "P-1D",
            "P1M",
            "P1Y",
            "1.00000000000000000000d",
            "18446744073709551615.5d",
            "99999999999999999999",
            "∞",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn what_messages_say_to_write_is_read() {
        let forms: Vec<_> = DURATION_FORMS.split('"').skip(1).step_by(2).collect();
        assert_eq!(forms.len(), 5);
        for form in forms {
            assert!(parse_duration(form).is_some(), "{form}");
        }
    }

    proptest! {
        /// As our messages print it, and as units and ISO 8601 write it.
        #[test]
        fn what_is_printed_is_read_back(millis in 0..1u64 << 40) {
            let length = Duration::from_millis(millis);
            let (d, h, m) = (millis / 86_400_000, millis / 3_600_000 % 24, millis / 60_000 % 60);
            let (s, ms) = (millis / 1_000 % 60, millis % 1_000);
            for text in [
                format!("{length:?}"),
                show_duration(length),
                format!("{millis}ms"),
                format!("{d}d{h}h{m}m{s}s{ms}ms"),
                format!("P{d}DT{h}H{m}M{s}.{ms:03}S"),
            ] {
                prop_assert_eq!(parse_duration(&text), Some(length), "{}", text);
            }
        }

        #[test]
        fn a_size_that_is_printed_is_read_back(bytes: u64, shift in 0..40u32) {
            for bytes in [bytes, bytes >> shift << shift] {
                prop_assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
            }
        }

        #[test]
        fn no_text_breaks_the_reader(
            any in ".{0,40}",
            alike in "[+-]?P?([0-9.:]{1,22} ?(T|ms|s|m|h|d|D|H|M|W|y)?){0,4}",
        ) {
            for text in [any, alike] {
                if let Some(length) = parse_duration(&text) {
                    prop_assert!(u64::try_from(length.as_millis()).is_ok(), "{}", text);
                }
            }
        }
    }
}
