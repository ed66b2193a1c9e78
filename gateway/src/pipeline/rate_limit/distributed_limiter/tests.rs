use std::cmp;
use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::sync::mpsc::{Sender, channel};

use super::*;
use crate::auth::bucket::SharedBucket;
use crate::auth::error::StoreError;
use crate::auth::ports::Allowance;

const LIMIT: BucketLimit = BucketLimit { per_second: 20, burst: 60 };
const HERE: Source = Source::V4(0x7f00_0001);
const STEP: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, PartialEq)]
enum Engine {
    Up,
    Down,
}

/// Replicas, an engine, and the way between them, on a set clock.
struct Site {
    now: Micros,
    replicas: Vec<Replica>,
    buckets: HashMap<Source, SharedBucket>,
    engine: Engine,
    /// Of half a round trip.
    delay: Duration,
    reports: usize,
}

struct Replica {
    limiter: Arc<DistributedLimiter>,
    queue: ReportQueue,
    heartbeat: Micros,
    trip: Option<Trip>,
}

struct Trip {
    sent: Micros,
    report: Vec<Usage>,
    answer: Option<ReportAnswer>,
}

impl Replica {
    /// When there is something to do.
    fn next(&self, delay: Duration) -> Micros {
        match &self.trip {
            Some(Trip { sent, answer: None, .. }) => sent.plus(delay),
            Some(Trip { sent, .. }) => sent.plus(delay * 2),
            None => self.queue.next().map_or(self.heartbeat, |due| due.min(self.heartbeat)),
        }
    }
}

impl Site {
    fn new(replicas: usize, delay: Duration) -> Self {
        let replica = |_| Replica {
            limiter: DistributedLimiter::new(LIMIT),
            queue: ReportQueue::default(),
            heartbeat: Micros(0),
            trip: None,
        };
        let mut site = Self {
            now: Micros(0),
            replicas: (0..replicas).map(replica).collect(),
            buckets: HashMap::new(),
            engine: Engine::Up,
            delay,
            reports: 0,
        };
        // They know of each other, and the second of the clock has moved on.
        site.pass(Duration::from_secs(3));
        site
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        self.work();
        while self.now < end {
            let next = self.replicas.iter().map(|replica| replica.next(self.delay)).min();
            self.now = next.unwrap_or(end).clamp(self.now.plus(STEP), end);
            self.work();
        }
    }

    fn work(&mut self) {
        let alive = u32::try_from(self.replicas.len()).unwrap();
        for replica in &mut self.replicas {
            if replica.trip.is_none() {
                let report = replica.queue.take_due(&replica.limiter, self.now);
                if report.is_empty() && replica.heartbeat > self.now {
                    continue;
                }
                self.reports += report.len();
                replica.heartbeat = self.now.plus(IDLE_INTERVAL);
                replica.trip = Some(Trip { sent: self.now, report, answer: None });
            }
            let trip = replica.trip.as_mut().unwrap();
            if trip.answer.is_none()
                && self.engine == Engine::Up
                && self.now >= trip.sent.plus(self.delay)
            {
                let fresh = SharedBucket::new(LIMIT, self.now);
                let book = |spent: &Usage| {
                    let bucket = self.buckets.entry(spent.source).or_insert(fresh);
                    bucket.book(LIMIT, self.now, *spent)
                };
                let allowances = trip.report.iter().map(book).collect();
                let second = self.now.0 / 1_000_000;
                trip.answer = Some(ReportAnswer { allowances, second, replicas: alive });
            }
            match &trip.answer {
                Some(answer) if self.now >= trip.sent.plus(self.delay * 2) => {
                    replica.limiter.apply_answer(trip.sent, self.now, &trip.report, answer);
                    replica.trip = None;
                }
                None if self.engine == Engine::Down => {
                    replica.limiter.requeue(&trip.report, self.now);
                    replica.trip = None;
                }
                _ => {}
            }
        }
    }

    fn ask(&self, replica: usize) -> bool {
        self.replicas[replica].limiter.take(HERE, self.now).is_ok()
    }

    /// Every replica is asked `each` times in every millisecond; how many passed.
    fn flood(&mut self, each: usize, time: Duration) -> usize {
        let end = self.now.plus(time);
        let mut passed = 0;
        while self.now < end {
            for _ in 0..each {
                passed += (0..self.replicas.len()).filter(|&replica| self.ask(replica)).count();
            }
            self.pass(STEP);
        }
        passed
    }
}

