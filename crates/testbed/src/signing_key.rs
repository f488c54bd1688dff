//! A key of OpenPGP that signs files, for tests of what verifies them. `gpg` reads what it writes.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};

/// When the key was made: 2024-01-01, in seconds since 1970.
const MADE: u32 = 1_704_067_200;
const USER: &[u8] = b"Releases <releases@example.com>";

/// An RSA key with one user id, whose secret half is in memory alone.
pub struct SigningKey {
    pair: KeyPair,
    /// The body of its packet.
    body: Vec<u8>,
}

impl Default for SigningKey {
    fn default() -> Self {
        Self::new()
    }
}

impl SigningKey {
    /// A new key.
    pub fn new() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        // SEQUENCE, INTEGER (a zero and 256 bytes), INTEGER 65537.
        let modulus = pair.public_key().as_ref()[9..265].to_vec();
        let body = [&[4], &MADE.to_be_bytes()[..], &[1], &integer(&modulus), &integer(&[1, 0, 1])].concat();
        Self { pair, body }
    }

    /// Its fingerprint, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        self.id().iter().map(|byte| format!("{byte:02X}")).collect()
    }

    fn id(&self) -> Vec<u8> {
        digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.hashed()).as_ref().to_vec()
    }

    /// The public half. `lasts`: for how many seconds after 2024-01-01 it is valid; 0 = for ever.
    pub fn public(&self, lasts: u32) -> Vec<u8> {
        let user = [&[0xb4], &(USER.len() as u32).to_be_bytes()[..], USER].concat();
        let expires = if lasts == 0 { Vec::new() } else { [&[5, 9], &lasts.to_be_bytes()[..]].concat() };
        let certified =
            self.signature(0x13, &[self.hashed(), user].concat(), &[&[2, 27, 3][..], &expires].concat());
        [packet(6, &self.body), packet(13, USER), certified].concat()
    }

    /// The public half after its owner has withdrawn it.
    pub fn revoked(&self) -> Vec<u8> {
        let revocation = self.signature(0x20, &self.hashed(), &[]);
        [packet(6, &self.body), revocation, packet(13, USER)].concat()
    }

    /// A detached signature.
    pub fn sign(&self, content: &[u8]) -> Vec<u8> {
        self.signature(0x00, content, &[])
    }

    fn hashed(&self) -> Vec<u8> {
        [&[0x99], &(self.body.len() as u16).to_be_bytes()[..], &self.body].concat()
    }

    fn signature(&self, kind: u8, content: &[u8], subpackets: &[u8]) -> Vec<u8> {
        let made = [&[5, 2], &(MADE + 60).to_be_bytes()[..]].concat();
        let issuer = [&[22, 33, 4][..], &self.id()].concat();
        let hashed = [&made[..], subpackets, &issuer].concat();
        let covered = [&[4, kind, 1, 8], &(hashed.len() as u16).to_be_bytes()[..], &hashed].concat();
        let trailer = [&[4, 0xff], &(covered.len() as u32).to_be_bytes()[..]].concat();
        let signed = [content, &covered, &trailer].concat();
        let hash = digest::digest(&digest::SHA256, &signed);
        let mut signature = vec![0; 256];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &signed, &mut signature).unwrap();
        // GnuPG looks for the key by the end of its fingerprint alone.
        let unhashed = [&[0, 10, 9, 16][..], &self.id()[12..]].concat();
        packet(2, &[&covered[..], &unhashed, &hash.as_ref()[..2], &integer(&signature)].concat())
    }
}

/// A multi-precision integer: its length in bits, and its bytes without zeros at the front.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let bytes = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let bits = bytes.len() * 8 - bytes[0].leading_zeros() as usize;
    [&(bits as u16).to_be_bytes()[..], bytes].concat()
}

/// A packet in the old form, whose length has two bytes.
fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[0x80 | (tag << 2) | 1], &(body.len() as u16).to_be_bytes()[..], body].concat()
}
