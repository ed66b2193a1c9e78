//! A crowd of slow clients, each well inside its deadlines, and one in a hurry who
//! must not notice.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::socket::send;
use crate::support::upstream::{Upstream, ok};
use crate::support::{eventually, within};

const CROWD: usize = 5000;
/// Below what one address may have open.
const OF_ONE_ADDRESS: usize = 250;
const OPENING: usize = 64;

/// What the slow begin, and then go on with a byte at a time or not at all.
const HANDSHAKE: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
const HEAD: &[u8] = b"GET /open HTTP/1.1\r\nHost: localhost\r\nX: ";
const BODY: &[u8] = b"POST /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
const NOTHING: &[u8] = b"";

/// Requests of the one in a hurry, most over one connection.
const REQUESTS: usize = 200;

/// A TLS listener, and one in clear, where thousands can connect in a test's time.
/// Nobody runs into a deadline.
async fn patient() -> (Upstream, Gateway) {
    let upstream = Upstream::http1(ok).await;
    let config = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\ntls = false\n\
         {}max_connections = 4096\n\
         [[route]]\npath = \"/open\"\npublic = true\nupstream = \"app\"\n\
         [client]\ntrusted_proxies = []\n\
         [limits]\nrequests_per_second = 1000000\nburst = 1000000\n\
         [timeouts]\ntls_handshake = \"5m\"\nrequest_head = \"5m\"\nidle = \"5m\"\n\
         body_progress = \"5m\"\n",
        upstream.section("app")
    );
    let gateway = Gateway::start(&config).await;
    (upstream, gateway)
}

async fn slow_client(gateway: &Gateway, number: usize) -> TcpStream {
    let group = u8::try_from(number / OF_ONE_ADDRESS).expect("a group for each address");
    let beginning = [HANDSHAKE, HEAD, BODY, NOTHING][number % 4];
    let listener = gateway.addresses()[usize::from(beginning != HANDSHAKE)];
    let connecting = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::new(127, 2, 0, group + 1), 0).into())?;
        socket.connect(listener).await
    };
    let mut stream = within("a connection", connecting).await.expect("the gateway listens");
    send(&mut stream, beginning).await;
    stream
}

/// A byte now and then on all that have begun something.
async fn drip(crowd: &[TcpStream]) {
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    for part in crowd.chunks(50).cycle() {
        beat.tick().await;
        for (number, stream) in part.iter().enumerate() {
            if number % 4 != 3 {
                // Who is thrown out is missed when the crowd is counted.
                let _ = stream.try_write(b"x");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_slow_clients_keep_nobody_else_from_being_served() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("files to open");
    let (_upstream, gateway) = patient().await;
    let joining = (0..CROWD).map(|number| slow_client(&gateway, number));
    let crowd: Vec<TcpStream> = iter(joining).buffer_unordered(OPENING).collect().await;
    let held = async || gateway.status().await["held"]["connections_open"].as_u64();
    eventually("the crowd to be in", async || held().await.filter(|held| *held >= CROWD as u64))
        .await;
    let hurrying = async {
        let mut connection = Client::anonymous(&gateway).connect().await;
        for number in 0..REQUESTS {
            connection.get("/open").await.expect(200);
            // Who comes anew gets in past all that have not finished coming.
            if number % 10 == 0 {
                Client::anonymous(&gateway).get("/open").await.expect(200);
            }
        }
    };
    tokio::select! {
        () = hurrying => {}
        () = drip(&crowd) => {}
    }
    assert!(held().await.is_some_and(|held| held >= CROWD as u64), "the crowd has gone");
}

/// Most systems give a process 1024 descriptors and let it ask for more.
#[tokio::test]
async fn more_connections_than_descriptors_at_the_start_are_served() {
    let config = "[[route]]\npublic = true\nupstream = \"echo\"\n";
    let gateway = Gateway::builder().open_files(64).config(config).start().await;
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(Client::anonymous(&gateway).connect().await);
    }
    for connection in &mut connections {
        connection.get("/").await.expect(200);
    }
}
