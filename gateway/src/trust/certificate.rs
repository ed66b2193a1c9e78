//! What of a certificate (RFC 5280 4.1) the TLS library does not tell: its dates, whether it
//! names itself as its issuer, and whether it may sign others. Only DER that is whole is read.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT Version`, absent in version 1.
const VERSION: u8 = 0xa0;
/// `[3] EXPLICIT Extensions`.
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// # Errors
/// When the certificate is not valid yet, not any more, or cannot be read.
pub(super) fn check_dates(
    certificate: &CertificateDer<'_>,
    time: UnixTime,
) -> Result<(), CertificateError> {
    let fields = Fields::read(certificate).ok_or(CertificateError::BadEncoding)?;
    let (not_before, not_after) = fields.dates().ok_or(CertificateError::BadEncoding)?;
    if time < not_before {
        return Err(CertificateError::NotValidYetContext { time, not_before });
    }
    if time > not_after {
        return Err(CertificateError::ExpiredContext { time, not_after });
    }
    Ok(())
}

/// Whether it names itself as its issuer.
pub(super) fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    Fields::read(certificate).is_some_and(|fields| fields.issuer == fields.subject)
}

/// Whether it may sign others (RFC 5280 4.2.1.9). One of version 1 cannot say.
pub(super) fn may_sign(certificate: &CertificateDer<'_>) -> bool {
    Fields::read(certificate).is_some_and(|fields| fields.is_version_1 || fields.is_authority())
}

struct Fields<'a> {
    is_version_1: bool,
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
    /// What follows: the key, and extensions if there are some.
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn read(certificate: &'a [u8]) -> Option<Self> {
        let mut certificate = Der(certificate);
        let mut whole = Der(certificate.value(SEQUENCE)?);
        let mut signed = Der(whole.value(SEQUENCE)?);
        let is_version_1 = signed.0.first() != Some(&VERSION);
        if !is_version_1 {
            signed.value(VERSION)?;
        }
        signed.value(INTEGER)?;
        // The algorithm of the signature.
        signed.value(SEQUENCE)?;
        let issuer = signed.value(SEQUENCE)?;
        let validity = signed.value(SEQUENCE)?;
        let subject = signed.value(SEQUENCE)?;
        Some(Self { is_version_1, issuer, validity, subject, rest: signed.0 })
    }

    /// Whether an extension says so.
    fn is_authority(&self) -> bool {
        let mut rest = Der(self.rest);
        while let Some((tag, contents)) = rest.next() {
            if tag == EXTENSIONS {
                return Der(contents).value(SEQUENCE).is_some_and(names_authority);
            }
        }
        false
    }

    fn dates(&self) -> Option<(UnixTime, UnixTime)> {
        let mut validity = Der(self.validity);
        Some((validity.time()?, validity.time()?))
    }
}

fn names_authority(extensions: &[u8]) -> bool {
    let mut extensions = Der(extensions);
    while let Some(extension) = extensions.value(SEQUENCE) {
        let mut extension = Der(extension);
        if extension.value(OBJECT_IDENTIFIER) != Some(BASIC_CONSTRAINTS) {
            continue;
        }
        if extension.0.first() == Some(&BOOLEAN) {
            // Whether it is critical.
            extension.value(BOOLEAN);
        }
        let constraints =
            extension.value(OCTET_STRING).and_then(|value| Der(value).value(SEQUENCE));
        let says = constraints.and_then(|constraints| Der(constraints).value(BOOLEAN));
        return says == Some(&[0xff]);
    }
    false
}

/// The rest of a value's contents.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The contents of the next value, which must have this tag.
    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, contents) = self.next()?;
        (found == tag).then_some(contents)
    }

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, short], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match short {
            0..=0x7f => (usize::from(short), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(short - 0x80))?;
                let length =
                    digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
                (length, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    /// `YYMMDDHHMMSSZ` or, from 2050 on, `YYYYMMDDHHMMSSZ` (RFC 5280 4.1.2.5).
    fn time(&mut self) -> Option<UnixTime> {
        let (tag, text) = self.next()?;
        let digits = text.strip_suffix(b"Z").filter(|text| text.iter().all(u8::is_ascii_digit))?;
        let (year, rest) = match (tag, digits.len()) {
            (UTC_TIME, 12) => {
                let year = number(&digits[..2]);
                (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
            }
            (GENERALIZED_TIME, 14) => (number(&digits[..4]), &digits[4..]),
            _ => return None,
        };
        let part = |at: usize| i8::try_from(number(&rest[at..at + 2])).ok();
        let time = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
        let seconds = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        // No time before 1970 is one that is to come.
        let seconds = u64::try_from(seconds).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// Four digits at most.
fn number(digits: &[u8]) -> i16 {
    digits.iter().fold(0, |number, digit| number * 10 + i16::from(digit - b'0'))
}
