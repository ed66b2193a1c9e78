use http::Method;
use proptest::prelude::*;

use super::policy::{FAMILY, USUAL_METHODS};
use super::*;
use crate::config::file::{Sources, load};
use crate::config::{Config, Route as Configured};
use crate::pipeline::destination::of_nowhere;

fn judged(path: &str) -> path::Judged<'_> {
    path::judge(path).expect("a path of one reading")
}

fn configured(text: &str) -> Config {
    let file = Some(("test".to_owned(), text.to_owned()));
    load(Sources { file, ..Sources::default() }).unwrap_or_else(|problems| panic!("{problems}"))
}

fn policy(keys: &str) -> Policy {
    let config = configured(&format!("[cors]\n{keys}\n[[route]]\nupstream = \"echo\"\n"));
    Policy::new(&config.cors.unwrap())
}

fn value(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes).unwrap()
}

fn lists(policy: &Policy, origin: &str) -> bool {
    policy.lists(&value(origin.as_bytes()))
}

fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn an_exact_origin_is_compared_byte_by_byte() {
    let policy = policy("origins = [\"https://App.example:443\", \"http://[::1]:3000\"]");
    for listed in ["https://app.example", "http://[::1]:3000"] {
        assert!(lists(&policy, listed), "{listed}");
    }
    for other in [
        "https://APP.example",
        "https://app.example:443",
        "https://app.example:8443",
        "http://app.example",
        "https://app.example.",
        "https://app.example.evil.example",
        "https://evil.example/https://app.example",
        "https://app.example, https://app.example",
        "app.example",
        "null",
        "",
        "*",
    ] {
        assert!(!lists(&policy, other), "{other}");
    }
}

#[test]
fn a_wildcard_is_one_label_under_the_same_scheme_and_port() {
    let policy = policy("origins = [\"https://*.example.org:8443\"]");
    for listed in ["https://a.example.org:8443", "https://pr-17_x.example.org:8443"] {
        assert!(lists(&policy, listed), "{listed}");
    }
    let long = format!("https://{}.example.org:8443", "a".repeat(64));
    for other in [
        "https://example.org:8443",
        "https://.example.org:8443",
        "https://a.b.example.org:8443",
        "https://evil.example/.example.org:8443",
        "https://evil.example#.example.org:8443",
        "https://evil@.example.org:8443",
        "https://evil.example:1.example.org:8443",
        "https://A.example.org:8443",
        "https://*.example.org:8443",
        "https://a.example.org",
        "http://a.example.org:8443",
        "https://a.example.org:8443.evil.example",
        &long,
    ] {
        assert!(!lists(&policy, other), "{other}");
    }
}

#[test]
fn every_origin_is_every_one_that_has_a_name() {
    let policy = policy("origins = [\"*\"]");
    for listed in ["https://a.example", "http://localhost:3000", "chrome-extension://abcdef"] {
        assert!(lists(&policy, listed), "{listed}");
    }
    for other in ["null", "", "*", "https://a.example/", "https://a.example <script>", "a.example"]
    {
        assert!(!lists(&policy, other), "{other}");
    }
}

#[test]
fn methods_are_those_of_the_policy_that_are_there() {
    let all = policy("origins = [\"*\"]");
    let some = policy("origins = [\"*\"]\nmethods = [\"GET\", \"PUT\"]");
    assert_eq!(all.methods(&[]), USUAL_METHODS);
    assert_eq!(all.methods(&["GET", "HEAD", "PURGE"]), ["GET", "HEAD", "PURGE"]);
    assert_eq!(some.methods(&[]), ["GET", "PUT"]);
    assert_eq!(some.methods(&["GET", "HEAD", "POST"]), ["GET"]);
}

#[test]
fn a_response_varies_by_origin_unless_it_says_so_already() {
    let policy = policy("origins = [\"https://app.example\"]");
    for (given, told) in [
        (&[][..], &["Origin"][..]),
        (&["Accept-Encoding"], &["Accept-Encoding", "Origin"]),
        (&["Accept , ORIGIN"], &["Accept , ORIGIN"]),
        (&["X-Origin"], &["X-Origin", "Origin"]),
        (&["*"], &["*"]),
    ] {
        let mut headers = HeaderMap::new();
        for line in given {
            headers.append(header::VARY, HeaderValue::from_static(line));
        }
        policy.write(None, Told::Response, &mut headers);
        assert_eq!(lines(&headers, "vary"), told);
    }
}

fn request(fields: &[(&'static str, &'static str)]) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::OPTIONS;
    for (name, value) in fields {
        parts.headers.append(*name, HeaderValue::from_static(value));
    }
    parts
}

