//! `[console]` and a route's `sign_in`: the pages by which people sign in and look after what is
//! theirs, and the sessions of their browsers.

use std::path::PathBuf;

use crate::contract::Contract;

use super::bounds::{DAY, SECOND};
use super::dialects::read_prefix;
use super::document::Section;
use super::schemes::{CallerScheme, Schemes};
use super::{Access, AdminApi, Challenged, Console, Dialects, Links, ServerCreation, SignIn};

const DEFAULT_PREFIX: &str = Contract::Console.entry().prefix;
/// A file that every page holds, or that is read into memory.
pub const MAX_FILE_BYTES: u64 = 256 << 10;

pub(super) fn read_console(section: &Section<'_>) -> Console {
    let enabled = section.boolean("enabled", true);
    let prefix = read_prefix(section, DEFAULT_PREFIX);
    let session_absolute = section.duration("session_absolute", DAY * 7, SECOND..=DAY * 365);
    let session_idle =
        section.duration("session_idle", DAY.min(session_absolute), SECOND..=DAY * 365);
    let access_ttl = section.duration("access_ttl", (SECOND * 900).min(session_idle), SECOND..=DAY);
    for (key, length, longest, other) in [
        ("session_idle", session_idle, session_absolute, "session_absolute"),
        ("access_ttl", access_ttl, session_idle, "session_idle"),
    ] {
        if length > longest {
            let help = format!("set it no longer than {other}, or that longer");
            let message = format!("longer than console.{other}");
            section.note(section.given_at(key), key, message, help);
        }
    }
    let creation = [("admins", ServerCreation::Admins), ("everybody", ServerCreation::Everybody)];
    let server_creation = section.choice("server_creation", &creation, ServerCreation::Admins);
    Console {
        enabled,
        prefix,
        session_idle,
        session_absolute,
        access_ttl,
        server_creation,
        texts: read_file(section, "texts", &["toml"]),
        logo: read_file(section, "logo", &["svg", "png"]),
        style: read_file(section, "style", &["css"]),
    }
}

/// Notes what the other tables leave no room for.
pub(super) fn check_console_prefix(
    section: Section<'_>,
    console: &Console,
    (dialects, admin, links): (&Dialects, &AdminApi, Option<&Links>),
) {
    let taken = dialects.all().any(|other| other.enabled && other.prefix == console.prefix)
        || admin.enabled && admin.prefix == console.prefix
        || links.is_some_and(|links| links.prefix == console.prefix);
    if console.enabled && taken {
        let help = format!("choose another, such as \"{DEFAULT_PREFIX}\"");
        let message = "another API of the gateway uses this path";
        section.note(section.given_at("prefix"), "prefix", message, help);
    }
    section.finish();
}

/// A file whose kind is told by the end of its name.
fn read_file(section: &Section<'_>, key: &'static str, kinds: &[&str]) -> Option<PathBuf> {
    let listed = kinds.join(" or .");
    let found = section.path(key, &format!("the path of a .{listed} file"))?;
    let kind = found.value.extension().and_then(|kind| kind.to_str());
    if !section.is_noted(&found.origin) && !kind.is_some_and(|kind| kinds.contains(&kind)) {
        let message = format!("expected the path of a .{listed} file");
        let help = format!("name a file that ends with .{listed}");
        section.note(found.origin.clone(), key, message, help);
    }
    Some(found.value)
}

/// What a browser's navigation without a good credential gets on a route.
pub(super) fn read_sign_in(
    section: &Section<'_>,
    access: &Access,
    schemes: Schemes,
    challenged: Challenged,
    console: bool,
) -> SignIn {
    let words = [("page", SignIn::Page), ("basic", SignIn::Basic), ("none", SignIn::None)];
    let takes_page = schemes.has(CallerScheme::Cookie);
    let takes_basic = schemes.has(CallerScheme::Basic) && challenged != Challenged::WithoutBasic;
    let unwritten = match challenged {
        // Somebody has said what is asked for.
        Challenged::WithBasic if takes_basic => SignIn::Basic,
        _ if console && takes_page => SignIn::Page,
        _ if takes_basic => SignIn::Basic,
        _ => SignIn::None,
    };
    let sign_in = section.choice("sign_in", &words, unwritten);
    let origin = section.given_at("sign_in");
    let (message, help) = match (access, sign_in) {
        _ if !section.is_given("sign_in") => return sign_in,
        (Access::Public, _) => (
            "has no effect on a public route: no sign-in is required",
            "leave out sign_in, or public",
        ),
        (_, SignIn::Page) if !console => (
            "the sign-in page is part of the console, which is disabled",
            "leave it out, or leave out console.enabled",
        ),
        (_, SignIn::Page) if !takes_page => (
            "the sign-in page sets a cookie, which `schemes` does not accept",
            "add \"cookie\" to schemes, or write sign_in = \"basic\"",
        ),
        (_, SignIn::Basic) if !takes_basic => (
            "requires Basic, which `schemes` does not accept or `challenge` does not offer",
            "add \"basic\" to both, or write sign_in = \"none\"",
        ),
        _ => return sign_in,
    };
    section.note(origin, "sign_in", message, help);
    sign_in
}
