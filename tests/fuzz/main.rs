//! Feeds one target, named by `FUZZ_TARGET`: under libFuzzer with what it makes up,
//! otherwise with the files named on the command line.
#![cfg_attr(fuzzing, no_main)]

use portcullis_fuzz::Target;

fn chosen() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    portcullis_fuzz::target(&name)
        .unwrap_or_else(|| panic!("FUZZ_TARGET is one of {}", portcullis_fuzz::names()))
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static TARGET: std::sync::LazyLock<Target> = std::sync::LazyLock::new(chosen);
    TARGET(data);
});

#[cfg(not(fuzzing))]
fn main() {
    let target = chosen();
    for path in std::env::args_os().skip(1) {
        target(&std::fs::read(&path).expect("an input is readable"));
    }
}
