//! The queue and the thread between those who write lines and the stream they go to.
//!
//! A writer never waits and, while there is traffic, never makes a system call:
//! the thread wakes by itself every few milliseconds and takes what has come.
//! Only the first line after a quiet spell wakes it.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use super::access_log::AccessRecord;
use super::log::Style;

const QUEUE_LENGTH: usize = 16_384;
/// How long a line may wait while there is traffic.
const BEAT: Duration = Duration::from_millis(20);
/// Beats without a line after which the thread sleeps until it is woken.
const QUIET_BEATS: u32 = 50;

/// A line, formatted already or to be formatted by the thread.
pub enum Line {
    Text(Vec<u8>),
    Access(Box<AccessRecord>),
}

#[derive(Clone)]
pub struct Sink(Arc<Shared>);

struct Shared {
    queue: ArrayQueue<Line>,
    dropped: AtomicU64,
    asleep: AtomicBool,
    stop: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

/// Writes out what is queued when dropped; held by `main`.
pub struct SinkGuard {
    sink: Sink,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        style: Style,
        out: impl Write + Send + 'static,
    ) -> std::io::Result<(Self, SinkGuard)> {
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(QUEUE_LENGTH),
            dropped: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: Mutex::new(None),
        });
        let sink = Sink(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || write_lines(&shared, style, out))?;
        *sink.0.thread.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(thread.thread().clone());
        let guard = SinkGuard { sink: sink.clone(), thread: Some(thread) };
        Ok((sink, guard))
    }

    /// Queues a line, or drops and counts it.
    pub fn push(&self, line: Line) {
        if self.0.queue.push(line).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if self.0.asleep.load(Ordering::Relaxed) && self.0.asleep.swap(false, Ordering::AcqRel) {
            self.wake();
        }
    }

    /// Lines dropped so far because the stream did not keep up.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        if let Some(thread) = &*self.0.thread.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }
}

impl Drop for SinkGuard {
    fn drop(&mut self) {
        self.sink.0.stop.store(true, Ordering::Release);
        self.sink.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_lines(shared: &Shared, style: Style, mut out: impl Write) {
    let mut buffer = Vec::with_capacity(64 << 10);
    let mut quiet = 0;
    loop {
        // Read before the queue is drained, so that what came before the stop is written.
        let stopping = shared.stop.load(Ordering::Acquire);
        while let Some(line) = shared.queue.pop() {
            match line {
                Line::Text(text) => buffer.extend_from_slice(&text),
                Line::Access(record) => record.write(style, &mut buffer),
            }
            if buffer.len() > 48 << 10 {
                flush(&mut out, &mut buffer);
            }
        }
        quiet = if buffer.is_empty() { quiet + 1 } else { 0 };
        flush(&mut out, &mut buffer);
        if stopping {
            return;
        }
        if quiet < QUIET_BEATS {
            std::thread::park_timeout(BEAT);
            continue;
        }
        shared.asleep.store(true, Ordering::Release);
        // A line pushed between the last look and the flag would wait for the next one.
        if shared.queue.is_empty() {
            std::thread::park_timeout(Duration::from_secs(5));
        }
        shared.asleep.store(false, Ordering::Release);
    }
}

fn flush(out: &mut impl Write, buffer: &mut Vec<u8>) {
    if !buffer.is_empty() {
        // Where the log goes has gone: there is nobody left to tell.
        let _ = out.write_all(buffer).and_then(|()| out.flush());
        buffer.clear();
    }
}
