//! Whom the gateway believes at the other end of a TLS connection that it opens itself:
//! to upstreams, a shared store, GitHub, and the gateway that `conform` tries.
//!
//! A certificate is good when a known authority has signed it, or when it stands, byte for
//! byte, in the file of `roots`. The second needs no chain and no right to sign: whoever
//! made it has said with the file that it is the one. Name and dates are checked of both.

mod certificate;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage,
    OtherError, RootCertStore, SignatureScheme,
};
use tokio_rustls::TlsConnector;

use crate::pem;

/// TLS towards another server, always verified.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
    requests: Arc<CertificateRequests>,
}

impl Connector {
    /// Verifies against the certificates in a file, or against the system's authorities.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no certificate.
    pub fn new(roots: Option<&Path>, protocols: &[&[u8]]) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let (given, authorities) = match roots {
            Some(path) => read_roots(path)?,
            None => (Vec::new(), system_authorities()),
        };
        let verifier = Verifier::new(given, authorities, &provider)?;
        let requests = Arc::new(CertificateRequests::default());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(&requests) as Arc<dyn ResolvesClientCert>);
        client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self { tls: TlsConnector::from(Arc::new(client)), requests })
    }

    /// The same trust, with other protocols to choose from. Sessions of one are not resumed
    /// by the other: a session belongs to the protocol it was made for (RFC 7301 3.1).
    #[must_use]
    pub fn with_protocols(&self, protocols: &[&[u8]]) -> Self {
        let mut client = ClientConfig::clone(self.tls.config());
        client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        client.resumption = Resumption::default();
        Self { tls: TlsConnector::from(Arc::new(client)), requests: Arc::clone(&self.requests) }
    }

    #[must_use]
    pub fn tls(&self) -> &TlsConnector {
        &self.tls
    }

    /// Whether the server has asked for a client certificate; the gateway has none.
    #[must_use]
    pub fn has_been_asked(&self) -> bool {
        self.requests.0.load(Ordering::Acquire)
    }

    /// What an error on a connection says about the server.
    #[must_use]
    pub fn judge(&self, error: &(dyn std::error::Error + 'static)) -> Fault {
        let Some(error) = find_tls(error) else { return Fault::Other };
        match error {
            rustls::Error::InvalidCertificate(_) => Fault::Untrusted,
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::CertificateRequired => Fault::WantsCertificate,
                // TLS 1.2 has no alert of its own for it (RFC 5246 7.4.6).
                AlertDescription::HandshakeFailure | AlertDescription::BadCertificate
                    if self.has_been_asked() =>
                {
                    Fault::WantsCertificate
                }
                AlertDescription::NoApplicationProtocol => Fault::NoProtocol,
                _ => Fault::Other,
            },
            rustls::Error::NoApplicationProtocol => Fault::NoProtocol,
            _ => Fault::Other,
        }
    }
}

/// Why a server cannot be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its certificate is not good.
    Untrusted,
    /// It talks to nobody without a client certificate.
    WantsCertificate,
    /// It speaks none of the protocols that were offered.
    NoProtocol,
    Other,
}

/// Where a configuration names whom to trust.
pub const ROOTS: &str = "`roots`";

/// The error of a connection in words, with what to do where that is known; `roots` says
/// where to name whom to trust.
#[must_use]
pub fn describe(error: &io::Error, roots: &str) -> String {
    use CertificateError as C;
    let Some(tls) = find_tls(error) else { return error.to_string() };
    match tls {
        rustls::Error::InvalidCertificate(fault) => match fault {
            C::Other(cause) if cause.0.is::<SelfSigned>() => {
                format!(
                    "the certificate is self-signed: if it is the server's own, put this certificate into {roots}"
                )
            }
            // The second is one that has the name of a known one, and another key.
            C::UnknownIssuer | C::BadSignature => {
                format!(
                    "the certificate is signed by an unknown authority: put the authority's certificate, or this one, into {roots}"
                )
            }
            C::Expired | C::ExpiredContext { .. } => {
                with_detail("the certificate has expired", fault)
            }
            C::NotValidYet | C::NotValidYetContext { .. } => {
                with_detail("the certificate is not valid yet", fault)
            }
            C::NotValidForName | C::NotValidForNameContext { .. } => {
                with_detail("the certificate is for another name", fault)
            }
            other => format!("the certificate is not acceptable: {other}"),
        },
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server demands a client certificate, and the gateway has none".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | rustls::Error::NoApplicationProtocol => {
            "the server supports none of the protocols offered (ALPN)".to_owned()
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not use TLS on this port".to_owned()
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}

/// Whether the other side has answered in clear.
#[must_use]
pub fn is_clear(error: &io::Error) -> bool {
    let tls = find_tls(error);
    matches!(tls, Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)))
}

