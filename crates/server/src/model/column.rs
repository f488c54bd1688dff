//! Columns that hold JSON text.

use std::ops::{Deref, DerefMut};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Sqlite, Type, ValueRef};

/// A value that its column keeps as JSON text. An empty or NULL column is the type's default.
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

impl<T> Type<Sqlite> for Column<T> {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }
}

impl<T: Serialize> Encode<'_, Sqlite> for Column<T> {
    fn encode_by_ref(&self, arguments: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<Sqlite>>::encode(serde_json::to_string(&self.0)?, arguments)
    }
}

impl<'r, T: DeserializeOwned + Default> Decode<'r, Sqlite> for Column<T> {
    fn decode(value: SqliteValueRef<'r>) -> Result<Column<T>, BoxDynError> {
        if value.is_null() {
            return Ok(Column::default());
        }
        match <&str as Decode<Sqlite>>::decode(value)? {
            "" => Ok(Column::default()),
            text => Ok(Column(serde_json::from_str(text)?)),
        }
    }
}
