use std::collections::BTreeMap;
use std::path::Path;

use crate::config::Config;
use crate::config::file::{Sources, load};

const ECHO: &str = "[[route]]\nupstream = \"echo\"\n";

fn variables(environment: &[(&str, &str)]) -> BTreeMap<String, String> {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// With a file of this name that says this of the store, and `--to` without one.
fn config(file: Option<(&str, &str)>, environment: &[(&str, &str)]) -> Config {
    let to = file.is_none().then(|| "echo".to_owned());
    let file = file.map(|(name, store)| (name.to_owned(), format!("{store}\n{ECHO}")));
    let environment = variables(environment);
    load(Sources { file, environment, to, ..Sources::default() })
        .unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn state_lies_where_the_first_that_says_so_wants_it() {
    let home = ("HOME", "/home/ann");
    let xdg = ("XDG_STATE_HOME", "/state");
    let systemd = ("STATE_DIRECTORY", "/var/lib/portcullis:/var/lib/other");
    let key = ("PORTCULLIS_STORE__PATH", "here");
    let at = |name| Some((name, ""));
    let written = "[store]\npath = \"kept\"";
    let absolute = "[store]\npath = \"/kept\"";
    for (file, environment, store, certificates) in [
        (None, &[home][..], "/home/ann/.local/state/portcullis", None),
        (None, &[home, xdg], "/state/portcullis", None),
        (None, &[home, ("XDG_STATE_HOME", "state")], "/home/ann/.local/state/portcullis", None),
        (None, &[home, xdg, systemd], "/var/lib/portcullis", None),
        (None, &[home, xdg, ("STATE_DIRECTORY", "")], "/state/portcullis", None),
        (None, &[home, xdg, key], "here", None),
        (at("config.toml"), &[home, xdg], "data", Some("certs")),
        (at("/etc/p/config.toml"), &[home, xdg], "/etc/p/data", Some("/etc/p/certs")),
        (at("sub/my.toml"), &[], "sub/data", Some("sub/certs")),
        (
            at("/etc/p/config.toml"),
            &[systemd],
            "/var/lib/portcullis",
            Some("/var/lib/portcullis/certs"),
        ),
        (Some(("/etc/p/config.toml", written)), &[], "/etc/p/kept", Some("/etc/p/certs")),
        (Some(("/etc/p/config.toml", absolute)), &[], "/kept", Some("/etc/p/certs")),
        (Some(("/etc/p/config.toml", written)), &[key], "here", Some("/etc/p/certs")),
        (
            Some(("/etc/p/config.toml", absolute)),
            &[systemd],
            "/kept",
            Some("/var/lib/portcullis/certs"),
        ),
    ] {
        let config = config(file, environment);
        let certificates = certificates.map_or_else(|| Path::new(store).join("certs"), Into::into);
        assert_eq!(config.store.directory, Path::new(store), "{file:?} {environment:?}");
        assert_eq!(config.tls.certificate, certificates.join("server.pem"), "{file:?}");
        assert_eq!(config.tls.key, certificates.join("server.key"), "{file:?}");
    }
}

#[test]
fn a_former_place_is_known_where_state_lay_elsewhere() {
    let former = |file, environment| config(file, environment).store.former;
    let place = |path| Some(Path::new(path).to_owned());
    let home = [("HOME", "/home/ann")];
    assert_eq!(former(None, &home), place("data"));
    assert_eq!(former(Some(("config.toml", "")), &[]), None, "nothing has changed");
    assert_eq!(former(Some(("/p/config.toml", "")), &[]), place("data"));
    let written = "[store]\npath = \"kept/it\"";
    assert_eq!(former(Some(("/p/config.toml", written)), &[]), place("kept/it"));
    assert_eq!(former(Some(("config.toml", written)), &[]), None, "it means the same");
    let absolute = "[store]\npath = \"/kept\"";
    assert_eq!(former(Some(("/p/config.toml", absolute)), &[]), None, "it means the same");
    let key = [("PORTCULLIS_STORE__PATH", "kept")];
    assert_eq!(former(Some(("/p/config.toml", "")), &key), None, "it means the same");
}

#[test]
fn without_any_place_for_state_the_remedy_is_named() {
    let to = Some("echo".to_owned());
    let problems = load(Sources { to, ..Sources::default() }).unwrap_err().to_string();
    for word in ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME", "PORTCULLIS_STORE__PATH"] {
        assert!(problems.contains(word), "{problems}");
    }
}

#[test]
fn relative_paths_of_a_file_begin_beside_it_and_those_of_the_environment_do_not() {
    let text = "[tls]\ncertificate = \"a.pem\"\nkey = \"/k.key\"\n\
                [health]\nadvisory_file = \"news/advisory.json\"";
    let config = config(Some(("/etc/p/config.toml", text)), &[]);
    assert_eq!(config.tls.certificate, Path::new("/etc/p/a.pem"));
    assert_eq!(config.tls.key, Path::new("/k.key"));
    let advisory = config.health.advisory_file.unwrap();
    assert_eq!(advisory, Path::new("/etc/p/news/advisory.json"));
    let of_environment = [("PORTCULLIS_TLS__CERTIFICATE", "a.pem")];
    let overridden = super::tests::config(Some(("/etc/p/config.toml", text)), &of_environment);
    assert_eq!(overridden.tls.certificate, Path::new("a.pem"));
}
