//! `[store]`: where state is kept, and how a Redis is found from one URL.
//!
//! What is said about the URL never repeats it: people put passwords there.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::ServerName;

use crate::pem::Wanted;

use super::auth::read_secret;
use super::document::Section;
use super::named_files::{Files, check_pem};
use super::problem::Origin;
use super::reader::{Located, Reader};
use super::record::{Fallback, Takes, computed, fixed, unwritten};
use super::state::{State, find_state};
use super::value::{nearest, show_path};
use super::{Durability, NodeAddress, SharedStore, Store, Topology, UpstreamTls};

/// Where `store.url` was given.
pub(super) struct SharedAt(pub(super) Origin);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Sentinel,
    Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    Off,
    Tls,
}

const SCHEMES: [(&str, Kind, Encryption); 6] = [
    ("redis", Kind::Single, Encryption::Off),
    ("rediss", Kind::Single, Encryption::Tls),
    ("redis+sentinel", Kind::Sentinel, Encryption::Off),
    ("rediss+sentinel", Kind::Sentinel, Encryption::Tls),
    ("redis-cluster", Kind::Cluster, Encryption::Off),
    ("rediss-cluster", Kind::Cluster, Encryption::Tls),
];

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const DEFAULT_PREFIX: &str = "portcullis";
const SHARED_ONLY: [&str; 7] = [
    "password_file",
    "sentinel_password_file",
    "roots",
    "prefix",
    "durability",
    "replicas",
    "timeout",
];

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
struct Location {
    topology: Topology,
    encryption: Encryption,
    username: Option<String>,
    database: u16,
}

