use std::net::SocketAddr;

use tokio::io::AsyncReadExt as _;

use crate::auth::time::Timestamp;
use crate::pipeline::connection::rules::ConnectionRules;
use crate::pipeline::connection::{PeerSource, Protocol};

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 1024, fields: 8, uri_bytes: 256 };

#[tokio::test]
async fn an_escaped_request_line_is_read_before_its_fields_in_pieces_of_any_size() {
    let sent =
        b"\r\nPOST /?\"\xe9 HTTP/1.1\r\nContent-Length: 2\r\n\r\n\"\xe9GET /? HTTP/1.1\r\n\r\n";
    let expected =
        b"POST /?%22%E9 HTTP/1.1\r\nContent-Length: 2\r\n\r\n\"\xe9GET /? HTTP/1.1\r\n\r\n";
    for size in [1, 7, 4096] {
        let peer = (SocketAddr::from(([192, 0, 2, 1], 4711)), PeerSource::Socket);
        let connection = Connection::new(
            peer,
            Protocol::Http1,
            None,
            ConnectionRules::lenient(0),
            Timestamp(0),
            Box::new(()),
        );
        let hour = Duration::from_secs(3600);
        let mut gate = RequestGate::new(
            &sent[..],
            Arc::new(connection),
            LIMITS,
            hour,
            Arc::<Counters>::default(),
        );
        let (mut passed, mut piece) = (Vec::new(), vec![0; size]);
        loop {
            let read = gate.read(&mut piece).await.expect("the gate lets it pass");
            if read == 0 {
                break;
            }
            passed.extend_from_slice(&piece[..read]);
        }
        assert_eq!(passed, expected, "in pieces of {size}");
    }
}
