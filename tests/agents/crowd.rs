//! Thousands of agents at once, each with its key and its tunnel.

use std::net::Ipv4Addr;

use futures_util::SinkExt as _;
use futures_util::StreamExt as _;
use futures_util::stream::iter;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::gateway::{ADMIN, Gateway};
use crate::support::{eventually, within};

use super::{AGENTS, by_key};

const CROWD: usize = 5000;
/// Below what one address may have open.
const OF_ONE_ADDRESS: usize = 250;
const AT_ONCE: usize = 64;
/// Bytes that an agent which does nothing may cost the gateway, in clear.
const MOST: u64 = 16 << 10;

type Agent = WebSocketStream<TcpStream>;

async fn agent(gateway: &Gateway, number: usize, message: &str) -> Agent {
    let group = u8::try_from(number / OF_ONE_ADDRESS).expect("a group for each address");
    let request = format!("ws://localhost{AGENTS}").into_client_request().expect("a WebSocket URL");
    let connecting = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::new(127, 2, 1, group + 1), 0).into())?;
        socket.connect(gateway.address()).await
    };
    let stream = within("a connection", connecting).await.expect("the gateway listens");
    let opening = within("an answer to the handshake", client_async(request, stream));
    let (mut agent, _) = opening.await.expect("a WebSocket");
    let answer = said(&mut agent, message.to_owned()).await;
    assert!(answer.contains("auth_success"), "{answer}");
    agent
}

/// The answer to a message.
async fn said(agent: &mut Agent, message: String) -> String {
    let saying = async {
        agent.send(Message::text(message)).await?;
        agent.next().await.expect("the tunnel is open")
    };
    let answer = within("an answer", saying).await.expect("an answer");
    answer.into_text().expect("text").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_agents_are_connected_at_once_and_each_gets_a_message_through() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("files to open");
    let gateway = Gateway::start(&format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = false\n\
         [[route]]\npath = \"{AGENTS}\"\nupstream = \"echo\"\nagents = true\n\
         [client]\ntrusted_proxies = []\n\
         [limits]\nrequests_per_second = 1000000\nburst = 1000000\nagents_per_server = {CROWD}\n"
    ))
    .await;
    let held = async || {
        let status = gateway.status().await;
        status["held"]["connections_open"].as_u64().expect("the connections are counted")
    };
    let nobody = held().await;
    let (_, key) = gateway.create_server_key(ADMIN, &[]).await;
    let message = by_key(&key);
    let coming = (0..CROWD).map(|number| agent(&gateway, number, &message));
    let before = gateway.resident_bytes();
    let mut crowd: Vec<Agent> = iter(coming).buffer_unordered(AT_ONCE).collect().await;
    let each = gateway.resident_bytes().saturating_sub(before) / CROWD as u64;
    assert!(each <= MOST, "{each} bytes each");
    assert!(held().await >= CROWD as u64);
    let talking = crowd.iter_mut().enumerate().map(async |(number, agent)| {
        let message = format!("agent {number}");
        assert_eq!(said(agent, message.clone()).await, message);
    });
    iter(talking).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    drop(crowd);
    eventually("all to have left", async || (held().await == nobody).then_some(())).await;
}
