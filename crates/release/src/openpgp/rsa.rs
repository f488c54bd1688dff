//! One key of RSA, and the fingerprint that it is known by.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{RsaParameters, RsaPublicKeyComponents};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::packet::Bytes;

/// The fingerprint of a key: 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(pub(super) [u8; 20]);

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a fingerprint: write 40 hexadecimal digits")]
pub struct NotAFingerprint(String);

impl Fingerprint {
    /// The last 8 bytes: what old signatures name their key by.
    pub(super) fn key_id(&self) -> &[u8] {
        &self.0[12..]
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// In either case, also in groups with spaces between, as `gpg --fingerprint` prints it.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let wrong = || NotAFingerprint(text.to_owned());
        let digits: String = text.chars().filter(|letter| *letter != ' ').collect();
        if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; 20];
        for (byte, at) in bytes.iter_mut().zip((0..40).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = NotAFingerprint;

    fn try_from(text: String) -> Result<Self, NotAFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One key of RSA.
#[derive(Debug, Clone)]
pub(crate) struct Rsa {
    pub(super) fingerprint: Fingerprint,
    pub(super) made: Timestamp,
    /// The packet's body: what signatures over the key hash.
    pub(super) body: Vec<u8>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Rsa {
    pub(super) fn read(body: &[u8]) -> Result<Self, &'static str> {
        let mut bytes = Bytes(body);
        if bytes.byte()? != 4 {
            return Err("it is not of version 4");
        }
        let made = seconds(bytes.number(4)?);
        if !matches!(bytes.byte()?, 1 | 3) {
            return Err("it is not of RSA");
        }
        let (modulus, exponent) = (bytes.integer()?.to_vec(), bytes.integer()?.to_vec());
        let mut hashed = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        hash_key(&mut hashed, body);
        let mut fingerprint = [0; 20];
        fingerprint.copy_from_slice(hashed.finish().as_ref());
        Ok(Self { fingerprint: Fingerprint(fingerprint), made, body: body.to_vec(), modulus, exponent })
    }

    /// Whether `signature` is this key's on something with this hash.
    pub(super) fn verify(
        &self,
        with: &'static RsaParameters,
        hash: &digest::Digest,
        signature: &[u8],
    ) -> bool {
        // An OpenPGP integer has no zeros at its front; the signature of RSA is as long as the modulus.
        let Some(missing) = self.modulus.len().checked_sub(signature.len()) else { return false };
        let padded = [&vec![0; missing], signature].concat();
        let components = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        let key = components.to_parsed_public_key(with);
        key.is_ok_and(|key| key.verify_digest_sig(hash, &padded).is_ok())
    }
}

/// A key as it is hashed, for its fingerprint and by signatures over it.
pub(super) fn hash_key(into: &mut digest::Context, body: &[u8]) {
    into.update(&[0x99]);
    into.update(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    into.update(body);
}

/// Seconds since 1970 as a time.
pub(super) fn seconds(number: usize) -> Timestamp {
    i64::try_from(number).ok().and_then(|number| Timestamp::from_second(number).ok()).unwrap_or_default()
}

/// A time span of whole seconds.
pub(super) fn span(number: usize) -> Option<SignedDuration> {
    i64::try_from(number).ok().filter(|number| *number > 0).map(SignedDuration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_gpg_prints_it() {
        let text = "A1B31D46F0F3A10B02CF2D44F8F2C31744774B28";
        let spaced = "a1b3 1d46 f0f3 a10b 02cf  2d44 f8f2 c317 4477 4b28";
        assert_eq!(spaced.parse::<Fingerprint>().unwrap().to_string(), text);
        for wrong in [
            "",
            "A1B3",
            &text.replace('A', "G"),
            &format!("{text}00"),
            "é1B31D46F0F3A10B02CF2D44F8F2C31744774B2",
        ] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