#[test]
fn a_client_of_one_replica_gets_its_whole_burst_at_once_and_its_rate_after() {
    for delay in [Duration::ZERO, Duration::from_millis(20)] {
        let mut site = Site::new(3, delay);
        for _ in 0..2 {
            assert_eq!((0..100).filter(|_| site.ask(1)).count(), 60);
            site.pass(Duration::from_secs(5));
        }
        site.pass(Duration::from_secs(1));
        assert_eq!((0..100).filter(|_| site.ask(1)).count(), 60);
        let passed = site.replicas[1].limiter.clone();
        let passed = (0..10_000).filter(|_| {
            site.pass(STEP);
            passed.take(HERE, site.now).is_ok()
        });
        let passed = passed.count();
        assert!((195..=201).contains(&passed), "{passed}");
    }
}

#[test]
fn a_flood_of_all_replicas_gets_the_limit_of_one() {
    for replicas in [2, 3, 8] {
        let mut site = Site::new(replicas, STEP);
        let first = site.flood(1, Duration::from_secs(10));
        let later = site.flood(1, Duration::from_secs(10));
        assert!((255..=262).contains(&first), "{replicas} let {first} pass");
        assert!((198..=202).contains(&later), "{replicas} let {later} pass");
    }
}

#[test]
fn a_page_from_several_replicas_is_not_refused() {
    let mut site = Site::new(3, STEP);
    for _ in 0..10 {
        // As six connections of a browser may fall.
        for request in 0..48 {
            let replica = [0, 0, 0, 1, 1, 2][request % 6];
            assert!(site.ask(replica), "{request}");
            if request % 6 == 5 {
                site.pass(Duration::from_millis(5));
            }
        }
        site.pass(Duration::from_secs(3));
    }
}

#[test]
fn an_address_is_reported_at_most_each_interval_and_only_while_it_asks() {
    let mut site = Site::new(1, STEP);
    site.flood(1, Duration::from_secs(10));
    let reports = site.reports;
    assert!((10..=101).contains(&reports), "{reports}");
    site.pass(Duration::from_secs(2));
    let reports = site.reports;
    site.pass(Duration::from_mins(1));
    assert_eq!(site.reports, reports);
    // Within its allowance it can wait for others.
    for _ in 0..10 {
        assert!(site.ask(0));
        site.pass(Duration::from_millis(40));
    }
    site.pass(IDLE_INTERVAL);
    assert_eq!(site.reports, reports + 1);
}

#[test]
fn without_the_engine_each_replica_gives_its_part_and_afterwards_all_is_booked() {
    let mut site = Site::new(3, STEP);
    site.engine = Engine::Down;
    site.pass(STALE * 2);
    let passed = site.flood(1, Duration::from_secs(30));
    assert!((3 * 20 + 590..=3 * 20 + 603).contains(&passed), "{passed}");
    site.engine = Engine::Up;
    site.pass(STALE);
    let passed = site.flood(1, Duration::from_secs(30));
    assert!((590..=630).contains(&passed), "{passed}");
}

#[test]
fn a_replica_that_has_never_heard_of_others_gives_the_whole_limit() {
    let limiter = DistributedLimiter::new(LIMIT);
    let now = Micros(7);
    assert_eq!((0..100).filter(|_| limiter.take(HERE, now).is_ok()).count(), 60);
    assert_eq!(limiter.take(HERE, now), Err(Duration::from_millis(50)));
}

#[test]
fn a_refusal_for_want_of_an_allowance_says_when_to_ask_again() {
    let limiter = DistributedLimiter::new(LIMIT);
    let now = Micros(7);
    limiter.take(HERE, now).unwrap();
    let mut queue = ReportQueue::default();
    let report = queue.take_due(&limiter, now.plus(IDLE_INTERVAL));
    let allowance = Allowance { level: 9.0, tokens: 0, reserved: 0 };
    let answer = ReportAnswer { allowances: vec![allowance], second: 1, replicas: 2 };
    limiter.apply_answer(now, now, &report, &answer);
    assert_eq!(limiter.take(HERE, now), Err(REPORT_INTERVAL));
}

#[test]
fn a_sweep_keeps_what_is_to_be_reported_and_what_is_not_full() {
    let mut site = Site::new(1, STEP);
    let limiter = Arc::clone(&site.replicas[0].limiter);
    assert!(site.ask(0));
    site.pass(Duration::from_millis(100));
    limiter.sweep(site.now);
    assert_eq!(limiter.known.len(), 1, "it is full again and not reported yet");
    site.pass(STALE * 2);
    limiter.sweep(site.now);
    assert_eq!(limiter.known.len(), 0);
    (0..60).for_each(|_| assert!(site.ask(0)));
    site.pass(STALE * 2);
    limiter.sweep(site.now);
    assert_eq!(limiter.known.len(), 1);
}

