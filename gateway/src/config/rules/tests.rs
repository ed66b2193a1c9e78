use super::*;
use crate::config::Config;
use crate::config::PathForm::{Opaque, Strict};
use crate::config::file::{Sources, load};

fn configured(text: &str) -> Config {
    let file = Some(("test".to_owned(), text.to_owned()));
    load(Sources { file, ..Sources::default() }).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Two routes at `/a` and `/b`, with these settings.
fn pair(left: &str, right: &str) -> Config {
    let route = |path: &str, settings: &str| {
        let upstream = if settings.contains("upstream") { "" } else { "upstream = \"echo\"" };
        format!("[[route]]\npath = \"{path}\"\n{upstream}\n{settings}\n")
    };
    configured(&(route("/a", left) + &route("/b", right)))
}

#[test]
fn routes_have_other_rules_that_differ_in_whom_they_let_do_what() {
    let (admin, user) = ("roles = [\"admin\"]", "roles = [\"admin\", \"user\"]");
    for (left, right, other) in [
        ("", "", false),
        ("public = true", "public = true", false),
        ("roles = [\"a\", \"b\"]", "roles = [\"b\", \"a\"]", false),
        ("", "timeout = \"1s\"\nbody_size = 7", false),
        ("", "forward_credential = true", false),
        ("", "host = \"a.example\"", false),
        ("", "exact = true", false),
        ("", "ws_token = true", false),
        ("", "agents = true", false),
        (admin, "roles = [\"admin\"]\nagents = true\nws_token = true", false),
        ("", "public = true", true),
        ("", admin, true),
        (admin, user, true),
        ("", "scopes = [\"read\"]", true),
        ("scopes = [\"read\"]", "scopes = [\"read\", \"write\"]", true),
        ("", "keys = \"any\"", true),
        ("keys = \"servers\"", "keys = \"none\"", true),
        ("", "methods = [\"GET\"]", true),
        ("methods = [\"GET\"]", "methods = [\"POST\"]", true),
        ("", "origins = [\"https://a.example\"]", true),
        ("", "rate = \"none\"", false),
        ("", "rate = { requests_per_second = 5 }", false),
        // Agents that need less, or more.
        (admin, "agents = true", true),
        ("", "roles = [\"admin\"]\nagents = true", true),
    ] {
        let config = pair(left, right);
        let [one, two] = &config.routes[..] else { panic!("two routes") };
        assert_eq!(have_other_rules(one, two), other, "{left} | {right}");
        assert_eq!(have_other_rules(two, one), other, "{right} | {left}");
    }
}

/// Else who may ask seldom for one path would ask often by a spelling of it.
#[test]
fn a_route_with_other_buckets_is_a_stricter_one() {
    let five = "rate = { requests_per_second = 5 }";
    for (left, right, stricter) in [
        ("", "rate = \"none\"", [false, true]),
        (five, "rate = \"none\"", [false, true]),
        (five, "", [true, true]),
        // Each has a bucket.
        (five, five, [true, true]),
        ("rate = \"none\"", "rate = \"none\"", [false, false]),
        ("", "", [false, false]),
    ] {
        let config = pair(left, right);
        let beside = config.routes.iter().map(|route| !route.paths.stricter.is_empty());
        assert_eq!(beside.collect::<Vec<_>>(), stricter, "{left} | {right}");
        assert!(config.routes.iter().all(|route| route.paths.form == Opaque));
    }
}

/// Keys of servers are good where agents are, and would be below it as well.
#[test]
fn a_route_for_agents_above_another_has_other_rules() {
    let text = |agents: &str, other: &str| {
        format!(
            "[[route]]\npath = \"{agents}\"\nagents = true\nupstream = \"echo\"\n\
             [[route]]\npath = \"{other}\"\nupstream = \"echo\"\n"
        )
    };
    for (agents, other, expected) in
        [("/ws", "/", false), ("/ws", "/api", false), ("/", "/api", true), ("/ws", "/ws/x", true)]
    {
        let config = configured(&text(agents, other));
        let [one, two] = &config.routes[..] else { panic!("two routes") };
        assert_eq!(have_other_rules(one, two), expected, "{agents} {other}");
    }
}

/// A second spelling of a server once hid the routes to it from each other.
#[test]
fn a_route_is_beside_those_to_its_server_in_whichever_spelling() {
    for url in ["http://0.0.0.0:1", "http://127.1:1", "http://app.localhost:1", "http://[::]:1"] {
        let config = configured(&format!(
            "[[route]]\nupstream = \"http://127.0.0.1:1\"\n\
             [[route]]\npath = \"/pub\"\npublic = true\nupstream = \"{url}\"\n\
             [[route]]\npath = \"/pub/admin\"\nroles = [\"admin\"]\nupstream = \"http://127.0.0.1:1\"\n"
        ));
        assert!(config.routes.iter().all(|route| route.paths.form == Strict), "{url}");
    }
}

#[test]
fn paths_are_opaque_unless_another_route_to_the_server_has_other_rules() {
    let (there, public) = ("upstream = \"http://b:1\"", "public = true");
    let forms = |left: &str, right: &str| {
        pair(left, right).routes.iter().map(|route| route.paths.form).collect::<Vec<_>>()
    };

    assert_eq!(forms("", ""), [Opaque, Opaque]);
    assert_eq!(forms("", public), [Strict, Strict]);
    assert_eq!(forms("host = \"a.example\"", public), [Strict, Strict]);
    assert_eq!(forms(there, public), [Opaque, Opaque]);
    assert_eq!(forms("paths = \"strict\"", ""), [Strict, Opaque]);
    assert_eq!(forms("paths = \"opaque\"", public), [Opaque, Strict]);
    assert_eq!(forms("paths = \"auto\"", public), [Strict, Strict]);
    let file = Some(("config.toml".to_owned(), String::new()));
    let to = load(Sources { to: Some("http://b:1".to_owned()), file, ..Sources::default() });
    assert_eq!(to.expect("a configuration").routes[0].paths.form, Opaque);
}

/// Which of both matter to an opaque route is told by what they ask.
#[test]
fn an_opaque_route_is_warned_of_beside_a_stricter_one() {
    for (left, right, warned) in [
        ("paths = \"opaque\"\npublic = true", "", true),
        ("paths = \"opaque\"", "roles = [\"admin\"]", true),
        ("paths = \"opaque\"", "public = true", false),
        ("paths = \"opaque\"", "", false),
        ("public = true", "", false),
    ] {
        let warnings = pair(left, right).warnings;
        let found =
            warnings.iter().any(|it| it.kind == crate::config::warning::OPAQUE_BESIDE_STRICTER);
        assert_eq!(found, warned, "{left} | {right}");
    }
}
