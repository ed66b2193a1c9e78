use http::Method;

use super::Routes;
use crate::config::file::{Sources, load};

fn routes(text: &str) -> Routes {
    let file = Some(("test".to_owned(), text.to_owned()));
    let config = load(Sources { file, ..Sources::default() });
    Routes::new(&config.unwrap_or_else(|problems| panic!("{problems}")).routes)
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
fn without_a_catch_all_an_unknown_path_has_no_route() {
    let routes = routes("[[route]]\npath = \"/api\"\nupstream = \"echo\"\n");
    check(&routes, "a", "/", &Method::GET, "route_unknown");
    check(&routes, "a", "/api", &Method::GET, "/api");
}
