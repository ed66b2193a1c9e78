use super::*;

const HASH: &str = "$2y$05$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDC";

#[test]
fn users_are_read_line_by_line() {
    let text = format!("# staff\n\nann:{HASH}\r\nbob:{HASH}\n");
    let users = parse(&text).expect("the file is good");
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["ann", "bob"]);
    assert_eq!(users[0].hash.0, HASH);
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
