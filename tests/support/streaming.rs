//! Bodies sent piece by piece, when the test says so: of requests and of answers.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use super::client::Body;
use super::within;

/// A body without a known length, and the hand that writes it. Dropping the hand
/// ends the body.
pub fn streaming() -> (Pieces, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (Pieces(sender), Channel(receiver).boxed())
}

#[derive(Debug)]
pub struct Pieces(mpsc::Sender<io::Result<Frame<Bytes>>>);

impl Pieces {
    pub async fn data(&self, bytes: impl Into<Bytes>) {
        self.frame(Frame::data(bytes.into())).await.expect("the body is being read");
    }

    /// Like `data`; whether anybody still read it.
    pub async fn try_data(&self, bytes: impl Into<Bytes>) -> bool {
        self.frame(Frame::data(bytes.into())).await.is_ok()
    }

    /// Trailers end a body.
    pub async fn trailers(self, trailers: HeaderMap) {
        self.frame(Frame::trailers(trailers)).await.expect("the body is being read");
    }

    /// Breaks the body off instead of ending it.
    pub async fn fail(self) {
        let error = io::Error::other("broken off by the test");
        within("a reader of the body", self.0.send(Err(error)))
            .await
            .expect("the body is being read");
    }

    /// Waits until nobody reads the body any more.
    pub async fn abandoned(&self) {
        within("the body to be let go of", self.0.closed()).await;
    }

    async fn frame(&self, frame: Frame<Bytes>) -> Result<(), Abandoned> {
        within("a reader of the body", self.0.send(Ok(frame))).await.map_err(|_| Abandoned)
    }
}

/// Nobody reads the body any more.
#[derive(Debug)]
struct Abandoned;

struct Channel(mpsc::Receiver<io::Result<Frame<Bytes>>>);

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context)
    }
}

/// Field lines as a map, for trailers.
pub fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines
        .iter()
        .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}
