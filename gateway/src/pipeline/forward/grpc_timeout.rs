//! `grpc-timeout`: how long the client of a call waits for it.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const MAX_DIGITS: usize = 8;

/// None without the field, or with one that breaks its grammar (gRPC over HTTP/2, Requests:
/// at most eight digits and a unit).
#[must_use]
pub fn read(headers: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = headers.get(GRPC_TIMEOUT)?.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_timeout_is_at_most_eight_digits_and_a_unit() {
        let read = |value: &'static str| {
            super::read(&[(GRPC_TIMEOUT, HeaderValue::from_static(value))].into_iter().collect())
        };
        for (value, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("00000030S", Duration::from_secs(30)),
            ("1500m", Duration::from_millis(1500)),
            ("7u", Duration::from_micros(7)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ] {
            assert_eq!(read(value), Some(expected), "{value}");
        }
        for value in ["", "S", "10", "100000000S", "-1S", "1.5S", "1 S", "1s", "1SS", "١S"] {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            let headers = [(GRPC_TIMEOUT, value)].into_iter().collect();
            assert_eq!(super::read(&headers), None, "{headers:?}");
        }
        assert_eq!(super::read(&HeaderMap::new()), None);
    }
}
