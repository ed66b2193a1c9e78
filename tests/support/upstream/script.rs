//! Upstreams played by the test itself, one step after the other.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::sync::{mpsc, oneshot};

use crate::client::Body;
use crate::streaming::{Pieces, streaming};
use crate::within;

use super::Recording;

/// The requests of an upstream, handed over as they arrive.
pub struct Script(mpsc::Receiver<Exchange>);

type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

impl Script {
    /// The script, and the handler to start its upstream with.
    pub fn new() -> (Self, impl Fn(Request<Recording>) -> Answering + Send + Sync + 'static) {
        let (sender, receiver) = mpsc::channel(64);
        let handler = move |request| -> Answering {
            let sender = sender.clone();
            let (answer, answered) = oneshot::channel();
            Box::pin(async move {
                // Both fail only when the test is over.
                let _ = sender.send(Exchange { request, answer }).await;
                match answered.await {
                    Ok(response) => response,
                    Err(_) => std::future::pending().await,
                }
            })
        };
        (Self(receiver), handler)
    }

    pub async fn next(&mut self) -> Exchange {
        within("a request at the upstream", self.0.recv()).await.expect("the upstream runs")
    }
}

/// A request that waits for the test's answer.
pub struct Exchange {
    pub request: Request<Recording>,
    answer: oneshot::Sender<Response<Body>>,
}

impl Exchange {
    /// The next piece of the request's body; none at its end.
    pub async fn piece(&mut self) -> Option<Bytes> {
        self.try_piece().await.expect("the request goes on")
    }

    /// Like `piece`; an error when the request breaks off.
    pub async fn try_piece(&mut self) -> hyper::Result<Option<Bytes>> {
        let body = self.request.body_mut();
        within("a piece of the request", next_piece(body)).await.transpose()
    }

    /// Whoever does not wait for it any more does not get it.
    pub fn answer(self, response: Response<Body>) {
        let _ = self.answer.send(response);
    }

    /// Answers with a head now, and with a body as the test goes on.
    pub fn answer_streaming(self, head: http::response::Builder) -> Pieces {
        let (pieces, body) = streaming();
        self.answer(head.body(body).expect("a valid answer"));
        pieces
    }

    /// Waits until the gateway has let go of the request.
    pub async fn abandoned(&mut self) {
        within("the request to be let go of", self.answer.closed()).await;
    }
}

/// The next piece of a body. That a frame without content marks an end is HTTP/2's
/// own affair.
pub async fn next_piece<B>(body: &mut B) -> Option<Result<Bytes, B::Error>>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    loop {
        match body.frame().await?.map(Frame::into_data) {
            Ok(Ok(data)) if data.is_empty() => {}
            Ok(Ok(data)) => return Some(Ok(data)),
            Ok(Err(_trailers)) => return None,
            Err(error) => return Some(Err(error)),
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.request.method(), self.request.uri())
    }
}
