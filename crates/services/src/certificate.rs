//! Reads from an X.509 certificate what a report needs: two names and a date (RFC 5280 section 4.1).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The parts of a certificate that a report needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Certificate<'a> {
    /// The issuer's name, as DER.
    pub(crate) issuer: &'a [u8],
    /// The subject's name, as DER.
    pub(crate) subject: &'a [u8],
    /// The last moment at which it is valid.
    pub(crate) not_after: Timestamp,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER; `None` if the bytes are not one.
    pub(crate) fn read(der: &'a [u8]) -> Option<Self> {
        let (whole, _) = take(der, SEQUENCE)?;
        let (mut fields, _) = take(whole, SEQUENCE)?;
        if let Some((_, rest)) = take(fields, VERSION) {
            fields = rest;
        }
        let (_serial, fields) = take(fields, INTEGER)?;
        let (_algorithm, fields) = take(fields, SEQUENCE)?;
        let (issuer, fields) = take(fields, SEQUENCE)?;
        let (validity, fields) = take(fields, SEQUENCE)?;
        let (subject, _) = take(fields, SEQUENCE)?;
        let (_not_before, validity) = time(validity)?;
        let (not_after, _) = time(validity)?;
        Some(Self { issuer, subject, not_after })
    }

    pub(crate) fn is_self_signed(&self) -> bool {
        self.issuer == self.subject
    }
}

/// The contents of the first element of `der`, if it has this tag, and the bytes after it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // A length of more than three bytes does not occur in a certificate.
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// `YYMMDDHHMMSSZ`, or the same with four digits of year.
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (text, rest) = take(der, UTC_TIME).or_else(|| take(der, GENERALIZED_TIME))?;
    let text = std::str::from_utf8(text).ok()?;
    let full = match text.len() {
        13 if text < "50" => format!("20{text}"),
        13 => format!("19{text}"),
        _ => text.to_owned(),
    };
    let civil = DateTime::strptime("%Y%m%d%H%M%SZ", &full).ok()?;
    Some((civil.to_zoned(TimeZone::UTC).ok()?.timestamp(), rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn expiring(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(["chat.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 5, 6);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_dates_are_read_in_both_time_formats() {
        for year in [2031, 2077] {
            let der = expiring(year);
            let certificate = Certificate::read(&der).unwrap();
            assert!(certificate.is_self_signed());
            assert_eq!(certificate.not_after.to_string(), format!("{year}-05-06T00:00:00Z"));
        }
    }

    #[test]
    fn damaged_bytes_are_not_a_certificate_and_do_not_panic() {
        let der = expiring(2031);
        for end in 0..der.len() {
            let _ = Certificate::read(&der[..end]);
        }
        for at in 0..120 {
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut damaged = der.clone();
                damaged[at] = byte;
                let _ = Certificate::read(&damaged);
            }
        }
        assert_eq!(Certificate::read(b"-----BEGIN"), None);
        assert_eq!(Certificate::read(&der[..60]), None);
    }
}
