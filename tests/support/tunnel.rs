//! WebSocket clients: messages through a tunnel, and how it ends.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderName, HeaderValue};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::{Error, handshake::client::Response};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::gateway::Gateway;
use super::socket::Dial;
use super::within;

#[derive(Debug)]
pub struct Tunnel(WebSocketStream<TlsStream<TcpStream>>);

impl Tunnel {
    /// Opens a tunnel; otherwise the status of the refusal.
    pub async fn open(
        gateway: &Gateway,
        target: &str,
        fields: &[(&str, &str)],
    ) -> Result<(Self, Response), u16> {
        let mut request =
            format!("wss://localhost{target}").into_client_request().expect("a WebSocket URL");
        for (name, value) in fields {
            let name: HeaderName = name.parse().expect("a field name");
            request
                .headers_mut()
                .append(name, HeaderValue::from_str(value).expect("a field value"));
        }
        let stream = Dial::new(gateway).tls().await;
        let opening = Box::pin(client_async(request, stream));
        match within("an answer to the handshake", opening).await {
            Ok((socket, response)) => Ok((Self(socket), response)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("neither a tunnel nor an answer: {error}"),
        }
    }

    /// Opens a tunnel that has to open.
    pub async fn opened(gateway: &Gateway, target: &str, fields: &[(&str, &str)]) -> Self {
        match Self::open(gateway, target, fields).await {
            Ok((tunnel, _)) => tunnel,
            Err(status) => panic!("no tunnel to {target}: {status}"),
        }
    }

    pub async fn send(&mut self, message: Message) {
        within("a message to be taken", self.0.send(message)).await.expect("the tunnel is open");
    }

    pub async fn receive(&mut self) -> Message {
        let message = within("a message", self.0.next()).await.expect("the tunnel is open");
        message.expect("a message")
    }

    /// Sends a message that the upstream returns.
    pub async fn check_echo(&mut self, message: Message) {
        self.send(message.clone()).await;
        assert_eq!(self.receive().await, message);
    }

    /// Both directions work.
    pub async fn check_open(&mut self) {
        self.check_echo(Message::text("still there?")).await;
        self.check_echo(Message::binary(Bytes::from_static(&[0, 255, 0]))).await;
    }

    /// Waits until the other side closes, and the code it gives.
    pub async fn closed(&mut self) -> Option<u16> {
        let closing = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        };
        within("the tunnel to close", closing).await
    }
}
