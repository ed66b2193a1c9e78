mod spellings;

use http::Method;
use proptest::prelude::*;

use super::review::{Concern, Note, covers, review};
use super::{Reason, Routes};
use crate::canonical::host::host_name;
use crate::canonical::path::normalise;
use crate::config::file::{Sources, load};
use crate::config::{Config, HostMatch, PathMatch, Route};
use crate::pipeline::destination::of_nowhere;

fn loaded(text: &str) -> Result<Config, String> {
    let file = Some(("test".to_owned(), text.to_owned()));
    load(Sources { file, ..Sources::default() }).map_err(|problems| problems.to_string())
}

fn configured(text: &str) -> Result<Vec<Route>, String> {
    loaded(text).map(|config| config.routes)
}

fn routes(text: &str) -> Routes {
    Routes::new(&configured(text).unwrap_or_else(|problems| panic!("{problems}")), of_nowhere)
}

fn check(routes: &Routes, host: &str, path: &str, method: &Method, expected: &str) {
    let found = routes.find(host, path, method);
    let actual = match &found {
        Ok(route) => &*route.id,
        Err(rejection) => rejection.reason.code(),
    };
    assert_eq!(actual, expected, "{method} {host}{path}");
}

#[test]
fn the_host_then_the_longest_path_then_the_method_decide() {
    let routes = routes(
        r#"
        [[route]]
        id = "all"
        upstream = "echo"
        [[route]]
        id = "read"
        path = "/admin"
        methods = ["GET"]
        upstream = "echo"
        [[route]]
        id = "write"
        path = "/admin"
        methods = ["POST"]
        upstream = "echo"
        [[route]]
        id = "docs"
        path = "/docs/"
        upstream = "echo"
        [[route]]
        id = "other"
        host = "other.example"
        path = "/app"
        upstream = "echo"
        "#,
    );
    check(&routes, "a", "/", &Method::GET, "all");
    check(&routes, "a", "/administrator", &Method::GET, "all");
    check(&routes, "a", "/admin", &Method::GET, "read");
    check(&routes, "a", "/admin/x", &Method::HEAD, "read");
    check(&routes, "a", "/admin/x", &Method::POST, "write");
    check(&routes, "a", "/docs", &Method::GET, "docs");
    check(&routes, "other.example", "/app/x", &Method::GET, "other");
    check(&routes, "other.example", "/admin", &Method::GET, "read");
    check(&routes, "a", "/app/x", &Method::GET, "all");
    // Not the laxer route above it: the path has an owner.
    check(&routes, "a", "/admin/x", &Method::DELETE, "method_not_allowed");
}

#[test]
fn a_refused_method_is_told_each_that_the_path_has_once_and_in_order() {
    let routes = routes(
        r#"
        [[route]]
        path = "/a/"
        methods = ["POST", "GET"]
        upstream = "echo"
        [[route]]
        path = "/a/"
        methods = ["DELETE"]
        upstream = "echo"
        "#,
    );
    let refused = routes.find("any", "/a/b", &Method::PATCH).map(|route| &route.id);
    let reason = refused.expect_err("no route has the method").reason;
    assert_eq!(reason, Reason::MethodNotAllowed { allow: "DELETE, GET, POST".to_owned() });
}

#[test]
fn without_a_catch_all_an_unknown_path_has_no_route() {
    let routes = routes("[[route]]\npath = \"/api\"\nupstream = \"echo\"\n");
    check(&routes, "a", "/", &Method::GET, "route_unknown");
    check(&routes, "a", "/api", &Method::GET, "/api");
}

