//! `[auth]`: passwords, tokens and registration; and secrets, which come from a variable or
//! from a file.

use std::fs::File;
use std::time::Duration;

use crate::auth::register::Registering;
use crate::auth::secret::Secret;
use crate::crypto::jwt::MIN_SECRET_BYTES;
use crate::files::read_at_most;
use crate::pem;

use super::bounds::{DAY, SECOND, narrow, small};
use super::decode::{bare, decode};
use super::document::Section;
use super::problem::Origin;
use super::reader::{Located, NamedFile, Reader};
use super::record::computed;
use super::{Auth, warning};

const SECRET_KEY: &str = "SECRET_KEY";
/// OWASP's least work factor of bcrypt.
const SLOW_ENOUGH: u32 = 10;

pub(super) fn read_auth(reader: &Reader, section: Section<'_>) -> Auth {
    let text = |name, default: &str| section.text_or(name, "a short text", default);
    let secret_file = section.named_file("secret_key_file");
    let previous_file = section.named_file("previous_secret_key_file");
    let secret_key = read_secret(reader, SECRET_KEY, secret_file);
    let previous = read_secret(reader, "SECRET_KEY_PREVIOUS", previous_file);
    for (key, help) in [
        (&secret_key, "make one with: portcullis secret generate"),
        (&previous, "give the secret that was in use before, whole"),
    ] {
        let Some(key) = key else { continue };
        let length = key.value.expose().len();
        if length < MIN_SECRET_BYTES {
            let message = format!(
                "the secret has {length} bytes; HS256 needs at least {MIN_SECRET_BYTES} (RFC 7518 3.2)"
            );
            reader.note(key.origin.clone(), "", message, help);
        }
    }
    let admin_password = read_secret(reader, "ADMIN_PASSWORD", None);
    if let Some(password) = &admin_password
        && let Err(reason) = crate::auth::password::check_acceptable(password.value.expose())
    {
        let help = "choose another password, or unset it: a random one is made";
        reader.note(password.origin.clone(), "", reason.rule(), help);
    }
    let realm = text("realm", "portcullis");
    if !realm.bytes().all(|b| (b.is_ascii_graphic() || b == b' ') && b != b'"' && b != b'\\') {
        let message = "expected visible ASCII without quotes and backslashes";
        let help = "write a name like \"portcullis\"";
        section.note(section.given_at("realm"), "realm", message, help);
    }
    let bcrypt_cost = read_bcrypt_cost(&section);
    let auth = Auth {
        secret_key: secret_key.map(|found| found.value),
        previous_secret_key: previous.map(|found| found.value),
        admin_password: admin_password.map(|found| found.value),
        issuer: text("issuer", "portcullis"),
        audience: text("audience", "portcullis"),
        realm,
        refresh_ttl: section.duration("refresh_ttl", DAY * 7, SECOND..=DAY * 3_650),
        refresh_grace: section.duration(
            "refresh_grace",
            SECOND * 60,
            Duration::ZERO..=SECOND * 3_600,
        ),
        ticket_ttl: section.duration("ticket_ttl", SECOND * 120, SECOND..=SECOND * 3_600),
        registration: section.choice(
            "registration",
            &[("open", Registering::Open), ("closed", Registering::Closed)],
            Registering::Closed,
        ),
        local_accounts: section.boolean("local_accounts", true),
        bcrypt_cost,
        hash_threads: read_hash_threads(&section),
        hash_queue: small(section.integer("hash_queue", 128, 1..=65_536)),
    };
    section.finish();
    auth
}

/// Half the processors, if nothing is written.
fn read_hash_threads(section: &Section<'_>) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let default = (processors / 2).max(1) as u64;
    let threads = section.integer("hash_threads", default, 1..=256);
    section.falls_back("hash_threads", computed(default));
    small(threads)
}

