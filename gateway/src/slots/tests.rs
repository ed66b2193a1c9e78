use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;

fn address(number: u32) -> Holder {
    Holder::Address(Source::V4(number))
}

#[test]
fn slots_are_counted_in_total_and_for_each_address_and_come_back() {
    let slots = Slots::new(2, 1);
    let (here, there) = (Source::V4(1), Source::V4(2));
    let first = slots.take().unwrap();
    let _second = slots.take().unwrap();
    assert_eq!(slots.take().err(), Some(Full::Total));
    drop(first);
    assert!(slots.take().is_ok());
    let mine = slots.take_for(here).unwrap();
    assert_eq!(slots.take_for(here).err(), Some(Full::Address));
    assert!(slots.take_for(there).is_ok());
    drop(mine);
    assert!(slots.take_for(here).is_ok());
    slots.sweep();
    assert_eq!(slots.addresses.holders(), 0);
}

#[tokio::test]
async fn a_place_that_comes_back_is_of_who_has_waited_longest() {
    let places = Places::new(1);
    let held = places.take(address(1)).unwrap();
    let mut first = std::pin::pin!(places.wait(address(1)));
    let mut second = std::pin::pin!(places.wait(address(1)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    // Others wait for nobody.
    assert!(places.take(address(2)).is_some());
    assert_eq!((places.wanted(address(1)), places.wanted(address(2))), (3, 0));
    drop(held);
    assert!(places.take(address(1)).is_none());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    drop(first.await);
    drop(second.await);
    places.sweep();
    assert_eq!(places.holders(), 0);
}

#[test]
fn each_taker_says_how_many_there_are_and_what_is_taken_stays_so() {
    let places = Places::unnumbered();
    let taken: Vec<Place> = (0..3).filter_map(|_| places.take_within(address(1), 3)).collect();
    assert_eq!(taken.len(), 3);
    assert!(places.take_within(address(1), 3).is_none());
    // Fewer: nobody loses a place, and nobody gets one before as many have come back.
    assert!(places.take_within(address(1), 1).is_none());
    let mut taken = taken.into_iter();
    drop((taken.next(), taken.next()));
    assert!(places.take_within(address(1), 1).is_none());
    // More, which another still asks for.
    let more = places.take_within(address(1), 2).expect("one of two is free");
    assert!(places.take_within(address(1), 2).is_none());
    assert!(places.take_within(address(2), 1).is_some(), "others have their own");
    drop((taken, more));
    places.sweep();
    assert_eq!(places.holders(), 0);

    let slots = Slots::unnumbered();
    let first = slots.take_within(1).unwrap();
    assert_eq!(slots.take_within(1).err(), Some(Full::Total));
    let _second = slots.take_within(2).unwrap();
    drop(first);
    assert!(slots.take_within(2).is_ok());
    let here = Source::V4(1);
    let _mine = slots.take_for_within(here, 1).unwrap();
    assert_eq!(slots.take_for_within(here, 1).err(), Some(Full::Address));
    assert!(slots.take_for_within(here, 2).is_ok());
}

type Waiting = Pin<Box<dyn Future<Output = Place>>>;

#[derive(Debug, Clone)]
enum Step {
    Take(u32),
    Wait(u32),
    Free(usize),
    GiveUp(usize),
    Allow(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3u32).prop_map(Step::Take),
        2 => (0..3u32).prop_map(Step::Wait),
        4 => any::<prop::sample::Index>().prop_map(|at| Step::Free(at.index(64))),
        1 => any::<prop::sample::Index>().prop_map(|at| Step::GiveUp(at.index(64))),
        1 => (1..5usize).prop_map(Step::Allow),
    ]
}

proptest! {
    /// Nobody ever gets more than was allowed when it was got, nobody is refused who has
    /// less, and in the end nobody is remembered.
    #[test]
    fn places_are_never_more_than_allowed_and_always_come_back(
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let mut most = 2;
        let places = Places::new(most);
        let mut held: Vec<(u32, Place)> = Vec::new();
        let mut waiting: Vec<(u32, Waiting)> = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        for step in steps {
            let before: Vec<usize> =
                (0..3).map(|who| held.iter().filter(|(of, _)| *of == who).count()).collect();
            match step {
                Step::Take(who) => {
                    let queued = waiting.iter().any(|(of, _)| *of == who);
                    let place = places.take(address(who));
                    let room = before[who as usize] < most;
                    prop_assert_eq!(place.is_some(), room && !queued);
                    held.extend(place.map(|place| (who, place)));
                }
                Step::Wait(who) => {
                    let places = Arc::clone(&places);
                    let wait = Box::pin(async move { places.wait(address(who)).await });
                    waiting.push((who, wait));
                }
                Step::Free(at) if !held.is_empty() => drop(held.swap_remove(at % held.len())),
                Step::GiveUp(at) if !waiting.is_empty() => {
                    drop(waiting.remove(at % waiting.len()));
                }
                Step::Allow(now) => {
                    most = now;
                    places.allow(now);
                }
                Step::Free(_) | Step::GiveUp(_) => {}
            }
            waiting.retain_mut(|(who, wait)| match wait.as_mut().poll(&mut cx) {
                Poll::Ready(place) => {
                    held.push((*who, place));
                    false
                }
                Poll::Pending => true,
            });
            for who in 0..3 {
                let now = held.iter().filter(|(of, _)| *of == who).count();
                prop_assert!(now <= most.max(before[who as usize]), "{now} of {most}");
                let queued = waiting.iter().any(|(of, _)| *of == who);
                prop_assert!(!queued || now >= most, "{now} of {most} and one waits");
            }
        }
        drop((held, waiting));
        places.sweep();
        prop_assert_eq!(places.holders(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_comes_and_goes_at_once_nothing_is_left() {
    let places = Places::new(2);
    let open = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (places, open) = (Arc::clone(&places), Arc::clone(&open));
            tokio::spawn(async move {
                for turn in 0..2_000 {
                    let place = match turn % 3 {
                        0 => Some(places.wait(address(1)).await),
                        1 => places.take(address(1)),
                        _ => tokio::select! {
                            biased;
                            place = places.wait(address(1)) => Some(place),
                            () = std::future::ready(()) => None,
                        },
                    };
                    if place.is_some() {
                        assert!(open.fetch_add(1, Ordering::AcqRel) < 2);
                        tokio::task::yield_now().await;
                        open.fetch_sub(1, Ordering::AcqRel);
                    }
                    drop(place);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    places.sweep();
    assert_eq!(places.holders(), 0);
}
