use std::future::{pending, ready};

use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(50);

/// Reads what `client` sends; whether that comes to an end.
async fn ends(
    bounds: Bounds,
    draining: impl Future<Output = ()>,
    client: impl AsyncFnOnce(DuplexStream),
) {
    let (stream, far) = duplex(1 << 10);
    let lingering =
        tokio::time::timeout(Duration::from_secs(10), discard(stream, bounds, draining));
    tokio::select! {
        ended = lingering => assert!(ended.is_ok(), "it goes on"),
        () = async {
            client(far).await;
            pending::<()>().await;
        } => {}
    }
}

/// As much as is taken, until the other side has gone.
async fn flood(mut client: DuplexStream) {
    while client.write_all(&[b'x'; 1 << 10]).await.is_ok() {}
}

async fn say_nothing(client: DuplexStream) {
    let _open = client;
    pending::<()>().await;
}

#[tokio::test]
async fn a_client_is_read_on_until_it_closes() {
    let bounds = Bounds { quiet: HOUR, in_all: HOUR };
    ends(bounds, pending(), async |mut client| {
        client.write_all(&vec![b'x'; 1 << 20]).await.expect("all of it is taken");
    })
    .await;
}

#[tokio::test]
async fn a_quiet_client_is_left() {
    ends(Bounds { quiet: SOON, in_all: HOUR }, pending(), say_nothing).await;
}

#[tokio::test]
async fn a_client_that_goes_on_and_on_is_left_in_the_end() {
    ends(Bounds { quiet: HOUR, in_all: SOON }, pending(), flood).await;
    // Each byte of a drip begins a quiet time anew, and none moves the end.
    ends(Bounds { quiet: HOUR, in_all: SOON }, pending(), async |mut client| {
        while client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_holds_up_a_gateway_that_drains() {
    for client in [true, false] {
        ends(Bounds { quiet: HOUR, in_all: HOUR }, ready(()), async |stream| {
            if client { flood(stream).await } else { say_nothing(stream).await }
        })
        .await;
    }
}

#[test]
fn a_lingering_connection_holds_no_buffer() {
    let (stream, _far) = duplex(1);
    let size = size_of_val(&discard(stream, BOUNDS, pending::<()>()));
    assert!(size <= 1 << 10, "{size} bytes");
}