const ASKED: [(&str, &str); 2] =
    [("origin", "https://app.example"), ("access-control-request-method", "PUT")];

#[test]
fn a_preflight_is_options_with_both_fields_and_nothing_that_browsers_never_send() {
    let read = |fields: &[(&'static str, &'static str)], ends| {
        Preflight::read(&request(fields), ends).map(|preflight| preflight.method)
    };
    assert_eq!(read(&ASKED, true), Some(Some(Method::PUT)));
    assert_eq!(read(&ASKED, false), None);
    assert_eq!(read(&ASKED[..1], true), None);
    assert_eq!(read(&ASKED[1..], true), None);
    assert_eq!(read(&[ASKED[0], ASKED[1], ("upgrade", "websocket")], true), None);
    let mut get = request(&ASKED);
    get.method = Method::GET;
    assert!(Preflight::read(&get, true).is_none());
    // What is not readable is asked in vain.
    assert_eq!(read(&[ASKED[0], ASKED[1], ASKED[1]], true), Some(None));
    assert_eq!(read(&[ASKED[0], ("access-control-request-method", "P UT")], true), Some(None));
    let twice = Preflight::read(&request(&[ASKED[0], ASKED[0], ASKED[1]]), true).unwrap();
    assert!(twice.origin.is_none());
}

#[test]
fn the_first_field_that_is_not_listed_is_named() {
    let policy = policy("origins = [\"*\"]\nfields = [\"X-Listed\", \"Content-Type\"]");
    let asked = |lines: &[&str]| {
        let mut head = request(&ASKED);
        for line in lines {
            let name = header::ACCESS_CONTROL_REQUEST_HEADERS;
            head.headers.append(name, value(line.as_bytes()));
        }
        Preflight::read(&head, true).unwrap().unlisted_field(&policy)
    };
    assert_eq!(asked(&[]), None);
    assert_eq!(asked(&["content-type,x-listed"]), None);
    assert_eq!(asked(&["CONTENT-TYPE , , x-Listed", ""]), None);
    assert_eq!(asked(&["content-type", "x-listed,x-other,x-more"]).as_deref(), Some("x-other"));
    assert_eq!(asked(&["X-Other"]).as_deref(), Some("x-other"));
    // What is no name is not quoted.
    for unfit in ["x other", "\"x\"=1", "x:y", "<b>", "caf\u{e9}", "x\u{202e}", &"x".repeat(65)] {
        assert_eq!(asked(&[unfit]).as_deref(), Some("a field"), "{unfit}");
    }
}

