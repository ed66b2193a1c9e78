//! Agents: WebSockets that are opened without a credential, on routes that take such,
//! and bring it in their first message (S0-16 to S0-19).
//!
//! The gateway agrees to the WebSocket itself, judges the message like any other
//! credential, and only then opens the upstream's side. The access line is written
//! when it is known how that went.

pub mod first_message;

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use crate::auth::principal::Principal;
use crate::config::Agents;
use crate::slots::{Place, Slot};
use crate::telemetry::access_log::Decision;
use crate::telemetry::request_scope;

use super::authenticate::{self, Presented, Proven};
use super::authorize::authorize;
use super::body::response::ResponseBody;
use super::connection::{Connection, Upgrade};
use super::forward;
use super::forward::tunnel::{self, Carries, TunnelContext, UpstreamEnd};
use super::forward::websocket::{Agreement, Handshake};
use super::frame::{self, Opcode};
use super::gateway::Gateway;
use super::passed::Passed;
use super::reason::{Reason, Rejection};
use super::record::RequestRecord;
use super::site::Site;
use super::throttle::Caller;
use first_message::{Credential, Fault, FirstMessage, Reader};

/// Bytes that are read at once of somebody unknown.
const READ_BYTES: usize = 1 << 10;
/// For a refusal to be taken.
const FAREWELL: Duration = Duration::from_secs(1);

/// An upgrade without a credential, on a route that takes agents.
pub struct AgentHandshake {
    pub handshake: Handshake,
    pub caller: Caller,
    /// As it passes once it is known who it is.
    pub passed: Passed,
}

/// One that waits to say who it is.
struct Unknown {
    gateway: Arc<Gateway>,
    site: Arc<Site>,
    connection: Arc<Connection>,
    parts: Parts,
    caller: Caller,
    passed: Passed,
}

/// Among those of whom nobody knows yet who they are.
type Waiting = (Slot, Place);
type Client = TokioIo<Upgraded>;

impl AgentHandshake {
    /// Agrees to the WebSocket, and lets a task wait for the first message.
    ///
    /// # Errors
    /// When too many wait, or the handshake is not one for us.
    pub fn receive(
        self,
        gateway: Arc<Gateway>,
        site: Arc<Site>,
        connection: Arc<Connection>,
        mut parts: Parts,
    ) -> Result<Response<ResponseBody>, Rejection> {
        let Self { handshake, caller, passed } = self;
        let agents = &gateway.agents;
        let places = (
            agents
                .take_within(site.concurrency.agents_unauthenticated)
                .map_err(|_| Reason::AgentsOverLimit)?,
            agents
                .take_for_within(caller.source, site.concurrency.agents_unauthenticated_per_address)
                .map_err(|_| Reason::AgentsOverAddressLimit)?,
        );
        parts.headers.remove(header::HOST);
        let agreement = Agreement::new(handshake, &parts.headers)?;
        let client = parts.extensions.remove::<OnUpgrade>().ok_or(Reason::Internal)?;
        let (hand_over, record) = oneshot::channel();
        let response = agreement.answer().map(|()| ResponseBody::handing_over(hand_over));
        connection.decide_upgrade(Upgrade::Tunnel);
        let lifecycle = gateway.lifecycle.clone();
        let request_id = Arc::clone(&caller.request_id);
        let kept = Arc::clone(&connection);
        let unknown = Unknown { gateway, site, connection, parts, caller, passed };
        // On the heap, and gone when the tunnel begins: there are thousands of these.
        let introduction = Box::pin(unknown.introduce(agreement, client, record, places));
        lifecycle.track(request_scope::within(request_id, async move {
            if let Some(KnownAgent { client, ahead, far, terms }) = introduction.await {
                tunnel::run(client, ahead, far, terms).await;
            }
            // Until here it has counted as a connection.
            drop(kept);
        }));
        Ok(response)
    }
}

