//! Every seed, and every input that once broke something, holds to its target's
//! invariants without libFuzzer.

use std::path::Path;

#[test]
fn every_target_has_seeds_and_holds_for_all_of_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for name in portcullis_fuzz::names().split(' ') {
        let target = portcullis_fuzz::target(name).expect("a name that was listed");
        let entries = std::fs::read_dir(root.join(name)).expect("a target has seeds");
        let mut tried = 0;
        for entry in entries {
            let path = entry.expect("a seed is readable").path();
            let seed = std::fs::read(&path).expect("a seed is readable");
            let outcome = std::panic::catch_unwind(|| target(&seed));
            assert!(outcome.is_ok(), "{}", path.display());
            tried += 1;
        }
        assert!(tried > 0, "{name} has no seeds");
    }
}
