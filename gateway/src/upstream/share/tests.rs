use super::*;
use crate::auth::source::Source;
use crate::config::{FieldNames, Target, Upstream, UpstreamHost};

const SOMEBODY: Holder = Holder::Address(Source::V4(1));

fn shares(max_connections: usize, each: Option<usize>, http2: bool) -> Shares {
    let upstream = Upstream {
        name: "app".to_owned(),
        target: Target::Echo,
        host: UpstreamHost::Pass,
        field_names: FieldNames::Strict,
        connect_timeout: Duration::from_millis(10),
        idle_timeout: Duration::from_secs(1),
        max_connections,
        max_connections_per_account: each,
    };
    Shares::new(&upstream, http2)
}

/// How many one holder gets.
fn most(shares: &Shares) -> usize {
    std::iter::from_fn(|| shares.places.take(SOMEBODY)).collect::<Vec<_>>().len()
}

#[test]
fn a_share_is_half_rounded_up_or_what_is_configured() {
    for (max_connections, each, http2, expected) in [
        (1, None, false, 1),
        (2, None, false, 1),
        (3, None, false, 2),
        (1_024, None, false, 512),
        (10, Some(7), false, 7),
        // Of one connection half of its streams.
        (1, None, true, 50),
        (3, None, true, 150),
        (3, Some(1), true, 100),
    ] {
        assert_eq!(most(&shares(max_connections, each, http2)), expected, "{max_connections}");
    }
}

#[test]
fn it_follows_what_the_upstream_allows() {
    let shares = shares(2, None, false);
    for (streams, expected) in [(8, 8), (1, 1), (0, 1), (usize::MAX, 1)] {
        shares.settle(streams);
        if streams == usize::MAX {
            assert!(shares.places.take(SOMEBODY).is_some());
        } else {
            assert_eq!(most(&shares), expected, "{streams}");
        }
    }
}

#[tokio::test]
async fn who_has_its_share_waits_for_its_own_and_is_told_so_in_the_end() {
    let shares = shares(1, None, false);
    let held = shares.take(SOMEBODY).await.unwrap();
    let refused = shares.take(SOMEBODY).await.err().map(|failure| failure.cause);
    assert_eq!(refused, Some(Cause::Share));
    assert!(shares.take(Holder::Address(Source::V4(2))).await.is_ok());
    drop(held);
    assert!(shares.take(SOMEBODY).await.is_ok());
    shares.sweep();
    assert_eq!(shares.places.holders(), 0);
}

/// Was: places went from one to the next as long as somebody waited, however few there were.
#[tokio::test]
async fn who_waits_gets_none_while_more_are_taken_than_there_are_now() {
    let shares = shares(8, None, false);
    let mut held: Vec<_> = std::iter::from_fn(|| shares.places.take(SOMEBODY)).collect();
    assert_eq!(held.len(), 4);
    let mut waiting = std::pin::pin!(shares.places.wait(SOMEBODY));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    shares.places.allow(2);
    for _ in 0..2 {
        held.pop();
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    }
    held.pop();
    assert!(futures_util::poll!(waiting.as_mut()).is_ready());
}
