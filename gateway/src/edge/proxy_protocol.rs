//! The PROXY header, v1 and v2, in front of everything a load balancer passes on.
//! It is read to its end and not a byte further: what follows belongs to TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::io::{AsyncRead, AsyncReadExt, sink};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// `PROXY UNKNOWN` and its line end; a v2 header is longer.
const SHORTEST: usize = 15;
/// The longest line of v1, with its end.
const LONGEST_LINE: usize = 107;

/// Reads the header; it must be there. The address is `None` when the balancer
/// speaks for itself (`LOCAL`, `UNKNOWN`), as health checks do.
///
/// # Errors
/// When what comes is no such header, or ends before it does.
pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<SocketAddr>> {
    let mut start = [0; SHORTEST];
    stream.read_exact(&mut start).await?;
    if start.starts_with(SIGNATURE) {
        read_binary(stream, &start[SIGNATURE.len()..]).await
    } else {
        read_line(stream, &start).await
    }
}

/// Byte by byte, for nothing says where it ends but its end.
async fn read_line<S: AsyncRead + Unpin>(
    stream: &mut S,
    start: &[u8],
) -> io::Result<Option<SocketAddr>> {
    let mut line = Vec::with_capacity(LONGEST_LINE);
    line.extend_from_slice(start);
    while line.starts_with(b"PROXY ") && !line.contains(&b'\n') && line.len() < LONGEST_LINE {
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).ok().and_then(|line| line.strip_suffix("\r\n"));
    let line = line.filter(|line| !line.contains(['\r', '\n'])).unwrap_or_default();
    let words: Vec<&str> = line.split(' ').collect();
    let source = match words[..] {
        // Whatever it says more has no meaning.
        ["PROXY", "UNKNOWN", ..] => return Ok(None),
        ["PROXY", "TCP4", source, destination, from, to] => {
            endpoint::<Ipv4Addr>(destination, to).and_then(|_| endpoint::<Ipv4Addr>(source, from))
        }
        ["PROXY", "TCP6", source, destination, from, to] => {
            endpoint::<Ipv6Addr>(destination, to).and_then(|_| endpoint::<Ipv6Addr>(source, from))
        }
        _ => None,
    };
    source.map(Some).ok_or_else(malformed)
}

/// An address of the family, and a port in digits without zeros before them.
fn endpoint<T: FromStr + Into<IpAddr>>(address: &str, port: &str) -> Option<SocketAddr> {
    let ip: T = address.parse().ok()?;
    let number: u16 = port.parse().ok()?;
    (number.to_string() == port).then(|| SocketAddr::new(ip.into(), number))
}

/// `rest` is what has been read behind the signature: version and command, family,
/// the upper half of the length.
async fn read_binary<S: AsyncRead + Unpin>(
    stream: &mut S,
    rest: &[u8],
) -> io::Result<Option<SocketAddr>> {
    let &[command, family, length] = rest else { return Err(malformed()) };
    let length = u16::from_be_bytes([length, stream.read_u8().await?]);
    let (source, read) = match (command, family) {
        // The balancer's own connection, whatever it says more; or one of no
        // address we could use (unspecified, a Unix socket).
        (0x20, _) | (0x21, 0x00 | 0x31) => (None, 0),
        (0x21, 0x11) if length >= 12 => {
            let mut addresses = [0; 12];
            stream.read_exact(&mut addresses).await?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = addresses;
            let port = u16::from_be_bytes([high, low]);
            (Some(SocketAddr::from(([a, b, c, d], port))), 12)
        }
        (0x21, 0x21) if length >= 36 => {
            let mut source = [0; 16];
            stream.read_exact(&mut source).await?;
            let mut more = [0; 20];
            stream.read_exact(&mut more).await?;
            let port = u16::from_be_bytes([more[16], more[17]]);
            (Some(SocketAddr::from((source, port))), 36)
        }
        _ => return Err(malformed()),
    };
    // Further fields say nothing that we ask for.
    let further = u64::from(length - read);
    let skipped = tokio::io::copy(&mut stream.take(further), &mut sink()).await?;
    if skipped < further {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(source)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a PROXY header")
}