/// Begins a handshake and looks whether TLS answers, with whatever certificate.
///
/// # Errors
/// When no connection can be opened, or nothing is answered.
pub async fn speaks_tls(host: &str, port: u16) -> io::Result<bool> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// Handshake and alert (RFC 8446 5.1), of which either is TLS.
    const RECORDS: [u8; 2] = [22, 21];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut client =
        rustls::ClientConnection::new(Arc::new(client), name).map_err(io::Error::other)?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello)?;
    let mut tcp = tokio::net::TcpStream::connect((host, port)).await?;
    tcp.write_all(&hello).await?;
    let mut record = [0; 2];
    tcp.read_exact(&mut record).await?;
    Ok(RECORDS.contains(&record[0]) && record[1] == 3)
}

fn with_detail(words: &str, fault: &CertificateError) -> String {
    format!("{words} ({fault})")
}

/// The TLS library's own error, among the causes of another.
fn find_tls<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = within.and_then(|within| within.downcast_ref()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

type Roots = (Vec<CertificateDer<'static>>, RootCertStore);

fn read_roots(path: &Path) -> Result<Roots, String> {
    let damaged = || {
        let path = path.display();
        format!("roots {path} holds a certificate that is damaged: copy it again from its source")
    };
    let (mut given, mut authorities) = (Vec::new(), RootCertStore::empty());
    for certificate in pem::certificates(path).map_err(|error| format!("roots {error}"))? {
        ParsedCertificate::try_from(&certificate).map_err(|_| damaged())?;
        // A server's own is good as it is, until it expires: it vouches for no other.
        if certificate::may_sign(&certificate) {
            authorities.add(certificate.clone()).map_err(|_| damaged())?;
        }
        given.push(certificate);
    }
    Ok((given, authorities))
}

fn system_authorities() -> RootCertStore {
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() {
        // An image from scratch has none of its own.
        authorities.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    authorities
}

/// Notes that a server has asked for a client certificate, and gives it none.
#[derive(Debug, Default)]
struct CertificateRequests(AtomicBool);

impl ResolvesClientCert for CertificateRequests {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Release);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// The certificate names itself as its issuer, and nobody has said that it is good.
#[derive(Debug, thiserror::Error)]
#[error("self-signed certificate")]
struct SelfSigned;

#[derive(Debug)]
struct Verifier {
    /// What stands in `roots`.
    given: Vec<CertificateDer<'static>>,
    /// None where nothing in `roots` may sign others.
    chains: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(
        given: Vec<CertificateDer<'static>>,
        authorities: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let build = |authorities| {
            let provider = Arc::clone(provider);
            WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), provider).build()
        };
        let chains = Some(authorities).filter(|authorities| !authorities.is_empty()).map(build);
        let chains = chains.transpose().map_err(|error| error.to_string())?;
        Ok(Self { given, chains, algorithms: provider.signature_verification_algorithms })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.given.iter().any(|given| given.as_ref() == end_entity.as_ref()) {
            certificate::check_dates(end_entity, now)?;
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        let verified = match &self.chains {
            Some(chains) => chains.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        verified.map_err(|error| match error {
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::Other(_),
            ) if certificate::is_self_signed(end_entity) => {
                CertificateError::Other(OtherError(Arc::new(SelfSigned))).into()
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
