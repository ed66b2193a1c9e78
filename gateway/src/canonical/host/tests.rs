use proptest::prelude::*;

use super::{host_name, normalise};

#[test]
fn host_names_lose_port_case_and_trailing_dot() {
    for (written, name) in [
        ("example.com", "example.com"),
        ("EXAMPLE.com:8443", "example.com"),
        ("example.com.", "example.com"),
        ("example.com.:80", "example.com"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:8443", "[::1]"),
        ("a_b", "a_b"),
    ] {
        assert_eq!(host_name(written).as_deref(), Some(name), "{written}");
    }
}

#[test]
fn an_ipv6_address_has_one_spelling() {
    for written in ["[2001:DB8::1]", "[2001:db8:0:0:0:0:0:1]", "[2001:0db8::0001]:8443"] {
        assert_eq!(host_name(written).as_deref(), Some("[2001:db8::1]"), "{written}");
    }
    assert_eq!(host_name("[::FFFF:7f00:1]").as_deref(), Some("[::ffff:127.0.0.1]"));
}

#[test]
fn what_is_no_host_is_refused() {
    for written in [
        "",
        ":80",
        ".",
        "..",
        "a..",
        "a..b",
        ".a",
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
        "[]",
        "[fe80::1%25eth0]",
        "::1",
        "a:1:2",
        "é",
        "a%41",
        "*",
        "*.a",
    ] {
        assert_eq!(host_name(written), None, "{written}");
    }
}

proptest! {
    #[test]
    fn the_form_of_a_form_is_itself(written in "[a-zA-Z0-9.\\-_:\\[\\]]{0,24}") {
        if let Some(name) = host_name(&written) {
            prop_assert_eq!(normalise(&name), Some(name.clone()));
            prop_assert_eq!(host_name(&format!("{name}:1")), Some(name));
        }
    }
}