fn answer(replicas: u32, allowances: Vec<Allowance>) -> ReportAnswer {
    ReportAnswer { allowances, second: 0, replicas }
}

/// One replica of one that knows it.
fn attached(now: Micros) -> Arc<DistributedLimiter> {
    let limiter = DistributedLimiter::new(LIMIT);
    limiter.apply_answer(now, now, &[], &answer(1, Vec::new()));
    limiter
}

fn is_urgent(limiter: &DistributedLimiter) -> bool {
    limiter.urgent.notified().now_or_never().is_some()
}

#[test]
fn what_can_wait_wakes_nobody_and_a_whole_burst_is_reported_at_once() {
    let now = Micros(7);
    let (limiter, mut queue) = (attached(now), ReportQueue::default());
    (1..60).for_each(|_| limiter.take(HERE, now).expect("a token"));
    assert!(!is_urgent(&limiter));
    assert_eq!(limiter.due.len(), 1, "due once, however much is spent");
    assert!(queue.take_due(&limiter, now).is_empty());
    assert_eq!(queue.next(), Some(now.plus(IDLE_INTERVAL)));
    limiter.take(HERE, now).expect("the last token");
    assert!(is_urgent(&limiter));
    let report = queue.take_due(&limiter, now);
    assert_eq!(report.iter().map(|spent| spent.tokens).collect::<Vec<_>>(), [60]);
}

#[test]
fn a_report_tells_when_the_first_of_its_tokens_was_spent() {
    let (limiter, mut queue) = (attached(Micros(0)), ReportQueue::default());
    for ms in [10, 30] {
        limiter.take(HERE, Micros(0).plus(Duration::from_millis(ms))).expect("a token");
    }
    let report = queue.take_due(&limiter, Micros(0).plus(Duration::from_millis(510)));
    let [spent] = report[..] else { panic!("{report:?}") };
    assert_eq!((spent.tokens, spent.age), (2, Duration::from_millis(500)));
    limiter.take(HERE, Micros(0).plus(Duration::from_millis(800))).expect("a token");
    let report = queue.take_due(&limiter, Micros(0).plus(Duration::from_millis(1300)));
    let [spent] = report[..] else { panic!("{report:?}") };
    assert_eq!((spent.tokens, spent.age), (1, Duration::from_millis(500)));
}

#[test]
fn a_report_has_room_for_so_many_addresses_and_the_next_takes_the_others() {
    let now = Micros(7);
    let (limiter, mut queue) = (attached(now), ReportQueue::default());
    let addresses = u32::try_from(REPORT_SIZE).expect("a number") + 1;
    for address in 0..addresses {
        limiter.take(Source::V4(address), now).expect("a token");
    }
    let due = now.plus(IDLE_INTERVAL);
    assert_eq!(queue.take_due(&limiter, due).len(), REPORT_SIZE);
    assert_eq!(queue.take_due(&limiter, due).len(), 1);
    assert_eq!(queue.next(), None);
}

#[test]
fn what_was_spent_since_a_report_comes_off_its_answer() {
    let now = Micros(7);
    let (limiter, mut queue) = (attached(now), ReportQueue::default());
    (0..5).for_each(|_| limiter.take(HERE, now).expect("a token"));
    let report = queue.take_due(&limiter, now.plus(IDLE_INTERVAL));
    let sent = now.plus(IDLE_INTERVAL);
    (0..3).for_each(|_| limiter.take(HERE, sent).expect("a token"));
    let allowance = Allowance { level: 20.0, tokens: 9, reserved: 2 };
    limiter.apply_answer(sent, sent, &report, &answer(3, vec![allowance]));
    assert_eq!(limiter.replicas(), 3);
    let known = limiter.known.get(&HERE).expect("an address");
    assert_eq!((known.bucket.level, known.allowance, known.unreported), (17.0, 6, 1));
}

/// Else an address that asks evenly through an outage would owe all of it afterwards.
#[test]
fn what_has_come_in_again_without_the_engine_is_owed_to_nobody() {
    let (limiter, mut queue) = (DistributedLimiter::new(LIMIT), ReportQueue::default());
    (0..10).for_each(|_| limiter.take(HERE, Micros(0)).expect("a token"));
    let later = Micros(0).plus(Duration::from_secs(10));
    limiter.take(HERE, later).expect("a token");
    let report = queue.take_due(&limiter, later);
    assert_eq!(report.iter().map(|spent| spent.tokens).collect::<Vec<_>>(), [1]);
}

