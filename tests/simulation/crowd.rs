//! People who keep to the limit: each opens a page a minute, ten requests in a second to
//! one replica.

use std::time::Duration;

use portcullis::auth::source::Source;

use crate::Extent;
use crate::dice::Dice;
use crate::site::Site;

const REQUESTS: usize = 10;
/// Between the requests of a page.
const PAUSE: usize = 100;
const STEP: Duration = Duration::from_millis(1);

pub fn print(extent: &Extent) {
    println!(
        "Crowd: each user opens a page a minute, {REQUESTS} requests in a second to one replica."
    );
    println!(
        "{:>10} {:>10} {:>12} {:>10} {:>12} {:>14} {:>10}",
        "replicas", "users", "requests/s", "trips/s", "reports/s", "reports/page", "refused"
    );
    for &(replicas, users) in extent.crowds {
        let mut site = Site::new(replicas);
        let mut dice = Dice(1);
        // What comes in each of the next milliseconds.
        let mut coming: Vec<Vec<(Source, usize)>> = vec![Vec::new(); REQUESTS * PAUSE];
        let (mut pages, mut requests, mut refused) = (0, 0, 0);
        // The first second fills the pages under way.
        let milliseconds = (1 + extent.crowd_seconds) * 1000;
        for millisecond in 0..milliseconds {
            if millisecond == 1000 {
                (site.trips, site.reports, requests, pages) = (0, 0, 0, 0);
            }
            let due = (millisecond + 1) * users / 60_000 - millisecond * users / 60_000;
            let index = usize::try_from(millisecond).expect("a short time");
            for _ in 0..due {
                let address = u32::try_from(dice.roll(users)).expect("as many as addresses");
                let replica = dice.replica(replicas);
                for request in 0..REQUESTS {
                    let slot = (index + request * PAUSE) % coming.len();
                    coming[slot].push((Source::V4(address), replica));
                }
                pages += 1;
            }
            let slot = index % coming.len();
            for (source, replica) in std::mem::take(&mut coming[slot]) {
                requests += 1;
                refused += u64::from(!site.ask(replica, source));
            }
            site.pass(STEP);
        }
        let seconds = extent.crowd_seconds;
        println!(
            "{replicas:>10} {users:>10} {:>12} {:>10} {:>12} {:>14} {refused:>10}",
            requests / seconds,
            site.trips / seconds,
            site.reports / seconds,
            site.reports / pages,
        );
    }
    println!();
}
