//! Certificates: load and check the configured pair, or make one for a first run.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{self, SelfSigned};

/// By which we know it again.
const SELF_SIGNED_NAME: &str = "Portcullis self-signed certificate";

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
    #[error("tls: {}: {source}", path.display())]
    Read { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("tls: {} holds no certificate", path.display())]
    Empty { path: PathBuf },
    #[error("tls: certificate {} and key {}: {source}", certificate.display(), key.display())]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("tls: {0}")]
    Provider(rustls::Error),
    #[error("tls: the self-signed certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("tls: {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Loads the pair, making it first where that is wanted and nothing is there.
///
/// # Errors
/// When a file is missing, unreadable or the two do not belong together.
pub fn load(tls: &config::Tls) -> Result<Loaded, CertificateError> {
    let source = match tls.self_signed {
        SelfSigned::Never => Source::Configured,
        SelfSigned::WhenMissing if tls.certificate.exists() || tls.key.exists() => {
            Source::SelfSigned
        }
        SelfSigned::WhenMissing => {
            make_self_signed(&tls.certificate, &tls.key)?;
            Source::JustMade
        }
    };
    let read = |path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::Read { path, source }
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&tls.certificate)
        .map_err(read(&tls.certificate))?
        .collect::<Result<_, _>>()
        .map_err(read(&tls.certificate))?;
    let first =
        chain.first().ok_or_else(|| CertificateError::Empty { path: tls.certificate.clone() })?;
    let fingerprint = fingerprint(first);
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(read(&tls.key))?;
    let server = server_config(chain, key).map_err(|source| CertificateError::Pair {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        source,
    })?;
    Ok(Loaded { server: Arc::new(server), source, fingerprint, path: tls.certificate.clone() })
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
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
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

/// Whether a certificate is one that we have made, and so its key is a file of ours.
#[must_use]
pub fn is_own(certificate: &Path) -> bool {
    let name = SELF_SIGNED_NAME.as_bytes();
    CertificateDer::from_pem_file(certificate)
        .is_ok_and(|der| der.windows(name.len()).any(|part| part == name))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// An ECDSA P-256 certificate for this machine, for trying things out.
fn make_self_signed(certificate: &Path, key: &Path) -> Result<(), CertificateError> {
    let mut names: Vec<String> =
        ["localhost", "127.0.0.1", "::1"].into_iter().map(str::to_owned).collect();
    let host = hostname::get().ok().and_then(|name| name.into_string().ok());
    names.extend(host.filter(|name| !name.is_empty() && name.is_ascii() && name != "localhost"));
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut parameters = rcgen::CertificateParams::new(names)?;
    parameters.distinguished_name.push(rcgen::DnType::CommonName, SELF_SIGNED_NAME);
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
    let made = parameters.self_signed(&pair)?;
    write(key, pair.serialize_pem().as_bytes(), 0o600)?;
    write(certificate, made.pem().as_bytes(), 0o644)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CertificateError> {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let create = || {
        if let Some(directory) = path.parent() {
            // Whatever the mask: who can write there can put a key of theirs in its place.
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    create().map_err(|source| CertificateError::Write { path: path.to_owned(), source })
}