#[test]
fn addresses_are_kept_apart_as_long_as_there_are_not_too_many() {
    let now = Micros(7);
    let limiter = attached(now);
    limiter.take(HERE, now).expect("a token");
    limiter.sweep(now);
    limiter.take(HERE, now).expect("a token");
    assert_eq!(limiter.known.len(), 1);
    assert!(limiter.known.contains_key(&HERE));
}

#[test]
fn replicas_pause_so_that_all_of_them_leave_the_engine_free() {
    for (replicas, addresses, pause) in [
        (1, 0, Duration::from_micros(100)),
        (3, 10, Duration::from_micros(900)),
        (200, REPORT_SIZE, IDLE_INTERVAL),
    ] {
        assert_eq!(pause_after(replicas, addresses), pause);
    }
}

#[test]
fn time_is_counted_from_the_start() {
    let ago = Instant::now().checked_sub(STALE).expect("a moment");
    assert!(micros(ago) >= Micros(0).plus(STALE));
}

/// Hands on what it is told.
struct Told(Sender<Vec<Usage>>);

#[async_trait]
impl Buckets for Told {
    async fn report(&self, _: BucketLimit, usage: &[Usage]) -> Result<ReportAnswer, StoreError> {
        let _ = self.0.send(usage.to_vec()).await;
        let allowance = Allowance { level: 0.0, tokens: 0, reserved: 0 };
        Ok(answer(1, usage.iter().map(|_| allowance).collect()))
    }
}

#[tokio::test]
async fn a_replica_says_that_it_lives_and_at_once_what_was_spent_of_a_burst() {
    let (told, mut heard) = channel(1);
    let (limiter, started) = (DistributedLimiter::new(LIMIT), Instant::now());
    let running = tokio::spawn(run(Arc::clone(&limiter), Arc::new(Told(told)), started));
    assert_eq!(heard.recv().await, Some(Vec::new()));
    while !limiter.is_attached(micros(started)) {
        tokio::task::yield_now().await;
    }
    (0..60).for_each(|_| limiter.take(HERE, micros(started)).expect("a token"));
    let spent = heard.recv().await.expect("a report");
    let spent: Vec<_> = spent.iter().map(|spent| (spent.source, spent.tokens)).collect();
    assert_eq!(spent, [(HERE, 60)]);
    assert_eq!(heard.recv().await, Some(Vec::new()), "and goes on saying that it lives");
    running.abort();
}

proptest! {
    /// Whatever one replica is asked and when, sharing refuses it nothing.
    #[test]
    fn a_client_of_one_replica_passes_as_with_a_bucket_of_its_own(
        pauses in prop::collection::vec(0_u64..400, 1..100),
        delay in 0_u64..30,
    ) {
        let mut site = Site::new(3, Duration::from_millis(delay));
        let mut alone = Bucket::full(LIMIT, site.now);
        let mut behind = 0_i32;
        for pause in pauses {
            site.pass(Duration::from_millis(pause.saturating_sub(200)));
            alone.refill(LIMIT, site.now);
            match site.ask(0).cmp(&alone.take(LIMIT, 1.0).is_ok()) {
                cmp::Ordering::Less => behind += 1,
                cmp::Ordering::Equal => {}
                cmp::Ordering::Greater => behind -= 1,
            }
            prop_assert!((-1..=1).contains(&behind), "{behind} fewer passed");
        }
    }

    /// However a flood falls on the replicas, over time the sum is the limit's, and what
    /// passes beyond it for a moment is a burst of each at most.
    #[test]
    fn the_sum_over_replicas_keeps_to_the_limit(
        replicas in 2_usize..9,
        delay in 0_u64..20,
        falls in prop::collection::vec((0_usize..9, 1_usize..80, 0_u64..60), 1..100),
    ) {
        let mut site = Site::new(replicas, Duration::from_millis(delay));
        let start = site.now;
        let mut passed = 0_usize;
        for (replica, times, pause) in falls {
            passed += (0..times).filter(|_| site.ask(replica % replicas)).count();
            let gone = site.now.since(start).as_secs_f64();
            let limit = f64::from(LIMIT.burst) + gone * f64::from(LIMIT.per_second);
            let beyond = f64::from(u32::try_from(passed).unwrap()) - limit;
            let bound = f64::from(u32::try_from(replicas - 1).unwrap()) * f64::from(LIMIT.burst+12);
            prop_assert!(beyond <= bound + 1.0, "{beyond} beyond");
            site.pass(Duration::from_millis(pause));
        }
    }
}
