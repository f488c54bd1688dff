//! The file in a repository that a key opens.
//!
//! restic derives what opens it by a function that is slow and takes memory on purpose, because a password can be guessed. The engine's
//! takes a quarter of a second and 128 MiB each time a repository is opened. Our own keys are 256 random bits, which nobody guesses
//! at any speed: for those the function costs as little as is good for the format.
use aes256ctr_poly1305aes::Aes256CtrPoly1305Aes;
use aes256ctr_poly1305aes::aead::{Aead as _, Nonce};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use rand::TryRngCore as _;
use rustic_core::repofile::{KeyFile, MasterKey};
use secrecy::zeroize::Zeroize as _;

use crate::error::Error;
use crate::key::Key;
use crate::store::Store;

/// Cost of the function for a key of ours: 4 MiB, some milliseconds.
const LOG_N: u8 = 12;
const R: u32 = 8;
const P: u32 = 1;

/// Writes the file that `key` opens the repository with, into a place that has no repository yet.
pub(crate) fn write(store: &dyn Store, master: &MasterKey, key: &Key) -> Result<(), Error> {
    let content =
        serde_json::to_vec(&file(master, key)?).map_err(|error| Error::Engine(error.to_string()))?;
    let name = hex::encode(digest(&SHA256, &content));
    Ok(store.write(&format!("keys/{name}"), &[Bytes::from(content)])?)
}

fn file(master: &MasterKey, key: &Key) -> Result<KeyFile, Error> {
    let fail = |what: &dyn std::fmt::Display| Error::Engine(format!("the key file cannot be made: {what}"));
    let (mut salt, mut nonce) = (vec![0; 64], [0; 16]);
    for random in [&mut salt[..], &mut nonce[..]] {
        rand::rngs::OsRng.try_fill_bytes(random).map_err(|error| fail(&error))?;
    }
    let params = scrypt::Params::new(LOG_N, R, P).map_err(|error| fail(&error))?;
    let mut derived = [0; 64];
    scrypt::scrypt(key.reveal().as_bytes(), &salt, &params, &mut derived).map_err(|error| fail(&error))?;
    let cipher = Aes256CtrPoly1305Aes::new(&derived.into());
    derived.zeroize();
    let mut plain = serde_json::to_vec(master).map_err(|error| fail(&error))?;
    let sealed = cipher.encrypt(&Nonce::<Aes256CtrPoly1305Aes>::from(nonce), &*plain);
    plain.zeroize();
    let data = [&nonce[..], &sealed.map_err(|error| fail(&error))?].concat();
    Ok(KeyFile {
        hostname: None,
        username: None,
        created: Some(jiff::Zoned::now()),
        kdf: "scrypt".to_owned(),
        n: 1 << LOG_N,
        r: R,
        p: P,
        data,
        salt,
    })
}