#[test]
fn an_exact_route_has_its_path_alone_and_comes_first() {
    let routes = routes(
        r#"
        [[route]]
        id = "below"
        path = "/status"
        upstream = "echo"
        [[route]]
        id = "itself"
        path = "/status"
        exact = true
        methods = ["GET"]
        upstream = "echo"
        [[route]]
        id = "slash"
        path = "/docs/"
        exact = true
        upstream = "echo"
        "#,
    );
    check(&routes, "a", "/status", &Method::GET, "itself");
    check(&routes, "a", "/status", &Method::POST, "method_not_allowed");
    check(&routes, "a", "/status/", &Method::GET, "below");
    check(&routes, "a", "/status/x", &Method::POST, "below");
    check(&routes, "a", "/docs/", &Method::GET, "slash");
    check(&routes, "a", "/docs", &Method::GET, "route_unknown");
    check(&routes, "a", "/docs/x", &Method::GET, "route_unknown");
}

#[test]
fn a_wildcard_stands_for_one_label_behind_the_very_host() {
    let routes = routes(
        r#"
        [[route]]
        id = "any"
        upstream = "echo"
        [[route]]
        id = "label"
        host = "*.example"
        upstream = "echo"
        [[route]]
        id = "name"
        host = "app.example"
        path = "/app"
        upstream = "echo"
        "#,
    );
    check(&routes, "app.example", "/app/x", &Method::GET, "name");
    check(&routes, "app.example", "/", &Method::GET, "label");
    check(&routes, "b.example", "/app", &Method::GET, "label");
    check(&routes, "a.b.example", "/", &Method::GET, "any");
    check(&routes, "example", "/", &Method::GET, "any");
}

/// Was: HEAD fell to whichever route stood first in the file.
#[test]
fn a_route_that_names_head_has_it_before_one_that_names_get() {
    let routes = routes(
        r#"
        [[route]]
        id = "get"
        methods = ["GET"]
        upstream = "echo"
        [[route]]
        id = "head"
        methods = ["HEAD"]
        upstream = "echo"
        "#,
    );
    check(&routes, "a", "/", &Method::HEAD, "head");
    check(&routes, "a", "/", &Method::GET, "get");
}

