//! Columns that hold JSON text.

use std::ops::{Deref, DerefMut};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::error::BoxDynError;
use sqlx::postgres::PgValueRef;
use sqlx::sqlite::SqliteValueRef;
use sqlx::{Decode, Postgres, Sqlite};

/// A value that is stored as JSON text. An empty column is read as the type's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Column<T>(pub(crate) T);

impl<T> Deref for Column<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Column<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<'r, T: DeserializeOwned + Default> Decode<'r, Sqlite> for Column<T> {
    fn decode(value: SqliteValueRef<'r>) -> Result<Column<T>, BoxDynError> {
        parsed(<&str as Decode<Sqlite>>::decode(value)?)
    }
}

impl<'r, T: DeserializeOwned + Default> Decode<'r, Postgres> for Column<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Column<T>, BoxDynError> {
        let text = <&str as Decode<Postgres>>::decode(value)?;
        // `jsonb` has a version byte before the text.
        parsed(text.strip_prefix('\u{1}').unwrap_or(text))
    }
}

fn parsed<T: DeserializeOwned + Default>(text: &str) -> Result<Column<T>, BoxDynError> {
    if text.is_empty() { Ok(Column::default()) } else { Ok(Column(serde_json::from_str(text)?)) }
}
