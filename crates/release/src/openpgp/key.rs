//! A public key: the primary one that is pinned, and the subkeys that it vouches for.

use aws_lc_rs::digest;
use jiff::Timestamp;

use super::armor;
use super::error::SignatureError;
use super::packet::{split, tag};
use super::rsa::{Fingerprint, Rsa, hash_key};
use super::signature::{Kind, Signature};

/// A public key of somebody who signs, known by its fingerprint.
#[derive(Debug, Clone)]
pub struct PublicKey {
    primary: Rsa,
    /// Subkeys that may sign, each vouched for by the primary key and vouching for it.
    subkeys: Vec<Rsa>,
    expires: Option<Timestamp>,
}

impl PublicKey {
    /// Reads a file with keys, binary or armored, and takes the one with this fingerprint.
    ///
    /// # Errors
    /// It is not there, was revoked, or is of a kind that is not read.
    pub fn read(file: &[u8], wanted: Fingerprint) -> Result<Self, SignatureError> {
        let packets = armor::packets(file).map_err(SignatureError::key)?;
        let packets = split(&packets).map_err(SignatureError::key)?;
        let mut found = Vec::new();
        let mut at = 0;
        while at < packets.len() {
            let end = packets[at + 1..].iter().position(|(of, _)| *of == tag::PUBLIC_KEY);
            let end = end.map_or(packets.len(), |end| at + 1 + end);
            if packets[at].0 == tag::PUBLIC_KEY {
                let primary = Rsa::read(packets[at].1).map_err(SignatureError::key)?;
                if primary.fingerprint == wanted {
                    return Self::with(primary, &packets[at + 1..end]);
                }
                found.push(primary.fingerprint.to_string());
            }
            at = end;
        }
        match found.is_empty() {
            true => Err(SignatureError::key("there is no public key in it")),
            false => Err(SignatureError::OtherKey { found: found.join(" and "), wanted }),
        }
    }

    /// What the packets after the primary key say of it. A signature that is not the primary key's says nothing.
    fn with(primary: Rsa, packets: &[(u8, &[u8])]) -> Result<Self, SignatureError> {
        let (mut user, mut subkey) = (None, None);
        let mut newest: Option<(Timestamp, Option<Timestamp>)> = None;
        let mut subkeys: Vec<Rsa> = Vec::new();
        let mut withdrawn: Vec<Fingerprint> = Vec::new();
        for (of, body) in packets {
            match *of {
                tag::USER_ID => user = Some(*body),
                tag::PUBLIC_SUBKEY => {
                    user = None;
                    subkey = Rsa::read(body).ok();
                }
                tag::SIGNATURE => {
                    let Ok(signature) = Signature::of(body) else { continue };
                    let by_primary =
                        |hash: &mut dyn FnMut(&mut digest::Context)| signature.holds(&primary, hash);
                    match (signature.kind(), user, &subkey) {
                        (Kind::Revocation, ..) if by_primary(&mut |to| hash_key(to, &primary.body)) => {
                            return Err(SignatureError::Revoked(primary.fingerprint));
                        }
                        (Kind::Certification, Some(user), _)
                            if by_primary(&mut |to| {
                                hash_key(to, &primary.body);
                                to.update(&[0xb4]);
                                to.update(&u32::try_from(user.len()).unwrap_or(u32::MAX).to_be_bytes());
                                to.update(user);
                            }) =>
                        {
                            let expires = signature.key_lasts.map(|lasts| primary.made + lasts);
                            if newest.is_none_or(|(made, _)| signature.made >= made) {
                                newest = Some((signature.made, expires));
                            }
                        }
                        (Kind::Binding | Kind::SubkeyRevocation, _, Some(key))
                            if by_primary(&mut |to| {
                                hash_key(to, &primary.body);
                                hash_key(to, &key.body);
                            }) =>
                        {
                            if signature.kind() == Kind::SubkeyRevocation {
                                withdrawn.push(key.fingerprint);
                            } else if signature.signs
                                && signature.is_strong()
                                && vouches(key, &primary, &signature)
                            {
                                subkeys.push(key.clone());
                            }
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        subkeys.retain(|key| !withdrawn.contains(&key.fingerprint));
        Ok(Self { primary, subkeys, expires: newest.and_then(|(_, expires)| expires) })
    }

    /// Reads a detached signature, binary or armored, and takes the one by this key where there are several; with the key or subkey
    /// that it names.
    pub(crate) fn signature(&self, file: &[u8]) -> Result<(Signature, Rsa), SignatureError> {
        let bytes = armor::packets(file).map_err(SignatureError::signature)?;
        let packets = split(&bytes).map_err(SignatureError::signature)?;
        let mut refused = None;
        for (of, body) in packets {
            if of != tag::SIGNATURE {
                return Err(SignatureError::signature("it holds something else than signatures"));
            }
            let signature = Signature::of(body).map_err(SignatureError::signature)?;
            let mut keys = std::iter::once(&self.primary).chain(&self.subkeys);
            match signature.counts().map(|()| keys.find(|key| signature.names(&key.fingerprint))) {
                Ok(Some(key)) => return Ok((signature, key.clone())),
                Ok(None) => {
                    let (by, wanted) = (signature.issuer(), self.fingerprint());
                    refused = Some(SignatureError::OtherSigner { by, wanted });
                }
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or(SignatureError::signature("there is none in it")))
    }

    /// Its fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.primary.fingerprint
    }

    /// When its owner said that it expires, where that is over.
    pub fn expired(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires.filter(|end| *end <= now)
    }
}

/// Whether a subkey says that it belongs to the primary key: otherwise somebody's key could be bound to another's.
fn vouches(subkey: &Rsa, primary: &Rsa, binding: &Signature) -> bool {
    let back = binding.embedded.as_deref().and_then(|embedded| Signature::of(embedded).ok());
    back.filter(|back| back.kind() == Kind::PrimaryBinding && back.is_strong()).is_some_and(|back| {
        back.holds(subkey, &mut |to| {
            hash_key(to, &primary.body);
            hash_key(to, &subkey.body);
        })
    })
}