/// What is wrong with a URL, and what to write instead.
type Wrong = (&'static str, String);

/// What `[store]` says.
pub(super) struct Read {
    pub store: Store,
    pub certificates: Certificates,
    /// Where it is said that the store is a shared one.
    pub shared_at: Option<SharedAt>,
}

/// The directory of a certificate that the gateway makes itself.
pub(super) struct Certificates {
    pub directory: PathBuf,
    pub former: Option<PathBuf>,
}

/// `beside` is the directory of the configuration file, if there is one.
pub(super) fn read_store(
    reader: &Reader,
    section: Section<'_>,
    beside: Option<&Path>,
    files: Files,
) -> Read {
    let path = section.text("path", "the path of a directory");
    let state = find_state(reader, path.as_ref(), beside);
    let (shown, origin) = (show_path(&state.store), path.as_ref().map(|path| path.origin.clone()));
    match origin {
        Some(origin) => section.is_found("path", shown, origin),
        None => section.falls_back(
            "path",
            unwritten(Fallback { source: state.source.clone(), ..computed(shown) }),
        ),
    }
    section.recorded_as("path", Takes::Path);
    check_socket(&section, path.map_or(Origin::Absent, |path| path.origin), &state.store);
    let url = section.text("url", "a URL like \"redis://redis.internal:6379\"");
    let asked = url.is_some() || section.is_written("url");
    let file = section.named_file("password_file");
    let password = read_secret(reader, "STORE_PASSWORD", file);
    let file = section.named_file("sentinel_password_file");
    let sentinel_password = read_secret(reader, "STORE_SENTINEL_PASSWORD", file);
    let roots = section.path("roots", "the path of a PEM file");
    let prefix = read_prefix(&section);
    let durability = read_durability(&section);
    let timeout = section.duration(
        "timeout",
        Duration::from_secs(1),
        Duration::from_millis(10)..=Duration::from_secs(60),
    );
    if !asked {
        let message = "requires store.url: it is for a shared store only";
        let help = "leave it out, or write url = \"redis://host:6379\" in [store]";
        for key in SHARED_ONLY {
            let origin = section.given_at(key);
            if origin != Origin::Absent {
                section.note(origin, key, message, help);
            }
        }
        for secret in [&password, &sentinel_password].into_iter().flatten() {
            if let Origin::Environment(_) = secret.origin {
                let message = "has no effect: store.url is missing";
                let help = "unset it, or write url in [store]";
                reader.note(secret.origin.clone(), "", message, help);
            }
        }
    }
    let location = url.as_ref().and_then(|found| match parse_url(&found.value) {
        Ok(location) => Some(location),
        Err((message, help)) => {
            section.note(found.origin.clone(), "url", message, help);
            None
        }
    });
    let shared = location.map(|location| {
        let tls = read_tls(&section, location.encryption, roots, files);
        if let (Some(secret), false) =
            (&sentinel_password, matches!(location.topology, Topology::Sentinel { .. }))
        {
            let message = "has no effect: store.url names no sentinels";
            let help = "unset it, or write redis+sentinel:// in store.url";
            reader.note(secret.origin.clone(), "", message, help);
        }
        if location.username.is_some() && !is_password_given(reader, &section) {
            let message = "there is no password for the user that it names";
            let help = "set STORE_PASSWORD, STORE_PASSWORD_FILE or store.password_file";
            section.note(section.given_at("url"), "url", message, help);
        }
        SharedStore {
            topology: location.topology,
            tls,
            username: location.username,
            password: password.map(|found| found.value),
            sentinel_password: sentinel_password.map(|found| found.value),
            database: location.database,
            prefix,
            durability,
            timeout,
        }
    });
    let at = asked.then(|| SharedAt(section.given_at("url")));
    section.finish();
    let State { store: directory, chosen, certificates, former_store, former_certificates, .. } =
        state;
    Read {
        store: Store {
            directory,
            chosen,
            former: former_store,
            beside: beside.map(Path::to_owned),
            shared,
        },
        certificates: Certificates { directory: certificates, former: former_certificates },
        shared_at: at,
    }
}

/// The admin socket's name in the store's directory.
pub const ADMIN_SOCKET: &str = "admin.sock";
/// What `sockaddr_un` holds, without the zero at its end.
const MAX_SOCKET_PATH_BYTES: usize = 107;

fn check_socket(section: &Section<'_>, origin: Origin, directory: &Path) {
    let length = directory.join(ADMIN_SOCKET).as_os_str().len();
    if length > MAX_SOCKET_PATH_BYTES {
        let message = format!(
            "the path of the admin socket in it has {length} bytes, and the system takes at most \
             {MAX_SOCKET_PATH_BYTES}"
        );
        let help = "name a directory with a shorter path";
        section.note(origin, "path", message, help);
    }
}

/// One that cannot be read counts: what is wrong with it is said already.
fn is_password_given(reader: &Reader, section: &Section<'_>) -> bool {
    let variables = ["STORE_PASSWORD", "STORE_PASSWORD_FILE"];
    variables.iter().any(|name| reader.variable(name).is_some())
        || section.given_at("password_file") != Origin::Absent
}

fn read_prefix(section: &Section<'_>) -> String {
    let expected = "1 to 64 letters, digits and `-_.:`";
    let found = section.text("prefix", expected);
    section.falls_back("prefix", fixed(DEFAULT_PREFIX));
    let Some(found) = found else {
        return DEFAULT_PREFIX.to_owned();
    };
    if !is_word(&found.value, 64, b"-_.:") {
        let message = format!("expected {expected}, found {:?}", found.value);
        let help = format!("write one like \"{DEFAULT_PREFIX}\"");
        section.note(found.origin, "prefix", message, help);
    }
    found.value
}

fn read_durability(section: &Section<'_>) -> Durability {
    let replicas = u32::try_from(section.integer("replicas", 1, 1..=100)).unwrap_or(1);
    let words = [
        ("fsync", Durability::Fsync),
        ("replicated", Durability::Replicated { replicas }),
        ("fast", Durability::Fast),
    ];
    let durability = section.choice("durability", &words, Durability::Fsync);
    let given = section.given_at("replicas");
    if given != Origin::Absent
        && section.given_at("url") != Origin::Absent
        && !matches!(durability, Durability::Replicated { .. })
    {
        let help = "write durability = \"replicated\"";
        section.note(
            given,
            "replicas",
            "has no effect: this durability waits for no replica",
            help,
        );
    }
    durability
}

fn read_tls(
    section: &Section<'_>,
    encryption: Encryption,
    roots: Option<Located<PathBuf>>,
    files: Files,
) -> UpstreamTls {
    match (encryption, roots) {
        (Encryption::Off, Some(roots)) => {
            let help = "write rediss in store.url to use TLS";
            section.note(roots.origin, "roots", "has no effect: store.url does not use TLS", help);
            UpstreamTls::Off
        }
        (Encryption::Off, None) => UpstreamTls::Off,
        (Encryption::Tls, roots) => {
            if let (Files::Needed, Some(roots)) = (files, &roots) {
                check_pem(section, "roots", roots, Wanted::Certificate);
            }
            UpstreamTls::On { roots: roots.map(|roots| roots.value) }
        }
    }
}

fn parse_url(text: &str) -> Result<Location, Wrong> {
    let (kind, encryption, rest) = read_scheme(text)?;
    // A password may hold a slash: what stands before the last `@` is no address.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let username = user.map(read_user).transpose()?.flatten();
    if rest.contains(['?', '#']) {
        return Err((
            "expected a URL without a query; settings have keys of their own",
            "leave out `?` and what follows".to_owned(),
        ));
    }
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.strip_suffix('/').unwrap_or(path);
    let port = if kind == Kind::Sentinel { SENTINEL_PORT } else { REDIS_PORT };
    let addresses =
        hosts.split(',').map(|host| read_address(host, port)).collect::<Result<Vec<_>, Wrong>>()?;
    let (topology, database) = match kind {
        Kind::Single => {
            let [address] = <[NodeAddress; 1]>::try_from(addresses).map_err(|_| {
                let help = "several are written with redis+sentinel:// or redis-cluster://";
                ("expected one address", help.to_owned())
            })?;
            (Topology::Single(address), read_database(path)?)
        }
        Kind::Sentinel => {
            let (service, database) = path.split_once('/').unwrap_or((path, ""));
            if !is_word(service, 128, b"-_.:") {
                let help = "like redis+sentinel://h1,h2,h3/mymaster".to_owned();
                return Err((
                    "expected the name under which the sentinels know the master, after the addresses",
                    help,
                ));
            }
            let service = service.to_owned();
            (Topology::Sentinel { addresses, service }, read_database(database)?)
        }
        Kind::Cluster if path.is_empty() => (Topology::Cluster(addresses), 0),
        Kind::Cluster => {
            return Err((
                "expected nothing after the addresses: a cluster has no numbered databases",
                "leave it out; `store.prefix` keeps gateways apart".to_owned(),
            ));
        }
    };
    Ok(Location { topology, encryption, username, database })
}

fn read_scheme(text: &str) -> Result<(Kind, Encryption, &str), Wrong> {
    let expected = "expected a URL that begins with redis://, rediss://, redis+sentinel://, \
                    rediss+sentinel://, redis-cluster:// or rediss-cluster://";
    let help = || "write a URL like \"redis://redis.internal:6379\"".to_owned();
    let (scheme, rest) = text.split_once("://").ok_or_else(|| (expected, help()))?;
    let lower = scheme.to_ascii_lowercase();
    let known = SCHEMES.iter().find(|(name, _, _)| *name == lower);
    let near = || nearest(&lower, SCHEMES.iter().map(|(name, _, _)| *name));
    let (_, kind, encryption) = known.ok_or_else(|| (expected, near().unwrap_or_else(help)))?;
    Ok((*kind, *encryption, rest))
}

/// The part before the `@`.
fn read_user(user: &str) -> Result<Option<String>, Wrong> {
    let (name, password) = user.split_once(':').map_or((user, None), |(n, p)| (n, Some(p)));
    if password.is_some_and(|password| !password.is_empty()) {
        let help = "put it into STORE_PASSWORD, or into a file that store.password_file or \
                    STORE_PASSWORD_FILE names";
        return Err(("a password does not belong here", help.to_owned()));
    }
    let plain = |b: u8| b.is_ascii_graphic() && !b"%/,?#@".contains(&b);
    if !name.bytes().all(plain) {
        return Err((
            "expected a user name of visible ASCII without `%/,?#@`",
            "give the server's user another name".to_owned(),
        ));
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

/// What to write for a host.
const A_HOST: &str = "write a host like redis.internal:6379";

fn read_address(text: &str, default_port: u16) -> Result<NodeAddress, Wrong> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let expected = "expected `]` behind an IPv6 address";
            let help = || "write an address like [2001:db8::1]:6379".to_owned();
            let (host, after) = rest.split_once(']').ok_or_else(|| (expected, help()))?;
            let address = host.parse::<Ipv6Addr>();
            address.map_err(|_| ("expected an IPv6 address in brackets", help()))?;
            let port = match after.strip_prefix(':') {
                Some(port) => Some(port),
                None if after.is_empty() => None,
                None => return Err(("expected `:` and a port behind an IPv6 address", help())),
            };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => {
                if port.contains(':') {
                    let help = "an IPv6 address is written in brackets".to_owned();
                    return Err(("expected one port", help));
                }
                (host, Some(port))
            }
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(("expected a host name or an address", A_HOST.to_owned()));
    }
    if ServerName::try_from(host).is_err() {
        return Err(("expected a host name or an address, and this is neither", A_HOST.to_owned()));
    }
    let digits = |port: &&str| port.bytes().all(|b| b.is_ascii_digit());
    let port = match port {
        None => default_port,
        Some(port) => Some(port)
            .filter(digits)
            .and_then(|port| port.parse().ok())
            .filter(|port| *port != 0)
            .ok_or_else(|| {
                ("expected a port from 1 to 65535", format!("write a port like :{default_port}"))
            })?,
    };
    Ok(NodeAddress { host: host.to_ascii_lowercase(), port })
}

fn read_database(text: &str) -> Result<u16, Wrong> {
    if text.is_empty() {
        return Ok(0);
    }
    let number = Some(text).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let number = number.and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        let help = "write a number behind the last slash, or leave both out".to_owned();
        ("expected the number of a database, like 0, at the end", help)
    })
}

