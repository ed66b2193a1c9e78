use super::*;

fn pair() -> (String, String) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    (cert.pem(), signing_key.serialize_pem())
}

/// A certificate and a key, as somebody keeps them.
fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf8 = |text: String| text.into_bytes();
    vec![
        ("as it is", utf8(text.to_owned())),
        ("with Windows' line ends", utf8(text.replace('\n', "\r\n"))),
        ("with a byte-order mark", utf8(format!("\u{feff}{text}"))),
        ("with text before it", utf8(format!("subject=CN = localhost\n\n{text}"))),
        ("with text of another encoding", [b"M\xfcller\n", text.as_bytes()].concat()),
        ("indented", utf8(text.lines().flat_map(|line| ["  \t", line, " \n"]).collect())),
        ("without its last line end", utf8(text.trim_end().to_owned())),
    ]
}

#[test]
fn a_file_is_read_as_people_keep_it() {
    let (certificate, key) = pair();
    let path = Path::new("x.pem");
    for (form, bytes) in forms(&certificate) {
        assert_eq!(certificates_in(path, &bytes).map(|found| found.len()).ok(), Some(1), "{form}");
    }
    for (form, bytes) in forms(&key) {
        assert!(private_key_in(path, &bytes).is_ok(), "{form}");
    }
    let both = format!("{certificate}{key}{certificate}");
    assert_eq!(certificates_in(path, both.as_bytes()).map(|found| found.len()).ok(), Some(2));
    assert!(private_key_in(path, both.as_bytes()).is_ok());
}

#[test]
fn each_file_that_holds_something_else_has_a_sentence_and_a_remedy() {
    let (certificate, key) = pair();
    let der = certificates_in(Path::new("c"), certificate.as_bytes()).expect("a certificate");
    let utf16: Vec<u8> = certificate.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let relabelled = |label: &str| key.replace("PRIVATE KEY", label).into_bytes();
    let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let pkcs12 = [&[SEQUENCE, 0x82, 1, 1][..], &PFX].concat();
    let pkcs7 = [&[SEQUENCE, 0x82, 1, 1][..], &SIGNED_DATA].concat();
    let half = &key.as_bytes()[..key.len() / 2];
    let (c, k) = (Wanted::Certificate, Wanted::PrivateKey);
    for (wanted, bytes, message, remedy) in [
        (
            k,
            certificate.clone().into_bytes(),
            "holds no private key: it holds a certificate, and a private key was expected",
            "name the file of the private key",
        ),
        (
            c,
            key.clone().into_bytes(),
            "holds no certificate: it holds a private key, and a certificate was expected",
            "name the file of the certificate",
        ),
        (
            k,
            relabelled("ENCRYPTED PRIVATE KEY"),
            "holds a private key that is encrypted",
            "openssl pkey -in x.pem -out",
        ),
        (k, legacy.into(), "holds a private key that is encrypted", "openssl pkey -in x.pem -out"),
        (c, der[0].to_vec(), "it is DER", "openssl x509 -inform der -in x.pem -out"),
        (k, der[0].to_vec(), "it is DER", "openssl pkey -inform der -in x.pem -out"),
        (k, pkcs12.clone(), "it is PKCS #12", "openssl pkcs12 -nocerts"),
        (c, pkcs12, "it is PKCS #12", "openssl pkcs12 -nokeys"),
        (c, pkcs7.clone(), "it is PKCS #7", "openssl pkcs7 -inform der -print_certs"),
        (k, pkcs7, "it is PKCS #7", "name the file of the private key"),
        (c, [b"\xff\xfe".to_vec(), utf16].concat(), "it is UTF-16 text", "iconv -f UTF-16"),
        (k, relabelled("OPENSSH PRIVATE KEY"), "a form of OpenSSH alone", "ssh-keygen"),
        (c, relabelled("CERTIFICATE REQUEST"), "a request for a certificate", "the authority"),
        (c, relabelled("TRUSTED CERTIFICATE"), "a form of OpenSSL alone", "openssl x509 -in"),
        (k, relabelled("PUBLIC KEY"), "it holds a public key", "name the file of the private key"),
        (k, half.to_vec(), "its -----END …----- line is missing", "copy it again"),
        (
            c,
            b"-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n".to_vec(),
            "is not Base64",
            "copy it again",
        ),
        (c, b" \r\n".to_vec(), "it is empty", ""),
        (c, b"certificate".to_vec(), "it has no line -----BEGIN CERTIFICATE-----", ""),
        (k, b"key".to_vec(), "it has no line -----BEGIN PRIVATE KEY-----", ""),
    ] {
        let path = Path::new("x.pem");
        let error = match wanted {
            Wanted::Certificate => certificates_in(path, &bytes).err(),
            Wanted::PrivateKey => private_key_in(path, &bytes).err(),
        };
        let error = error.unwrap_or_else(|| panic!("{message}: is read"));
        assert!(error.message().starts_with("x.pem holds "), "{error}");
        assert!(error.message().contains(message), "{message:?} is not in {error}");
        assert_eq!(error.remedy().is_some(), !remedy.is_empty(), "{error}");
        assert!(
            error.remedy().unwrap_or_default().contains(remedy),
            "{remedy:?} is not in {error}"
        );
    }
}
