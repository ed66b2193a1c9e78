//! Uploads that are refused before they have come, by clients that send all of a request
//! before they read.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use crate::client::{Client, DEADLINE};
use crate::fixture::Fixture;
use crate::report::{Check, differs};

/// More than sockets and windows hold.
const UPLOAD_BYTES: usize = 1 << 20;
const PIECE_BYTES: usize = 16 << 10;
/// Waits for the rate limit before an answer is given up.
const MAX_WAITS: u32 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// Whoever uploads without a credential reads that one is missing.
pub async fn refused_in_words(s: &Fixture) -> Check {
    check(s, Protocol::Http1).await?;
    check(s, Protocol::Http2).await
}

async fn check(s: &Fixture, protocol: Protocol) -> Check {
    let differs = |what: String| differs(format!("upload over {}: {what}", protocol.as_str()));
    for _ in 0..MAX_WAITS {
        let uploading = tokio::time::timeout(DEADLINE, upload(s, protocol)).await;
        match uploading.unwrap_or_else(|_| Err("it took too long".to_owned())) {
            // It is not spoken here.
            Ok(None | Some(401)) => return Ok(()),
            Ok(Some(429)) => tokio::time::sleep(Duration::from_secs(1)).await,
            Ok(Some(status)) => return differs(format!("expected 401, found {status}")),
            Err(error) => return differs(error),
        }
    }
    differs("refused with 429 again and again".to_owned())
}

async fn upload(s: &Fixture, protocol: Protocol) -> Result<Option<u16>, String> {
    match protocol {
        Protocol::Http1 => over_http1(&s.client, &s.proxied).await.map(Some),
        Protocol::Http2 => over_http2(&s.client, &s.proxied).await,
    }
}

async fn over_http1(client: &Client, path: &str) -> Result<u16, String> {
    let (mut stream, _) = client.dial(b"http/1.1").await?;
    let authority = client.authority();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {UPLOAD_BYTES}\r\n\r\n"
    );
    let mut line = [0; "HTTP/1.1 401".len()];
    let exchange = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&vec![b'x'; UPLOAD_BYTES]).await?;
        stream.flush().await?;
        stream.read_exact(&mut line).await
    };
    exchange.await.map_err(|error| format!("no answer: {error}"))?;
    let status = line.strip_prefix(b"HTTP/1.1 ").and_then(|text| std::str::from_utf8(text).ok());
    let status = status.and_then(|text| text.parse().ok());
    status.ok_or_else(|| format!("no answer but {:?}", String::from_utf8_lossy(&line)))
}

/// None where HTTP/2 is not spoken.
async fn over_http2(client: &Client, path: &str) -> Result<Option<u16>, String> {
    let (stream, agreed) = client.dial(b"h2").await?;
    if agreed.as_deref() != Some(b"h2") {
        return Ok(None);
    }
    let broken = |error: hyper::Error| format!("no answer: {error}");
    let (mut sender, driver) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(driver);
    let (ended, whole) = oneshot::channel();
    let body = Upload { left: UPLOAD_BYTES, ended: Some(ended) };
    let uri = format!("https://{}{path}", client.authority());
    let request = Request::post(uri).body(body).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(broken)?;
    // curl 7.88 and others take a stream that is reset before for one that failed.
    whole.await.map_err(|_| "its stream was reset before all had been sent".to_owned())?;
    Ok(Some(response.status().as_u16()))
}

/// Tells when all of it has been taken.
struct Upload {
    left: usize,
    ended: Option<oneshot::Sender<()>>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static PIECE: [u8; PIECE_BYTES] = [b'x'; PIECE_BYTES];
        let length = self.left.min(PIECE.len());
        self.left -= length;
        if self.left == 0
            && let Some(ended) = self.ended.take()
        {
            // Whoever waits for it may have gone.
            let _ = ended.send(());
        }
        Poll::Ready((length > 0).then(|| Ok(Frame::data(Bytes::from_static(&PIECE[..length])))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