fn is_word(text: &str, longest: usize, marks: &[u8]) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || marks.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> NodeAddress {
        NodeAddress { host: host.to_owned(), port }
    }

    #[test]
    fn a_url_says_where_redis_is_and_how_it_is_reached() {
        let sentinel = |addresses, service: &str| Topology::Sentinel {
            addresses,
            service: service.to_owned(),
        };
        let (off, tls) = (Encryption::Off, Encryption::Tls);
        for (url, topology, encryption, username, database) in [
            ("redis://h", Topology::Single(at("h", 6379)), off, None, 0),
            ("REDIS://H.example:1/", Topology::Single(at("h.example", 1)), off, None, 0),
            (
                "rediss://gate@10.0.0.1/3",
                Topology::Single(at("10.0.0.1", 6379)),
                tls,
                Some("gate"),
                3,
            ),
            ("redis://gate:@[::1]:7/15", Topology::Single(at("::1", 7)), off, Some("gate"), 15),
            ("redis://@[::1]", Topology::Single(at("::1", 6379)), off, None, 0),
            (
                "redis+sentinel://gate@a:1,b,[::1]:2/mymaster",
                sentinel(vec![at("a", 1), at("b", 26379), at("::1", 2)], "mymaster"),
                off,
                Some("gate"),
                0,
            ),
            ("rediss+sentinel://a/m/2", sentinel(vec![at("a", 26379)], "m"), tls, None, 2),
            (
                "redis-cluster://a,b:1",
                Topology::Cluster(vec![at("a", 6379), at("b", 1)]),
                off,
                None,
                0,
            ),
            ("rediss-cluster://a/", Topology::Cluster(vec![at("a", 6379)]), tls, None, 0),
        ] {
            let username = username.map(str::to_owned);
            let expected = Location { topology, encryption, username, database };
            assert_eq!(parse_url(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["h:1", "[::1]:6379", "10.0.0.1:2"] {
            assert_eq!(read_address(text, 9).map(|address| address.to_string()), Ok(text.into()));
        }
    }
}
