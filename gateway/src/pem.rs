//! PEM files that an operator names: read as people keep them (CRLF, a byte-order mark,
//! indented, with text before), and with a sentence and a remedy for each file that is
//! something else.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::files::{in_shell, read_at_most};

/// What a file is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Certificate,
    PrivateKey,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wanted::Certificate => "certificate",
            Wanted::PrivateKey => "private key",
        })
    }
}

/// What is wrong with a file.
#[derive(Debug)]
pub enum Fault {
    Unreadable(io::Error),
    Empty,
    Utf16,
    /// Binary: `openssl` calls this form DER.
    Der,
    /// A certificate and its key together, binary.
    Pkcs12,
    Pkcs7,
    NoPem,
    Encrypted,
    /// Something else is in it, under this label.
    Other(String),
    /// The part under this label does not end, or is not Base64.
    Broken(&'static str),
}

/// Why a file does not hold what is wanted. Displays as one sentence, with its remedy.
#[derive(Debug)]
pub struct PemError {
    pub path: PathBuf,
    pub wanted: Wanted,
    pub fault: Fault,
}

impl std::error::Error for PemError {}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        self.remedy().map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

impl PemError {
    /// What is wrong, beginning with the file's name.
    #[must_use]
    pub fn message(&self) -> String {
        let (path, wanted) = (self.path.display(), self.wanted);
        match &self.fault {
            Fault::Unreadable(error) => format!("{path} cannot be read: {}", why_unreadable(error)),
            Fault::Empty => format!("{path} holds no {wanted}: it is empty"),
            Fault::Utf16 => format!("{path} holds no {wanted} that can be read: it is UTF-16 text"),
            Fault::Der => format!("{path} holds no {wanted} in PEM: it is DER"),
            Fault::Pkcs12 => format!("{path} holds no {wanted} in PEM: it is PKCS #12"),
            Fault::Pkcs7 => format!("{path} holds no {wanted} in PEM: it is PKCS #7"),
            Fault::NoPem => {
                let label = label_of(wanted);
                format!("{path} holds no {wanted}: it has no line -----BEGIN {label}-----")
            }
            Fault::Encrypted => format!("{path} holds a private key that is encrypted"),
            Fault::Other(label) => {
                let found = words_for(label);
                format!("{path} holds no {wanted}: it holds {found}, and a {wanted} was expected")
            }
            Fault::Broken(how) => format!("{path} holds a {wanted} that is damaged: {how}"),
        }
    }

    /// What to do about it, if there is something.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let path = in_shell(&self.path);
        let remedy = match (&self.fault, self.wanted) {
            (Fault::Der, Wanted::Certificate) => {
                format!("convert it: openssl x509 -inform der -in {path} -out certificate.pem")
            }
            (Fault::Der, Wanted::PrivateKey) => {
                format!("convert it: openssl pkey -inform der -in {path} -out key.pem")
            }
            (Fault::Pkcs12, Wanted::Certificate) => {
                format!("take it out: openssl pkcs12 -nokeys -in {path} -out certificate.pem")
            }
            (Fault::Pkcs12, Wanted::PrivateKey) => {
                format!("take it out: openssl pkcs12 -nocerts -noenc -in {path} -out key.pem")
            }
            (Fault::Pkcs7, Wanted::Certificate) => {
                format!(
                    "take the certificates out: openssl pkcs7 -inform der -print_certs -in {path} \
                     -out certificate.pem"
                )
            }
            (Fault::Encrypted, _) => {
                format!("decrypt it: openssl pkey -in {path} -out decrypted.pem")
            }
            (Fault::Utf16, _) => {
                format!("save it as UTF-8: iconv -f UTF-16 -t UTF-8 {path} > utf8.pem")
            }
            (Fault::Other(label), Wanted::PrivateKey) if label == "OPENSSH PRIVATE KEY" => {
                format!(
                    "make one for TLS: openssl genpkey -algorithm ed25519 -out key.pem; of RSA or \
                     ECDSA a copy can be converted: cp {path} key.pem && ssh-keygen -p -N '' -m \
                     PEM -f key.pem"
                )
            }
            (Fault::Other(label), Wanted::Certificate) if label == "TRUSTED CERTIFICATE" => {
                format!("convert it: openssl x509 -in {path} -out certificate.pem")
            }
            (Fault::Other(label), Wanted::Certificate) if label.ends_with("REQUEST") => {
                "name the certificate that the authority has made of the request".to_owned()
            }
            (Fault::Other(_), Wanted::Certificate) => {
                "name the file of the certificate; the key has a file of its own".to_owned()
            }
            (Fault::Other(_) | Fault::Pkcs7, Wanted::PrivateKey) => {
                "name the file of the private key; the certificate has a file of its own".to_owned()
            }
            (Fault::Broken(_), _) => "copy it again from where it was made".to_owned(),
            (Fault::Unreadable(_) | Fault::Empty | Fault::NoPem, _) => return None,
        };
        Some(remedy)
    }
}

/// An error of reading a file, without its number.
#[must_use]
pub fn why_unreadable(error: &io::Error) -> Cow<'static, str> {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::PermissionDenied => "this user may not read it".into(),
        io::ErrorKind::IsADirectory => "it is a directory".into(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        io::ErrorKind::FileTooLarge => "it is larger than any such file".into(),
        _ => error.to_string().into(),
    }
}

