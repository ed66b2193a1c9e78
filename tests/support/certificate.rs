//! Certificates of servers that the gateway connects to.

use rcgen::{BasicConstraints, CertificateParams, CertifiedKey, IsCa, KeyPair};

/// As `openssl req -x509` makes one: self-signed, and its own authority.
pub fn own_authority(names: impl Into<Vec<String>>) -> CertifiedKey<KeyPair> {
    let mut params = CertificateParams::new(names).expect("a certificate can have these names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let signing_key = KeyPair::generate().expect("a key can be made");
    let cert = params.self_signed(&signing_key).expect("a certificate can be made");
    CertifiedKey { cert, signing_key }
}
