//! `[links]` and `[mail]`: links that verify an address or set a password, and how they are
//! sent.

use crate::auth::account::is_plausible_email;
use crate::contract::Contract;
use crate::pem::Wanted;

use super::auth::read_secret;
use super::bounds::{DAY, SECOND};
use super::dialects::read_prefix;
use super::document::Section;
use super::github::read_url;
use super::named_files::{Files, check_pem};
use super::reader::{Located, Reader};
use super::short_forms::check_authority;
use super::{Links, Mail, MailSecurity};

const DEFAULT_PREFIX: &str = Contract::Links.entry().prefix;
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;

/// `None` without the one key that says where links lead to.
pub(super) fn read_links(section: Section<'_>) -> Option<Links> {
    let prefix = read_prefix(&section, DEFAULT_PREFIX);
    let ttl = section.duration("ttl", DAY, SECOND * 60..=DAY * 30);
    let public_url = read_url(&section, "public_url");
    if let Some(url) = public_url.as_ref().filter(|url| !url.value.path.is_empty()) {
        let message = "expected a URL without a path: links have their own";
        let help = format!("write \"https://{}\"; the path is links.prefix", url.value.authority);
        section.note(url.origin.clone(), "public_url", message, help);
    }
    if public_url.is_none() && section.is_present() && !section.is_written("public_url") {
        let help = "write public_url = \"https://\" and the host people reach this gateway by";
        section.note(section.origin(), "public_url", "missing", help);
    }
    section.finish();
    public_url.map(|url| Links { public_url: url.value, prefix, ttl })
}

/// `None` when nothing of it is written.
pub(super) fn read_mail(
    reader: &Reader,
    section: Section<'_>,
    files: Files,
    links: bool,
) -> Option<Mail> {
    let url = section.text("url", "a URL like \"smtp://mail.example:587\"");
    let from = section.text("from", "an e-mail address");
    let file = section.named_file("password_file");
    let password = read_secret(reader, "MAIL_PASSWORD", file);
    let roots = section.path("roots", "the path of a PEM file");
    if let (Files::Needed, Some(roots)) = (files, &roots) {
        check_pem(&section, "roots", roots, Wanted::Certificate);
    }
    if section.is_present() && !links {
        let help = "set links.public_url; nothing else is sent by mail";
        let message = "mail is sent for links only, and no links are made";
        section.note(section.origin(), "url", message, help);
    }
    for (name, missing, example) in [
        ("url", url.is_none(), "smtp://mail.example:587"),
        ("from", from.is_none(), "noreply@example.com"),
    ] {
        if section.is_present() && missing && !section.is_written(name) {
            let help = format!("write {name} = \"{example}\" in [mail]");
            section.note(section.origin(), name, "missing", help);
        }
    }
    let from = from.filter(|from| {
        let good = is_plausible_email(&from.value);
        if !good {
            let message = format!("expected an e-mail address, found {:?}", from.value);
            let help = "write an address like \"noreply@example.com\"";
            section.note(from.origin.clone(), "from", message, help);
        }
        good
    });
    let server = url.and_then(|url| read_server(&section, &url));
    if let (Some((server, _)), None) = (&server, &password)
        && server.username.is_some()
        // Commands beside a gateway have none of its environment.
        && files == Files::Needed
    {
        let help = "give it in MAIL_PASSWORD or the file that mail.password_file names";
        let message = "the URL names a user, and there is no password";
        section.note(section.origin(), "password_file", message, help);
    }
    section.finish();
    let ((server, security), from) = (server?, from?);
    Some(Mail {
        host: server.host,
        port: server.port,
        username: server.username,
        password: password.map(|found| found.value),
        security,
        roots: roots.map(|found| found.value),
        from: from.value,
    })
}

struct Server {
    host: String,
    port: u16,
    username: Option<String>,
}

/// `smtps://` is TLS from the first byte; `smtp://` must offer STARTTLS, but on loopback.
fn read_server(section: &Section<'_>, url: &Located<String>) -> Option<(Server, MailSecurity)> {
    let wrong = |message: String, help: &str| {
        section.note(url.origin.clone(), "url", message, help);
        None
    };
    let expected = "expected a URL like \"smtp://mail.example:587\" or \"smtps://…\"";
    let (tls, rest) = match url.value.split_once("://") {
        Some(("smtps", rest)) => (true, rest),
        Some(("smtp", rest)) => (false, rest),
        // Not repeated: a mistaken one may hold a password.
        _ => {
            return wrong(
                expected.to_owned(),
                "write a URL like \"smtp://mail.example:587\"; a user name goes before the host",
            );
        }
    };
    let (username, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    if username.is_some_and(|user| user.contains(':')) {
        let message = "expected a URL without a password".to_owned();
        return wrong(message, "give it in MAIL_PASSWORD or mail.password_file");
    }
    let default = if tls { SUBMISSIONS_PORT } else { SUBMISSION_PORT };
    let Ok(authority) = place.parse::<http::uri::Authority>() else {
        return wrong(
            expected.to_owned(),
            "write a URL like \"smtp://mail.example:587\"; a user name goes before the host",
        );
    };
    if let Err(message) = check_authority(&authority) {
        return wrong(message.to_owned(), "write a URL like \"smtp://mail.example:587\"");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(default);
    let is_loopback = |host: &str| {
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    let security = match tls {
        true => MailSecurity::Tls,
        false if is_loopback(&host) => MailSecurity::Clear,
        false => MailSecurity::StartTls,
    };
    Some((Server { host, port, username: username.map(str::to_owned) }, security))
}