/// Which routes are noted beside `open`, each with what lies below its path.
fn noted_beside(open: &str, others: &[&str]) -> Vec<String> {
    let route = |(at, settings): (usize, &&str)| {
        format!(
            "[[route]]\nid = \"{at}\"\npath = \"/{at}\"\nexact = true\nupstream = \"echo\"\n{settings}\n"
        )
    };
    let others: String = others.iter().enumerate().map(route).collect();
    let text = format!("[[route]]\nid = \"open\"\nupstream = \"echo\"\n{open}\n{others}");
    let config = loaded(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let notes = review(&config);
    for note in &notes {
        assert_eq!((&*note.laxer[0].id, note.laxer.len()), ("open", 1));
        assert_eq!(note.concern, Concern::Below);
    }
    notes.iter().map(|note| note.route.id.clone()).collect()
}

#[test]
fn a_route_is_laxer_that_lets_somebody_in_whom_another_refuses() {
    let (roles, scopes) = ("roles = [\"admin\"]", "scopes = [\"read\"]");
    for (open, other, is_noted) in [
        ("public = true", "", true),
        ("", roles, true),
        ("", scopes, true),
        ("roles = [\"user\"]", scopes, true),
        ("scopes = [\"write\"]", roles, true),
        ("", "", false),
        ("", "public = true", false),
        (roles, roles, false),
        (roles, "", false),
        (scopes, "", false),
        ("roles = [\"user\"]", roles, true),
        ("roles = [\"admin\", \"user\"]", roles, true),
        (roles, "roles = [\"admin\", \"user\"]", false),
        ("scopes = [\"write\"]", scopes, true),
        ("scopes = [\"write\", \"read\"]", scopes, false),
        ("", "keys = \"none\"", true),
        ("keys = \"none\"", "", false),
        ("", "schemes = [\"bearer\"]", true),
        ("schemes = [\"bearer\"]", "", false),
        // Agents come with keys that others have not.
        ("", "agents = true", false),
        ("", "agents = true\nroles = [\"admin\"]", true),
        // Whom it lets in matters, and not how often, to do what, or for which pages.
        ("rate = \"none\"", "", false),
        ("origins = [\"https://a.example\"]\nupgrades = [\"tcp\"]", "", false),
        ("cors = \"upstream\"", "", false),
        // Of the methods that the other has.
        ("methods = [\"POST\"]", "roles = [\"admin\"]\nmethods = [\"POST\"]", true),
        ("methods = [\"GET\"]", "roles = [\"admin\"]\nmethods = [\"POST\"]", false),
    ] {
        assert_eq!(noted_beside(open, &[other]).len(), usize::from(is_noted), "{open} {other}");
    }
    assert_eq!(noted_beside("", &[roles, "", scopes]), ["0", "2"]);
}

#[test]
fn a_route_covers_its_hosts_and_paths_and_no_others() {
    let text = |host: &str, path: &str| {
        let upstream = "[[route]]\nid = \"r\"\nupstream = \"echo\"";
        configured(&format!("{upstream}\n{host}\n{path}\n")).expect("a route")
    };
    let (any, exact, below) = ("", "path = \"/a\"\nexact = true", "path = \"/a\"");
    let (name, label) = ("host = \"app.example\"", "host = \"*.example\"");
    for (rule, path, asked, asked_path, fits) in [
        (any, exact, "x", "/a", true),
        (any, exact, "x", "/a/b", false),
        (any, below, "x", "/a/b", true),
        (any, below, "x", "/b", false),
        (name, exact, "app.example", "/a", true),
        (name, exact, "x.example", "/a", false),
        (label, exact, "x.example", "/a", true),
        (label, exact, "x.y.example", "/a", false),
        (label, exact, "example", "/a", false),
    ] {
        let routes = text(rule, path);
        assert_eq!(
            covers(&routes[0], asked, asked_path),
            fits,
            "{rule} {path} {asked}{asked_path}"
        );
    }
}

#[test]
fn laxer_ways_to_the_same_upstream_are_noted() {
    let noted = |text: &str| -> Vec<(String, String, Concern)> {
        let config = loaded(text).unwrap_or_else(|problems| panic!("{problems}"));
        let laxer = |note: &Note<'_>| {
            note.laxer.iter().map(|laxer| laxer.id.clone()).collect::<Vec<_>>().join(" ")
        };
        let notes = review(&config);
        notes.iter().map(|note| (note.route.id.clone(), laxer(note), note.concern)).collect()
    };
    let public = "[[route]]\nid = \"open\"\npublic = true\nupstream = \"echo\"\n";
    let admin =
        "[[route]]\nid = \"admin\"\npath = \"/admin\"\nroles = [\"admin\"]\nupstream = \"echo\"\n";
    let note = |concern| vec![("admin".to_owned(), "open".to_owned(), concern)];
    assert_eq!(noted(&format!("{public}{admin}")), []);
    assert_eq!(noted(&format!("{public}{admin}exact = true\n")), note(Concern::Below));
    let named = "host = \"app.example\"\n";
    assert_eq!(noted(&format!("{public}{admin}{named}")), note(Concern::OtherHost));
    // For this host, everything is the open route's.
    assert_eq!(noted(&format!("{public}{named}{admin}")), note(Concern::OtherHost));
    // Under another name or spelling it is the same server.
    let [public, admin] = [(public, "127.0.0.1"), (admin, "127.1")]
        .map(|(route, host)| route.replace("echo", &format!("http://{host}:1")));
    assert_eq!(noted(&format!("{public}{admin}exact = true\n")), note(Concern::Below));
    let elsewhere = admin.replace("127.1:1", "127.1:2");
    assert_eq!(noted(&format!("{public}{elsewhere}exact = true\n")), []);
}

