//! A signature: what it says, and whether it holds.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RsaParameters,
};
use jiff::{SignedDuration, Timestamp};

use super::error::SignatureError;
use super::packet::Bytes;
use super::rsa::{Fingerprint, Rsa, seconds, span};

/// What a signature is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The bytes of a file.
    Content,
    /// A user id of a key.
    Certification,
    /// A subkey, by its primary key.
    Binding,
    /// A primary key, by its subkey.
    PrimaryBinding,
    /// The end of a key.
    Revocation,
    /// The end of a subkey.
    SubkeyRevocation,
    /// Anything else.
    Other,
}

/// Hash function, its name in OpenPGP, and the rules of RSA with it.
const HASHES: [(u8, &digest::Algorithm, &RsaParameters); 4] = [
    (2, &digest::SHA1_FOR_LEGACY_USE_ONLY, &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
    (8, &digest::SHA256, &RSA_PKCS1_2048_8192_SHA256),
    (9, &digest::SHA384, &RSA_PKCS1_2048_8192_SHA384),
    (10, &digest::SHA512, &RSA_PKCS1_2048_8192_SHA512),
];

/// The subpackets that are understood, or that change nothing here: one that its maker calls critical must be among them.
const UNDERSTOOD: std::ops::RangeInclusive<u8> = 2..=34;

/// A signature of version 4 by a key of RSA.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    kind: u8,
    hash: u8,
    /// What is hashed after the content.
    trailer: Vec<u8>,
    /// The first bytes of the hash.
    begins: [u8; 2],
    integer: Vec<u8>,
    pub(super) made: Timestamp,
    lasts: Option<SignedDuration>,
    /// How long the key that it is about may be used.
    pub(super) key_lasts: Option<SignedDuration>,
    /// Whether the key that it is about may sign.
    pub(super) signs: bool,
    pub(super) embedded: Option<Vec<u8>>,
    /// Who says that it is theirs: fingerprint or key id.
    issuer: Vec<u8>,
}

impl Signature {
    /// Reads the body of a packet.
    pub(super) fn of(body: &[u8]) -> Result<Self, &'static str> {
        let mut bytes = Bytes(body);
        if bytes.byte()? != 4 {
            return Err("it is not of version 4");
        }
        let (kind, algorithm, hash) = (bytes.byte()?, bytes.byte()?, bytes.byte()?);
        if !matches!(algorithm, 1 | 3) {
            return Err("it is not of RSA");
        }
        if !HASHES.iter().any(|(id, ..)| *id == hash) {
            return Err("its hash function is not one of SHA-256, SHA-384, SHA-512");
        }
        let hashed_length = bytes.number(2)?;
        let hashed = bytes.take(hashed_length)?;
        let unhashed_length = bytes.number(2)?;
        let unhashed = bytes.take(unhashed_length)?;
        let begins = [bytes.byte()?, bytes.byte()?];
        let integer = bytes.integer()?.to_vec();
        let covered = &body[..6 + hashed_length];
        let length = u32::try_from(covered.len()).map_err(|_| "it is too long")?;
        let trailer = [covered, &[4, 0xff], &length.to_be_bytes()].concat();
        let mut signature = Self {
            kind,
            hash,
            trailer,
            begins,
            integer,
            made: Timestamp::UNIX_EPOCH,
            lasts: None,
            key_lasts: None,
            signs: false,
            embedded: None,
            issuer: Vec::new(),
        };
        signature.subpackets(hashed, true)?;
        signature.subpackets(unhashed, false)?;
        Ok(signature)
    }

    /// What is said beside the hash. Nobody vouches for what is outside of it, except for what proves itself: the name of a
    /// key, and a signature.
    fn subpackets(&mut self, area: &[u8], hashed: bool) -> Result<(), &'static str> {
        let mut area = Bytes(area);
        while !area.0.is_empty() {
            let length = area.length()?;
            let mut content = Bytes(area.take(length)?);
            let kind = content.byte()?;
            match kind & 0x7f {
                2 if hashed => self.made = seconds(content.number(4)?),
                3 if hashed => self.lasts = span(content.number(4)?),
                9 if hashed => self.key_lasts = span(content.number(4)?),
                27 if hashed => self.signs = content.byte()? & 2 != 0,
                32 => self.embedded = Some(content.0.to_vec()),
                // Where there are both, the longer one.
                16 if self.issuer.is_empty() => self.issuer = content.take(8)?.to_vec(),
                33 if content.byte()? == 4 => self.issuer = content.take(20)?.to_vec(),
                other if kind & 0x80 != 0 && hashed && !UNDERSTOOD.contains(&other) => {
                    return Err("it says something that must be understood, and is not");
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn kind(&self) -> Kind {
        match self.kind {
            0x00 => Kind::Content,
            0x10..=0x13 => Kind::Certification,
            0x18 => Kind::Binding,
            0x19 => Kind::PrimaryBinding,
            0x20 => Kind::Revocation,
            0x28 => Kind::SubkeyRevocation,
            _ => Kind::Other,
        }
    }

    /// Whether its hash function is one that nobody can find collisions for.
    pub(super) fn is_strong(&self) -> bool {
        self.hash != 2
    }

    fn rules(&self) -> (&'static digest::Algorithm, &'static RsaParameters) {
        let found = HASHES.iter().find(|(id, ..)| *id == self.hash);
        found.map_or((&digest::SHA256, &RSA_PKCS1_2048_8192_SHA256), |(_, hash, with)| (hash, with))
    }

    /// Whether it is `key`'s on what `hash` puts into the hash.
    pub(super) fn holds(&self, key: &Rsa, hash: &mut dyn FnMut(&mut digest::Context)) -> bool {
        let mut context = digest::Context::new(self.rules().0);
        hash(&mut context);
        self.holds_on(key, context)
    }

    fn holds_on(&self, key: &Rsa, mut content: digest::Context) -> bool {
        content.update(&self.trailer);
        let hash = content.finish();
        hash.as_ref().starts_with(&self.begins) && key.verify(self.rules().1, &hash, &self.integer)
    }

    /// Whether it is one that can prove a file, before anything is hashed.
    pub(super) fn counts(&self) -> Result<(), SignatureError> {
        if self.kind() != Kind::Content {
            return Err(SignatureError::signature("it is not one of a file"));
        }
        if !self.is_strong() {
            return Err(SignatureError::signature("it uses SHA-1, which can be forged"));
        }
        Ok(())
    }

    /// Whether it says that it is this key's.
    pub(super) fn names(&self, key: &Fingerprint) -> bool {
        match self.issuer.len() {
            20 => self.issuer == key.0,
            _ => self.issuer == key.key_id(),
        }
    }

    /// Whose it says that it is: fingerprint or key id.
    pub(super) fn issuer(&self) -> String {
        match self.issuer.is_empty() {
            true => "nobody that it names".to_owned(),
            false => self.issuer.iter().map(|byte| format!("{byte:02X}")).collect(),
        }
    }

    /// The hash function that the content has to be put through.
    pub(crate) fn algorithm(&self) -> &'static digest::Algorithm {
        self.rules().0
    }

    /// Whether it holds on the content that went through [`algorithm`](Self::algorithm).
    pub(crate) fn check(
        &self,
        by: &Rsa,
        content: digest::Context,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        if !self.holds_on(by, content) {
            return Err(SignatureError::Mismatch);
        }
        match self.lasts {
            Some(lasts) if self.made + lasts <= now => Err(SignatureError::Expired),
            _ => Ok(()),
        }
    }

    /// When it was made.
    pub(crate) fn made(&self) -> Timestamp {
        self.made
    }
}
