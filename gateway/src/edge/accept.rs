//! Accepting connections: a slot in the total, the PROXY header and TLS within
//! one deadline, a slot for the address, then HTTP.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol as SocketProtocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::auth::source::Source;
use crate::canonical::host::normalise;
use crate::config::{ProxyProtocol, Transport};
use crate::pipeline::connection::{Connection, PeerSource, Protocol, Tls};
use crate::slots::{Full, Place, Slot};

use super::linger::linger;
use super::service::{Edge, Service, Serving};
use super::write_deadline::WriteDeadline;
use super::{http, proxy_protocol};

/// Connections the kernel holds for us between two accepts.
const BACKLOG: i32 = 4096;
const KEEPALIVE: Duration = Duration::from_secs(60);
#[cfg(target_os = "linux")]
const NOT_SENT_BYTES: u32 = 64 << 10;
/// Encrypted, and not yet taken by the socket.
const TLS_BUFFER_BYTES: usize = 16 << 10;
/// After an accept that failed for want of descriptors or memory.
const BACK_OFF: Duration = Duration::from_millis(100);

/// A listener, and what it serves.
pub struct Listening<S> {
    pub edge: Arc<Edge>,
    pub service: Arc<S>,
    /// With the port that the system has chosen where none is configured.
    pub address: Arc<str>,
    pub transport: Transport,
    pub proxy_protocol: ProxyProtocol,
}

/// Binds, with IPv4 on an IPv6 wildcard; where the machine has no IPv6, the
/// wildcard is IPv4's.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<StdListener> {
    match bind_exactly(address) {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() => {
            let v4 = SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, address.port()));
            // The first error says more when both fail.
            bind_exactly(v4).map_err(|_| error)
        }
        outcome => outcome,
    }
}