/// All certificates of a file, at least one.
///
/// # Errors
/// When it cannot be read, holds none, or one that is damaged.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    certificates_in(path, &read(path, Wanted::Certificate)?)
}

/// The first private key of a file.
///
/// # Errors
/// When it cannot be read, holds none, or one that is damaged or encrypted.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    private_key_in(path, &read(path, Wanted::PrivateKey)?)
}

/// As [`certificates`], of a file that was read.
pub fn certificates_in(
    path: &Path,
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let fail = |fault| PemError { path: path.to_owned(), wanted: Wanted::Certificate, fault };
    let text = text_of(bytes).map_err(fail)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err(fail(what_else(&text))),
        Ok(found) => Ok(found),
        Err(error) => Err(fail(Fault::Broken(how_broken(&error)))),
    }
}

/// As [`private_key`], of a file that was read.
pub fn private_key_in(path: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    use rustls::pki_types::pem::Error;
    let fail = |fault| PemError { path: path.to_owned(), wanted: Wanted::PrivateKey, fault };
    let text = text_of(bytes).map_err(fail)?;
    if is_encrypted(&text) {
        return Err(fail(Fault::Encrypted));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        Error::NoItemsFound => fail(what_else(&text)),
        error => fail(Fault::Broken(how_broken(&error))),
    })
}

/// Of a file with every authority that there is.
const MAX_BYTES: u64 = 16 << 20;

/// The bytes of a file that is to hold what is wanted.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path, wanted: Wanted) -> Result<Vec<u8>, PemError> {
    let path = path.to_owned();
    let read = File::open(&path).and_then(|file| read_at_most(file, MAX_BYTES));
    read.map_err(|error| PemError { path, wanted, fault: Fault::Unreadable(error) })
}

const BEGIN: &str = "-----BEGIN ";
/// Of a SEQUENCE, as which DER begins.
const SEQUENCE: u8 = 0x30;
/// How a PFX goes on: its version is 3 (RFC 7292 4).
const PFX: [u8; 3] = [0x02, 0x01, 0x03];
/// How signed data of PKCS #7 go on: with their object identifier (RFC 2315 7, 14).
const SIGNED_DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// The lines, as a reader of PEM wants them.
fn text_of(bytes: &[u8]) -> Result<String, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err(Fault::Empty);
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Fault::Utf16);
    }
    // What stands before a part may be in any encoding.
    let text = String::from_utf8_lossy(bytes);
    if text.contains(BEGIN) {
        return Ok(text.lines().flat_map(|line| [line.trim(), "\n"]).collect());
    }
    // Behind the length, which has octets of its own if it is long.
    let long = bytes.get(1).filter(|length| **length > 0x80).map_or(0, |length| length & 0x7f);
    let content = bytes.get(2 + usize::from(long)..).unwrap_or_default();
    match bytes.first() {
        Some(&SEQUENCE) if content.starts_with(&PFX) => Err(Fault::Pkcs12),
        Some(&SEQUENCE) if content.starts_with(&SIGNED_DATA) => Err(Fault::Pkcs7),
        Some(&SEQUENCE) => Err(Fault::Der),
        _ => Err(Fault::NoPem),
    }
}

/// PKCS #8, or as OpenSSL kept keys before (RFC 1421 4.6.1.1).
fn is_encrypted(text: &str) -> bool {
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.lines().any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"))
}

fn labels(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix(BEGIN)?.strip_suffix("-----"))
}

/// A file without what is wanted holds something else, or a line that begins nothing.
fn what_else(text: &str) -> Fault {
    let parameters = |label: &&str| !label.ends_with("PARAMETERS");
    match labels(text).find(parameters) {
        Some(label) => Fault::Other(label.to_owned()),
        None => Fault::Broken("its -----BEGIN …----- line is not whole"),
    }
}

fn words_for(label: &str) -> String {
    match label {
        "CERTIFICATE" => "a certificate".to_owned(),
        "TRUSTED CERTIFICATE" => "a certificate in a form of OpenSSL alone".to_owned(),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            "a request for a certificate".to_owned()
        }
        "PUBLIC KEY" => "a public key".to_owned(),
        "OPENSSH PRIVATE KEY" => "a private key in a form of OpenSSH alone".to_owned(),
        "ENCRYPTED PRIVATE KEY" => "an encrypted private key".to_owned(),
        label if label.ends_with("PRIVATE KEY") => "a private key".to_owned(),
        // A label is the file's; only one in the usual letters is repeated.
        label
            if label.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ') =>
        {
            format!("a {label}")
        }
        _ => "something else".to_owned(),
    }
}

fn label_of(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Certificate => "CERTIFICATE",
        Wanted::PrivateKey => "PRIVATE KEY",
    }
}

fn how_broken(error: &rustls::pki_types::pem::Error) -> &'static str {
    use rustls::pki_types::pem::Error;
    match error {
        Error::MissingSectionEnd { .. } => "its -----END …----- line is missing",
        Error::IllegalSectionStart { .. } => "its -----BEGIN …----- line is not whole",
        Error::Base64Decode(_) => "what stands between -----BEGIN and -----END is not Base64",
        _ => "it is cut short, or something else stands in it",
    }
}

#[cfg(test)]
mod tests;
