//! The PROXY header, v1 and v2, in front of everything a load balancer passes on.

use std::io;
use std::net::SocketAddr;

use proxy_header::ParseConfig;
use proxy_header::io::ProxiedStream;
use tokio::net::TcpStream;

/// Reads the header; it must be there. The address is `None` when the balancer
/// speaks for itself (`LOCAL`, `UNKNOWN`), as health checks do.
pub(super) async fn read(
    tcp: TcpStream,
) -> io::Result<(ProxiedStream<TcpStream>, Option<SocketAddr>)> {
    let config = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    let stream = ProxiedStream::create_from_tokio(tcp, config).await?;
    let source = stream.proxy_header().proxied_address().map(|address| address.source);
    Ok((stream, source))
}
