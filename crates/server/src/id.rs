//! Mattermost's identifiers: 16 random bytes as 26 characters of z-base-32.

use std::fmt;

use serde::{Serialize, Serializer};
use sqlx::error::BoxDynError;
use sqlx::postgres::PgValueRef;
use sqlx::sqlite::SqliteValueRef;
use sqlx::{Decode, Postgres, Sqlite};

/// Characters in an identifier.
pub(crate) const LENGTH: usize = 26;

const ALPHABET: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";

/// An identifier, or [`Id::NONE`], which JSON and the tables write as the empty string.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id([u8; LENGTH]);

impl Id {
    /// No identifier, for example as the team of a direct channel.
    pub(crate) const NONE: Id = Id([0; LENGTH]);

    /// A new identifier from 122 random bits (a version 4 UUID).
    pub(crate) fn random() -> Id {
        let mut bytes: [u8; 16] = rand::random();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        // 128 bits are padded to 130 = 26 * 5, most significant first.
        let bits = u128::from_be_bytes(bytes);
        let mut text = [0; LENGTH];
        for (place, character) in text.iter_mut().enumerate() {
            let shift = 123_i32 - 5 * place as i32;
            let five = if shift >= 0 { bits >> shift } else { bits << -shift };
            *character = ALPHABET[(five & 31) as usize];
        }
        Id(text)
    }

    /// Parses an identifier: 26 letters or digits. Mattermost checks no more either.
    pub(crate) fn parse(text: &str) -> Option<Id> {
        let bytes: [u8; LENGTH] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_alphanumeric).then_some(Id(bytes))
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Id::NONE
    }

    pub(crate) fn as_str(&self) -> &str {
        if self.is_none() { "" } else { std::str::from_utf8(&self.0).unwrap_or_default() }
    }
}

impl Default for Id {
    fn default() -> Id {
        Id::NONE
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        stored(&text).ok_or_else(|| serde::de::Error::custom("not an id of 26 letters and digits"))
    }
}

impl<'r> Decode<'r, Sqlite> for Id {
    fn decode(value: SqliteValueRef<'r>) -> Result<Id, BoxDynError> {
        in_column(<&str as Decode<Sqlite>>::decode(value)?)
    }
}

impl<'r> Decode<'r, Postgres> for Id {
    fn decode(value: PgValueRef<'r>) -> Result<Id, BoxDynError> {
        in_column(<&str as Decode<Postgres>>::decode(value)?)
    }
}

fn in_column(text: &str) -> Result<Id, BoxDynError> {
    stored(text).ok_or_else(|| format!("the column holds {text:?}, which is not an id").into())
}

/// Parses an identifier or the empty string, as tables and clients have them.
fn stored(text: &str) -> Option<Id> {
    if text.is_empty() { Some(Id::NONE) } else { Id::parse(text) }
}

/// `length` random characters of the identifier alphabet, for tokens and invites.
pub(crate) fn random_text(length: usize) -> String {
    (0..length).map(|_| char::from(ALPHABET[usize::from(rand::random::<u8>() & 31)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn random_ids_are_valid_and_differ() {
        let (a, b) = (Id::random(), Id::random());
        assert_ne!(a, b);
        assert_eq!(Id::parse(a.as_str()), Some(a));
        assert!(a.as_str().bytes().all(|byte| ALPHABET.contains(&byte)));
    }

    #[test]
    fn no_id_is_written_as_the_empty_string() {
        assert_eq!(Id::NONE.as_str(), "");
        assert_eq!(Id::parse(""), None);
        assert_eq!(serde_json::from_str::<Id>("\"\"").ok(), Some(Id::NONE));
    }

    proptest! {
        #[test]
        fn only_26_letters_and_digits_are_an_id(text in ".{0,40}") {
            let allowed = text.len() == 26 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            prop_assert_eq!(Id::parse(&text).is_some(), allowed);
        }

        #[test]
        fn an_id_survives_json(text in "[a-z0-9A-Z]{26}") {
            let id = Id::parse(&text).ok_or(TestCaseError::fail("refused"))?;
            let json = serde_json::to_string(&id)?;
            prop_assert_eq!(serde_json::from_str::<Id>(&json)?, id);
        }
    }
}
