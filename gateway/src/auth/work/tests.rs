use super::Work;
use crate::auth::account::HashedPassword;

const SALT_AND_HASH: &str = "abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC";

fn of(hash: &str) -> u64 {
    Work::of(&HashedPassword(hash.to_owned())).0
}

#[test]
fn each_form_of_hash_has_its_work_and_what_is_not_worked_on_has_none() {
    for (hash, expected) in [
        (format!("$2b$05${SALT_AND_HASH}"), 32),
        (format!("$2y$12${SALT_AND_HASH}"), 4096),
        (format!("$2a$16${SALT_AND_HASH}"), 65_536),
        ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned(), 512),
        ("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA".to_owned(), 2_586),
        (format!("$2b$17${SALT_AND_HASH}"), 0),
        (format!("$2b$03${SALT_AND_HASH}"), 0),
        (format!("$2c$12${SALT_AND_HASH}"), 0),
        (format!("$2b$12${}", &SALT_AND_HASH[1..]), 0),
        ("$argon2id$v=19$m=4194304,t=3,p=1$c2FsdA$aGFzaA".to_owned(), 0),
        ("$argon2id$v=19$m=64,p=1$c2FsdA$aGFzaA".to_owned(), 0),
        ("$argon2i$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA".to_owned(), 0),
        ("plain".to_owned(), 0),
        (String::new(), 0),
        ("é".repeat(30), 0),
    ] {
        assert_eq!(of(&hash), expected, "{hash}");
    }
}

#[test]
fn what_is_missing_is_made_up_for_to_the_round() {
    let costs = |wanted, done| Work(wanted).beyond(Work(done)).collect::<Vec<_>>();
    assert_eq!(costs(4096, 0), [12]);
    assert_eq!(costs(4096, 2048), [11]);
    assert_eq!(costs(4096, 32), [11, 10, 9, 8, 7, 6, 5]);
    assert!(costs(4096, 4096).is_empty());
    assert!(costs(32, 4096).is_empty(), "what was dearer");
    for (wanted, done) in [(4096, 16), (4096, 512), (65_536, 1024), (5_000, 3), (4096, 4090)] {
        let sum: u64 = costs(wanted, done).iter().map(|cost| 1 << cost).sum();
        assert!(wanted - done - sum < 16, "{wanted} after {done}: {sum}");
    }
}
