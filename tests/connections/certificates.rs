//! Certificates of upstreams, tried from here: what is wrong with each, and what to do.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::support::client::Client;
use crate::support::gateway::{ECHO, Gateway};
use crate::support::nginx::Nginx;
use crate::support::process::Ended;

use super::check;

/// A server that ends its handshakes and says nothing.
struct Server {
    url: String,
    certificate: CertificateDer<'static>,
}

impl Server {
    async fn start(certificate: CertificateDer<'static>, key: &KeyPair) -> Self {
        let config = ServerConfig::builder().with_no_client_auth();
        Self::serving(config.with_single_cert(vec![certificate.clone()], der(key)), certificate)
            .await
    }

    /// One that talks to nobody without a certificate.
    async fn demanding(versions: &[&'static SupportedProtocolVersion]) -> Self {
        let (certificate, key) = own(&params());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("a certificate can be trusted");
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
        let config = ServerConfig::builder_with_protocol_versions(versions)
            .with_client_cert_verifier(verifier.expect("a verifier"));
        Self::serving(config.with_single_cert(vec![certificate.clone()], der(&key)), certificate)
            .await
    }

    async fn serving(
        config: Result<ServerConfig, rustls::Error>,
        certificate: CertificateDer<'static>,
    ) -> Self {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config.expect("a configuration")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(mut stream) = acceptor.accept(stream).await {
                        let _ = stream.read(&mut [0; 1 << 10]).await;
                    }
                });
            }
        });
        Self { url, certificate }
    }

    /// Tried with this certificate in `roots`, or with the system's authorities.
    async fn tried(&self, roots: Option<&CertificateDer<'_>>) -> Ended {
        let file = NamedTempFile::new().expect("a file can be made");
        std::fs::write(file.path(), roots.map(pem).unwrap_or_default()).expect("it is written");
        check(&format!("{}{ECHO}", self.section(roots.map(|_| &file))), &[]).await
    }

    fn section(&self, roots: Option<&NamedTempFile>) -> String {
        let roots = roots.map(|file| format!("roots = \"{}\"\n", file.path().display()));
        format!("[upstream.app]\nurl = \"{}\"\n{}", self.url, roots.unwrap_or_default())
    }
}

fn der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(key.serialize_der().into())
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn params() -> CertificateParams {
    CertificateParams::new(["127.0.0.1".to_owned()]).expect("a certificate can have this name")
}

fn own(params: &CertificateParams) -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate().expect("a key can be made");
    let certificate = params.self_signed(&key).expect("a certificate can be made");
    (certificate.der().clone(), key)
}

#[track_caller]
fn says(ended: &Ended, state: &str, words: &[&str]) {
    let code = i32::from(state == "failed");
    assert_eq!(ended.status.code(), Some(code), "{ended:?}");
    let of_it = |line: &&str| line.split_whitespace().take(3).eq(["upstream", "app", state]);
    let line = ended.stdout.lines().find(of_it);
    let line = line.unwrap_or_else(|| panic!("{ended:?}"));
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_and_what_to_do() {
    let mut authority = params();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (certificate, key) = own(&authority);
    let own_authority = Server::start(certificate, &key).await;
    says(
        &own_authority.tried(None).await,
        "failed",
        &["self-signed", "put this certificate into `roots`"],
    );
    says(&own_authority.tried(Some(&own_authority.certificate)).await, "good", &["TLS 1.3"]);

    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key"));
    let issuer = issuer.expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let mut above = params();
    above.distinguished_name.push(rcgen::DnType::CommonName, "a server");
    let signed = above.signed_by(&key, &issuer).expect("a certificate");
    let signed = Server::start(signed.der().clone(), &key).await;
    let stranger = own(&params()).0;
    says(&signed.tried(Some(&stranger)).await, "failed", &["an unknown authority", "`roots`"]);
    says(&signed.tried(Some(issuer.der())).await, "good", &["TLS 1.3"]);
    // Its own certificate will do as well, without the authority's.
    says(&signed.tried(Some(&signed.certificate)).await, "good", &["TLS 1.3"]);

    let mut past = params();
    past.not_after = date_time_ymd(2020, 1, 1);
    let (certificate, key) = own(&past);
    let expired = Server::start(certificate, &key).await;
    says(&expired.tried(Some(&expired.certificate)).await, "failed", &["has expired"]);

    let other = CertificateParams::new(["other.example".to_owned()]).expect("a name");
    let (certificate, key) = own(&other);
    let named = Server::start(certificate, &key).await;
    let tried = named.tried(Some(&named.certificate)).await;
    says(&tried, "failed", &["for another name", "other.example"]);
}

#[tokio::test]
async fn an_upstream_that_demands_a_client_certificate_is_named_so() {
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let server = Server::demanding(versions).await;
        let tried = server.tried(Some(&server.certificate)).await;
        says(&tried, "failed", &["upstream_client_certificate"]);
        let file = NamedTempFile::new().expect("a file can be made");
        std::fs::write(file.path(), pem(&server.certificate)).expect("it is written");
        let route = "[[route]]\npublic = true\nupstream = \"app\"\n";
        let gateway = Gateway::start(&(server.section(Some(&file)) + route)).await;
        Client::anonymous(&gateway).get("/").await.refused(502, "BAD_GATEWAY");
        let wanted = |reason: &str, detail: &str| {
            reason == "upstream_client_certificate" || detail.contains("a client certificate")
        };
        gateway
            .wait_for_log(|line| {
                let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
                wanted(&text("reason"), &text("detail"))
            })
            .await;
    }
}

/// It says so in words of HTTP, to each request.
#[tokio::test]
async fn nginx_that_asks_for_a_client_certificate_is_warned_of() {
    for (verify, status) in [("optional", 200), ("on", 400)] {
        let lines = format!(
            "ssl_client_certificate site.pem;\nssl_verify_client {verify};\n\
             location / {{ return 200 ok; }}"
        );
        let nginx = Nginx::start(&lines).await;
        let ended = check(&format!("{}{ECHO}", nginx.section("app")), &[]).await;
        says(&ended, "warning", &["requests a client certificate"]);
        let route = "[[route]]\npublic = true\nupstream = \"app\"\n";
        let gateway = Gateway::start(&(nginx.section("app") + route)).await;
        Client::anonymous(&gateway).get("/").await.expect(status);
        let told = |line: &Value| {
            line["code"] == "upstream_client_certificate" && line["upstream"] == "app"
        };
        let line = gateway.wait_for_log(told).await;
        assert_eq!(line["level"], "warn", "{line}");
    }
}

#[tokio::test]
async fn an_upstream_without_http2_is_named_where_http2_is_asked_for() {
    let nginx = Nginx::without_http2("return 200 ok;").await;
    let section = nginx.section("app") + "protocol = \"http2\"\n";
    let ended = check(&format!("{section}{ECHO}"), &[]).await;
    says(&ended, "failed", &["upstream_no_http2"]);
}
