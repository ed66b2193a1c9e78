//! What is written: the keys of `config.toml`, what each accepts and what holds
//! when it is left out. Tables that say more have files of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use crate::pem::Wanted;

use super::auth::{close_registration, read_auth};
use super::bounds::{DAY, SECOND};
use super::client::read_client;
use super::console::{check_console_prefix, read_console};
use super::cors::read_cors;
use super::dialects::{read_admin, read_dialects};
use super::document::Section;
use super::exposure;
use super::github::read_github;
use super::identity::read_identity;
use super::limits::read_limits;
use super::links::{read_links, read_mail};
use super::named_files::{Files, check_pem};
use super::page_origin::read_origins;
use super::problem::Origin;
use super::reader::{Located, NamedFile, Reader};
use super::record::{Settings, computed, fixed, unwritten};
use super::report::Problems;
use super::routes::{OfRoutes, read_routes};
use super::short_forms::{AN_ADDRESS, listening_address};
use super::store::{Certificates, Read, SharedAt, read_store};
use super::syntax;
use super::value::show_path;
use super::{
    Config, DocumentReaders, Health, Hsts, LEVELS, LIBRARIES, Listener, Log, LogFormat, PARTS,
    ProxyProtocol, SelfSigned, SniRule, Subdomains, Timeouts, Tls, Transport,
};

/// Every address of the machine, IPv6 and IPv4.
const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 8443);

/// Names the configuration file, like `--config`.
pub const CONFIG_VARIABLE: &str = "PORTCULLIS_CONFIG";

/// Everything a configuration is read from.
#[derive(Debug, Default)]
pub struct Sources {
    /// The file's name, for messages, and its text.
    pub file: Option<(String, String)>,
    pub environment: BTreeMap<String, String>,
    /// Names of variables whose value is not text.
    pub unreadable: Vec<String>,
    /// It was read from a pipe, beside which nothing lies: its relative paths begin in the
    /// working directory, and state lies where it does without a file.
    pub is_piped: bool,
    /// `--to`: everything goes there, whatever the file's routes say.
    pub to: Option<String>,
    /// `--listen`: in place of the file's listeners.
    pub listen: Option<String>,
    pub files: Files,
}

/// Stands where a file's name would.
const NO_FILE: &str = "no configuration file";

/// Reads and checks a whole configuration.
///
/// # Errors
/// Every problem found, rendered with its place.
pub fn load(sources: Sources) -> Result<Config, Problems> {
    load_with_settings(sources).map(|(config, _)| config)
}

/// Reads and checks a whole configuration, and tells which keys there are, what each is
/// set to, and where.
///
/// # Errors
/// Every problem found, rendered with its place.
pub fn load_with_settings(sources: Sources) -> Result<(Config, Settings), Problems> {
    let beside = sources
        .file
        .as_ref()
        .filter(|_| !sources.is_piped)
        .map(|(name, _)| Path::new(name).parent().unwrap_or(Path::new("")).to_owned());
    let (name, text) = sources.file.unwrap_or_else(|| (NO_FILE.to_owned(), String::new()));
    let (document, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        // A file that does not parse would only produce misleading follow-ups.
        return Err(Problems::render(&name, &text, &syntax::problems(&text, &errors)));
    }
    let begin = beside.as_deref().unwrap_or(Path::new(""));
    let reader = Reader::new(sources.environment, sources.unreadable, begin);
    let root = Section::root(&reader, document.get_ref());
    let given = Given {
        beside: beside.as_deref(),
        to: sources.to,
        listen: sources.listen,
        files: sources.files,
    };
    let config = read(&reader, root, given);
    reader.finish_environment();
    let problems = reader.take_problems();
    if !problems.is_empty() {
        return Err(Problems::render(&name, &text, &problems));
    }
    let warnings = reader.take_warnings(&name, &text);
    let secret_files = reader.take_secret_files(&name, &text);
    let settings = std::mem::take(&mut *reader.settings());
    Ok((Config { secret_files, warnings, ..config }, settings))
}

/// Every key that is asked for when this is read, whatever else it lacks.
pub(super) fn keys_asked_for(text: &str) -> Settings {
    let (document, _) = DeTable::parse_recoverable(text);
    let reader = Reader::new(BTreeMap::new(), Vec::new(), Path::new(""));
    let root = Section::root(&reader, document.get_ref());
    let given =
        Given { beside: Some(Path::new("")), to: None, listen: None, files: Files::NotNeeded };
    let _ = read(&reader, root, given);
    std::mem::take(&mut *reader.settings())
}

/// What is known beside the document and the environment.
struct Given<'a> {
    /// The directory of the file, if there is one.
    beside: Option<&'a Path>,
    to: Option<String>,
    listen: Option<String>,
    files: Files,
}

