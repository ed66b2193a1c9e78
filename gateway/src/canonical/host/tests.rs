use super::host_name;

#[test]
fn host_names_lose_port_case_and_trailing_dot() {
    for (written, name) in [
        ("example.com", "example.com"),
        ("EXAMPLE.com:8443", "example.com"),
        ("example.com.", "example.com"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:8443", "[::1]"),
        ("[2001:DB8::1]", "[2001:db8::1]"),
        ("a_b", "a_b"),
    ] {
        assert_eq!(host_name(written).as_deref(), Some(name), "{written}");
    }
}

#[test]
fn what_is_no_host_is_refused() {
    for written in [
        "",
        ":80",
        ".",
        "a b",
        "a,b",
        "user@host",
        "a/b",
        "a:",
        "a:x",
        "a:123456",
        "a:65536",
        "[::1",
        "[x]",
        "[::1]x",
        "::1",
        "a:1:2",
        "é",
        "a%41",
    ] {
        assert_eq!(host_name(written), None, "{written}");
    }
}