#[test]
fn a_route_is_noted_once_however_many_others_are_laxer() {
    let route = |at: usize| {
        format!(
            "[[route]]\nid = \"{at}\"\nhost = \"h{at}.example\"\nroles = [\"r{at}\"]\nupstream = \"echo\"\n"
        )
    };
    let config = loaded(&(0..9).map(route).collect::<String>()).expect("routes");
    let notes = review(&config);
    assert_eq!(notes.len(), 9);
    assert!(notes.iter().all(|note| note.laxer.len() == 8));
}

// What follows proves the search against a plain model of it.

#[derive(Debug, Clone)]
struct Written {
    host: Option<&'static str>,
    path: &'static str,
    exact: bool,
    methods: Vec<&'static str>,
}

impl Written {
    fn text(&self, id: usize) -> String {
        let host = self.host.map(|host| format!("host = {host:?}\n")).unwrap_or_default();
        let methods = if self.methods.is_empty() {
            String::new()
        } else {
            format!("methods = {:?}\n", self.methods)
        };
        format!(
            "[[route]]\nid = \"{id}\"\nupstream = \"echo\"\npath = {:?}\nexact = {}\n{host}{methods}",
            self.path, self.exact
        )
    }
}

const HOSTS: [&str; 9] = [
    "a.example",
    "A.Example.",
    "*.example",
    "*.a.example",
    "b.a.example",
    "[::1]",
    "[0:0::1]",
    "*.EXAMPLE",
    "*.*.example",
];
const PATHS: [&str; 12] = [
    "/",
    "/a",
    "/a/",
    "/%61",
    "/a/b",
    "/a/b/",
    "/ab",
    "/a/*",
    "/a/%2A",
    "/caf%c3%a9",
    "/café/",
    "/a//b",
];
const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PURGE", "TRACE"];

fn written() -> impl Strategy<Value = Written> {
    let host = proptest::option::of(proptest::sample::select(&HOSTS[..]));
    let methods = proptest::sample::subsequence(&METHODS[..], 0..3);
    let path = proptest::sample::select(&PATHS[..]);
    (host, path, any::<bool>(), methods).prop_map(|(host, path, exact, methods)| Written {
        host,
        path,
        exact,
        methods,
    })
}

/// A host in one of its spellings, with what it is in normal form.
fn request_host() -> impl Strategy<Value = (String, &'static str)> {
    let names = ["a.example", "b.example", "b.a.example", "c.b.a.example", "[::1]", "other"];
    let case = any::<u32>();
    (proptest::sample::select(names.to_vec()), case, any::<bool>(), 0..3_u8).prop_map(
        |(name, case, port, spelling)| {
            let mut written: String = name
                .chars()
                .enumerate()
                .map(|(at, c)| if case >> (at % 32) & 1 == 1 { c.to_ascii_uppercase() } else { c })
                .collect();
            match (name, spelling) {
                ("[::1]", 1) => written = "[0:0:0:0:0:0:0:1]".to_owned(),
                ("[::1]", 2) => written = "[0000::0001]".to_owned(),
                (name, 1) if !name.starts_with('[') => written.push('.'),
                _ => {}
            }
            if port {
                written.push_str(":8443");
            }
            (written, name)
        },
    )
}

/// A path in one of its spellings, with what it is in normal form.
fn request_path() -> impl Strategy<Value = (String, &'static str)> {
    let paths = [
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a/b/",
        "/a/b/c",
        "/ab",
        "/a/*",
        "/a/*/x",
        "/caf%C3%A9",
        "/caf%C3%A9/x",
        "/x",
    ];
    (proptest::sample::select(paths.to_vec()), any::<u32>()).prop_map(|(path, escaped)| {
        let mut at = 0_u32;
        let written = path
            .chars()
            .map(|c| {
                at += 1;
                let plain = c.is_ascii_lowercase() || c == '*';
                if plain && escaped >> (at % 32) & 1 == 1 {
                    format!("%{:02x}", u32::from(c))
                } else {
                    c.to_string()
                }
            })
            .collect();
        (written, path)
    })
}