impl Unknown {
    async fn introduce(
        self,
        agreement: Agreement,
        client: OnUpgrade,
        record: oneshot::Receiver<Box<RequestRecord>>,
        places: Waiting,
    ) -> Option<KnownAgent<impl Future<Output = ()> + use<>>> {
        let mut record = record.await.ok()?;
        let Ok(client) = client.await else {
            record.break_off("client_left");
            return None;
        };
        let mut client = TokioIo::new(client);
        let mut places = Some(places);
        let gateway = Arc::clone(&self.gateway);
        let outcome = {
            let admitted =
                self.authenticate_agent(&mut client, agreement, &mut record, &mut places);
            tokio::select! {
                outcome = admitted => outcome,
                () = gateway.lifecycle.drain_started() => Err(End::Refused(Reason::Stopping.into())),
            }
        };
        let end = match outcome {
            Ok((ahead, far, terms)) => {
                record.complete();
                return Some(KnownAgent { client, ahead, far, terms });
            }
            Err(end) => end,
        };
        match end {
            End::Left => record.break_off("client_left"),
            End::Refused(rejection) => {
                let known = places.is_none();
                record.refuse(&rejection, &gateway.counters);
                record.complete();
                let words = refusal(&rejection.reason, known);
                let _ = timeout(FAREWELL, say(&mut client, &words)).await;
            }
        }
        tunnel::part(client).await;
        None
    }

    /// The first message judged, the client told, and the upstream's side opened.
    async fn authenticate_agent(
        self,
        client: &mut Client,
        agreement: Agreement,
        record: &mut RequestRecord,
        places: &mut Option<Waiting>,
    ) -> Result<(Bytes, UpstreamEnd, TunnelContext<impl Future<Output = ()> + use<>>), End> {
        let Self { gateway, site, connection, parts, caller, mut passed } = self;
        let route = Arc::clone(&passed.route);
        let listening = timeout(connection.rules.timeouts.agent_message, listen(client));
        let (credential, ahead) = listening.await.unwrap_or(Err(Fault::Late.into()))?;
        let presented = match (&credential, route.agents) {
            (Credential::Key(key), _) => Presented::Key(key.expose()),
            (Credential::Token(token), Agents::Any) => Presented::Bearer(token.expose()),
            (Credential::Token(_), _) => return Err(Fault::Token.into()),
        };
        record.access.asked.presented = presented.scheme();
        let judging =
            authenticate::authenticate(&gateway.core, &gateway.throttle, &caller, presented);
        let Proven { principal, .. } = judging.await?.ok_or(Reason::CredentialMissing)?;
        record.access.principal = Some(Arc::clone(&principal));
        authorize(&principal, &route.access)?;
        let identity = Identity::of(&principal)?;
        let held = gateway.bounds.tunnel(Some(&principal), &route, &site.concurrency)?;
        record.allow(Decision::Allowed, Some(Arc::clone(&principal)));
        drop(places.take());
        let words = success(identity);
        let telling = timeout(connection.rules.timeouts.agent_message, say(client, &words));
        telling.await.unwrap_or(Err(End::Left))?;
        passed.principal = Some(principal);
        let asked = (parts, agreement);
        let opening =
            forward::open_upstream_end((&gateway, &site), &connection, record, asked, &passed);
        let (far, share) = opening.await?;
        let held = held.into_iter().chain(share).collect();
        let terms = passed.terms((&gateway, &connection), record, Carries::Frames, held);
        Ok((ahead, far, terms))
    }
}

/// An agent that is known, and the upstream's end for it.
struct KnownAgent<D> {
    client: Client,
    /// What it has sent behind its first message.
    ahead: Bytes,
    far: UpstreamEnd,
    terms: TunnelContext<D>,
}

/// Why an agent does not get through.
enum End {
    Left,
    Refused(Rejection),
}

impl<R: Into<Rejection>> From<R> for End {
    fn from(reason: R) -> Self {
        End::Refused(reason.into())
    }
}

