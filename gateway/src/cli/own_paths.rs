//! Which paths the gateway serves itself, and which of them a route covers: requests for
//! them never come to it.

use crate::canonical::path::is_below;
use crate::config::{PathMatch, Route};
use crate::dialect::OwnPath;

/// Those that are at or below a route's path.
pub(super) fn covered<'o>(route: &Route, own: &'o [OwnPath]) -> Vec<&'o OwnPath> {
    let covers = |path: &&OwnPath| match route.extent {
        PathMatch::Exact => path.path == route.path,
        PathMatch::Below => is_below(&path.path, &route.path),
    };
    own.iter().filter(covers).collect()
}

/// For people: one word for all that begin alike.
pub(super) fn in_groups(paths: &[&OwnPath]) -> Vec<String> {
    let mut groups: Vec<(&str, Vec<&OwnPath>)> = Vec::new();
    for path in paths {
        match groups.iter_mut().find(|(group, _)| *group == path.group) {
            Some((_, members)) => members.push(path),
            None => groups.push((&path.group, vec![path])),
        }
    }
    let shown = |(group, members): (&str, Vec<&OwnPath>)| match members.as_slice() {
        [one] => one.path.clone(),
        // Others below it may be an application's.
        several => format!("{} paths below {group}", several.len()),
    };
    groups.into_iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::file::{Sources, load};
    use crate::server::own_endpoints;

    const BEGIN: &str = "<!-- own paths -->\n";
    const END: &str = "<!-- end of own paths -->";

    fn own_paths(config: &str) -> Vec<OwnPath> {
        let file = Some(("/etc/p/config.toml".to_owned(), config.to_owned()));
        let config = load(Sources { file, ..Sources::default() })
            .unwrap_or_else(|problems| panic!("{problems}"));
        own_endpoints(&config).expect("own endpoints do not collide").own_paths().to_vec()
    }

    /// With everything that can be switched on.
    const ALL: &str = r#"
[links]
public_url = "https://gateway.example"
[mail]
url = "smtp://127.0.0.1"
from = "gateway@example.com"
[[route]]
upstream = "echo"
"#;

    #[test]
    fn the_reference_lists_every_path_that_the_gateway_serves() {
        let row = |own: &OwnPath| {
            let [path, methods, of] = [&own.path, &own.methods, &own.contracts.join(", ")];
            format!("| `{path}` | {methods} | {of} |\n")
        };
        let rows: Vec<String> = own_paths(ALL).iter().map(row).collect();
        let table = format!("| path | methods | of |\n|---|---|---|\n{}", rows.concat());
        let reference = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("CONFIG.md");
        let text = std::fs::read_to_string(&reference).expect("the reference is there");
        let (before, rest) = text.split_once(BEGIN).expect("the list begins");
        let (_, after) = rest.split_once(END).expect("the list ends");
        let wanted = format!("{before}{BEGIN}{table}{END}{after}");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(reference, &wanted).expect("the reference can be written");
        }
        assert!(text == wanted, "UPDATE=1 writes the list anew");
    }

    #[test]
    fn a_path_is_the_gateways_while_what_serves_it_is_on() {
        let has = |config: &str, path: &str| own_paths(config).iter().any(|own| own.path == path);
        let route = "[[route]]\nupstream = \"echo\"\n";
        for (path, off) in [
            ("/health", "[health]\nenabled = false\n"),
            ("/api/admin/users", "[admin]\nenabled = false\n"),
            ("/api/v1/auth/keys", "[dialect.plain]\nenabled = false\n"),
        ] {
            assert!(has(route, path), "{path}");
            assert!(!has(&format!("{off}{route}"), path), "{path}");
        }
        assert!(has(
            "[admin]\nprefix = \"/manage\"\n[[route]]\nupstream = \"echo\"\n",
            "/manage/users"
        ));
    }
}
