use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

use super::*;

/// Passes on what is written, once it is let.
struct Gated {
    open: Receiver<()>,
    lines: SyncSender<String>,
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        let _ = self.lines.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gated() -> (Gated, SyncSender<()>, Receiver<String>) {
    let (let_write, open) = sync_channel(EVENT_QUEUE_LENGTH);
    let (lines, written) = sync_channel(EVENT_QUEUE_LENGTH);
    (Gated { open, lines }, let_write, written)
}

fn dropped_of(sink: &Sink, pushed: usize) -> u64 {
    for number in 0..pushed {
        sink.line(Timestamp(0), format!("{number}\n").into_bytes());
    }
    sink.dropped()
}

#[test]
fn a_stream_that_stands_still_costs_lines_and_never_the_writer() {
    let (stream, let_write, written) = gated();
    let (sink, guard) = Sink::start(Style::Json, stream, io::sink()).expect("a thread");
    // Far more than the queue and the writer's buffer hold.
    let dropped = dropped_of(&sink, EVENT_QUEUE_LENGTH * 16);
    assert!(dropped > 0 && dropped < (EVENT_QUEUE_LENGTH * 16) as u64, "{dropped}");
    for _ in 0..EVENT_QUEUE_LENGTH {
        let _ = let_write.send(());
    }
    drop(guard);
    let lines: usize = written.try_iter().map(|text| text.lines().count()).sum();
    assert_eq!(lines as u64 + dropped, (EVENT_QUEUE_LENGTH * 16) as u64);
}

#[test]
fn lines_of_a_broken_stream_are_counted_as_dropped() {
    let (stream, let_write, _) = gated();
    drop(let_write);
    let (sink, guard) = Sink::start(Style::Json, stream, io::sink()).expect("a thread");
    sink.line(Timestamp(0), b"one\n".to_vec());
    sink.line(Timestamp(0), b"two\n".to_vec());
    drop(guard);
    assert_eq!(sink.dropped(), 2);
}

#[test]
fn a_stream_that_nobody_reads_does_not_keep_the_process_from_ending() {
    let (stream, _let_write, _written) = gated();
    let (sink, guard) = Sink::start(Style::Json, stream, io::sink()).expect("a thread");
    sink.line(Timestamp(0), b"one\n".to_vec());
    drop(guard);
}

#[test]
fn in_the_combined_style_events_go_aside() {
    let (stream, let_out, out) = gated();
    let (beside, let_aside, aside) = gated();
    let (sink, guard) = Sink::start(Style::Combined, stream, beside).expect("a thread");
    let _ = (let_out.send(()), let_aside.send(()));
    sink.line(Timestamp(0), b"an event\n".to_vec());
    drop(guard);
    assert_eq!(aside.try_iter().collect::<String>(), "an event\n");
    assert_eq!(out.try_iter().count(), 0);
}
