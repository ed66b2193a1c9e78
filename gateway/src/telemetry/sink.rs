//! The queues and the thread between those who write lines and the stream they go to.
//!
//! A writer never waits and, while there is traffic, never makes a system call:
//! the thread wakes by itself every few milliseconds and takes what has come.
//! Only the first line after a quiet spell wakes it. Access lines have a queue of
//! their own, so that a flood of requests cannot push out what matters more.

use std::borrow::Cow;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use crate::auth::time::Timestamp;

use super::access_log::AccessRecord;
use super::audit::AuditRecord;
use super::log::Style;
use super::recent::Recent;

const ACCESS_QUEUE_LENGTH: usize = 16_384;
const EVENT_QUEUE_LENGTH: usize = 4_096;
/// How long a line may wait while there is traffic.
const BEAT: Duration = Duration::from_millis(20);
/// Beats without a line after which the thread sleeps until it is woken.
const QUIET_BEATS: u32 = 50;
const FLUSH_BYTES: usize = 48 << 10;
/// How long a stop waits for a stream that nobody reads.
const PARTING: Duration = Duration::from_secs(2);

enum Event {
    Text(Timestamp, Vec<u8>),
    Audit(Box<AuditRecord>),
}

impl Event {
    fn at(&self) -> Timestamp {
        match self {
            Event::Text(at, _) => *at,
            Event::Audit(record) => record.at,
        }
    }
}

#[derive(Clone)]
pub struct Sink(Arc<Shared>);

struct Shared {
    style: Style,
    access: ArrayQueue<Box<AccessRecord>>,
    events: ArrayQueue<Event>,
    dropped: AtomicU64,
    recent: Recent,
    asleep: AtomicBool,
    stop: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

/// Writes out what is queued when dropped; held by `main`.
pub struct SinkGuard {
    sink: Sink,
    /// Disconnected once the thread has written everything.
    written: Receiver<()>,
}

impl Sink {
    /// Starts the thread that writes to `out`; in the combined style, which has a
    /// form for requests only, all else goes to `aside`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        style: Style,
        out: impl Write + Send + 'static,
        aside: impl Write + Send + 'static,
    ) -> std::io::Result<(Self, SinkGuard)> {
        let shared = Arc::new(Shared {
            style,
            access: ArrayQueue::new(ACCESS_QUEUE_LENGTH),
            events: ArrayQueue::new(EVENT_QUEUE_LENGTH),
            dropped: AtomicU64::new(0),
            recent: Recent::default(),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: Mutex::new(None),
        });
        let sink = Sink(Arc::clone(&shared));
        let (done, written) = sync_channel(1);
        let thread =
            std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || {
                let _done = done;
                Writer { shared, out: Stream::new(out), aside: Stream::new(aside) }.run();
            })?;
        *sink.0.thread.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(thread.thread().clone());
        Ok((sink.clone(), SinkGuard { sink, written }))
    }

    #[must_use]
    pub fn style(&self) -> Style {
        self.0.style
    }

    /// Queues a line of the access log, or drops and counts it.
    pub fn access(&self, record: Box<AccessRecord>) {
        self.count_and_wake(self.0.access.push(record).is_ok());
    }

    /// Queues a line of the audit log, or drops and counts it.
    pub fn audit(&self, record: AuditRecord) {
        self.count_and_wake(self.0.events.push(Event::Audit(Box::new(record))).is_ok());
    }

    /// Queues a line that is formatted already, with its line end, or drops and counts it.
    pub fn line(&self, at: Timestamp, text: Vec<u8>) {
        self.count_and_wake(self.0.events.push(Event::Text(at, text)).is_ok());
    }

    /// What was refused or broke off of late.
    #[must_use]
    pub fn recent(&self) -> &Recent {
        &self.0.recent
    }

    /// Lines dropped so far because the stream did not keep up or failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn count_and_wake(&self, queued: bool) {
        if !queued {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        } else if self.0.asleep.load(Ordering::Relaxed)
            && self.0.asleep.swap(false, Ordering::AcqRel)
        {
            self.wake();
        }
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
        // A full pipe that nobody reads must not keep the process from ending.
        let _ = self.written.recv_timeout(PARTING);
    }
}

struct Writer {
    shared: Arc<Shared>,
    out: Stream,
    aside: Stream,
}

impl Writer {
    fn run(mut self) {
        let mut quiet = 0;
        loop {
            // Read before the queues are drained, so that what came before the stop is written.
            let stopping = self.shared.stop.load(Ordering::Acquire);
            quiet = if self.drain() { 0 } else { quiet + 1 };
            if stopping {
                return;
            }
            if quiet < QUIET_BEATS {
                std::thread::park_timeout(BEAT);
                continue;
            }
            self.shared.asleep.store(true, Ordering::Release);
            // A line pushed between the last look and the flag would wait for the next one.
            if self.shared.access.is_empty() && self.shared.events.is_empty() {
                std::thread::park_timeout(Duration::from_secs(5));
            }
            self.shared.asleep.store(false, Ordering::Release);
        }
    }

    /// Writes what has come; `false` when that was nothing.
    fn drain(&mut self) -> bool {
        let Self { shared, out, aside } = self;
        let mut some = false;
        // One of each queue, of which the one that happened first is written first.
        let (mut event, mut access) = (None, None);
        loop {
            event = event.or_else(|| shared.events.pop());
            access = access.or_else(|| shared.access.pop());
            let is_events_turn = match (&event, &access) {
                (Some(event), Some(record)) => Event::at(event) <= record.completed_at(),
                (event, _) => event.is_some(),
            };
            if is_events_turn && let Some(event) = event.take() {
                let stream = if shared.style == Style::Combined { &mut *aside } else { &mut *out };
                match event {
                    Event::Text(_, text) => stream.buffer.extend_from_slice(&text),
                    Event::Audit(record) => record.write(shared.style, &mut stream.buffer),
                }
                stream.end_line(&shared.dropped);
            } else if let Some(record) = access.take() {
                let begin = out.buffer.len();
                record.write(shared.style, &mut out.buffer);
                if record.reason != "ok" {
                    shared.recent.keep(&match shared.style {
                        Style::Json => Cow::Borrowed(&out.buffer[begin..]),
                        Style::Text(_) | Style::Combined => Cow::Owned(record.json()),
                    });
                }
                out.end_line(&shared.dropped);
            } else {
                break;
            }
            some = true;
        }
        out.flush(&shared.dropped);
        aside.flush(&shared.dropped);
        some
    }
}

/// A stream and the lines that have not been written to it yet.
struct Stream {
    to: Box<dyn Write + Send>,
    buffer: Vec<u8>,
    lines: u64,
}

impl Stream {
    fn new(to: impl Write + Send + 'static) -> Self {
        Self { to: Box::new(to), buffer: Vec::new(), lines: 0 }
    }

    fn end_line(&mut self, dropped: &AtomicU64) {
        self.lines += 1;
        if self.buffer.len() > FLUSH_BYTES {
            self.flush(dropped);
        }
    }

    fn flush(&mut self, dropped: &AtomicU64) {
        if self.buffer.is_empty() {
            return;
        }
        // A full disk, or a reader that has gone: counted, for there is no log to tell.
        if self.to.write_all(&self.buffer).and_then(|()| self.to.flush()).is_err() {
            dropped.fetch_add(self.lines, Ordering::Relaxed);
        }
        self.buffer.clear();
        self.lines = 0;
    }
}

#[cfg(test)]
mod tests;
