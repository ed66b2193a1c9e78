//! Replicas, one engine, and the way between them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use portcullis::auth::bucket::{BucketLimit, Micros, SharedBucket};
use portcullis::auth::ports::{ReportAnswer, Usage};
use portcullis::auth::source::Source;
use portcullis::pipeline::rate_limit::distributed_limiter::{
    DistributedLimiter, IDLE_INTERVAL, ReportQueue, pause_after,
};

pub const LIMIT: BucketLimit = BucketLimit { per_second: 20, burst: 60 };
/// From a replica to the engine, and back.
pub const WAY: Duration = Duration::from_millis(1);

pub struct Site {
    pub now: Micros,
    replicas: Vec<Replica>,
    buckets: HashMap<Source, SharedBucket>,
    events: BinaryHeap<Reverse<(Micros, usize, Event)>>,
    /// Trips to the engine, and addresses reported on them.
    pub trips: u64,
    pub reports: u64,
}

struct Replica {
    limiter: Arc<DistributedLimiter>,
    queue: ReportQueue,
    heartbeat: Micros,
    rested: Micros,
    woken: Option<Micros>,
    trip: Option<Trip>,
}

struct Trip {
    sent: Micros,
    report: Vec<Usage>,
    answer: Option<ReportAnswer>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Wake,
    Arrive,
    Return,
}

impl Site {
    pub fn new(replicas: usize) -> Self {
        let replica = |_| Replica {
            limiter: DistributedLimiter::new(LIMIT),
            queue: ReportQueue::default(),
            heartbeat: Micros(0),
            rested: Micros(0),
            woken: None,
            trip: None,
        };
        let mut site = Self {
            now: Micros(0),
            replicas: (0..replicas).map(replica).collect(),
            buckets: HashMap::new(),
            events: BinaryHeap::new(),
            trips: 0,
            reports: 0,
        };
        for replica in 0..replicas {
            // They were not started at the same moment.
            site.wake(replica, Micros(0).plus(IDLE_INTERVAL * as_u32(replica) / as_u32(replicas)));
        }
        site.pass(Duration::from_secs(3));
        (site.trips, site.reports) = (0, 0);
        site
    }

    pub fn replicas(&self) -> usize {
        self.replicas.len()
    }

    pub fn ask(&mut self, replica: usize, source: Source) -> bool {
        let passed = self.replicas[replica].limiter.take(source, self.now).is_ok();
        self.work(replica);
        passed
    }

    pub fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        while let Some(&Reverse((at, replica, event))) = self.events.peek()
            && at <= end
        {
            self.events.pop();
            self.now = at;
            match event {
                Event::Wake => self.work(replica),
                Event::Arrive => self.book(replica),
                Event::Return => self.apply_answer(replica),
            }
        }
        self.now = end;
    }

    /// What the task of a replica does when it is woken.
    fn work(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        if replica.trip.is_some() {
            return;
        }
        if self.now < replica.rested {
            let rested = replica.rested;
            return self.wake(index, rested);
        }
        let report = replica.queue.take_due(&replica.limiter, self.now);
        if report.is_empty() && replica.heartbeat > self.now {
            let next = replica.queue.next().unwrap_or(replica.heartbeat).min(replica.heartbeat);
            return self.wake(index, next);
        }
        replica.heartbeat = self.now.plus(IDLE_INTERVAL);
        self.trips += 1;
        self.reports += report.len() as u64;
        replica.trip = Some(Trip { sent: self.now, report, answer: None });
        self.events.push(Reverse((self.now.plus(WAY), index, Event::Arrive)));
    }

    fn wake(&mut self, index: usize, at: Micros) {
        let woken = &mut self.replicas[index].woken;
        if woken.is_none_or(|woken| woken <= self.now || woken > at) {
            *woken = Some(at);
            self.events.push(Reverse((at, index, Event::Wake)));
        }
    }

    fn book(&mut self, index: usize) {
        let replicas = as_u32(self.replicas.len());
        let Some(trip) = &mut self.replicas[index].trip else { return };
        let now = self.now;
        let book = |spent: &Usage| {
            let bucket = self.buckets.entry(spent.source);
            bucket.or_insert_with(|| SharedBucket::new(LIMIT, now)).book(LIMIT, now, *spent)
        };
        let allowances = trip.report.iter().map(book).collect();
        trip.answer = Some(ReportAnswer { allowances, second: now.0 / 1_000_000, replicas });
        self.events.push(Reverse((now.plus(WAY), index, Event::Return)));
    }

    fn apply_answer(&mut self, index: usize) {
        let replicas = as_u32(self.replicas.len());
        let replica = &mut self.replicas[index];
        if let Some(Trip { sent, report, answer: Some(answer) }) = replica.trip.take() {
            replica.limiter.apply_answer(sent, self.now, &report, &answer);
            replica.rested = self.now.plus(pause_after(replicas, report.len()));
        }
        self.work(index);
    }
}

pub fn as_u32(count: usize) -> u32 {
    u32::try_from(count).expect("a few thousand")
}