/// The routes one after the other: is there a better one?
fn model<'a>(routes: &'a [Route], host: &str, path: &str, method: &str) -> Result<&'a Route, bool> {
    let host_rank = |route: &Route| match &route.host {
        HostMatch::Name(name) => (name == host).then_some(2),
        HostMatch::Label(suffix) => {
            let label = host.strip_suffix(suffix.as_str())?.strip_suffix('.')?;
            (!label.is_empty() && !label.contains('.')).then_some(1)
        }
        HostMatch::Any => Some(0),
    };
    let path_rank = |route: &Route| match route.extent {
        PathMatch::Exact => (route.path == path).then_some((1, path.len())),
        PathMatch::Below => {
            let directory = format!("{}/", route.path.trim_end_matches('/'));
            let below = path == route.path || path.starts_with(&directory);
            below.then_some((0, route.path.len()))
        }
    };
    let rank = |route: &Route| Some((host_rank(route)?, path_rank(route)?));
    let Some(best) = routes.iter().filter_map(rank).max() else { return Err(false) };
    let owners = || routes.iter().filter(|route| rank(route) == Some(best));
    let naming = |method: &str| {
        owners().find(|route| route.methods.iter().any(|known| known.as_str() == method))
    };
    naming(method)
        .or_else(|| if method == "HEAD" { naming("GET") } else { None })
        .or_else(|| owners().find(|route| route.methods.is_empty()))
        .ok_or(true)
}

/// A request that must come to the route, whichever others there are.
fn witness(route: &Route) -> (String, String, String) {
    let host = match &route.host {
        HostMatch::Any => "unnamed.invalid".to_owned(),
        HostMatch::Name(name) => name.clone(),
        HostMatch::Label(suffix) => format!("unnamed.{suffix}"),
    };
    let path = match route.extent {
        PathMatch::Exact => route.path.clone(),
        PathMatch::Below => format!("{}/unnamed", route.path.trim_end_matches('/')),
    };
    let method = route.methods.first().map_or("UNNAMED", Method::as_str).to_owned();
    (host, path, method)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_spelling_of_a_request_comes_to_the_route_of_the_model(
        set in proptest::collection::vec(written(), 1..7),
        requests in proptest::collection::vec((request_host(), request_path(), 0..5_usize), 8),
    ) {
        // One by one, so that a set holds as many as can stand beside each other.
        let mut text = String::new();
        for (id, route) in set.iter().enumerate() {
            let more = text.clone() + &route.text(id);
            if configured(&more).is_ok() {
                text = more;
            }
        }
        if let Ok(configured) = configured(&text) {
            let routes = Routes::new(&configured, of_nowhere);
            for ((host, name), (path, normal), method) in &requests {
                let method = ["GET", "HEAD", "POST", "PURGE", "OPTIONS"][*method];
                let judged = (host_name(host), normalise(path));
                prop_assert_eq!(judged.0.as_deref(), Some(*name), "{}", host);
                prop_assert_eq!(judged.1.as_deref(), Ok(*normal), "{}", path);
                let found = routes.find(name, normal, &method.parse().unwrap());
                let expected = model(&configured, name, normal, method);
                let found = found.map(|route| route.index).map_err(|rejection| {
                    rejection.reason.code() == "method_not_allowed"
                });
                let place = |route: &Route| {
                    configured.iter().position(|other| std::ptr::eq(other, route)).unwrap()
                };
                prop_assert_eq!(found, expected.map(place), "{} {} {} in {}", method, host, path, text);
            }
            for (index, route) in configured.iter().enumerate() {
                let (host, path, method) = witness(route);
                let found = routes.find(&host, &path, &method.parse().unwrap());
                prop_assert_eq!(found.map(|found| found.index).ok(), Some(index), "{:?} in {}", route, text);
            }
        }
    }
}
