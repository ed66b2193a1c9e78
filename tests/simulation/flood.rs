//! One address sends 10,000 requests a second to all replicas, which did not know it.

use std::time::Duration;

use portcullis::auth::source::Source;

use crate::Extent;
use crate::dice::Dice;
use crate::site::{LIMIT, Site};

const REQUESTS: u64 = 10_000;
const STEP: Duration = Duration::from_micros(1_000_000 / REQUESTS);

pub fn print(extent: &Extent) {
    println!(
        "Flood: one address, {REQUESTS} requests/s over all replicas; the limit is 20/s, 60 at once."
    );
    println!("What passed beyond the limit, the most at any time and after so many seconds:");
    print!("{:>10} {:>10}", "replicas", "most");
    for seconds in extent.flood_seconds {
        print!(" {:>10}", format!("{seconds} s"));
    }
    println!(" {:>10}", "trips/s");
    for &replicas in extent.flooded {
        let mut site = Site::new(replicas);
        let mut dice = Dice(1);
        let (mut passed, mut asked, mut most) = (0_u64, 0_u64, f64::MIN);
        print!("{replicas:>10}");
        let mut beyond = Vec::new();
        let longest = extent.flood_seconds.last().copied().unwrap_or(0);
        for seconds in 1..=longest {
            while asked < seconds * REQUESTS {
                let replica = dice.replica(site.replicas());
                passed += u64::from(site.ask(replica, Source::V4(1)));
                asked += 1;
                site.pass(STEP);
                most = most.max(over(passed, STEP * u32::try_from(asked).unwrap_or(u32::MAX)));
            }
            if extent.flood_seconds.contains(&seconds) {
                beyond.push(over(passed, Duration::from_secs(seconds)));
            }
        }
        print!(" {most:>10.0}");
        for beyond in beyond {
            print!(" {beyond:>10.0}");
        }
        println!(" {:>10}", site.trips / longest);
    }
    println!();
}

fn over(passed: u64, time: Duration) -> f64 {
    let passed = f64::from(u32::try_from(passed).unwrap_or(u32::MAX));
    passed - time.as_secs_f64() * f64::from(LIMIT.per_second) - f64::from(LIMIT.burst)
}
