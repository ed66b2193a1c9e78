//! The signals that the process hears. One that nobody catches would kill it without a word.

use std::io;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often it is asked, after SIGHUP, whether the terminal is there, and how long between.
const LOOKS_AT_TERMINAL: u32 = 5;
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user_defined1: Signal,
    user_defined2: Signal,
    /// Whether the end of its terminal is to stop the gateway.
    ends_with_terminal: bool,
}

impl Signals {
    /// What comes from now on is not lost.
    ///
    /// # Errors
    /// When the system refuses to tell of one.
    pub(super) fn listen() -> io::Result<Self> {
        // Before a handler takes the place of what was inherited.
        let ends_with_terminal = has_terminal() && !ignores_hangup();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user_defined1: signal(SignalKind::user_defined1())?,
            user_defined2: signal(SignalKind::user_defined2())?,
            ends_with_terminal,
        })
    }

    /// Waits for a signal to stop, and returns its name. The others change nothing.
    ///
    /// SIGHUP is one when the gateway has lost the terminal that it was started on: it would
    /// go on where nobody sees it, and keep its port. `nohup` and a shell's `disown` prevent
    /// that. Of a gateway that stops already it is not the operator's second signal.
    pub(super) async fn stop(&mut self) -> &'static str {
        let stopping = loop {
            let ignored = tokio::select! {
                _ = self.terminate.recv() => break "SIGTERM",
                _ = self.interrupt.recv() => break "SIGINT",
                _ = self.hangup.recv() => {
                    if self.ends_with_terminal && loses_terminal().await {
                        break "SIGHUP";
                    }
                    "SIGHUP"
                }
                _ = self.user_defined1.recv() => "SIGUSR1",
                _ = self.user_defined2.recv() => "SIGUSR2",
            };
            tracing::warn!(signal = ignored, "unsupported signal ignored");
        };
        self.ends_with_terminal = false;
        stopping
    }
}

/// Whether the terminal goes at the time of a SIGHUP. The kernel sends it first and takes the
/// terminal away then; a shell sends it to its jobs before it ends itself.
async fn loses_terminal() -> bool {
    for _ in 0..LOOKS_AT_TERMINAL {
        if !has_terminal() {
            return true;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    !has_terminal()
}

/// Whether there is a controlling terminal, wherever the streams lead. It is lost when it is
/// closed, and when the shell that leads its session ends (tty(4)).
fn has_terminal() -> bool {
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    open("/dev/tty", flags, Mode::empty()).is_ok()
}

/// Whether who started the gateway wants it to survive its terminal, as `nohup` says it
/// (proc_pid_status(5)).
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signals are numbered from 1.
    ignored.is_some_and(|mask| mask & 1 << (SignalKind::hangup().as_raw_value() - 1) != 0)
}
