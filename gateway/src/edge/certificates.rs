//! Certificates: load and check the configured pair, or make one for a first run.

mod self_signed;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{self, SelfSigned};
use crate::files::{self, Directory, Find};
use crate::pem::{self, PemError, Wanted};

/// Where the pair came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Configured,
    /// Made by us before; nobody else vouches for it.
    SelfSigned,
    JustMade,
}

/// A pair ready to serve.
pub struct Loaded {
    pub server: Arc<ServerConfig>,
    pub source: Source,
    /// SHA-256 of the certificate, as browsers and `openssl` show it.
    pub fingerprint: String,
    pub path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("tls: {0}")]
    Read(#[from] PemError),
    #[error("tls: certificate {} and key {}: {}", certificate.display(), key.display(), why_unfit(source))]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("tls: {0}")]
    Provider(rustls::Error),
    #[error("tls: the self-signed certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
    /// Where a self-signed pair is made.
    #[error(
        "tls: {0}; a pair of your own is used wherever it lies when tls.certificate and tls.key \
         name its files, be it these"
    )]
    File(#[from] files::Fault),
    /// A file that a self-signed pair is made in.
    #[error(
        "tls: {} holds no {wanted} that can be read ({bytes} bytes): restore it, or remove it and \
         the next start makes a new one", path.display()
    )]
    Damaged { path: PathBuf, wanted: &'static str, bytes: usize },
    #[error(
        "tls: {} has no key beside it: put that into {}, or remove the certificate and the next \
         start makes a pair", certificate.display(), key.display()
    )]
    KeyMissing { certificate: PathBuf, key: PathBuf },
}

impl CertificateError {
    /// Whether there is no such file, or none that can be read yet.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        match self {
            CertificateError::Read(error) => matches!(error.fault, pem::Fault::Unreadable(_)),
            CertificateError::File(fault) => matches!(fault, files::Fault::Io { .. }),
            _ => false,
        }
    }
}

/// Why two files that read do not serve.
fn why_unfit(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            "the key is not the certificate's: name the key that the certificate was made for, and \
             the chain's own certificate first"
        }
        rustls::Error::InvalidCertificate(_) => {
            "the certificate is damaged, or not of X.509 version 3: copy it again from its source, or issue one, such as with openssl req -x509 -key KEY -subj /CN=NAME -addext subjectAltName=DNS:NAME"
        }
        _ => {
            "the key is of a kind that TLS does not take, too short, or damaged: make an RSA key of 2048 bits or more, or an ECDSA or Ed25519 key"
        }
    }
}

/// Loads the pair, making first what is missing of it where that is wanted.
///
/// # Errors
/// When a file is missing, unreadable or the two do not belong together.
pub fn load(tls: &config::Tls) -> Result<Loaded, CertificateError> {
    let (pair, source) = match tls.self_signed {
        SelfSigned::Never => (Pair::read(tls)?, Source::Configured),
        SelfSigned::WhenMissing => self_signed::load(tls)?,
    };
    pair.load(tls, source)
}

/// Looks whether [`load`] would do, and makes nothing.
///
/// # Errors
/// As [`load`].
pub fn check(tls: &config::Tls, find: Find) -> Result<(), CertificateError> {
    let pair = match tls.self_signed {
        SelfSigned::Never => Some(Pair::read(tls)?),
        SelfSigned::WhenMissing => self_signed::check(tls, find)?,
    };
    pair.map_or(Ok(()), |pair| pair.load(tls, Source::Configured).map(drop))
}

/// The bytes of the two files.
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    fn read(tls: &config::Tls) -> Result<Self, CertificateError> {
        Ok(Self {
            certificate: pem::read(&tls.certificate, Wanted::Certificate)?,
            key: pem::read(&tls.key, Wanted::PrivateKey)?,
        })
    }

    fn load(&self, tls: &config::Tls, source: Source) -> Result<Loaded, CertificateError> {
        let (certificate, key) = (&tls.certificate, &tls.key);
        let chain = pem::certificates_in(certificate, &self.certificate)?;
        let fingerprint = chain.first().map(fingerprint).unwrap_or_default();
        let private = pem::private_key_in(key, &self.key)?;
        let server = server_config(chain, private).map_err(|source| CertificateError::Pair {
            certificate: certificate.clone(),
            key: key.clone(),
            source,
        })?;
        Ok(Loaded { server: Arc::new(server), source, fingerprint, path: certificate.clone() })
    }
}

/// TLS 1.2 and 1.3 with the provider's modern suites; h2 before http/1.1; session
/// tickets under keys of this process; no early data (RFC 8446 8: it can be replayed).
fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    server.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    server.max_early_data_size = 0;
    Ok(server)
}

/// For listeners without TLS only: no handshake succeeds with it.
///
/// # Errors
/// When the provider cannot be used.
pub fn no_certificate() -> Result<Arc<ServerConfig>, CertificateError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let none = Arc::new(rustls::server::ResolvesServerCertUsingSni::new());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| Arc::new(builder.with_no_client_auth().with_cert_resolver(none)))
        .map_err(CertificateError::Provider)
}

/// Whether a certificate is one that we have made, and so its key is a file of ours. What
/// somebody else has put there is not read: it may be a pipe that nobody writes.
#[must_use]
pub fn is_own(certificate: &Path) -> bool {
    let (directory, name) = files::split(certificate);
    let directory = Directory::look(directory, "tls.certificate").ok().flatten();
    let read = directory.and_then(|directory| directory.read(&name).ok().flatten());
    read.is_some_and(|pem| self_signed::is_own(&pem))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
