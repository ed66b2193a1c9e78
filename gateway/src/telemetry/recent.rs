//! The last requests that were refused or broke off, for `portcullis explain`: as the log has
//! them, without their queries.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// In bytes of lines, whoever fills it.
const CAPACITY: usize = 1 << 20;

/// Lines in the order in which they were written, the oldest of which give way.
#[derive(Default)]
pub struct Recent(Mutex<Held>);

#[derive(Default)]
struct Held {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl Recent {
    /// Keeps a line of JSON; called by the log's own thread alone.
    pub fn keep(&self, line: &[u8]) {
        if line.len() > CAPACITY {
            return;
        }
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.bytes += line.len();
        held.lines.push_back(line.into());
        while held.bytes > CAPACITY {
            let oldest = held.lines.pop_front().map_or(0, |line| line.len());
            held.bytes -= oldest;
        }
    }

    /// The line of a request, by its id as the client was told it.
    #[must_use]
    pub fn find(&self, request_id: &str) -> Option<serde_json::Value> {
        // What a client chooses stands escaped in a line: no path can look like this.
        let member = format!("\"request_id\":\"{request_id}\"");
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = held.lines.iter().rev();
        let line = lines.find(|line| memchr::memmem::find(line, member.as_bytes()).is_some())?;
        serde_json::from_slice(line).ok()
    }

    /// The latest of them that read, the newest first.
    #[must_use]
    pub fn latest(&self, most: usize) -> Vec<serde_json::Value> {
        let lines: Vec<Box<[u8]>> = {
            let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            held.lines.iter().rev().take(most).cloned().collect()
        };
        // Read without the lock: the log's thread waits for it.
        lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: usize, padding: usize) -> Vec<u8> {
        let path = "x".repeat(padding);
        format!("{{\"request_id\":\"id-{id}\",\"path\":\"{path}\"}}").into_bytes()
    }

    #[test]
    fn the_latest_are_found_and_the_oldest_give_way_by_their_bytes() {
        let recent = Recent::default();
        for id in 0..100 {
            recent.keep(&line(id, CAPACITY / 10));
        }
        assert_eq!(recent.find("id-99").unwrap()["request_id"], "id-99");
        assert!(recent.find("id-92").is_some());
        assert!(recent.find("id-80").is_none());
        assert!(recent.find("id-100").is_none());
        let held = recent.0.lock().unwrap();
        assert!(held.bytes <= CAPACITY);
        assert_eq!(held.bytes, held.lines.iter().map(|line| line.len()).sum::<usize>());
    }

    #[test]
    fn one_that_is_larger_than_all_room_moves_nothing() {
        let recent = Recent::default();
        recent.keep(&line(1, 10));
        recent.keep(&line(2, CAPACITY));
        assert!(recent.find("id-1").is_some() && recent.find("id-2").is_none());
    }
}
