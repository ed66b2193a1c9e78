use std::convert::Infallible;
use std::future::{pending, ready};
use std::task::Context;

use http_body::{Frame, SizeHint};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(20);
const WITHOUT_END: Bounds =
    Bounds { moderate_bytes: 100, enough_bytes: 50, enough_time: HOUR, in_all: HOUR };

/// Ten bytes at a time.
struct Upload {
    declared: Option<u64>,
    pieces: usize,
    /// What comes behind the pieces.
    then: Poll<()>,
}

impl Upload {
    fn endless(declared: Option<u64>) -> Self {
        Self { declared, pieces: usize::MAX, then: Poll::Pending }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.pieces.checked_sub(1) {
            Some(left) => {
                // As a socket does, which has its turns.
                if tokio::task::coop::poll_proceed(cx).map(|turn| turn.made_progress()).is_pending()
                {
                    return Poll::Pending;
                }
                self.pieces = left;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"0123456789")))))
            }
            None => self.then.map(|()| None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Whether reading it on comes to an end within this time.
async fn ends_within(time: Duration, upload: Upload, bounds: Bounds) -> bool {
    tokio::time::timeout(time, discard(upload, bounds, pending())).await.is_ok()
}

async fn ends(upload: Upload, bounds: Bounds) -> bool {
    ends_within(Duration::from_secs(10), upload, bounds).await
}

async fn goes_on(upload: Upload, bounds: Bounds) -> bool {
    !ends_within(3 * SOON, upload, bounds).await
}

#[tokio::test]
async fn a_rest_is_read_until_it_ends() {
    let upload = || Upload { declared: None, pieces: 1000, then: Poll::Ready(()) };
    assert!(ends(upload(), WITHOUT_END).await);
}

#[tokio::test]
async fn of_a_long_rest_enough_is_read_for_long_enough() {
    let bounds = Bounds { enough_time: SOON, ..WITHOUT_END };
    for declared in [None, Some(101)] {
        assert!(ends(Upload::endless(declared), bounds).await, "{declared:?}");
        let scarce = Upload { declared, pieces: 4, then: Poll::Pending };
        assert!(goes_on(scarce, bounds).await, "{declared:?}: too little has come");
        assert!(goes_on(Upload::endless(declared), WITHOUT_END).await, "too soon");
    }
}

#[tokio::test]
async fn a_rest_of_moderate_length_is_waited_for() {
    let bounds = Bounds { enough_time: SOON, ..WITHOUT_END };
    let upload = Upload { declared: Some(100), pieces: 9, then: Poll::Pending };
    assert!(goes_on(upload, bounds).await);
}

#[tokio::test]
async fn no_rest_is_read_for_ever() {
    let bounds = Bounds { in_all: SOON, ..WITHOUT_END };
    for (declared, pieces) in [(None, usize::MAX), (None, 0), (Some(100), 0)] {
        let upload = Upload { declared, pieces, then: Poll::Pending };
        assert!(ends(upload, bounds).await, "{declared:?} {pieces}");
    }
}

#[tokio::test]
async fn a_rest_holds_up_no_gateway_that_drains() {
    for pieces in [0, usize::MAX] {
        let upload = Upload { declared: None, pieces, then: Poll::Pending };
        let reading = discard(upload, WITHOUT_END, ready(()));
        let ended = tokio::time::timeout(Duration::from_secs(10), reading).await;
        assert!(ended.is_ok(), "{pieces}");
    }
}

#[test]
fn those_who_linger_are_counted_in_all_and_for_each_address() {
    let counters = Arc::new(Counters::default());
    let lingering = Lingering::new(Lifecycle::default(), Arc::clone(&counters));
    let (total, per_address) = SOCKETS;
    let here = Some(Source::V4(1));
    let mut held: Vec<_> = (0..per_address).map_while(|_| lingering.socket(here)).collect();
    assert_eq!(held.len(), per_address);
    assert!(lingering.socket(here).is_none());
    assert!(lingering.body(here).is_some(), "bodies are counted apart");
    held.extend((per_address..total).map_while(|_| lingering.socket(None)));
    assert_eq!(held.len(), total);
    assert!(lingering.socket(None).is_none());
    assert_eq!(counters.lingering_over_limit.value(), 2);
    held.truncate(per_address - 1);
    assert!(lingering.socket(here).is_some());
}