fn read(reader: &Reader, root: Section<'_>, given: Given<'_>) -> Config {
    let Given { beside, to, listen, files } = given;
    // Where the file itself was found, which is decided before it is read.
    let _ = reader.variable(CONFIG_VARIABLE);
    let client = root.section("client");
    let origins = read_origins(&client);
    let (trusted_proxies, forwarding) = read_client(client);
    let listeners = read_listeners(reader, &root, listen, !trusted_proxies.is_empty());
    let limits = read_limits(reader, root.section("limits"));
    let cors = read_cors(root.section("cors"));
    let console_section = root.section("console");
    let console = read_console(&console_section);
    let shared = OfRoutes { limits: &limits, cors: cors.as_ref(), console: console.enabled };
    let (upstreams, mut routes) = read_routes(reader, &root, to.clone(), shared, files);
    for route in &mut routes {
        route.origins.extend_from_slice(&origins);
    }
    let mut auth = read_auth(reader, root.section("auth"));
    // A command on the store gives `to` only to do without routes.
    if let (Some(_), Files::Needed) = (&to, files) {
        close_registration(&root.section("auth"), &mut auth);
    }
    let dialect_section = root.section("dialect");
    let dialects = read_dialects(reader, &dialect_section, auth.refresh_ttl);
    dialect_section.finish();
    let admin = read_admin(root.section("admin"), &dialects);
    let Read { store, certificates, shared_at } =
        read_store(reader, root.section("store"), beside, files);
    if let (Some(SharedAt(origin)), None) = (&shared_at, &auth.secret_key) {
        let message = "gateways that share a store need the same secret key, and none is set";
        let help = "make one with `portcullis secret generate`; give it to each gateway in \
                    SECRET_KEY or the file that auth.secret_key_file names";
        reader.note(origin.clone(), "store.url", message, help);
    }
    let links = read_links(root.section("links"));
    check_console_prefix(console_section, &console, (&dialects, &admin, links.as_ref()));
    let mail = read_mail(reader, root.section("mail"), files, links.is_some());
    let (identity, field_overrides) = read_identity(root.section("identity"));
    let config = Config {
        listeners,
        tls: read_tls(root.section("tls"), certificates, files),
        store,
        auth,
        dialects,
        admin,
        console,
        github: read_github(reader, root.section("github"), files),
        health: read_health(root.section("health"), shared_at.is_some()),
        openapi: read_openapi(root.section("openapi")),
        limits,
        timeouts: read_timeouts(root.section("timeouts")),
        trusted_proxies,
        forwarding,
        identity,
        field_overrides,
        origins,
        cors,
        links,
        mail,
        log: read_log(root.section("log")),
        upstreams,
        routes,
        secret_files: Vec::new(),
        warnings: Vec::new(),
    };
    if !reader.has_problems() {
        exposure::warn(&root, &config);
    }
    root.finish();
    config
}

fn read_listeners(
    reader: &Reader,
    root: &Section<'_>,
    listen: Option<String>,
    proxies: bool,
) -> Vec<Listener> {
    let mut sections = root.sections("listener");
    let variable = reader.variable("PORTCULLIS_LISTEN");
    let given = match listen {
        Some(value) => Some(Located { value, origin: Origin::CommandLine("--listen") }),
        None => variable,
    };
    if given.is_some() || sections.is_empty() {
        sections = vec![root.stand_in("listener", given.map(|given| ("address", given)))];
    }
    let mut taken: Vec<SocketAddr> = Vec::new();
    sections
        .into_iter()
        .map(|section| {
            let address = read_address(&section, &mut taken);
            section.falls_back("address", fixed(DEFAULT_ADDRESS.to_string()));
            let transport =
                if section.boolean("tls", true) { Transport::Tls } else { Transport::Plain };
            let proxy_protocol = if section.boolean("proxy_protocol", false) {
                ProxyProtocol::Required
            } else {
                ProxyProtocol::Off
            };
            if proxy_protocol == ProxyProtocol::Required && !proxies {
                section.note(
                    section.origin(),
                    "proxy_protocol",
                    "requires client.trusted_proxies",
                    "list the load balancers in client.trusted_proxies".to_owned(),
                );
            }
            section.finish();
            Listener { address, transport, proxy_protocol }
        })
        .collect()
}

fn read_address(section: &Section<'_>, taken: &mut Vec<SocketAddr>) -> SocketAddr {
    let address = match section.text("address", AN_ADDRESS) {
        Some(found) => match listening_address(&found.value) {
            Ok(address) => address,
            Err(unclear) => {
                section.note(found.origin, "address", unclear.message, unclear.help);
                return DEFAULT_ADDRESS;
            }
        },
        // One of another type is told of already.
        None if section.is_written("address") => return DEFAULT_ADDRESS,
        None => DEFAULT_ADDRESS,
    };
    if let Some(other) = taken.iter().find(|other| overlap(**other, address)) {
        let message = format!("another listener has {other}, and so this address and port");
        let help = "give it another port, or leave one of them out";
        section.note(section.given_at("address"), "address", message, help);
    }
    taken.push(address);
    address
}

