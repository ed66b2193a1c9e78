//! `[upstream.*]`: what each key accepts, and what a route may name instead.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::canonical::host;

use crate::pem::Wanted;

use super::bounds::{DAY, SECOND, small};
use super::document::Section;
use super::effective::toml_key;
use super::named_files::{Files, check_pem};
use super::reader::Located;
use super::record::{computed, fixed};
use super::short_forms::{Unclear, check_authority, upstream_url};
use super::value::nearest;
use super::{
    FieldNames, HttpTarget, Target, Upstream, UpstreamHost, UpstreamProtocol, UpstreamTls,
};

/// What holds of an upstream that says nothing of it, declared or made by a route's URL.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_CONNECTIONS: u64 = 1_024;
const FIELD_NAMES: FieldNames = FieldNames::Strict;
const HOST: UpstreamHost = UpstreamHost::Pass;

pub(super) fn read_upstream(
    (name, section): (Located<String>, Section<'_>),
    files: Files,
) -> Upstream {
    let url = section.text("url", "a URL like \"http://127.0.0.1:3000\"");
    let protocols = [
        ("auto", UpstreamProtocol::Auto),
        ("http1", UpstreamProtocol::Http1),
        ("http2", UpstreamProtocol::Http2),
    ];
    let protocol = section.choice("protocol", &protocols, UpstreamProtocol::Auto);
    let host = read_upstream_host(&section);
    let roots = section.path("roots", "the path of a PEM file");
    let connect_timeout = section.duration(
        "connect_timeout",
        CONNECT_TIMEOUT,
        Duration::from_millis(10)..=SECOND * 600,
    );
    let idle_timeout =
        section.duration("idle_timeout", IDLE_TIMEOUT, Duration::from_millis(10)..=DAY);
    let max_connections = small(section.integer("max_connections", MAX_CONNECTIONS, 1..=1_000_000));
    let half = max_connections.div_ceil(2) as u64;
    let per_account = small(section.integer_because(
        "max_connections_per_account",
        half,
        1..=max_connections as u64,
        "0 would refuse every request, and max_connections is the upper bound",
    ));
    section.falls_back("max_connections_per_account", computed(half));
    let per_account = section.is_given("max_connections_per_account").then_some(per_account);
    let field_names = section.choice(
        "field_names",
        &[("strict", FieldNames::Strict), ("any", FieldNames::Any)],
        FIELD_NAMES,
    );
    let target = match url {
        None => {
            if !section.is_written("url") {
                let help = "write url = \"http://127.0.0.1:3000\"";
                section.note(name.origin.clone(), "url", "missing", help);
            }
            None
        }
        Some(url) if url.value == "echo" => Some(Target::Echo),
        Some(url) => match parse_url(&url.value) {
            Ok(parsed) => {
                let roots =
                    roots.and_then(|roots| check_roots(&section, roots, &parsed.scheme, files));
                Some(match parsed.into_target(roots) {
                    Target::Http(target) => Target::Http(HttpTarget { protocol, ..target }),
                    Target::Echo => Target::Echo,
                })
            }
            Err(unclear) => {
                section.note(url.origin, "url", unclear.message, unclear.help);
                None
            }
        },
    };
    section.finish();
    // A stand-in keeps the name known, so that one mistake is reported once.
    let target = target.unwrap_or(Target::Echo);
    Upstream {
        name: name.value,
        target,
        host,
        field_names,
        connect_timeout,
        idle_timeout,
        max_connections,
        max_connections_per_account: per_account,
    }
}

/// The file of what an https upstream is verified against.
fn check_roots(
    section: &Section<'_>,
    roots: Located<PathBuf>,
    scheme: &Scheme,
    files: Files,
) -> Option<PathBuf> {
    if *scheme != Scheme::HTTPS {
        let help = "leave it out, or write https:// in url";
        section.note(roots.origin, "roots", "roots are for https upstreams", help);
        return None;
    }
    if files == Files::Needed {
        check_pem(section, "roots", &roots, Wanted::Certificate);
    }
    Some(roots.value)
}

fn read_upstream_host(section: &Section<'_>) -> UpstreamHost {
    let expected = "\"pass\", \"upstream\" or a host name";
    let found = section.text("host", expected);
    section.falls_back("host", fixed("pass"));
    let Some(found) = found else { return HOST };
    match found.value.as_str() {
        "pass" => UpstreamHost::Pass,
        "upstream" => UpstreamHost::Own,
        name if host::split(name).is_some() => UpstreamHost::Name(found.value),
        name => {
            let message = format!("expected {expected}, found {name:?}");
            let bare = name.split_once("://").map_or(name, |(_, rest)| rest);
            let bare = bare.split(['/', '?', '#']).next().unwrap_or(bare);
            let help = if bare != name && host::split(bare).is_some() {
                format!("write \"{bare}\"")
            } else {
                let near = nearest(name, ["pass", "upstream"].into_iter());
                near.unwrap_or_else(|| "write \"pass\", \"upstream\" or a name".to_owned())
            };
            section.note(found.origin, "host", message, help);
            HOST
        }
    }
}

/// The upstream that a route names, or the one that its URL makes.
pub(super) fn resolve_upstream(
    section: &Section<'_>,
    found: &Located<String>,
    upstreams: &mut Vec<Upstream>,
) -> Option<usize> {
    let declared = |name: &str| upstreams.iter().position(|known| known.name == name);
    if let Some(index) = declared(&found.value) {
        return Some(index);
    }
    let is_url = found.value.contains('/') || upstream_url(&found.value).is_some();
    let (name, target) = if found.value == "echo" {
        (found.value.clone(), Target::Echo)
    } else if is_url {
        match parse_url(&found.value) {
            Ok(url) => {
                if let Some(index) = declared(&url.text) {
                    return Some(index);
                }
                (url.text.clone(), url.into_target(None))
            }
            Err(unclear) => {
                section.note(found.origin.clone(), "upstream", unclear.message, unclear.help);
                return None;
            }
        }
    } else {
        let names = upstreams.iter().map(|known| known.name.as_str()).chain(["echo"]);
        let message = format!("no upstream is called {:?}", found.value);
        let help = nearest(&found.value, names).unwrap_or_else(|| {
            format!("write a URL, \"echo\", or add [upstream.{}]", toml_key(&found.value))
        });
        section.note(found.origin.clone(), "upstream", message, help);
        return None;
    };
    upstreams.push(Upstream {
        name,
        target,
        host: HOST,
        field_names: FIELD_NAMES,
        connect_timeout: CONNECT_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        max_connections: small(MAX_CONNECTIONS),
        max_connections_per_account: None,
    });
    Some(upstreams.len() - 1)
}

/// A URL of a server.
struct Url {
    /// In full.
    text: String,
    authority: Authority,
    scheme: Scheme,
}

impl Url {
    /// Spoken to as the upstream's own settings say, or as its scheme says.
    fn into_target(self, roots: Option<PathBuf>) -> Target {
        let tls =
            if self.scheme == Scheme::HTTPS { UpstreamTls::On { roots } } else { UpstreamTls::Off };
        Target::Http(HttpTarget {
            authority: self.authority,
            tls,
            protocol: UpstreamProtocol::Auto,
        })
    }
}

fn parse_url(text: &str) -> Result<Url, Unclear> {
    let wrong = |message: &str, help: String| Unclear { message: message.to_owned(), help };
    let full = upstream_url(text).transpose()?.unwrap_or_else(|| text.to_owned());
    let expected = || {
        let message = format!("expected a URL like \"http://127.0.0.1:3000\", found {text:?}");
        let help = "write http:// or https://, a host and a port, or \"echo\"".to_owned();
        Unclear { message, help }
    };
    let uri: Uri = full.parse().map_err(|_| expected())?;
    let parts = uri.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return Err(expected());
    };
    if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
        let help = "write http:// or https://, a host and a port, or \"echo\"".to_owned();
        return Err(wrong("expected a URL that begins with http:// or https://", help));
    }
    if authority.as_str().contains('@') {
        let place = authority.as_str().rsplit('@').next().unwrap_or_default();
        let help = format!("write \"{scheme}://{place}\"");
        return Err(wrong("expected a URL without user name and password", help));
    }
    if let Err(message) = check_authority(&authority) {
        let help = format!("write \"{scheme}://\", a host, and a port like :3000 if it has one");
        return Err(wrong(message, help));
    }
    if parts.path_and_query.is_some_and(|path| path != "/") {
        let message = "expected a URL without a path: requests keep their own".to_owned();
        return Err(Unclear { message, help: format!("write \"{scheme}://{authority}\"") });
    }
    Ok(Url { text: full, authority, scheme })
}