/// Whoever wrote the file opened registration for its routes, not for what `--to` names.
pub(super) fn close_registration(section: &Section<'_>, auth: &mut Auth) {
    let origin = section.given_at("registration");
    if auth.registration == Registering::Open && matches!(origin, Origin::File(_)) {
        let message = "ignored with --to: registration is closed";
        section.warn(warning::REGISTRATION_CLOSED_BY_TO, origin, "registration", message);
        auth.registration = Registering::Closed;
        section.is_found("registration", "closed", Origin::CommandLine("--to"));
    }
}

fn read_bcrypt_cost(section: &Section<'_>) -> u32 {
    let cost = narrow(section.integer("bcrypt_cost", 12, 4..=16));
    if cost < SLOW_ENOUGH {
        let origin = section.given_at("bcrypt_cost");
        let message = format!("{cost} makes passwords quick to guess");
        section.warn(warning::BCRYPT_COST_LOW, origin, "bcrypt_cost", message);
    }
    cost
}

/// A secret from `NAME`, from the file that `NAME_FILE` names, or from the file
/// that the configuration names. Two of them are a mistake, not a choice.
pub(super) fn read_secret(
    reader: &Reader,
    name: &str,
    configured: Option<NamedFile>,
) -> Option<Located<Secret>> {
    let direct = reader.variable(name).filter(|found| {
        let is_empty = bare(&found.value).is_empty();
        if is_empty {
            // Meant to be set, and going on with another secret would hide that it is not.
            let help = format!("give {name} a value, or unset it");
            reader.note(found.origin.clone(), "", "is set, but empty", help);
        }
        !is_empty
    });
    let variable = format!("{name}_FILE");
    let file = match (reader.variable(&variable), configured) {
        (Some(found), _) => Some(NamedFile { path: reader.locate("", found), key: variable }),
        (None, configured) => configured,
    };
    match (direct, file) {
        (Some(_), Some(file)) => {
            let message = format!("{name} is set as well; only one can be meant");
            let help = format!("unset {name}, or name no file");
            reader.note(file.path.origin, "", message, help);
            None
        }
        (Some(direct), None) => {
            let value = bare(&direct.value);
            if name == SECRET_KEY && value != direct.value {
                let message = "its line end or byte-order mark is not part of the secret";
                reader.warn(warning::SECRET_KEY_LINE_END, direct.origin.clone(), "", message);
            }
            let value = Secret::new(value.to_owned());
            reader.settings().note_secret(name, value.clone(), direct.origin.clone());
            Some(Located { value, origin: direct.origin })
        }
        (None, Some(file)) => read_secret_file(reader, name, file),
        (None, None) => None,
    }
}

const MAX_SECRET_BYTES: u64 = 1 << 20;

fn read_secret_file(
    reader: &Reader,
    name: &str,
    NamedFile { key, path: file }: NamedFile,
) -> Option<Located<Secret>> {
    // A path that is none leads to no file.
    if reader.is_noted(&file.origin) {
        return None;
    }
    let path = file.value.display();
    let read = File::open(&file.value).and_then(|file| read_at_most(file, MAX_SECRET_BYTES));
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) => {
            let message =
                format!("the secret file {path} cannot be read: {}", pem::why_unreadable(&error));
            let help = reader
                .missing_file_help(&file)
                .unwrap_or_else(|| "name a file that this user can read".to_owned());
            reader.note(file.origin, "", message, help);
            return None;
        }
    };
    match decode(bytes) {
        Ok(text) => {
            let secret: Located<Secret> =
                Located { value: bare(&text).into(), origin: file.origin.clone() };
            reader.settings().note_secret(name, secret.value.clone(), file.origin.clone());
            reader.note_secret_file(NamedFile { key, path: file });
            Some(secret)
        }
        Err(fault) => {
            let message = format!("the secret file {path} cannot be read: {}", fault.message());
            let help = fault.remedy(&path.to_string());
            reader.note(file.origin, "", message, help);
            None
        }
    }
}
