//! One address before several gateways: connections go to each in turn, and past
//! those that take none.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub struct Balancer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Balancer {
    pub async fn start(targets: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a listener has an address");
        let task = tokio::spawn(serve(listener, targets));
        Self { address, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, targets: Vec<SocketAddr>) {
    for turn in 0.. {
        let Ok((mut client, _)) = listener.accept().await else { return };
        let mut targets = targets.clone();
        let first = turn % targets.len();
        targets.rotate_left(first);
        tokio::spawn(async move {
            for target in targets {
                if let Ok(mut gateway) = TcpStream::connect(target).await {
                    // Either side may go at any moment; the other learns it by this end.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut gateway).await;
                    return;
                }
            }
        });
    }
}
