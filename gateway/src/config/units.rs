//! Durations and sizes as people write them.

use std::time::Duration;

/// `30s`, `5m`, `8h`, `7d`, `250ms`, or a whole number of seconds. A day is 24 hours.
/// Parts and fractions too (`1h30m`, `0.5h`), and what ISO 8601 writes (`PT1H`).
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let Some((number, unit)) = split_unit(text) else { return parse_parts(text) };
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return parse_parts(text),
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// The library's grammar knows no days, and negative lengths, which nothing here takes.
fn parse_parts(text: &str) -> Option<Duration> {
    let length: Duration = text.trim().parse::<jiff::SignedDuration>().ok()?.try_into().ok()?;
    u64::try_from(length.as_millis()).is_ok().then_some(length)
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

    use super::parse_duration;

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
            "99999999999999999999",
            "∞",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
