//! Jobs that wait for a hashing thread, in two bounded lines.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::auth::ports::Priority;

/// Jobs of known addresses that may go before one of the others: neither line can keep
/// the other from ever moving.
const IN_A_ROW: u8 = 3;

pub(super) struct Queue<J> {
    lines: Mutex<Lines<J>>,
    changed: Condvar,
}

struct Lines<J> {
    known: VecDeque<J>,
    others: VecDeque<J>,
    /// Of each line.
    length: usize,
    /// Jobs of known addresses since the last of the others.
    in_a_row: u8,
    closed: bool,
}

impl<J> Queue<J> {
    pub(super) fn new(length: usize) -> Self {
        let (known, others) = (VecDeque::new(), VecDeque::new());
        let lines = Lines { known, others, length, in_a_row: 0, closed: false };
        Self { lines: Mutex::new(lines), changed: Condvar::new() }
    }

    fn lines(&self) -> MutexGuard<'_, Lines<J>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `false` when the line is full.
    pub(super) fn push(&self, job: J, priority: Priority) -> bool {
        let mut lines = self.lines();
        let length = lines.length;
        let line = match priority {
            Priority::High => &mut lines.known,
            Priority::Normal => &mut lines.others,
        };
        if line.len() >= length {
            return false;
        }
        line.push_back(job);
        drop(lines);
        self.changed.notify_one();
        true
    }

    /// Waits for the next job; `None` once the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<J> {
        let mut lines = self.lines();
        loop {
            if let Some(job) = lines.take() {
                return Some(job);
            }
            if lines.closed {
                return None;
            }
            lines = self.changed.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn close(&self) {
        self.lines().closed = true;
        self.changed.notify_all();
    }
}

impl<J> Lines<J> {
    fn take(&mut self) -> Option<J> {
        let others_turn = self.in_a_row >= IN_A_ROW && !self.others.is_empty();
        if !others_turn && let Some(job) = self.known.pop_front() {
            self.in_a_row = self.in_a_row.saturating_add(1);
            return Some(job);
        }
        self.in_a_row = 0;
        self.others.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_known_address_goes_before_however_many_others_wait() {
        let queue = Queue::new(128);
        for number in 0..128 {
            assert!(queue.push(number, Priority::Normal));
        }
        assert!(!queue.push(128, Priority::Normal), "the others' line is full");
        assert!(queue.push(1_000, Priority::High), "and nobody's else");
        assert_eq!([queue.pop(), queue.pop()], [Some(1_000), Some(0)]);
    }

    #[test]
    fn the_others_move_whatever_known_addresses_do() {
        let queue = Queue::new(8);
        for number in 0..8 {
            assert!(
                queue.push(number, Priority::Normal) && queue.push(100 + number, Priority::High)
            );
        }
        let order: Vec<_> = (0..8).filter_map(|_| queue.pop()).collect();
        assert_eq!(order, [100, 101, 102, 0, 103, 104, 105, 1]);
    }

    #[test]
    fn who_waits_for_jobs_of_a_closed_queue_is_told() {
        let queue = Arc::new(Queue::<()>::new(1));
        let waiting = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || queue.pop())
        };
        queue.close();
        assert_eq!(waiting.join().unwrap(), None);
    }

    proptest! {
        #[test]
        fn every_job_comes_out_once_in_the_order_of_its_line(
            steps in prop::collection::vec(prop::option::of(any::<bool>()), 0..200),
        ) {
            let queue = Queue::new(16);
            let (mut pushed, mut popped) = (Vec::new(), Vec::new());
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Some(known) => {
                        let priority = if known { Priority::High } else { Priority::Normal };
                        if queue.push((known, number), priority) {
                            pushed.push((known, number));
                        }
                    }
                    None if popped.len() < pushed.len() => popped.extend(queue.pop()),
                    None => {}
                }
            }
            queue.close();
            popped.extend(std::iter::from_fn(|| queue.pop()));
            for line in [true, false] {
                let of = |all: &[(bool, usize)]| -> Vec<usize> {
                    all.iter().filter(|(known, _)| *known == line).map(|(_, n)| *n).collect()
                };
                prop_assert_eq!(of(&pushed), of(&popped));
            }
        }
    }
}
