//! Binding values to a statement.

use serde::Serialize;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Encode, Postgres, Type};

use super::column::Column;
use crate::id::Id;

/// A value for a `$1`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    Number(i64),
    Id(Id),
    Text(String),
    /// JSON as text.
    Json(String),
    Bytes(Vec<u8>),
    /// For `= any($1)`.
    List(Vec<String>),
}

impl Value {
    pub(super) fn add_to_sqlite(self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        match self {
            Value::Null => Arguments::add(arguments, None::<i64>),
            Value::Flag(flag) => Arguments::add(arguments, flag),
            Value::Number(number) => Arguments::add(arguments, number),
            Value::Id(id) => Arguments::add(arguments, id.as_str().to_owned()),
            // PostgreSQL cannot store NUL, and both engines must refuse the same texts.
            Value::Text(text) if text.contains('\0') => Err("a text contains a NUL character".into()),
            Value::Text(text) | Value::Json(text) => Arguments::add(arguments, text),
            Value::Bytes(bytes) => Arguments::add(arguments, bytes),
            Value::List(items) => Arguments::add(arguments, serde_json::to_string(&items)?),
        }
    }

    pub(super) fn add_to_postgres(&self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Value::Null => Arguments::add(arguments, None::<Untyped<'_>>),
            Value::Flag(flag) => Arguments::add(arguments, *flag),
            Value::Number(number) => Arguments::add(arguments, *number),
            Value::Id(id) => Arguments::add(arguments, Untyped(id.as_str())),
            Value::Text(text) => Arguments::add(arguments, Untyped(text)),
            Value::Json(text) => Arguments::add(arguments, Jsonb(text)),
            Value::Bytes(bytes) => Arguments::add(arguments, bytes.as_slice()),
            Value::List(items) => Arguments::add(arguments, items.as_slice()),
        }
    }
}

/// Text without a type: PostgreSQL derives it from the context. It may become a `varchar`, or one of Mattermost's enums,
/// to which a value of type text cannot be assigned.
struct Untyped<'a>(&'a str);

impl Type<Postgres> for Untyped<'_> {
    fn type_info() -> PgTypeInfo {
        // `unknown` in pg_type.dat.
        PgTypeInfo::with_oid(Oid(705))
    }
}

impl Encode<'_, Postgres> for Untyped<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

/// JSON for a `jsonb` column. PostgreSQL casts it by itself for columns that store JSON as text.
struct Jsonb<'a>(&'a str);

impl Type<Postgres> for Jsonb<'_> {
    fn type_info() -> PgTypeInfo {
        // `jsonb` in pg_type.dat.
        PgTypeInfo::with_oid(Oid(3802))
    }
}

impl Encode<'_, Postgres> for Jsonb<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // The version byte of the binary form; the rest is text.
        buffer.push(1);
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

/// Implements `From` for a type and for a reference to it.
macro_rules! from {
    ($($type:ty => |$value:ident| $made:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Value {
                $made
            }
        }

        impl From<&$type> for Value {
            fn from(value: &$type) -> Value {
                Value::from(value.clone())
            }
        }
    )*};
}

from! {
    bool => |flag| Value::Flag(flag);
    i64 => |number| Value::Number(number);
    Id => |id| Value::Id(id);
    String => |text| Value::Text(text);
    Vec<String> => |items| Value::List(items);
    Option<bool> => |flag| flag.map_or(Value::Null, Value::Flag);
    Option<Id> => |id| id.map_or(Value::Null, Value::Id);
    Option<String> => |text| text.map_or(Value::Null, Value::Text);
    Option<Vec<u8>> => |bytes| bytes.map_or(Value::Null, Value::Bytes);
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<&[Id]> for Value {
    fn from(ids: &[Id]) -> Value {
        Value::List(ids.iter().map(Id::to_string).collect())
    }
}

impl From<&Vec<Id>> for Value {
    fn from(ids: &Vec<Id>) -> Value {
        Value::from(ids.as_slice())
    }
}

impl<T: Serialize> From<&Column<T>> for Value {
    fn from(column: &Column<T>) -> Value {
        // This cannot fail: none of the types has keys that JSON does not allow.
        Value::Json(serde_json::to_string(&column.0).unwrap_or_default())
    }
}
