//! Many replicas and users without a network, on a set clock: the gateway's own limiter
//! and memory, and between them ways that take a millisecond.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

mod crowd;
mod dice;
mod flood;
mod memory;
mod site;
mod stream;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What to simulate.
pub struct Extent {
    pub flooded: &'static [usize],
    pub flood_seconds: &'static [u64],
    /// Replicas and their users.
    pub crowds: &'static [(usize, u64)],
    pub crowd_seconds: u64,
    /// Users whose memory is measured; for more it is multiplied.
    pub measured_users: u64,
}

const WHOLE: Extent = Extent {
    flooded: &[1, 2, 4, 8, 100, 1000],
    flood_seconds: &[1, 10, 60],
    crowds: &[(3, 30_000), (30, 300_000), (300, 3_000_000), (1000, 10_000_000)],
    crowd_seconds: 4,
    measured_users: 1_000_000,
};

const SMOKE: Extent = Extent {
    flooded: &[1, 8],
    flood_seconds: &[1, 5],
    crowds: &[(3, 30_000)],
    crowd_seconds: 1,
    measured_users: 10_000,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let extent = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => WHOLE,
        ["--smoke"] => SMOKE,
        _ => {
            println!("usage: tests/simulation/run [--smoke]");
            std::process::exit(2);
        }
    };
    flood::print(&extent);
    crowd::print(&extent);
    stream::print(&extent);
    memory::print(&extent);
}