/// Waits for the first message, and answers pings meanwhile. It holds no buffer while
/// nothing comes.
async fn listen(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<(Credential, Bytes), End> {
    let mut reader = Reader::default();
    loop {
        while let Some(said) = reader.read()? {
            match said {
                FirstMessage::Credential(credential) => {
                    return Ok((credential, reader.into_rest()));
                }
                FirstMessage::Ping(payload) => {
                    say(client, &frame::frame(Opcode::Pong, &payload)).await?;
                }
                FirstMessage::Close => {
                    say(client, &frame::close(frame::NORMAL)).await?;
                    return Err(End::Left);
                }
            }
        }
        let read = std::future::poll_fn(|cx| {
            let mut scratch = [MaybeUninit::uninit(); READ_BYTES];
            let mut read = ReadBuf::uninit(&mut scratch);
            let polled = std::pin::Pin::new(&mut *client).poll_read(cx, &mut read);
            let ended = ready!(polled).is_err() || read.filled().is_empty();
            reader.feed(read.filled());
            Poll::Ready(if ended { Err(End::Left) } else { Ok(()) })
        });
        read.await?;
    }
}

async fn say(client: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), End> {
    let saying = async {
        client.write_all(bytes).await?;
        client.flush().await
    };
    saying.await.map_err(|_: std::io::Error| End::Left)
}

#[derive(Serialize)]
struct Success {
    r#type: &'static str,
    #[serde(flatten)]
    identity: Identity,
    message: &'static str,
}

/// Who an agent is told to be: its key's server (S0-17), or the user of its token.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Identity {
    ServerId(Uuid),
    UserId(Uuid),
}

impl Identity {
    /// A key of no server is no agent's, whatever else the route takes it for.
    fn of(principal: &Principal) -> Result<Self, Reason> {
        match principal.key() {
            None => Ok(Identity::UserId(principal.account_id().0)),
            Some(key) => {
                let server = key.server.ok_or(Reason::KeyNotBound)?;
                Ok(Identity::ServerId(server.0))
            }
        }
    }
}

#[derive(Serialize)]
struct Failure {
    r#type: &'static str,
    message: &'static str,
}

fn success(identity: Identity) -> Vec<u8> {
    text(&Success { r#type: "auth_success", identity, message: "Connected successfully" })
}

/// The same words whatever was wrong with a credential; which it was is for the log.
/// Who is known has had an answer to its message, and is told by the code alone.
fn refusal(reason: &Reason, known: bool) -> Vec<u8> {
    let close = frame::close(close_code(reason));
    if known || *reason == Reason::Stopping {
        return close;
    }
    let message = match reason {
        // Told to nobody who has not proven who it is.
        Reason::StreamsOverLimit | Reason::AgentsOverBound(_) => "Too many connections",
        _ => "Authentication failed",
    };
    let failure = Failure { r#type: "auth_error", message };
    [text(&failure), close].concat()
}

fn text(message: &impl Serialize) -> Vec<u8> {
    frame::frame(Opcode::Text, &serde_json::to_vec(message).expect("plain text serializes"))
}

fn close_code(reason: &Reason) -> u16 {
    match reason {
        Reason::FirstMessage(fault) => fault.close_code(),
        Reason::Stopping => frame::GOING_AWAY,
        Reason::AttemptsQueued
        | Reason::UserAttemptsQueued { .. }
        | Reason::StoreBusy
        | Reason::StoreUnavailable
        | Reason::StreamsOverLimit
        | Reason::AgentsOverBound(_)
        | Reason::RevocationNotStored
        | Reason::UpstreamSaturated
        | Reason::UpstreamShareTaken
        | Reason::Internal => frame::TRY_AGAIN_LATER,
        Reason::UpstreamConnect
        | Reason::UpstreamConnectTimeout
        | Reason::UpstreamTls
        | Reason::UpstreamTimeout
        | Reason::UpstreamClosed
        | Reason::UpstreamProtocol
        | Reason::UpstreamUpgrade => frame::BAD_GATEWAY,
        _ => frame::CREDENTIAL_ENDED,
    }
}

#[cfg(test)]
mod tests;
