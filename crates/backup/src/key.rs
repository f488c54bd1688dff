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

    /// The key itself: for the file that its owner keeps, and for restic's `--password-file`.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}
