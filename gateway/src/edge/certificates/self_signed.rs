//! The pair that a first start makes. The key comes first, and each file is there whole or
//! not at all, so that of a start that was cut short the next one makes the rest.

use std::path::Path;

use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config;
use crate::files::{self, Directory, Find};

use super::{CertificateError, Pair, Source};

/// By which we know it again.
const NAME: &str = "Portcullis self-signed certificate";
/// By which the configuration names the directory that both lie in.
const KEY: &str = "tls.certificate and tls.key";

/// What is there of a pair.
enum Found {
    Nothing,
    /// A start was cut short between the two.
    Key(KeyPair),
    /// A certificate of ours whose key has gone: of no use to anybody.
    OwnCertificate,
    Pair(Pair),
}

/// The pair that is there, completed or made.
pub(super) fn load(tls: &config::Tls) -> Result<(Pair, Source), CertificateError> {
    let place = Place::of(tls);
    // Whatever the mask: who can write there can put a key of theirs in its place.
    let is_new = !place.directory.exists();
    let directory = Directory::make(place.directory, 0o755, KEY)?;
    if is_new {
        directory.keep_from_git();
    }
    if let Found::Pair(pair) = place.find(&directory)? {
        return Ok((pair, Source::SelfSigned));
    }
    // Of several first starts at once, one makes the pair.
    let _lock = directory.lock();
    let key = match place.find(&directory)? {
        Found::Pair(pair) => return Ok((pair, Source::SelfSigned)),
        Found::Key(key) => key,
        Found::Nothing => place.make_key(&directory)?,
        Found::OwnCertificate => {
            // Gone for good before there is a key that it does not belong to.
            directory.remove(&place.certificate)?;
            directory.sync()?;
            place.make_key(&directory)?
        }
    };
    let certificate = self_signed(&key)?.into_bytes();
    directory.write(&place.certificate, &certificate, 0o644)?;
    Ok((Pair { certificate, key: key.serialize_pem().into_bytes() }, Source::JustMade))
}

/// The pair that is there, if a start would not make or complete it.
pub(super) fn check(tls: &config::Tls, find: Find) -> Result<Option<Pair>, CertificateError> {
    let place = Place::of(tls);
    let Some(directory) = find(place.directory, KEY)? else { return Ok(None) };
    match place.find(&directory)? {
        Found::Pair(pair) => Ok(Some(pair)),
        Found::Nothing | Found::Key(_) | Found::OwnCertificate => Ok(None),
    }
}

/// Whether this is a certificate that we have made.
pub(super) fn is_own(certificate: &[u8]) -> bool {
    CertificateDer::from_pem_slice(certificate)
        .is_ok_and(|der| der.windows(NAME.len()).any(|part| part == NAME.as_bytes()))
}

/// Where the two files are made.
struct Place<'a> {
    tls: &'a config::Tls,
    directory: &'a Path,
    certificate: String,
    key: String,
}

impl<'a> Place<'a> {
    fn of(tls: &'a config::Tls) -> Self {
        let (directory, certificate) = files::split(&tls.certificate);
        Self { tls, directory, certificate, key: files::split(&tls.key).1 }
    }

    fn find(&self, directory: &Directory) -> Result<Found, CertificateError> {
        for name in [&self.key, &self.certificate] {
            directory.judge(&files::partial(name), files::Kind::File)?;
        }
        let (tls, damaged) = (self.tls, |path: &Path, wanted, bytes: &[u8]| {
            CertificateError::Damaged { path: path.to_owned(), wanted, bytes: bytes.len() }
        });
        let key = directory.read(&self.key)?;
        let certificate = directory.read(&self.certificate)?;
        if let Some(key) = &key {
            let read = PrivateKeyDer::from_pem_slice(key);
            read.map_err(|_| damaged(&tls.key, "private key", key))?;
        }
        if let Some(certificate) = &certificate {
            let read = CertificateDer::from_pem_slice(certificate);
            read.map_err(|_| damaged(&tls.certificate, "certificate", certificate))?;
        }
        Ok(match (key, certificate) {
            (None, None) => Found::Nothing,
            (Some(key), Some(certificate)) => Found::Pair(Pair { certificate, key }),
            (Some(key), None) => {
                let read = std::str::from_utf8(&key).ok().map(KeyPair::from_pem);
                let pair = read.and_then(Result::ok);
                Found::Key(pair.ok_or_else(|| damaged(&tls.key, "private key", &key))?)
            }
            (None, Some(certificate)) if is_own(&certificate) => Found::OwnCertificate,
            (None, Some(_)) => {
                let (certificate, key) = (tls.certificate.clone(), tls.key.clone());
                return Err(CertificateError::KeyMissing { certificate, key });
            }
        })
    }

    fn make_key(&self, directory: &Directory) -> Result<KeyPair, CertificateError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        directory.write(&self.key, key.serialize_pem().as_bytes(), 0o600)?;
        Ok(key)
    }
}

/// A certificate for this machine, for trying things out.
fn self_signed(key: &KeyPair) -> Result<String, CertificateError> {
    let mut names: Vec<String> =
        ["localhost", "127.0.0.1", "::1"].into_iter().map(str::to_owned).collect();
    let host = hostname::get().ok().and_then(|name| name.into_string().ok());
    names.extend(host.filter(|name| !name.is_empty() && name.is_ascii() && name != "localhost"));
    let mut parameters = rcgen::CertificateParams::new(names)?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, NAME);
    // Backdated a day for clocks that lag; a year and a bit is what clients accept.
    let today = jiff::Timestamp::now();
    let date = |days: i64| {
        let at = today + jiff::SignedDuration::from_hours(24 * days);
        let at = at.to_zoned(jiff::tz::TimeZone::UTC);
        rcgen::date_time_ymd(
            i32::from(at.year()),
            u8::try_from(at.month()).unwrap_or(1),
            u8::try_from(at.day()).unwrap_or(1),
        )
    };
    parameters.not_before = date(-1);
    parameters.not_after = date(390);
    Ok(parameters.self_signed(key)?.pem())
}
