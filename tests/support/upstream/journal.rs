//! What reached an upstream: every byte, and every request with its body and
//! trailers.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use crate::within;

/// A request as the upstream received it.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

impl Received {
    fn new(head: &http::request::Parts) -> Self {
        Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            headers: head.headers.clone(),
            body: Vec::new(),
            trailers: HeaderMap::new(),
        }
    }

    /// A field's only line, if it has one.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let lines = self.fields(name);
        assert!(lines.len() <= 1, "at most one {name} line in {self:?}");
        lines.first().copied()
    }

    pub fn fields(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(visible).collect()
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.uri.path_and_query().map_or("", PathAndQuery::as_str)
    }
}

pub fn visible(value: &HeaderValue) -> &str {
    value.to_str().expect("a field of visible ASCII")
}

#[derive(Default)]
pub struct Journal {
    pub requests: Vec<Received>,
    /// Indices into `requests`, in order of completion.
    pub completed: Vec<usize>,
    pub bytes: Vec<u8>,
    pub accepted: usize,
    pub closed: usize,
}

/// The journal of one upstream, shared with its connections.
#[derive(Default)]
pub struct Shared {
    journal: Mutex<Journal>,
    changed: watch::Sender<()>,
}

impl Shared {
    pub fn read(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn note<T>(&self, change: impl FnOnce(&mut Journal) -> T) -> T {
        let outcome = change(&mut self.read());
        self.changed.send_replace(());
        outcome
    }

    /// Notes a request of which nothing is to come any more, or whose body is read
    /// by `Recording`.
    pub fn begin(&self, head: &http::request::Parts) -> usize {
        self.note(|journal| {
            journal.requests.push(Received::new(head));
            journal.requests.len() - 1
        })
    }

    pub fn complete(&self, request: usize) {
        self.note(|journal| journal.completed.push(request));
    }

    pub async fn wait_for<T>(&self, what: &str, find: impl Fn(&Journal) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        within(what, async {
            loop {
                let found = find(&self.read());
                if let Some(found) = found {
                    return found;
                }
                changed.changed().await.expect("the sender lives as long as self");
            }
        })
        .await
    }
}

/// A request body that notes what is read of it.
pub struct Recording {
    body: Incoming,
    shared: Arc<Shared>,
    request: usize,
    complete: bool,
}

impl Recording {
    pub fn new(body: Incoming, shared: Arc<Shared>, request: usize) -> Self {
        let mut recording = Self { body, shared, request, complete: false };
        if recording.body.is_end_stream() {
            recording.finish();
        }
        recording
    }

    fn note(&self, frame: &Frame<Bytes>) {
        self.shared.note(|journal| {
            let request = &mut journal.requests[self.request];
            if let Some(data) = frame.data_ref() {
                request.body.extend_from_slice(data);
            }
            if let Some(trailers) = frame.trailers_ref() {
                request.trailers.extend(trailers.clone());
            }
        });
    }

    fn finish(&mut self) {
        if !std::mem::replace(&mut self.complete, true) {
            self.shared.complete(self.request);
        }
    }
}

impl http_body::Body for Recording {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => self.note(frame),
            Poll::Ready(None) => self.finish(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        // Readers stop at the declared length and never see the `None` behind it.
        if matches!(polled, Poll::Ready(Some(Ok(_)))) && self.body.is_end_stream() {
            self.finish();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that notes the bytes received.
pub struct Wire<S> {
    stream: S,
    shared: Arc<Shared>,
}

impl<S> Wire<S> {
    pub const fn new(stream: S, shared: Arc<Shared>) -> Self {
        Self { stream, shared }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            self.shared.note(|journal| journal.bytes.extend_from_slice(read));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