/// A way through these routes, as the route's id and who answers.
fn way_of(routes: &str, method: &str) -> Result<(String, &'static str), &'static str> {
    let routes = Routes::new(&configured(routes).routes, of_nowhere);
    let method = Method::from_bytes(method.as_bytes()).ok();
    match answered_by(&routes, ("app.example", (&judged("/x"), &[])), method.as_ref()) {
        Ok(By::Upstream(route)) => Ok((route.id.to_string(), "upstream")),
        Ok(By::Here(route)) => Ok((route.id.to_string(), "here")),
        Err(rejection) => Err(rejection.reason.code()),
    }
}

#[test]
fn the_route_of_the_method_that_is_asked_about_decides() {
    let route =
        |id: &str, keys: &str| format!("[[route]]\nid = \"{id}\"\nupstream = \"echo\"\n{keys}\n");
    let policy = "cors = { origins = [\"https://app.example\"] }";
    let both = |left: &str, right: &str| {
        route("read", &format!("methods = [\"GET\"]\n{left}")) + &route("rest", right)
    };
    let options = |keys: &str| {
        route("read", "methods = [\"GET\"]\ncors = \"upstream\"")
            + &route("options", &format!("methods = [\"OPTIONS\"]\n{keys}"))
    };
    for (routes, method, expected) in [
        (route("all", policy), "PUT", Ok(("all", "here"))),
        (route("all", "cors = \"upstream\""), "PUT", Ok(("all", "upstream"))),
        (route("all", ""), "PUT", Ok(("all", "here"))),
        (route("all", "public = true"), "PUT", Ok(("all", "upstream"))),
        (route("all", &format!("public = true\n{policy}")), "PUT", Ok(("all", "here"))),
        (both(policy, "cors = \"upstream\""), "GET", Ok(("read", "here"))),
        (both(policy, "cors = \"upstream\""), "POST", Ok(("rest", "upstream"))),
        // Without a word of its own, OPTIONS goes where it goes.
        (both("", "public = true"), "GET", Ok(("rest", "upstream"))),
        (both("public = true", ""), "GET", Ok(("read", "here"))),
        (both("", &format!("public = true\n{policy}")), "GET", Ok(("read", "here"))),
        (route("read", "methods = [\"GET\"]"), "PUT", Err("method_not_allowed")),
        (route("other", "path = \"/other\""), "PUT", Err("route_unknown")),
        // A preflight passes no route for OPTIONS that asks who sends it.
        (options("roles = [\"admin\"]"), "GET", Ok(("options", "here"))),
        (options(policy), "GET", Ok(("options", "here"))),
        (options("cors = \"upstream\""), "GET", Ok(("read", "upstream"))),
        (options("public = true"), "GET", Ok(("read", "upstream"))),
        (both("cors = \"upstream\"", "roles = [\"admin\"]"), "GET", Ok(("read", "upstream"))),
        // What is no method is asked as OPTIONS.
        (route("all", policy), "P UT", Ok(("all", "here"))),
    ] {
        let found = way_of(&routes, method);
        let found = found.as_ref().map(|(id, by)| (id.as_str(), *by)).map_err(|code| *code);
        assert_eq!(found, expected, "{method} of {routes}");
    }
}

/// Routes of one path, for some methods each, with every access and rule.
fn written_routes() -> impl Strategy<Value = String> {
    let methods =
        prop::sample::select(&["", "\"GET\"", "\"POST\"", "\"OPTIONS\"", "\"GET\", \"PUT\""][..]);
    let cors = prop::sample::select(
        &["", "cors = \"upstream\"\n", "cors = { origins = [\"https://app.example\"] }\n"][..],
    );
    let route = (methods, any::<bool>(), cors).prop_map(|(methods, public, cors)| {
        let methods =
            if methods.is_empty() { String::new() } else { format!("methods = [{methods}]\n") };
        format!("[[route]]\nupstream = \"echo\"\npublic = {public}\n{methods}{cors}")
    });
    prop::collection::vec(route, 1..4).prop_map(|routes| routes.concat())
}

fn valid(text: &str) -> Option<Vec<Configured>> {
    let file = Some(("test".to_owned(), text.to_owned()));
    load(Sources { file, ..Sources::default() }).ok().map(|config| config.routes)
}

proptest! {
    /// No preflight comes to an upstream past a credential, unless the route says so.
    #[test]
    fn a_preflight_passes_unasked_only_where_a_route_says_so_or_asks_nobody(
        text in written_routes(),
        method in prop::sample::select(&["GET", "POST", "PUT", "OPTIONS", "PURGE"][..]),
    ) {
        let Some(written) = valid(&text) else { return Ok(()) };
        let routes = Routes::new(&written, of_nowhere);
        let method: Method = method.parse().unwrap();
        let plain = routes.find("app.example", "/", &Method::OPTIONS);
        let asked = routes.find("app.example", "/", &method);
        let guard = plain.as_ref().ok().filter(|plain| {
            written[plain.index].methods.contains(&Method::OPTIONS)
                && plain.access != Access::Public
                && !matches!(plain.cors, Rule::Upstream)
        });
        let says = |route: &Result<&Arc<Route>, Rejection>, rule: fn(&Rule) -> bool| {
            route.as_ref().is_ok_and(|route| rule(&route.cors))
        };
        match answered_by(&routes, ("app.example", (&judged("/"), &[])), Some(&method)) {
            Ok(By::Upstream(route)) => {
                let told = says(&asked, |rule| matches!(rule, Rule::Upstream));
                let open = plain.as_ref().is_ok_and(|plain| plain.access == Access::Public && Arc::ptr_eq(plain, route));
                prop_assert!(told && guard.is_none() || open, "{}", text);
                prop_assert!(!says(&asked, |rule| matches!(rule, Rule::Policy(_))), "{}", text);
            }
            Ok(By::Here(route)) => {
                let guards = guard.is_some_and(|guard| Arc::ptr_eq(guard, route));
                let is_asked_about = Arc::ptr_eq(route, asked.as_ref().unwrap());
                prop_assert!(is_asked_about || guards, "{}", text);
                prop_assert!(!matches!(route.cors, Rule::Upstream), "{}", text);
            }
            Err(rejection) => prop_assert_eq!(Some(rejection.reason), asked.err().map(|it| it.reason)),
        }
    }
}

/// An entry of `origins`, as its parts: whether a wildcard stands before the host.
#[derive(Debug, Clone)]
struct Listed {
    scheme: &'static str,
    wildcard: bool,
    host: &'static str,
    port: Option<u16>,
}

impl Listed {
    fn text(&self) -> String {
        let Self { scheme, wildcard, host, port } = self;
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        format!("{scheme}://{}{host}{port}", if *wildcard { "*." } else { "" })
    }

    /// Judged by parts, as the documentation says it.
    fn allows(&self, page: &Stated) -> bool {
        let labels: Vec<&str> = page.host.split('.').collect();
        let own: Vec<&str> = self.host.split('.').collect();
        let host_fits = if self.wildcard {
            labels.len() == own.len() + 1 && labels[1..] == own[..] && !labels[0].is_empty()
        } else {
            labels == own
        };
        page.whole && host_fits && page.scheme == self.scheme && page.port == self.port
    }
}

/// What a line of `Origin` is.
#[derive(Debug, Clone)]
struct Stated {
    scheme: &'static str,
    host: String,
    port: Option<u16>,
    /// Whether the line is that origin and nothing else.
    whole: bool,
    line: Vec<u8>,
}

fn scheme() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["https", "http", "capacitor"][..])
}

