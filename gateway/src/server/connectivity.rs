//! `check --connect`: whether what the configuration names can be reached from here.
//! Upstreams are sent no request, only the beginning of a handshake; the store is asked about itself and not changed.

use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use crate::auth::time::Seconds;
use crate::config::{self, Config, HttpTarget, Target, UpstreamTls};
use crate::pipeline::reason::{Reason, Rejection};
use crate::store::shared;
use crate::trust::{self, Fault};
use crate::upstream::Need;
use crate::upstream::error::{Cause, Failure};
use crate::upstream::tls::OutboundTls;

use super::assemble::upstream_tls;
use super::stores::shared_settings;

/// For a server to refuse who has shown no certificate.
const REFUSAL: Duration = Duration::from_secs(1);

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub struct Tried {
    /// `store`, or `upstream` and its name.
    pub what: String,
    /// Where, as it is configured.
    pub at: String,
    pub state: State,
    /// What was found there, or why nothing was.
    pub detail: String,
    /// It can be used, and may lose what it should keep.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Good,
    Failed,
}

impl State {
    /// As it is shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::Good => "good",
            State::Failed => "failed",
        }
    }
}

/// What was found, and what is to be said about it.
type Found = Result<(String, Vec<String>), String>;

/// Tries everything at once; answers in the order of the file, the store first.
pub async fn reach(config: &Config) -> Vec<Tried> {
    let mut trials = JoinSet::new();
    let mut places = Vec::new();
    if let Some(store) = &config.store.shared {
        let (index, store) = (places.len(), store.clone());
        places.push(("store".to_owned(), store.topology.to_string()));
        trials.spawn(async move { (index, reach_store(&store).await) });
    }
    for upstream in &config.upstreams {
        let Target::Http(target) = &upstream.target else { continue };
        let (index, target, timeout) = (places.len(), target.clone(), upstream.connect_timeout);
        let scheme = if matches!(target.tls, UpstreamTls::Off) { "http" } else { "https" };
        let at = format!("{scheme}://{}", target.authority);
        // One that a route names by its URL has no other name.
        let name = if upstream.name.contains("://") { "" } else { upstream.name.as_str() };
        places.push((format!("upstream {name}").trim_end().to_owned(), at));
        trials.spawn(async move { (index, reach_upstream(&target, timeout).await) });
    }
    let mut found = trials.join_all().await;
    found.sort_by_key(|(index, _)| *index);
    let tried = |((what, at), (_, found)): ((String, String), (usize, Found))| match found {
        Ok((detail, warnings)) => Tried { what, at, state: State::Good, detail, warnings },
        Err(detail) => Tried { what, at, state: State::Failed, detail, warnings: Vec::new() },
    };
    places.into_iter().zip(found).map(tried).collect()
}

async fn reach_store(store: &config::SharedStore) -> Found {
    let settings = shared_settings(store, Seconds(0)).map_err(|error| error.to_string())?;
    let found = match shared::inspect(&settings).await {
        Ok(found) => found,
        Err(error) if matches!(store.tls, UpstreamTls::Off) && answers_in_tls(store).await => {
            let words = "it uses TLS on this port: write rediss in place of redis in store.url";
            return Err(format!("{words} ({error})"));
        }
        // A server that waits for the end of a line has no answer to a handshake.
        Err(error) if !matches!(store.tls, UpstreamTls::Off) && answers_in_clear(store).await => {
            let words =
                "it does not use TLS on this port: write redis in place of rediss in store.url";
            return Err(format!("{words} ({error})"));
        }
        Err(error) => return Err(error.to_string()),
    };
    let schema = match found.schema {
        Some(schema) => format!("schema {schema}"),
        None => format!("nothing under the prefix {:?} yet", store.prefix),
    };
    Ok((format!("{}, version {}, {schema}", found.address, found.version), found.warnings))
}

