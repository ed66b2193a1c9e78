//! What a run makes on the gateway, and its removal.
//!
//! Everything is found again by its name, which holds the run and when it began. A run
//! that was killed leaves things behind: the next one removes them as well.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::client::{Call, Client, percent};
use crate::random_bytes;
use crate::report::Fault;

/// Lists of the admin API, and the member that has the name. Accounts come last: the
/// rest may belong to one.
const LISTS: [(&str, &str); 4] = [
    ("/api/admin/keys", "name"),
    ("/api/admin/servers", "name"),
    ("/api/admin/workspaces", "name"),
    ("/api/admin/users", "username"),
];
const PAGES: usize = 100;
/// No run takes as long, with all that --complete waits for: what is older belongs to none
/// that still runs.
const LONGEST_RUN: u64 = 30 * 60;

/// One run of the command.
#[derive(Debug)]
pub struct Run {
    began: u64,
    nonce: u32,
}

impl Run {
    pub fn new() -> Self {
        Self { began: now(), nonce: u32::from_be_bytes(random_bytes()) }
    }

    /// `conform-6929e0b4-1f2e3d4c-7`
    pub fn name(&self, number: u32) -> String {
        format!("{}{number}", self.prefix())
    }

    fn prefix(&self) -> String {
        format!("conform-{:08x}-{:08x}-", self.began, self.nonce)
    }

    /// Whether this run made it, or one that is over.
    fn removes(&self, name: &str, now: u64) -> bool {
        name.starts_with(&self.prefix())
            || began(name).is_some_and(|began| began.saturating_add(LONGEST_RUN) < now)
    }

    /// Removes what it has made, by an administrator's token. Returns what is left behind.
    pub async fn clear(&self, client: &Client, admin: &str) -> Vec<String> {
        let mut left = Vec::new();
        for (list, name) in LISTS {
            match self.made(client, admin, list, name).await {
                Ok(paths) => {
                    for path in paths {
                        match client.send(&Call::delete(&path).bearer(admin)).await {
                            Ok(reply) if matches!(reply.status, 204 | 404) => {}
                            Ok(reply) => {
                                left.push(format!("{path} is left behind: {}", reply.status));
                            }
                            Err(_) => left.push(format!("{path} is left behind: no answer")),
                        }
                    }
                }
                Err(fault) => {
                    let why = fault.into_words();
                    let name = self.prefix();
                    left.push(format!(
                        "what is named {name}… may be left behind ({why}); the next run removes \
                         it, or `portcullis user remove`"
                    ));
                    break;
                }
            }
        }
        left
    }

    async fn made(
        &self,
        client: &Client,
        admin: &str,
        list: &str,
        member: &str,
    ) -> Result<Vec<String>, Fault> {
        let now = now();
        let mut paths = Vec::new();
        let mut page_path = format!("{list}?limit=200");
        for _ in 0..PAGES {
            let page = client.send(&Call::get(&page_path).bearer(admin)).await?;
            page.status(200)?;
            for item in page.at("/items")?.as_array().into_iter().flatten() {
                let name = item[member].as_str().unwrap_or_default();
                if let Some(id) = item["id"].as_str().filter(|_| self.removes(name, now)) {
                    paths.push(format!("{list}/{id}"));
                }
            }
            match page.at("/next")? {
                Value::String(next) => {
                    page_path = format!("{list}?limit=200&cursor={}", percent(&next));
                }
                _ => break,
            }
        }
        Ok(paths)
    }
}

/// When the run of this name began, if it is a name of ours.
fn began(name: &str) -> Option<u64> {
    let mut parts = name.strip_prefix("conform-")?.splitn(3, '-');
    let mut hexadecimal = || {
        let part = parts.next().filter(|part| part.len() == 8)?;
        u64::from_str_radix(part, 16).ok()
    };
    let (began, _nonce) = (hexadecimal()?, hexadecimal()?);
    parts.next()?.starts_with(|c: char| c.is_ascii_digit()).then_some(began)
}

#[expect(clippy::disallowed_methods, reason = "the judge has a clock of its own")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_removes_its_own_and_what_old_runs_left_and_nothing_else() {
        let run = Run { began: 0x6900_0000, nonce: 7 };
        let now = run.began + 60;
        for name in [
            run.name(12),
            format!("{}@conform.example", run.name(1)),
            Run { began: now - LONGEST_RUN - 1, nonce: 1 }.name(0),
        ] {
            assert!(run.removes(&name, now), "{name}");
        }
        for name in [
            Run { began: now - LONGEST_RUN, nonce: 1 }.name(0),
            Run { began: run.began, nonce: 8 }.name(0),
            "conform".to_owned(),
            "conform-00000001".to_owned(),
            "conform-00000001-00000001".to_owned(),
            "conform-00000001-00000001-x".to_owned(),
            "conform-1-1-1".to_owned(),
            "conform-0000000g-00000001-1".to_owned(),
            "ann".to_owned(),
        ] {
            assert!(!run.removes(&name, now), "{name}");
        }
    }
}
