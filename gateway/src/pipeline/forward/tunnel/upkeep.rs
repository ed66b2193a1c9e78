//! What ends a tunnel that nobody uses any more: pings of the gateway's own that an
//! agent does not answer, or a time in which no byte moves.
//!
//! A ping stands between two frames, and its pong is taken out of what the client says.
//! Everything else passes byte for byte.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use crate::pipeline::frame::{self, Opcode};

use super::boundary::FrameBoundary;
use super::{Direction, Stage};

/// What stands in a ping, and is returned in its pong. A number of its own for each
/// tunnel, so that no pong meant for the upstream is taken for it.
pub type Payload = [u8; 8];

/// Of a client's pong: its header with the mask, and the payload.
const PONG_BYTES: usize = 6 + size_of::<Payload>();
/// A whole pong, masked, with as much payload.
const PONG_BEGINS: [u8; 2] = [0x8a, 0x88];
/// Pings after which a client that has said nothing is given up.
const MOST_UNANSWERED: u32 = 2;

/// How it is noticed that nobody uses a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    None,
    /// A ping from time to time.
    Pings {
        every: Duration,
        payload: Payload,
    },
    /// No byte either way for so long.
    Idle(Duration),
    /// No byte for so long since a side has ended: one that has gone for good looks like
    /// one that only listens.
    HalfClosed(Duration),
}

/// Why nobody uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unused {
    Idle,
    Silent,
}

/// Keeps to an [`Upkeep`] while a tunnel runs.
pub(super) struct Keeper {
    timer: Pin<Box<Sleep>>,
    rule: Rule,
}

enum Rule {
    Pings { every: Duration, frame: Bytes, under_way: bool, unanswered: u32 },
    Idle { limit: Duration, moved: Instant, counts: Counts },
}

/// When quiet counts.
#[derive(PartialEq)]
enum Counts {
    Always,
    WhenASideHasEnded,
}

impl Rule {
    fn idle(limit: Duration, counts: Counts) -> Self {
        Rule::Idle { limit, moved: Instant::now(), counts }
    }
}

impl Keeper {
    pub(super) fn new(upkeep: Upkeep) -> Option<Self> {
        let (first, rule) = match upkeep {
            Upkeep::None => return None,
            Upkeep::Pings { every, payload } => {
                let frame = frame::frame(Opcode::Ping, &payload).into();
                (every, Rule::Pings { every, frame, under_way: false, unanswered: 0 })
            }
            Upkeep::Idle(limit) => (limit, Rule::idle(limit, Counts::Always)),
            Upkeep::HalfClosed(limit) => (limit, Rule::idle(limit, Counts::WhenASideHasEnded)),
        };
        Some(Self { timer: Box::pin(sleep(first)), rule })
    }

    /// Looks at what has moved since it was asked last. Ready without a reason when there
    /// is a ping to be written.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        up: &mut Direction,
        down: &mut Direction,
    ) -> Poll<Option<Unused>> {
        // Who waits for the other to take what it has said is not silent.
        let said = std::mem::take(&mut up.moved) || up.waits();
        let heard = std::mem::take(&mut down.moved) || down.waits();
        let closing = up.boundary.is_closing() || down.boundary.is_closing();
        match &mut self.rule {
            Rule::Pings { every, frame, under_way, unanswered } => {
                if said {
                    // Whatever it says, it lives: in the middle of a long frame it
                    // cannot answer.
                    *unanswered = 0;
                }
                loop {
                    if *under_way {
                        if !down.insert.is_empty() {
                            return Poll::Pending;
                        }
                        // Only now does its time to answer begin.
                        *under_way = false;
                        *unanswered += 1;
                        self.timer.as_mut().reset(Instant::now() + *every);
                    }
                    ready!(self.timer.as_mut().poll(cx));
                    if *unanswered >= MOST_UNANSWERED {
                        return Poll::Ready(Some(Unused::Silent));
                    }
                    *under_way = true;
                    // Who closes answers no ping any more; its time goes on without.
                    if !closing {
                        down.insert = frame.clone();
                        return Poll::Ready(None);
                    }
                }
            }
            Rule::Idle { limit, moved, counts } => {
                let both_open = up.stage == Stage::Open && down.stage == Stage::Open;
                if said || heard || (*counts == Counts::WhenASideHasEnded && both_open) {
                    *moved = Instant::now();
                }
                loop {
                    ready!(self.timer.as_mut().poll(cx));
                    let deadline = *moved + *limit;
                    if Instant::now() >= deadline {
                        return Poll::Ready(Some(Unused::Idle));
                    }
                    self.timer.as_mut().reset(deadline);
                }
            }
        }
    }
}

/// Takes pongs with one payload out of a client's frames.
#[derive(Debug)]
pub struct PongFilter {
    payload: Payload,
    boundary: FrameBoundary,
    /// The beginning of what may be such a pong.
    held: [u8; PONG_BYTES],
    have: usize,
}

impl PongFilter {
    #[must_use]
    pub fn new(payload: Payload) -> Self {
        Self { payload, boundary: FrameBoundary::default(), held: [0; PONG_BYTES], have: 0 }
    }

    /// What was held back; it stands before what [`Self::pass`] is given next.
    #[must_use]
    pub fn held(&self) -> &[u8] {
        &self.held[..self.have]
    }

    /// Moves what goes on to the front of `bytes`, and answers how much that is.
    pub fn pass(&mut self, bytes: &mut [u8]) -> usize {
        self.have = 0;
        let (mut read, mut kept) = (0, 0);
        while read < bytes.len() {
            let rest = &bytes[read..];
            if self.boundary.is_between_frames() && self.may_be_ours(rest) {
                if rest.len() < PONG_BYTES {
                    self.have = rest.len();
                    self.held[..self.have].copy_from_slice(rest);
                    break;
                }
                read += PONG_BYTES;
                continue;
            }
            let length = self.boundary.advance_frame(rest);
            bytes.copy_within(read..read + length, kept);
            read += length;
            kept += length;
        }
        kept
    }

    /// Whether a frame that begins so is such a pong, or can become one.
    fn may_be_ours(&self, frame: &[u8]) -> bool {
        let begins = frame.iter().zip(PONG_BEGINS).all(|(byte, wanted)| *byte == wanted);
        let said = frame.get(6..).unwrap_or_default();
        let mask = frame.get(2..6).unwrap_or_default().iter().cycle();
        begins
            && said
                .iter()
                .zip(mask)
                .zip(self.payload)
                .all(|((byte, mask), wanted)| byte ^ mask == wanted)
    }
}
