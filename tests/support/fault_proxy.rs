//! Between the gateway and a server: passes bytes on, and breaks on demand.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Connections end, and new ones are refused.
    Refused,
    /// Every piece of bytes is so late, either way.
    Late(Duration),
    /// Connections stay and new ones are taken, but no byte arrives.
    Swallowed,
    /// The server's bytes arrive as others.
    Garbled,
}

impl Fault {
    /// A connection that had it can't be mended.
    fn spoils(self) -> bool {
        matches!(self, Self::Swallowed | Self::Garbled)
    }
}

#[derive(Clone, Copy)]
struct State {
    fault: Fault,
    /// Connections of an earlier era end.
    era: u64,
}

pub struct FaultProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((super::fresh_host(), 0)).await.expect("a port");
        let address = listener.local_addr().expect("a listener has an address");
        let (state, states) = watch::channel(State { fault: Fault::None, era: 0 });
        let task = tokio::spawn(serve(listener, target, states));
        Self { address, state, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, until the next. `Fault::None` heals, and ends what was spoilt.
    pub fn set(&self, fault: Fault) {
        self.state.send_modify(|state| {
            let ends = fault == Fault::Refused || state.fault.spoils();
            *state = State { fault, era: state.era + u64::from(ends) };
        });
    }

    /// Ends all connections once; new ones are served.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.era += 1);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, mut states: watch::Receiver<State>) {
    let address = listener.local_addr().expect("a listener has an address");
    let mut listener = Some(listener);
    loop {
        let refused = states.borrow_and_update().fault == Fault::Refused;
        if refused {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.expect("the port is still ours"));
        }
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = states.changed() => if changed.is_err() { return },
            accepted = accept => if let Ok((client, _)) = accepted {
                tokio::spawn(connect(client, target, states.clone()));
            },
        }
    }
}

async fn connect(client: TcpStream, target: SocketAddr, mut states: watch::Receiver<State>) {
    let State { fault, era } = *states.borrow();
    if fault == Fault::Refused {
        return;
    }
    // Its end is its client's news; why is the server's matter.
    if let Ok(server) = TcpStream::connect(target).await {
        let passing = pass(client, server, states.clone());
        tokio::select! {
            _ = states.wait_for(|state| state.era != era) => {}
            () = passing => {}
        }
    }
}

async fn pass(client: TcpStream, server: TcpStream, states: watch::Receiver<State>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = carry(from_client, to_server, &states, false) => {}
        () = carry(from_server, to_client, &states, true) => {}
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    states: &watch::Receiver<State>,
    is_answer: bool,
) {
    let mut piece = vec![0; 64 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut piece).await else { return };
        let piece = &mut piece[..length];
        let fault = states.borrow().fault;
        match fault {
            Fault::Swallowed => continue,
            Fault::Garbled if is_answer => piece.reverse(),
            Fault::Late(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
}
