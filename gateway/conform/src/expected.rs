//! What the operator has set on purpose to something else than the contracts say.
//!
//! It is stated and never guessed: a number that is wrong by mistake must fail.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Dialect;

/// As the configuration allows.
const MAX_TICKET_SECONDS: u64 = 3600;

/// Settings that a run is judged by, under the names of their configuration keys.
#[derive(Debug, Clone)]
pub struct Expected {
    access_ttl: BTreeMap<Dialect, i64>,
    pub refresh_ttl: i64,
    pub ticket_ttl: Duration,
    pub attempts: u64,
    pub window: u64,
    pub requests_per_second: u32,
    pub burst: u32,
    pub counted: Counted,
    pub health: Served,
    pub keys: Served,
    /// Not stated: what the documented refusal says.
    pub registration: Option<Registration>,
}

/// Which failures count as attempts to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Passwords,
    All,
}

/// Whether the gateway serves something itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    Here,
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    Open,
    Closed,
}

impl Default for Expected {
    /// The contracts' own.
    fn default() -> Self {
        const HOUR: i64 = 3600;
        let access_ttl = [
            (Dialect::Form, HOUR / 2),
            (Dialect::Status, 8 * HOUR),
            (Dialect::Envelope, 8 * HOUR),
            (Dialect::Plain, HOUR),
        ];
        Self {
            access_ttl: access_ttl.into(),
            refresh_ttl: 7 * 24 * HOUR,
            ticket_ttl: Duration::from_secs(120),
            attempts: 5,
            window: 300,
            requests_per_second: 20,
            burst: 60,
            counted: Counted::Passwords,
            health: Served::Here,
            keys: Served::Here,
            registration: None,
        }
    }
}

impl Expected {
    pub fn access_ttl(&self, dialect: Dialect) -> i64 {
        self.access_ttl.get(&dialect).copied().unwrap_or_default()
    }

    /// Takes `key=value` as a configuration has it.
    ///
    /// # Errors
    /// Which keys and values there are.
    pub fn state(&mut self, text: &str) -> Result<(), String> {
        let wrong = |expected: &str| format!("{text}: expected {expected}");
        let (key, value) = text.split_once('=').ok_or_else(|| wrong("KEY=VALUE"))?;
        let duration = || seconds(value).ok_or_else(|| wrong("a duration such as 30m"));
        let number = || match value.parse::<u32>() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(wrong("a number")),
        };
        let served = || match value {
            "true" => Ok(Served::Here),
            "false" => Ok(Served::Not),
            _ => Err(wrong("true or false")),
        };
        match key {
            "auth.refresh_ttl" => self.refresh_ttl = duration()?,
            "auth.registration" => {
                self.registration = Some(match value {
                    "open" => Registration::Open,
                    "closed" => Registration::Closed,
                    _ => return Err(wrong("open or closed")),
                });
            }
            "auth.ticket_ttl" => {
                let life = duration()?.unsigned_abs();
                if life > MAX_TICKET_SECONDS {
                    return Err(wrong("at most 1h"));
                }
                self.ticket_ttl = Duration::from_secs(life);
            }
            "dialect.plain.keys" => self.keys = served()?,
            "health.enabled" => self.health = served()?,
            "limits.burst" => self.burst = number()?,
            "limits.count" => {
                self.counted = match value {
                    "passwords" => Counted::Passwords,
                    "all" => Counted::All,
                    _ => return Err(wrong("passwords or all")),
                }
            }
            "limits.login_window" => self.window = duration()?.unsigned_abs(),
            "limits.max_login_attempts" => self.attempts = number()?.into(),
            "limits.requests_per_second" => self.requests_per_second = number()?,
            _ => {
                let dialect = Dialect::ALL
                    .into_iter()
                    .find(|dialect| key == format!("dialect.{}.access_ttl", dialect.word()));
                let dialect = dialect.ok_or_else(|| wrong(&format!("one of {KEYS}")))?;
                self.access_ttl.insert(dialect, duration()?);
            }
        }
        Ok(())
    }
}

const KEYS: &str = "auth.refresh_ttl, auth.registration, auth.ticket_ttl, dialect.NAME.access_ttl, \
     dialect.plain.keys, health.enabled, limits.burst, limits.count, limits.login_window, \
     limits.max_login_attempts, limits.requests_per_second";

/// `90s`, `30m`, `8h`, `7d`
fn seconds(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return None,
    };
    let number: i64 = text[..text.len() - 1].parse().ok()?;
    number.checked_mul(unit).filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_stated_as_the_configuration_has_it() {
        let mut expected = Expected::default();
        for text in [
            "dialect.status.access_ttl=1h",
            "auth.refresh_ttl=30d",
            "auth.registration=closed",
            "auth.ticket_ttl=90s",
            "limits.login_window=10m",
            "limits.max_login_attempts=7",
            "limits.burst=100",
            "limits.requests_per_second=50",
            "limits.count=all",
            "health.enabled=false",
            "dialect.plain.keys=false",
        ] {
            expected.state(text).unwrap();
        }
        assert_eq!(expected.access_ttl(Dialect::Status), 3600);
        assert_eq!(expected.access_ttl(Dialect::Envelope), 8 * 3600);
        assert_eq!((expected.refresh_ttl, expected.window), (30 * 24 * 3600, 600));
        assert_eq!(expected.ticket_ttl, Duration::from_secs(90));
        assert_eq!((expected.attempts, expected.burst), (7, 100));
        assert_eq!((expected.requests_per_second, expected.counted), (50, Counted::All));
        assert_eq!((expected.health, expected.keys), (Served::Not, Served::Not));
        assert_eq!(expected.registration, Some(Registration::Closed));
    }

    #[test]
    fn what_is_no_setting_says_what_is() {
        for (text, hint) in [
            ("limits.burst", "KEY=VALUE"),
            ("limits.burst=many", "a number"),
            ("limits.burst=0", "a number"),
            ("limits.bursts=1", "limits.burst,"),
            ("limits.count=some", "passwords or all"),
            ("limits.login_window=5", "a duration"),
            ("auth.ticket_ttl=2h", "at most 1h"),
            ("limits.login_window=0s", "a duration"),
            ("limits.login_window=9223372036854775807d", "a duration"),
            ("limits.login_window=ü", "a duration"),
            ("dialect.soap.access_ttl=1h", "dialect.NAME.access_ttl"),
            ("health.enabled=yes", "true or false"),
            ("auth.registration=", "open or closed"),
        ] {
            let error = Expected::default().state(text).unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
    }
}