fn port() -> impl Strategy<Value = Option<u16>> {
    prop::sample::select(&[None, Some(8443), Some(8080)][..])
}

fn listed() -> impl Strategy<Value = Listed> {
    let host = prop::sample::select(&["example.org", "app.example.org", "localhost"][..]);
    (scheme(), any::<bool>(), host, port()).prop_map(|(scheme, wildcard, host, port)| Listed {
        scheme,
        wildcard,
        host,
        port,
    })
}

fn stated() -> impl Strategy<Value = Stated> {
    let labels = prop::sample::select(&["", "a", "app", "b-1", "example", "org"][..]);
    let before = prop::collection::vec(labels, 0..3);
    let host = prop::sample::select(
        &["example.org", "app.example.org", "localhost", "evil.example", "notexample.org"][..],
    );
    let spoilt = prop::sample::select(
        &[
            "",
            "",
            "",
            "",
            "",
            "/",
            " ",
            ".",
            ", null",
            "\t",
            "#",
            "@evil.example",
            "\u{e9}",
            ".evil.example",
        ][..],
    );
    (scheme(), before, host, port(), spoilt).prop_map(|(scheme, before, host, port, spoilt)| {
        let host = before.iter().copied().chain([host]).collect::<Vec<_>>().join(".");
        let shown = port.map_or_else(String::new, |port| format!(":{port}"));
        let line = format!("{scheme}://{host}{shown}{spoilt}").into_bytes();
        Stated { scheme, host, port, whole: spoilt.is_empty(), line }
    })
}

fn upstream_fields() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let field = prop::sample::select(
        &[
            ("access-control-allow-origin", "*"),
            ("access-control-allow-origin", "https://evil.example"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-private-network", "true"),
            ("access-control-made-up", "true"),
            ("vary", "Accept"),
            ("vary", "origin"),
            ("x-access-control", "stays"),
        ][..],
    );
    prop::collection::vec(field, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever an upstream says and whoever asks: one line of the origin that asked if it
    /// is listed, none else.
    #[test]
    fn no_response_names_an_origin_that_its_policy_does_not_list(
        entries in prop::collection::vec(listed(), 1..4),
        credentials in any::<bool>(),
        page in prop::option::of(stated()),
        upstream in upstream_fields(),
        preflight in any::<bool>(),
    ) {
        let credentials = credentials && entries.iter().all(|entry| !entry.wildcard);
        let origins: Vec<String> = entries.iter().map(|it| format!("{:?}", it.text())).collect();
        let policy =
            policy(&format!("origins = [{}]\ncredentials = {credentials}", origins.join(", ")));
        let mut headers = HeaderMap::new();
        for (name, value) in &upstream {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let methods = value(b"GET");
        let told = if preflight { Told::Preflight(&methods) } else { Told::Response };
        let origin = page.as_ref().map(|page| value(&page.line));
        policy.write(origin.as_ref(), told, &mut headers);

        let allowed = page.as_ref().is_some_and(|page| entries.iter().any(|it| it.allows(page)));
        let named: Vec<_> = headers.get_all("access-control-allow-origin").iter().collect();
        prop_assert_eq!(named, if allowed { origin.as_ref().into_iter().collect() } else { vec![] });
        let shared = headers.get("access-control-allow-credentials");
        prop_assert_eq!(shared.is_some(), allowed && credentials);
        for (name, _) in &upstream {
            let stays = !name.starts_with(FAMILY);
            prop_assert!(!stays || headers.contains_key(*name));
        }
        prop_assert!(!headers.contains_key("access-control-made-up"));
        prop_assert!(!headers.contains_key("access-control-allow-private-network"));
        let family = headers.keys().filter(|name| name.as_str().starts_with(FAMILY)).count();
        prop_assert!(allowed || family == 0);
        prop_assert!(lines(&headers, "vary").iter().any(|line| line.eq_ignore_ascii_case("origin")));
    }
}
