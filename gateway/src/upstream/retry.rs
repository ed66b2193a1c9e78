//! Whether a request that got no response is sent once more, and over which connection.

use std::time::Duration;

use http::Method;

/// How often one request is sent, the first time included, to an upstream that has not
/// looked at it. Servers that end a connection after so many requests return all that
/// come behind, some of them more than once.
const TRIES: u32 = 5;
/// A connection idle this long may have been closed by its other end just now. On
/// busier ones a copy of every request would be kept for nothing.
const DOUBTFUL_AFTER: Duration = Duration::from_millis(2);

/// How far a request had got, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// It has not left the gateway.
    Gateway,
    /// The upstream says that it has not looked at it.
    Unprocessed(Unprocessed),
    /// The connection closed as it left: nobody knows.
    Connection,
    /// The upstream may have carried it out.
    Upstream,
}

/// Why a request is surely not carried out by the upstream that it was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unprocessed {
    /// It ends the connection, and says that it has not come to this stream (RFC 9113 6.8).
    Leaving,
    /// The same, because something is wrong with the connection.
    Failing,
    /// It refuses the stream (RFC 9113 8.7).
    Refused,
}

/// What a request was sent over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// A connection of HTTP/1.1 that was opened for it.
    New,
    /// One that has carried others, and has been idle since.
    Idle(Duration),
    /// A connection that it shares with others.
    Shared,
}

/// Over which connection a request is sent next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionChoice {
    Any,
    /// One that is opened for it.
    New,
}

/// Whether a request changes nothing (RFC 9110 9.2.1), so that it may be carried out twice.
#[must_use]
pub fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// What one request may still be sent.
#[derive(Debug)]
pub struct Retries {
    /// It is safe and has no body: it can be made again as it was.
    repeatable: bool,
    tries: u32,
    /// A connection has failed under it.
    blamed: bool,
}

impl Retries {
    #[must_use]
    pub fn new(method: &Method, has_body: bool) -> Self {
        Self { repeatable: is_safe(method) && !has_body, tries: TRIES, blamed: false }
    }

    /// Whether a copy is worth keeping: what has left is not given back.
    #[must_use]
    pub fn want_copy(&self, over: Over) -> bool {
        match over {
            Over::New => false,
            Over::Idle(idle) => self.repeatable && idle > DOUBTFUL_AFTER,
            Over::Shared => true,
        }
    }

    /// What is to be done with a request that got so far over this connection; `None` when
    /// the failure is final.
    pub fn next_try(&mut self, reached: Reached, over: Over) -> Option<ConnectionChoice> {
        self.tries = self.tries.saturating_sub(1);
        if self.tries == 0 {
            return None;
        }
        match (reached, over) {
            (Reached::Gateway, Over::Idle(_) | Over::Shared) => Some(ConnectionChoice::Any),
            // For its connection's other requests' sake: this one may be why.
            (Reached::Unprocessed(Unprocessed::Failing), _) if self.blamed => None,
            (Reached::Unprocessed(why), _) => {
                self.blamed |= why == Unprocessed::Failing;
                Some(ConnectionChoice::Any)
            }
            (Reached::Connection, Over::Idle(_)) if self.want_copy(over) => {
                Some(ConnectionChoice::New)
            }
            // What was opened for a request, and closed before it, would be so again.
            (Reached::Gateway | Reached::Connection | Reached::Upstream, _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