/// Of several addresses, that which speaks for all.
fn first_address(store: &config::SharedStore) -> Option<&config::NodeAddress> {
    match &store.topology {
        config::Topology::Single(address) => Some(address),
        config::Topology::Sentinel { addresses, .. } | config::Topology::Cluster(addresses) => {
            addresses.first()
        }
    }
}

async fn answers_in_tls(store: &config::SharedStore) -> bool {
    match first_address(store) {
        Some(address) => speaks_tls(&address.host, address.port).await,
        None => false,
    }
}

async fn answers_in_clear(store: &config::SharedStore) -> bool {
    let Some(address) = first_address(store) else { return false };
    let asking = async {
        let mut tcp = TcpStream::connect((address.host.as_str(), address.port)).await?;
        tcp.write_all(b"PING\r\n").await?;
        tcp.read_u8().await
    };
    // A reply or an error, such as that somebody has to sign in first.
    matches!(tokio::time::timeout(REFUSAL, asking).await, Ok(Ok(b'+' | b'-')))
}

/// Who says nothing to the beginning of a handshake speaks none.
async fn speaks_tls(host: &str, port: u16) -> bool {
    let asked = tokio::time::timeout(REFUSAL, trust::speaks_tls(host, port)).await;
    matches!(asked, Ok(Ok(true)))
}

async fn reach_upstream(target: &HttpTarget, timeout: Duration) -> Found {
    let tls = upstream_tls(target)?;
    let port = target.authority.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
    let host = target.authority.host().trim_start_matches('[').trim_end_matches(']');
    let connecting = async {
        let tcp = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
        let peer = tcp.peer_addr().map_err(|error| error.to_string())?;
        match &tls {
            None => Ok((peer.to_string(), Vec::new())),
            Some(tls) => {
                let (spoken, warnings) = handshake(tls, tcp).await?;
                Ok((format!("{peer}, {spoken}"), warnings))
            }
        }
    };
    let reached = tokio::time::timeout(timeout, connecting).await;
    let reached = reached.unwrap_or_else(|_| Err(format!("no response within {timeout:?}")))?;
    // Whoever speaks HTTP answers what is no request, and no application sees it.
    if tls.is_none() && speaks_tls(host, port).await {
        return Err("it uses TLS on this port: write https:// in place of http://".to_owned());
    }
    Ok(reached)
}

/// The version of TLS and, if ALPN settled it, the protocol above.
async fn handshake(outbound: &OutboundTls, tcp: TcpStream) -> Found {
    let connected = outbound.connect(tcp, Need::Any).await;
    let mut tls = connected.map_err(in_words)?;
    let mut warnings = Vec::new();
    if outbound.has_been_asked() {
        hear_refusal(outbound, &mut tls).await?;
        warnings.push(
            "it requests a client certificate, and the gateway has none: requests may be refused"
                .to_owned(),
        );
    }
    let (_, session) = tls.get_ref();
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS 1.2",
    };
    let protocol = session.alpn_protocol().map(String::from_utf8_lossy);
    let spoken =
        protocol.map_or_else(|| version.to_owned(), |protocol| format!("{version}, {protocol}"));
    Ok((spoken, warnings))
}

/// With TLS 1.3 a server refuses who has no certificate when the handshake is over for the
/// client; one that does not refuse says nothing before it is asked something.
async fn hear_refusal(
    outbound: &OutboundTls,
    tls: &mut TlsStream<TcpStream>,
) -> Result<(), String> {
    let mut first = [0];
    match tokio::time::timeout(REFUSAL, tls.read(&mut first)).await {
        Ok(Err(error)) if outbound.judge(&error) == Fault::WantsCertificate => Err(in_words(
            Cause::ClientCertificate.with_detail(trust::describe(&error, trust::ROOTS)),
        )),
        _ => Ok(()),
    }
}

fn in_words(failure: Failure) -> String {
    let rejection = Rejection::from(failure);
    let detail = rejection.detail.as_deref().unwrap_or_default();
    match &rejection.reason {
        Reason::UpstreamTls => format!("TLS: {detail}"),
        reason => format!("{}: {detail}", reason.code()),
    }
}
