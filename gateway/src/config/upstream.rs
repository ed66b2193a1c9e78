//! `[upstream.*]`: what each key accepts, and what a route may name instead.

use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};
use rustls::pki_types::CertificateDer;

use crate::canonical::host;

use super::document::{Section, nearest};
use super::file::{DAY, Files, SECOND, check_pem, small};
use super::reader::Located;
use super::record::{computed, fixed};
use super::{
    FieldNames, HttpTarget, Target, Upstream, UpstreamHost, UpstreamProtocol, UpstreamTls,
};

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
    let connect_timeout =
        section.duration("connect_timeout", SECOND * 5, Duration::from_millis(10)..=SECOND * 600);
    let idle_timeout =
        section.duration("idle_timeout", SECOND * 30, Duration::from_millis(10)..=DAY);
    let max_connections = small(section.integer("max_connections", 1_024, 1..=1_000_000));
    let half = max_connections.div_ceil(2) as u64;
    let per_account = small(section.integer_because(
        "max_connections_per_account",
        half,
        1..=max_connections as u64,
        "with none nobody could ask it anything, and there are no more than max_connections",
    ));
    section.falls_back("max_connections_per_account", computed(half));
    let per_account = section.is_given("max_connections_per_account").then_some(per_account);
    let field_names = section.choice(
        "field_names",
        &[("strict", FieldNames::Strict), ("any", FieldNames::Any)],
        FieldNames::Strict,
    );
    let target = match url {
        None => {
            if !section.is_written("url") {
                let help = "write url = \"http://127.0.0.1:3000\"".to_owned();
                section.note(name.origin.clone(), "url", "missing", Some(help));
            }
            None
        }
        Some(url) if url.value == "echo" => Some(Target::Echo),
        Some(url) => match parse_url(&url.value) {
            Ok((authority, scheme)) => {
                let tls = if scheme == Scheme::HTTPS {
                    if let (Files::Needed, Some(roots)) = (files, &roots) {
                        check_pem::<CertificateDer<'_>>(&section, "roots", roots, "certificate");
                    }
                    UpstreamTls::On { roots: roots.map(|roots| roots.value) }
                } else {
                    if let Some(roots) = roots {
                        let message = "roots are for https upstreams";
                        section.note(roots.origin, "roots", message, None);
                    }
                    UpstreamTls::Off
                };
                Some(Target::Http(HttpTarget { authority, tls, protocol }))
            }
            Err(message) => {
                section.note(url.origin, "url", message, None);
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

fn read_upstream_host(section: &Section<'_>) -> UpstreamHost {
    let expected = "\"pass\", \"upstream\" or a host name";
    let found = section.text("host", expected);
    section.falls_back("host", fixed("pass"));
    let Some(found) = found else { return UpstreamHost::default() };
    match found.value.as_str() {
        "pass" => UpstreamHost::Pass,
        "upstream" => UpstreamHost::Own,
        name if host::split(name).is_some() => UpstreamHost::Name(found.value),
        name => {
            let message = format!("expected {expected}, found {name:?}");
            let bare = name.split_once("://").map_or(name, |(_, rest)| rest);
            let bare = bare.split(['/', '?', '#']).next().unwrap_or(bare);
            let help = if bare != name && host::split(bare).is_some() {
                Some(format!("write \"{bare}\""))
            } else {
                nearest(name, ["pass", "upstream"].into_iter())
            };
            section.note(found.origin, "host", message, help);
            UpstreamHost::default()
        }
    }
}

pub(super) fn resolve_upstream(
    section: &Section<'_>,
    found: &Located<String>,
    upstreams: &mut Vec<Upstream>,
) -> Option<usize> {
    if let Some(index) = upstreams.iter().position(|known| known.name == found.value) {
        return Some(index);
    }
    let target = if found.value == "echo" {
        Target::Echo
    } else if found.value.contains("://") {
        match parse_url(&found.value) {
            Ok((authority, scheme)) => {
                let tls = if scheme == Scheme::HTTPS {
                    UpstreamTls::On { roots: None }
                } else {
                    UpstreamTls::Off
                };
                Target::Http(HttpTarget { authority, tls, protocol: UpstreamProtocol::Auto })
            }
            Err(message) => {
                section.note(found.origin.clone(), "upstream", message, None);
                return None;
            }
        }
    } else {
        let names = upstreams.iter().map(|known| known.name.as_str()).chain(["echo"]);
        let message = format!("no upstream is called {:?}", found.value);
        let help = nearest(&found.value, names)
            .unwrap_or_else(|| format!("write a URL, \"echo\", or add [upstream.{}]", found.value));
        section.note(found.origin.clone(), "upstream", message, Some(help));
        return None;
    };
    upstreams.push(Upstream {
        name: found.value.clone(),
        target,
        host: UpstreamHost::default(),
        field_names: FieldNames::Strict,
        connect_timeout: SECOND * 5,
        idle_timeout: SECOND * 30,
        max_connections: 1_024,
        max_connections_per_account: None,
    });
    Some(upstreams.len() - 1)
}

fn parse_url(text: &str) -> Result<(Authority, Scheme), String> {
    let expected = format!("expected a URL like \"http://127.0.0.1:3000\", found {text:?}");
    let uri: Uri = text.parse().map_err(|_| expected.clone())?;
    let parts = uri.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return Err(expected);
    };
    if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
        return Err("expected a URL that begins with http:// or https://".to_owned());
    }
    if authority.as_str().contains('@') {
        return Err("expected a URL without user name and password".to_owned());
    }
    if parts.path_and_query.is_some_and(|path| path != "/") {
        return Err("expected a URL without a path: requests keep their own".to_owned());
    }
    Ok((authority, scheme))
}
