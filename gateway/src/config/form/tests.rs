use super::{Unfit, read_host, read_path};
use crate::config::{HostMatch, PathMatch};

/// What is said, and what is proposed.
fn told(unfit: Unfit) -> (String, String) {
    (unfit.message, unfit.help)
}

fn check_path(text: &str, message: &str, help: &str) {
    let (said, proposed) = told(read_path(text, PathMatch::Below).expect_err(text));
    assert!(said.contains(message), "{text}: {said}");
    assert!(proposed.contains(help), "{text}: {proposed}");
}

fn check_host(text: &str, message: &str, help: &str) {
    let (said, proposed) = told(read_host(text).expect_err(text));
    assert!(said.contains(message), "{text}: {said}");
    assert!(proposed.contains(help), "{text}: {proposed}");
}

#[test]
fn paths_are_brought_to_the_form_of_requests() {
    for (written, below, exact) in [
        ("/", "/", "/"),
        ("/adm", "/adm", "/adm"),
        ("/adm/", "/adm", "/adm/"),
        ("/%61dm", "/adm", "/adm"),
        ("/caf%c3%a9/", "/caf%C3%A9", "/caf%C3%A9/"),
        ("/café", "/caf%C3%A9", "/caf%C3%A9"),
        ("/a%2Ab", "/a*b", "/a*b"),
        ("/v1/x:action", "/v1/x:action", "/v1/x:action"),
    ] {
        assert_eq!(read_path(written, PathMatch::Below).as_deref(), Ok(below), "{written}");
        assert_eq!(read_path(written, PathMatch::Exact).as_deref(), Ok(exact), "{written}");
    }
}

#[test]
fn patterns_of_paths_are_refused_with_what_they_stand_for() {
    for (text, help) in [
        ("/admin/*", "write \"/admin\""),
        ("/admin/**", "write \"/admin\""),
        ("/*", "write \"/\""),
        ("/admin*", "`%2A` for a literal `*`"),
        ("/users/{id}/x", "write \"/users\""),
        ("/users/<id>", "write \"/users\""),
        ("/users/:id", "write \"/users\""),
        ("/admin(/.*)?", "`%28`"),
        ("/admin$", "write \"/admin\" with exact = true, or `%24`"),
        ("/a+b", "write the path in full, with `%2B`"),
        ("/(a|b)", "write \"/\""),
        ("/file/[0-9]+", "write \"/file\""),
        ("/search?q=1", "write \"/search\", or `%3F`"),
    ] {
        check_path(text, "paths are no patterns", help);
    }
    check_path("*", "begins with \"/\"", "");
    check_path("~ ^/admin", "begins with \"/\"", "");
}

#[test]
fn paths_that_no_request_has_are_refused() {
    check_path("/a//b", "an empty segment", "\"/a/b\"");
    check_path("/a/../b", "a . or .. segment", "\"/a/b\"");
    check_path("/a/%2e%2e/b", "a . or .. segment", "");
    check_path("/a b", "a space", "\"/a%20b\"");
    check_path("/a#b", "fragment", "%23");
    check_path("/a;b", "semicolon", "%3B");
    check_path("/a%2Fb", "an encoded slash", "");
    check_path("/100%", "hexadecimal", "%25");
    check_path("/a\\b", "backslash", "");
}

#[test]
fn hosts_are_brought_to_the_form_of_requests() {
    let name = |name: &str| HostMatch::Name(name.to_owned());
    let label = |suffix: &str| HostMatch::Label(suffix.to_owned());
    for (written, expected) in [
        ("app.example", name("app.example")),
        ("App.Example.", name("app.example")),
        ("127.0.0.1", name("127.0.0.1")),
        ("[2001:DB8:0::1]", name("[2001:db8::1]")),
        ("*.Example.", label("example")),
        ("*.a.example", label("a.example")),
    ] {
        assert_eq!(read_host(written), Ok(expected), "{written}");
    }
}

#[test]
fn other_hosts_are_refused_with_what_to_write() {
    check_host("*", "`*`", "leave `host` out");
    check_host("a.*.example", "`*`", "*.example.com");
    check_host("*.*.example", "`*`", "exactly one label");
    check_host("*example", "`*`", "exactly one label");
    check_host(".example", "host name", "\"*.example\"");
    check_host("app.example:8443", "without a port", "\"app.example\"");
    check_host("https://App.example/x", "host name", "\"app.example\"");
    check_host("::1", "host name", "\"[::1]\"");
    check_host("bücher.example", "ASCII", "xn--");
    check_host("a..example", "host name", "");
    check_host("*.0.0.1", "address", "");
    check_host("*.[::1]", "address", "");
    check_host(&format!("*.{}", "a".repeat(252)), "253", "");
}
