//! The key of a repository.
use rand::TryRngCore as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::Error;

/// What opens a repository: restic calls it the password. Whoever has it reads everything; without it nobody restores anything.
#[derive(Debug, Clone)]
pub struct Key(SecretString);

impl Key {
    /// A new one: 256 random bits in hexadecimal.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Key, Error> {
        let mut bytes = [0u8; 32];
        rand::rngs::OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|error| Error::Engine(format!("the system gives no random numbers: {error}")))?;
        Ok(Key(hex::encode(bytes).into()))
    }

    /// The key in a text, as a file of it may hold: one line.
    ///
    /// # Errors
    /// It is empty, or of several lines.
    pub fn parse(text: &str) -> Result<Key, Error> {
        match text.trim() {
            "" => Err(Error::NoKey("it is empty")),
            text if text.contains(char::is_control) => Err(Error::NoKey("it has more than one line")),
            text => Ok(Key(text.to_owned().into())),
        }
    }

    /// Whether it is as long and as random as those that are generated, as far as that can be seen.
    pub(crate) fn is_generated(&self) -> bool {
        let text = self.reveal();
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let different: std::collections::BTreeSet<u8> = text.bytes().collect();
        text.len() == 64 && text.bytes().all(is_digit) && different.len() >= 10
    }

    /// The key itself: for the file that its owner keeps, and for restic's `--password-file`.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}
