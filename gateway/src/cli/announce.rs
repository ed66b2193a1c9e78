//! What a start tells: a handful of lines for people, or events for machines.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::auth::text::shown;
use crate::config::{Access, Config, SelfSigned, Transport};
use crate::edge::certificates;
use crate::files::in_shell;
use crate::server::Fact;
use crate::server::first_account::FirstPassword;
use crate::telemetry::log::Style;

use super::output::complain;

/// Tells one fact in the log's style.
pub(super) fn announce(style: Style, config: &Config, fact: &Fact) {
    if let Fact::AdminMade(password) = fact {
        announce_admin(password);
        return;
    }
    match style {
        Style::Json | Style::Combined => announce_events(config, fact),
        Style::Text(_) => announce_lines(config, fact),
    }
}

/// On standard error in either style: it is shown once and belongs in no log.
fn announce_admin(password: &FirstPassword) {
    match password {
        FirstPassword::Given => {
            tracing::info!("account admin created with the configured password");
        }
        FirstPassword::Shown(password) => {
            // What stands alone is found among what a start tells, and is easily copied.
            complain(&format!(
                "\n    user      admin\n    password  {}\n\n  It is shown only now; \
                 `portcullis user passwd admin` sets another.\n",
                password.expose()
            ));
        }
        FirstPassword::Kept(path) => complain(&format!(
            "account admin made; its password is in {}; remove the file when you have read it",
            path.display()
        )),
    }
}

fn announce_events(config: &Config, fact: &Fact) {
    match fact {
        Fact::State { path } => tracing::info!(path = %path.display(), "state"),
        Fact::AdminPasswordUnused => say_password_is_unused(),
        Fact::Certificate { path, fingerprint, source } => tracing::info!(
            path = %path.display(),
            sha256 = fingerprint,
            self_signed = *source != certificates::Source::Configured,
            made = *source == certificates::Source::JustMade,
            "certificate"
        ),
        Fact::SecretMade { path } => tracing::info!(path = %path.display(), "secret key made"),
        Fact::SecretUnused { path } => say_secret_is_unused(path),
        Fact::Listening { address, tls } => {
            tracing::info!(address = %address, tls, "listening");
        }
        Fact::Ready { .. } => tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            routes = config.routes.len(),
            "ready"
        ),
        Fact::AdminMade(_) => {}
    }
}

fn announce_lines(config: &Config, fact: &Fact) {
    let line = |name: &str, text: &str| {
        let _ = writeln!(io::stdout().lock(), "{name:>12}  {}", shown(text));
    };
    match fact {
        Fact::State { path } => line("state", &path.display().to_string()),
        Fact::AdminPasswordUnused => say_password_is_unused(),
        Fact::Certificate { path, fingerprint, source } => {
            let path = path.display();
            match source {
                certificates::Source::Configured => line("certificate", &path.to_string()),
                certificates::Source::SelfSigned => {
                    line("certificate", &format!("{path}, self-signed"));
                }
                certificates::Source::JustMade => {
                    line("certificate", &format!("{path}, self-signed, made just now"));
                }
            }
            line("", &format!("SHA-256 {fingerprint}"));
        }
        Fact::SecretUnused { path } => say_secret_is_unused(path),
        Fact::SecretMade { path } => line("secret", &format!("{}, made just now", path.display())),
        Fact::Listening { address, tls } => {
            line("listening", &format!("{}://{address}", if *tls { "https" } else { "http" }));
        }
        Fact::Ready { address } => announce_ready(config, *address, line),
        Fact::AdminMade(_) => {}
    }
}

fn say_secret_is_unused(path: &Path) {
    tracing::info!(
        path = %path.display(),
        remedy = "to keep users signed in, set SECRET_KEY_PREVIOUS to it until their tokens expire",
        "stored secret key not used: another one is configured"
    );
}

fn say_password_is_unused() {
    tracing::info!(
        "ADMIN_PASSWORD not used: it applies to an empty store only, and accounts exist"
    );
}

fn announce_ready(config: &Config, address: Option<SocketAddr>, line: impl Fn(&str, &str)) {
    for route in &config.routes {
        let access = match &route.access {
            Access::Public => ", public",
            Access::Authenticated { .. } if route.agents.are_accepted() => ", agents too",
            Access::Authenticated { .. } => "",
        };
        line(
            "route",
            &format!("{} to {}{access}", route.id, config.upstreams[route.upstream].name),
        );
    }
    line("schemes", "Basic, bearer token, API key");
    let limits = &config.limits;
    line(
        "limits",
        &format!(
            "{} requests/s and {} at once an address; {} failed sign-ins in {} s",
            limits.requests_per_second,
            limits.burst,
            limits.max_login_attempts,
            limits.login_window.as_secs(),
        ),
    );
    let first = config.listeners.first();
    let port = address.map_or(8443, |address| address.port());
    // What the gateway's own certificate is for, where that leads there.
    let host = match address.map(|address| address.ip()) {
        Some(IpAddr::V4(ip)) if !ip.is_unspecified() && ip != Ipv4Addr::LOCALHOST => ip.to_string(),
        Some(IpAddr::V6(ip)) if !ip.is_unspecified() && ip != Ipv6Addr::LOCALHOST => {
            format!("[{ip}]")
        }
        _ => "localhost".to_owned(),
    };
    let is_clear = first.is_some_and(|listener| listener.transport == Transport::Plain);
    let (scheme, trust) = match config.tls.self_signed {
        _ if is_clear => ("http", String::new()),
        SelfSigned::WhenMissing => {
            ("https", format!("--cacert {} ", in_shell(&config.tls.certificate)))
        }
        SelfSigned::Never => ("https", String::new()),
    };
    line("try", &format!("curl {trust}-u admin {scheme}://{host}:{port}/"));
}
