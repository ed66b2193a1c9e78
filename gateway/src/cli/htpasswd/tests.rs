use super::*;

const HASH: &str = "$2y$05$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC";

#[test]
fn users_are_read_line_by_line() {
    let text = format!("\u{feff}# staff\n\nann:{HASH}\r\nbob:{HASH}:Bob Lee:staff\n");
    let users = parse(&text).expect("the file is good");
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["ann", "bob"]);
    assert!(users.iter().all(|user| user.hash.0 == HASH), "what stands behind is no hash");
    let first = parse(&format!("\u{feff}ann:{HASH}")).expect("the file is good");
    assert_eq!(first[0].name, "ann", "a byte-order mark is no letter of a name");
}

#[test]
fn every_line_that_cannot_be_taken_is_named_without_its_hash() {
    let md5 = "$apr1$abcdefgh$abcdefghijklmnopqrstu1";
    let text = format!(
        "ann\nbob:{md5}\ncarl:{{SHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\ndora:\n\u{7}:{HASH}\n\
         eve:{}\nfay:{HASH}\nFay:{HASH}\n",
        HASH.replace("$05$", "$31$")
    );
    let problems = parse(&text).expect_err("not every line can be taken");
    let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 6, 8]);
    for (_, problem) in &problems {
        assert!(!problem.contains("apr1$abc") && !problem.contains("W6ph5"), "{problem}");
    }
}

#[test]
fn another_kind_of_hash_is_named_with_what_to_do() {
    for (hash, kind) in [
        ("$apr1$abcdefgh$abcdefghijklmnopqrstu1", "MD5 hash of Apache"),
        ("$1$abcdefgh$abcdefghijklmnopqrstu1", "MD5 hash of crypt"),
        ("$5$rounds=5000$abc$def", "SHA-256"),
        ("$6$abc$def", "SHA-512"),
        ("$y$j9T$abc$def", "yescrypt"),
        ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "unsalted SHA-1"),
        ("{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "salted SHA-1"),
        ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA", "Argon2"),
        ("$2y$05$short", "damaged"),
        ("ab3kd9fj2kd8s", "DES"),
        ("hunter2", "no hash that is known"),
        ("", "no hash that is known"),
    ] {
        let problems = parse(&format!("ann:{hash}\n")).expect_err(kind);
        let (_, problem) = &problems[0];
        assert!(problem.contains(kind) && problem.contains("htpasswd -B"), "{problem}");
        assert!(hash.is_empty() || !problem.contains(hash), "a hash is a secret: {problem}");
    }
}
