//! The signals that the process hears. One that nobody catches would kill it without a word.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user_defined1: Signal,
    user_defined2: Signal,
    /// Whether its end is to stop the gateway.
    on_terminal: bool,
}

impl Signals {
    /// What comes from now on is not lost.
    ///
    /// # Errors
    /// When the system refuses to tell of one.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user_defined1: signal(SignalKind::user_defined1())?,
            user_defined2: signal(SignalKind::user_defined2())?,
            on_terminal: writes_to_a_terminal(),
        })
    }

    /// Waits for a signal to stop, and returns its name. The others change nothing.
    ///
    /// SIGHUP is one when the terminal that the gateway was started on has been closed: it
    /// would go on where nobody sees it, and keep its port.
    pub(super) async fn stop(&mut self) -> &'static str {
        loop {
            let (signal, stops) = tokio::select! {
                _ = self.terminate.recv() => ("SIGTERM", true),
                _ = self.interrupt.recv() => ("SIGINT", true),
                _ = self.hangup.recv() => {
                    ("SIGHUP", self.on_terminal && !writes_to_a_terminal())
                }
                _ = self.user_defined1.recv() => ("SIGUSR1", false),
                _ = self.user_defined2.recv() => ("SIGUSR2", false),
            };
            if stops {
                // A closing terminal sends several, of which none is the operator's second.
                self.on_terminal = false;
                return signal;
            }
            tracing::warn!(signal, "unsupported signal ignored");
        }
    }
}

/// A terminal that was closed is none; `nohup` leads both elsewhere.
fn writes_to_a_terminal() -> bool {
    io::stdout().is_terminal() || io::stderr().is_terminal()
}