fn bind_exactly(address: SocketAddr) -> io::Result<StdListener> {
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM, Some(SocketProtocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until the drain begins.
pub async fn run<S: Service>(listening: Arc<Listening<S>>, listener: TcpListener) {
    let mut draining = std::pin::pin!(listening.edge.lifecycle.drain_started());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut draining => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => {
                let listening_here = Arc::clone(&listening);
                listening.edge.lifecycle.track(serve(listening_here, tcp, peer));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "accept failed");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

/// The client left before we came to it.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused)
}

async fn serve<S: Service>(listening: Arc<Listening<S>>, mut tcp: TcpStream, peer: SocketAddr) {
    let Listening { edge, service, address, transport, proxy_protocol } = &*listening;
    let counters = &edge.counters;
    counters.connections.increment();
    let rules = service.rules();
    let Ok(slot) = edge.slots.take_within(rules.connections) else {
        counters.connections_over_limit.increment();
        return;
    };
    tune(&tcp);
    let (edge, service) = (Arc::clone(edge), Arc::clone(service));
    let serving = Arc::new(Serving { edge, service, rules, listener: Arc::clone(address) });
    let rules = &serving.rules;
    let deadline = tokio::time::Instant::now() + rules.timeouts.tls_handshake;
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    match proxy_protocol {
        ProxyProtocol::Off => {
            // A proxy that is trusted to speak for many comes with many connections; of
            // its clients the pipeline counts the requests.
            let address_slot = if rules.is_trusted_proxy(peer.ip()) {
                None
            } else {
                let Some(address_slot) = take_address(&serving, peer) else { return };
                Some(address_slot)
            };
            let peer = (peer, PeerSource::Socket);
            secure(&serving, *transport, tcp, peer, (slot, address_slot), deadline).await;
        }
        ProxyProtocol::Required => {
            if !rules.is_trusted_proxy(peer.ip()) {
                counters.handshakes_failed.increment();
                tracing::debug!(%peer, "PROXY listener refused a peer that is not trusted");
                return;
            }
            match tokio::time::timeout_at(deadline, proxy_protocol::read(&mut tcp)).await {
                Ok(Ok(source)) => {
                    let peer = source.map_or(peer, |source| {
                        SocketAddr::new(source.ip().to_canonical(), source.port())
                    });
                    if let Some(address_slot) = take_address(&serving, peer) {
                        let peer = (peer, PeerSource::ProxyHeader);
                        let places = (slot, Some(address_slot));
                        secure(&serving, *transport, tcp, peer, places, deadline).await;
                    }
                }
                Ok(Err(error)) => {
                    counters.handshakes_failed.increment();
                    tracing::debug!(%peer, %error, "PROXY header refused");
                }
                Err(_) => counters.handshakes_timed_out.increment(),
            }
        }
    }
}

/// Kernel settings of a client's socket. None is vital, so none may fail.
fn tune(tcp: &TcpStream) {
    // Without it the last packet of an answer waits for an acknowledgement.
    let _ = tcp.set_nodelay(true);
    let socket = SockRef::from(tcp);
    // A client that vanished from a quiet stream or tunnel is noticed at last.
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    // Report room as it comes, not when a third of a large buffer is free: else a
    // slow but steady reader looks like one that has stopped.
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_notsent_lowat(NOT_SENT_BYTES);
}

fn take_address<S>(serving: &Serving<S>, peer: SocketAddr) -> Option<Place> {
    let Serving { edge, rules, .. } = serving;
    match edge.slots.take_for_within(Source::of(peer.ip()), rules.connections_per_address) {
        Ok(slot) => Some(slot),
        Err(Full::Address | Full::Total) => {
            edge.counters.connections_over_address_limit.increment();
            None
        }
    }
}

async fn secure<S: Service>(
    serving: &Arc<Serving<S>>,
    transport: Transport,
    stream: TcpStream,
    peer: (SocketAddr, PeerSource),
    places: (Slot, Option<Place>),
    deadline: tokio::time::Instant,
) {
    let Serving { edge, rules, .. } = &**serving;
    let counters = &edge.counters;
    let connection = |protocol, tls| {
        let now = edge.clock.now();
        let places = Box::new(places);
        let connection = Connection::new(peer, protocol, tls, Arc::clone(rules), now, places);
        Arc::new(connection.accepted_at(Arc::clone(&serving.listener)))
    };
    let window = rules.timeouts.write_progress;
    let served = match transport {
        Transport::Plain => {
            let connection = connection(Protocol::Http1, None);
            let stream =
                WriteDeadline::new(stream, Arc::clone(&connection), window, Arc::clone(counters));
            http::serve_http1(serving, stream, connection)
        }
        Transport::Tls => {
            if is_clear_http(&stream, deadline).await {
                counters.clear_http_on_tls.increment();
                tracing::debug!(peer = %peer.0, "plain HTTP request on a TLS listener");
                let connection = connection(Protocol::Http1, None);
                refuse_clear_http(serving, stream, &connection, deadline).await;
                return;
            }
            // On the heap, for a connection keeps the room of its largest step.
            let accept = Box::pin(rules.tls.accept(stream));
            match tokio::time::timeout_at(deadline, accept).await {
                Ok(Ok(mut tls)) => {
                    tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
                    let settled = settled(tls.get_ref().1);
                    let http2 = settled.alpn == Some("h2");
                    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
                    let connection = connection(protocol, Some(settled));
                    let stream = WriteDeadline::new(
                        tls,
                        Arc::clone(&connection),
                        window,
                        Arc::clone(counters),
                    );
                    match protocol {
                        Protocol::Http1 => http::serve_http1(serving, stream, connection),
                        Protocol::Http2 => http::serve_http2(serving, stream, connection),
                    }
                }
                Ok(Err(error)) => {
                    counters.handshakes_failed.increment();
                    let (peer, _) = peer;
                    tracing::debug!(%peer, %error, "TLS handshake failed");
                    return;
                }
                Err(_) => {
                    counters.handshakes_timed_out.increment();
                    return;
                }
            }
        }
    };
    served.await;
}

/// Told in words to whoever speaks HTTP in clear where TLS is spoken.
const CLEAR_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 74\r\n\
    Cache-Control: no-store\r\n\
    Connection: close\r\n\r\n\
    This port speaks TLS, and the request came in clear: use https://, please\n";

/// Whether a connection begins with a letter, as every method does and no TLS record: that
/// begins with its type, 22. The byte stays unread.
async fn is_clear_http(stream: &TcpStream, deadline: tokio::time::Instant) -> bool {
    let mut first = [0];
    let peeked = tokio::time::timeout_at(deadline, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1))) && first[0].is_ascii_alphabetic()
}

/// Nothing of the request is read before it is answered: what it is does not matter.
async fn refuse_clear_http<S>(
    serving: &Serving<S>,
    mut stream: TcpStream,
    connection: &Connection,
    deadline: tokio::time::Instant,
) {
    let refusing = async {
        stream.write_all(CLEAR_HTTP).await?;
        stream.shutdown().await
    };
    if let Ok(Ok(())) = tokio::time::timeout_at(deadline, refusing).await {
        linger(serving, connection, stream).await;
    }
}

fn settled(session: &rustls::ServerConnection) -> Tls {
    Tls {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
            _ => "1.3",
        },
        alpn: session.alpn_protocol().map(|name| match name {
            b"h2" => "h2",
            b"http/1.0" => "http/1.0",
            _ => "http/1.1",
        }),
        sni: session
            .server_name()
            .map(|name| normalise(name).unwrap_or_else(|| name.to_ascii_lowercase())),
    }
}
