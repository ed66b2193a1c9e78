use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tempfile::NamedTempFile;

use super::*;

/// 2030-01-01; certificates of the tests are good from 2029 to 2031.
const NOW: u64 = 1_893_456_000;

fn params(is_ca: IsCa) -> CertificateParams {
    let mut params = CertificateParams::new(["app.example".to_owned()]).unwrap();
    params.is_ca = is_ca;
    params.not_before = date_time_ymd(2029, 1, 1);
    params.not_after = date_time_ymd(2031, 1, 1);
    params
}

/// As `openssl req -x509` makes it: its own authority.
fn self_signed(params: &CertificateParams) -> CertificateDer<'static> {
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

fn authority() -> IsCa {
    IsCa::Ca(BasicConstraints::Unconstrained)
}

/// A certificate, and the one of the authority that signed it.
fn signed_by_another() -> (CertificateDer<'static>, CertificateDer<'static>) {
    let mut above = CertificateParams::default();
    above.is_ca = authority();
    above.distinguished_name.push(DnType::CommonName, "an authority");
    let issuer = CertifiedIssuer::self_signed(above, KeyPair::generate().unwrap()).unwrap();
    let leaf = params(IsCa::NoCa).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    (leaf.der().clone(), issuer.as_ref().der().clone())
}

fn pem(certificates: &[&CertificateDer<'_>]) -> NamedTempFile {
    use base64::Engine as _;
    let file = NamedTempFile::new().unwrap();
    let encode = |one: &&CertificateDer<'_>| {
        let text = base64::engine::general_purpose::STANDARD.encode(one);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    std::fs::write(file.path(), certificates.iter().map(encode).collect::<String>()).unwrap();
    file
}

fn verifier(roots: &[&CertificateDer<'_>]) -> Verifier {
    let (given, authorities) = read_roots(pem(roots).path()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Verifier::new(given, authorities, &provider).unwrap()
}

/// In words, whether the certificate is good for this name at this time.
fn judged(
    verifier: &Verifier,
    certificate: &CertificateDer<'_>,
    name: &'static str,
    seconds: u64,
) -> Result<(), String> {
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let name = ServerName::try_from(name).unwrap();
    let verified = verifier.verify_server_cert(certificate, &[], &name, &[], now);
    verified
        .map(|_| ())
        .map_err(|error| describe(&io::Error::new(io::ErrorKind::InvalidData, error), ROOTS))
}

fn is_refused(judged: Result<(), String>, because: &str) {
    let words = judged.expect_err(because);
    assert!(words.contains(because), "{words}");
}

#[test]
fn a_certificate_that_stands_in_roots_is_good_whoever_has_signed_it() {
    let own_authority = self_signed(&params(authority()));
    let plain = self_signed(&params(IsCa::NoCa));
    let (leaf, _) = signed_by_another();
    for certificate in [&own_authority, &plain, &leaf] {
        let verifier = verifier(&[certificate]);
        assert_eq!(judged(&verifier, certificate, "app.example", NOW), Ok(()));
    }
}

#[test]
fn name_and_dates_of_a_certificate_that_stands_in_roots_are_checked() {
    for is_ca in [authority(), IsCa::NoCa] {
        let certificate = self_signed(&params(is_ca));
        let verifier = verifier(&[&certificate]);
        is_refused(judged(&verifier, &certificate, "other.example", NOW), "for another name");
        let year = 366 * 24 * 3600;
        is_refused(judged(&verifier, &certificate, "app.example", NOW + year), "has expired");
        is_refused(judged(&verifier, &certificate, "app.example", NOW - year), "not valid yet");
    }
}

#[test]
fn a_certificate_that_does_not_stand_in_roots_needs_a_known_authority() {
    let (leaf, issuer) = signed_by_another();
    let other = self_signed(&params(authority()));
    assert_eq!(judged(&verifier(&[&issuer]), &leaf, "app.example", NOW), Ok(()));
    is_refused(judged(&verifier(&[&other]), &leaf, "app.example", NOW), "an unknown authority");
    // The same name as a known authority's, and another key.
    let (named_alike, _) = signed_by_another();
    let refused = judged(&verifier(&[&issuer]), &named_alike, "app.example", NOW);
    is_refused(refused, "an unknown authority");
    // The same names, dates and rights, and another key.
    let twin = self_signed(&params(authority()));
    let refused = judged(&verifier(&[&other]), &twin, "app.example", NOW);
    is_refused(refused, "put this certificate into `roots`");
    let twin = self_signed(&params(IsCa::NoCa));
    assert!(judged(&verifier(&[&other]), &twin, "app.example", NOW).is_err());
}

/// Else whoever has the key of a server's own certificate, be it expired, could make others
/// for it for ever.
#[test]
fn a_servers_own_certificate_that_stands_in_roots_vouches_for_no_other() {
    for (is_ca, vouches) in [(IsCa::NoCa, false), (IsCa::ExplicitNoCa, false), (authority(), true)]
    {
        let mut above = params(is_ca);
        above.distinguished_name.push(DnType::CommonName, "a server");
        let issuer = CertifiedIssuer::self_signed(above, KeyPair::generate().unwrap()).unwrap();
        let made = params(IsCa::NoCa).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let verifier = verifier(&[issuer.as_ref().der()]);
        let judged = judged(&verifier, made.der(), "app.example", NOW);
        assert_eq!(judged.is_ok(), vouches, "{judged:?}");
    }
}

#[test]
fn one_changed_byte_makes_another_certificate() {
    let certificate = self_signed(&params(authority()));
    let verifier = verifier(&[&certificate]);
    for at in 0..certificate.len() {
        let mut changed = certificate.to_vec();
        changed[at] ^= 1;
        let changed = CertificateDer::from(changed);
        assert!(judged(&verifier, &changed, "app.example", NOW).is_err(), "byte {at}");
    }
}

#[test]
fn dates_are_read_to_the_second_and_in_both_forms() {
    let mut params = params(IsCa::NoCa);
    // From 2050 on a date has four digits for its year (RFC 5280 4.1.2.5).
    params.not_before = date_time_ymd(1999, 12, 31);
    params.not_after = date_time_ymd(2050, 1, 1);
    let certificate = self_signed(&params);
    let (first, last) = (946_598_400, 2_524_608_000);
    let at = |seconds| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        certificate::check_dates(&certificate, time)
    };
    assert_eq!((at(first), at(last)), (Ok(()), Ok(())));
    assert!(matches!(at(first - 1), Err(CertificateError::NotValidYetContext { .. })));
    assert!(matches!(at(last + 1), Err(CertificateError::ExpiredContext { .. })));
}

#[test]
fn a_certificate_that_breaks_off_anywhere_has_no_dates() {
    let certificate = self_signed(&params(authority()));
    for length in 0..certificate.len() {
        let part = CertificateDer::from(&certificate[..length]);
        let time = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
        assert_eq!(certificate::check_dates(&part, time), Err(CertificateError::BadEncoding));
        assert!(!certificate::is_self_signed(&part));
    }
}

#[test]
fn a_file_without_a_certificate_is_no_roots() {
    let empty = NamedTempFile::new().unwrap();
    let error = Connector::new(Some(empty.path()), &[]).map(|_| ()).unwrap_err();
    assert!(error.contains("holds no certificate"), "{error}");
}