/// Whether both cannot be listened on at once. Port 0 is any that is free.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let holds = |wide: SocketAddr, narrow: SocketAddr| {
        wide.ip().is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
    };
    let same = one.ip() == other.ip() || holds(one, other) || holds(other, one);
    one.port() != 0 && one.port() == other.port() && same
}

fn read_tls(section: Section<'_>, own: Certificates, files: Files) -> Tls {
    let certificate = section.path("certificate", "the path of a PEM file");
    let key = section.path("key", "the path of a PEM file");
    let self_signed = match (&certificate, &key) {
        (None, None) => SelfSigned::WhenMissing,
        (Some(_), Some(_)) => SelfSigned::Never,
        (Some(found), None) | (None, Some(found)) => {
            let (origin, missing) =
                (found.origin.clone(), if key.is_none() { "key" } else { "certificate" });
            let help = format!("write {missing} as well, or neither for a self-signed pair");
            section.note(origin, missing, "certificate and key belong together", help);
            SelfSigned::Never
        }
    };
    if let (Files::Needed, Some(certificate), Some(key)) = (files, &certificate, &key) {
        check_pem(&section, "certificate", certificate, Wanted::Certificate);
        check_pem(&section, "key", key, Wanted::PrivateKey);
    }
    if let Some(path) = key.clone() {
        section.note_secret_file(NamedFile { key: section.key("key"), path });
    }
    let path = |name, found: Option<Located<PathBuf>>, file: &str| {
        let default = own.directory.join(file);
        section.falls_back(name, unwritten(computed(show_path(&default))));
        found.map_or(default, |found| found.value)
    };
    let tls = Tls {
        certificate: path("certificate", certificate, "server.pem"),
        key: path("key", key, "server.key"),
        self_signed,
        former: own.former.clone().filter(|_| self_signed == SelfSigned::WhenMissing),
        sni: if section.boolean("sni_must_match_host", false) {
            SniRule::MustMatchHost
        } else {
            SniRule::Ignore
        },
        hsts: read_hsts(&section),
    };
    section.finish();
    tls
}

fn read_hsts(section: &Section<'_>) -> Option<Hsts> {
    let max_age = section.duration("hsts", Duration::ZERO, Duration::ZERO..=DAY * 3_650);
    let subdomains = if section.boolean("hsts_subdomains", false) {
        Subdomains::Included
    } else {
        Subdomains::NotIncluded
    };
    if !section.is_given("hsts") {
        if subdomains == Subdomains::Included {
            let origin = section.given_at("hsts_subdomains");
            let message = "has no effect without tls.hsts";
            let help = "leave it out, or write hsts = \"365d\" as well";
            section.note(origin, "hsts_subdomains", message, help);
        }
        return None;
    }
    Some(Hsts { max_age, subdomains })
}

fn read_health(section: Section<'_>, shared: bool) -> Health {
    let require_store = section.boolean("require_store", false);
    if require_store && !shared {
        let message = "there is no shared store to require: store.url is missing";
        let help = "leave it out, or write url in [store]";
        section.note(section.given_at("require_store"), "require_store", message, help);
    }
    let health = Health {
        enabled: section.boolean("enabled", true),
        advisory_file: section
            .path("advisory_file", "the path of a JSON file")
            .map(|found| found.value),
        require_store,
    };
    section.finish();
    health
}

fn read_openapi(section: Section<'_>) -> DocumentReaders {
    let public = section.boolean("public", false);
    section.finish();
    if public { DocumentReaders::Everybody } else { DocumentReaders::Authenticated }
}

fn read_timeouts(section: Section<'_>) -> Timeouts {
    let length = |name, seconds: u32| {
        section.duration(name, SECOND * seconds, Duration::from_millis(10)..=DAY)
    };
    let timeouts = Timeouts {
        tls_handshake: length("tls_handshake", 10),
        request_head: length("request_head", 10),
        idle: length("idle", 60),
        body_progress: length("body_progress", 10),
        body_progress_authenticated: length("body_progress_authenticated", 60),
        write_progress: length("write_progress", 30),
        agent_message: length("agent_message", 5),
        agent_ping: section.or_off("agent_ping", Some(SECOND * 30), SECOND..=DAY),
        tunnel_idle: section.or_off("tunnel_idle", None, SECOND..=DAY),
        drain_delay: section.duration("drain_delay", Duration::ZERO, Duration::ZERO..=DAY),
        drain: length("drain", 30),
    };
    section.finish();
    timeouts
}

fn read_log(section: Section<'_>) -> Log {
    let words = LEVELS.map(|level| (level, level));
    let parts = section.section("levels");
    let choices = LEVELS.map(|level| (level, Some(level)));
    let levels = PARTS
        .into_iter()
        .chain(LIBRARIES)
        .filter_map(|part| Some((part, parts.choice(part, &choices, None)?)))
        .collect();
    parts.finish();
    let log = Log {
        format: section.choice("format", &LogFormat::WORDS, LogFormat::Auto),
        level: section.choice("level", &words, "info").to_owned(),
        levels,
    };
    section.finish();
    log
}

#[cfg(test)]
mod tests;
