//! Bytes as they are, over TLS: for what no well-behaved client would send.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::client::{Answer, connect_tls};
use super::gateway::Gateway;
use super::within;

pub struct RawStream {
    stream: TlsStream<TcpStream>,
    /// Read, and not yet part of an answer.
    unread: Vec<u8>,
}

/// A connection that has agreed on HTTP/1.1 and said nothing yet.
pub async fn raw(gateway: &Gateway) -> RawStream {
    RawStream { stream: connect_tls(gateway).await, unread: Vec::new() }
}

impl RawStream {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sending = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        within("bytes to be taken", sending).await.expect("the connection is open");
    }

    /// Reads one answer; what follows it stays for the next.
    pub async fn read_response(&mut self) -> Answer {
        within("an answer", self.read_final_response()).await
    }

    async fn read_final_response(&mut self) -> Answer {
        loop {
            let (status, headers) = self.read_head().await;
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                continue;
            }
            let body = self.read_body(status, &headers).await;
            return Answer { status, headers, body: body.into(), trailers: None };
        }
    }

    async fn read_head(&mut self) -> (StatusCode, HeaderMap) {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 100];
            let mut head = httparse::Response::new(&mut fields);
            let parsed = head.parse(&self.unread).expect("the head of an answer");
            if let httparse::Status::Complete(length) = parsed {
                let status = head.code.expect("a parsed head has a status");
                let headers = head.headers.iter().map(|field| {
                    let name = HeaderName::from_bytes(field.name.as_bytes());
                    let value = HeaderValue::from_bytes(field.value);
                    (name.expect("a field name"), value.expect("a field value"))
                });
                let head = (StatusCode::from_u16(status).expect("a status"), headers.collect());
                self.unread.drain(..length);
                return head;
            }
            self.read_more().await;
        }
    }

    async fn read_body(&mut self, status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
        if status == StatusCode::SWITCHING_PROTOCOLS || status == StatusCode::NO_CONTENT {
            return Vec::new();
        }
        if headers.contains_key("transfer-encoding") {
            return self.read_chunks().await;
        }
        if let Some(length) = headers.get("content-length") {
            let length = length.to_str().ok().and_then(|text| text.parse().ok());
            return self.take(length.expect("a length")).await;
        }
        while self.fill().await > 0 {}
        std::mem::take(&mut self.unread)
    }

    async fn read_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.take_line().await;
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).expect("a chunk has a size");
            if size == 0 {
                // Trailer fields, and the empty line after them.
                while !self.take_line().await.is_empty() {}
                return body;
            }
            body.extend(self.take(size).await);
            assert_eq!(self.take_line().await, "", "a chunk ends with its line");
        }
    }

    async fn take_line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.take(end + 2).await;
                return String::from_utf8_lossy(&line[..end]).into_owned();
            }
            self.read_more().await;
        }
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            self.read_more().await;
        }
        self.unread.drain(..length).collect()
    }

    /// One frame of a WebSocket: its first byte, and what it holds.
    pub async fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let reading = async {
            let head = self.take(2).await;
            let length = match head[1] {
                length @ 0..=125 => usize::from(length),
                126 => self.take(2).await.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                127 => self.take(8).await.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                _ => panic!("a server's frames have no mask"),
            };
            (head[0], self.take(length).await)
        };
        within("a frame", reading).await
    }

    async fn read_more(&mut self) {
        let unread = String::from_utf8_lossy(&self.unread).into_owned();
        assert!(self.fill().await > 0, "the connection closed after {unread:?}");
    }

    /// Reads what there is; 0 when the other side has closed. A close without the
    /// TLS alert, or a reset, is a close too.
    async fn fill(&mut self) -> usize {
        self.stream.read_buf(&mut self.unread).await.unwrap_or(0)
    }

    /// So many bytes behind a switch of protocols.
    pub async fn read_exactly(&mut self, length: usize) -> Vec<u8> {
        within("bytes", self.take(length)).await
    }

    /// Says that nothing more comes, and goes on reading.
    pub async fn close_input(&mut self) {
        within("the end to be taken", self.stream.shutdown())
            .await
            .expect("the connection is open");
    }

    /// All that still comes until the other side closes.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        within("the connection to close", async { while self.fill().await > 0 {} }).await;
        std::mem::take(&mut self.unread)
    }

    /// Whether the other side closes without another byte.
    pub async fn is_closed(&mut self) -> bool {
        self.read_to_end().await.is_empty()
    }
}
