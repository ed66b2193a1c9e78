//! `[github]`: what each key accepts, and what belongs together.

use std::time::Duration;

use http::Uri;
use http::uri::Authority;

use crate::auth::secret::Secret;

use crate::pem::Wanted;

use super::auth::read_secret;
use super::document::Section;
use super::named_files::{Files, check_pem};
use super::reader::{Located, Reader};
use super::record::{fixed, no_items, unwritten};
use super::short_forms::check_authority;
use super::{GitHub, ServiceUrl, Team};

/// Each costs a request within the one deadline of a sign-in.
const MAX_MEMBERSHIPS: usize = 32;

/// `None` when nothing of it is written.
pub(super) fn read_github(reader: &Reader, section: Section<'_>, files: Files) -> Option<GitHub> {
    let client_id = section.text("client_id", "the client id of an OAuth app");
    let file = section.named_file("client_secret_file");
    let client_secret = read_secret(reader, "GITHUB_CLIENT_SECRET", file);
    let base_url = read_url(&section, "base_url");
    let api_url = read_url(&section, "api_url");
    let public_url = read_url(&section, "public_url");
    let roots = section.path("roots", "the path of a PEM file");
    if let (Files::Needed, Some(roots)) = (files, &roots) {
        check_pem(&section, "roots", roots, Wanted::Certificate);
    }
    for (key, host) in [("base_url", "github.com"), ("api_url", "api.github.com")] {
        section.falls_back(key, unwritten(fixed(format!("https://{host}"))));
    }
    match (&base_url, &api_url) {
        (Some(found), None) | (None, Some(found)) => {
            let missing = if api_url.is_none() { "api_url" } else { "base_url" };
            section.note(
                found.origin.clone(),
                missing,
                "base_url and api_url belong together",
                format!("write {missing} as well, or neither for github.com"),
            );
        }
        _ => {}
    }
    if let Some(url) = public_url.as_ref().filter(|url| !url.value.path.is_empty()) {
        let message = "expected a URL without a path: the callback has its own";
        let help = format!("write \"https://{}\"", url.value.authority);
        section.note(url.origin.clone(), "public_url", message, help);
    }
    let organizations = section
        .texts("organizations", "the name of an organisation")
        .into_iter()
        .filter_map(|found| {
            if !is_name(&found.value) {
                let message =
                    format!("expected the name of an organisation, found {:?}", found.value);
                let help = "write its name as in the address of its page, like \"rust-lang\"";
                section.note(found.origin.clone(), "organizations", message, help);
            }
            is_name(&found.value).then_some(found.value)
        })
        .collect::<Vec<_>>();
    let teams = section
        .texts("teams", "a team like \"organisation/team\"")
        .into_iter()
        .filter_map(|found| {
            let parts = found.value.split_once('/');
            let team = parts.filter(|(organization, slug)| is_name(organization) && is_name(slug));
            if team.is_none() {
                let message =
                    format!("expected a team like \"organisation/team\", found {:?}", found.value);
                let help = "write both as in the address of its page, like \"rust-lang/infra\"";
                section.note(found.origin.clone(), "teams", message, help);
            }
            team.map(|(organization, slug)| Team {
                organization: organization.to_owned(),
                slug: slug.to_owned(),
            })
        })
        .collect::<Vec<_>>();
    for key in ["organizations", "teams"] {
        section.falls_back(key, no_items());
    }
    if organizations.len() + teams.len() > MAX_MEMBERSHIPS {
        let message = format!("at most {MAX_MEMBERSHIPS} organisations and teams together");
        let help = "name organisations rather than each of their teams";
        section.note(section.origin(), "teams", message, help);
    }
    let second = Duration::from_secs(1);
    let timeout =
        section.duration("timeout", second * 10, Duration::from_millis(10)..=second * 120);
    let credentials = pair(reader, &section, client_id, client_secret, files);
    section.finish();
    let (client_id, client_secret) = credentials?;
    let url = |found: Option<Located<ServiceUrl>>, host| {
        let default =
            || ServiceUrl { authority: Authority::from_static(host), path: String::new() };
        found.map_or_else(default, |found| found.value)
    };
    Some(GitHub {
        client_id,
        client_secret,
        base_url: url(base_url, "github.com"),
        api_url: url(api_url, "api.github.com"),
        public_url: public_url.map(|found| found.value),
        roots: roots.map(|found| found.value),
        organizations,
        teams,
        timeout,
    })
}

/// What GitHub knows us by; one without the other is a mistake.
fn pair(
    reader: &Reader,
    section: &Section<'_>,
    client_id: Option<Located<String>>,
    client_secret: Option<Located<Secret>>,
    files: Files,
) -> Option<(String, Secret)> {
    match (client_id, client_secret) {
        (Some(id), Some(secret)) => {
            let texts = [
                (&id.origin, "client_id", id.value.as_str()),
                (&secret.origin, "client_secret_file", secret.value.expose()),
            ];
            for (origin, key, text) in texts {
                if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
                    let message = "expected visible ASCII without spaces";
                    let help = "copy it from the settings of the OAuth app";
                    section.note(origin.clone(), key, message, help);
                }
            }
            Some((id.value, secret.value))
        }
        (Some(id), None) => {
            // Commands beside a gateway have none of its environment.
            if files == Files::Needed && !section.is_written("client_secret_file") {
                let help = "set GITHUB_CLIENT_SECRET or client_secret_file";
                section.note(id.origin, "client_id", "there is no client secret for it", help);
            }
            None
        }
        (None, _) if section.is_present() => {
            if !section.is_written("client_id") {
                let help = "write client_id = \"…\" of the OAuth app";
                section.note(section.origin(), "client_id", "missing", help);
            }
            None
        }
        (None, Some(secret)) => {
            let message = "has no effect: github.client_id is missing";
            let help = "unset it, or write client_id in [github]";
            reader.note(secret.origin, "", message, help);
            None
        }
        (None, None) => None,
    }
}

pub(super) fn read_url(section: &Section<'_>, name: &'static str) -> Option<Located<ServiceUrl>> {
    let found = section.text(name, "a URL like \"https://github.example.com\"")?;
    match parse_url(&found.value) {
        Ok(value) => Some(Located { value, origin: found.origin }),
        Err(message) => {
            let help = "write a URL like \"https://github.example.com\"";
            section.note(found.origin, name, message, help);
            None
        }
    }
}

fn parse_url(text: &str) -> Result<ServiceUrl, &'static str> {
    let expected = "expected a URL like \"https://github.example.com\"";
    if !text.is_ascii() {
        return Err(expected);
    }
    let parts = text.parse::<Uri>().map_err(|_| expected)?.into_parts();
    if parts.scheme.is_none_or(|scheme| scheme != http::uri::Scheme::HTTPS) {
        return Err("expected a URL that begins with https://");
    }
    let authority = parts.authority.ok_or(expected)?;
    if authority.as_str().contains('@') {
        return Err("expected a URL without user name and password");
    }
    check_authority(&authority)?;
    let path = parts.path_and_query.ok_or(expected)?;
    if path.query().is_some() {
        return Err("expected a URL without a query");
    }
    Ok(ServiceUrl { authority, path: path.path().trim_end_matches('/').to_owned() })
}

/// What may stand in a path of GitHub's API as it is.
fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
