//! The signals that the process hears. One that nobody catches would kill it without a word.

use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often it is asked, after SIGHUP, whether the terminal is still there.
const LOOK_AT_TERMINAL: Duration = Duration::from_millis(250);

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user_defined1: Signal,
    user_defined2: Signal,
    /// Whether its end is to stop the gateway.
    on_terminal: bool,
    /// Ticks once SIGHUP has announced the end of the terminal.
    hung_up: Option<Interval>,
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
            hung_up: None,
        })
    }

    /// Waits for a signal to stop, and returns its name. The others change nothing.
    ///
    /// SIGHUP is one when the terminal that the gateway was started on is closed: it would go
    /// on where nobody sees it, and keep its port. The signal comes before that when the shell
    /// ends first, so the terminal is watched from then on. The signal alone decides nothing,
    /// nor does the terminal: a job that a shell has disowned gets none, and goes on.
    pub(super) async fn stop(&mut self) -> &'static str {
        loop {
            let signal = tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => {
                    if self.on_terminal {
                        self.hung_up.get_or_insert_with(ticks);
                    }
                    "SIGHUP"
                }
                () = tick(&mut self.hung_up) => {
                    if writes_to_a_terminal() {
                        continue;
                    }
                    // A closing terminal sends several, of which none is the operator's second.
                    (self.on_terminal, self.hung_up) = (false, None);
                    return "SIGHUP";
                }
                _ = self.user_defined1.recv() => "SIGUSR1",
                _ = self.user_defined2.recv() => "SIGUSR2",
            };
            tracing::warn!(signal, "unsupported signal ignored");
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(LOOK_AT_TERMINAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// A terminal that was closed is none; `nohup` leads both elsewhere.
fn writes_to_a_terminal() -> bool {
    io::stdout().is_terminal() || io::stderr().is_terminal()
}
