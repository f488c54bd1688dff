//! Reading the rows that a statement returns.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, ValueRef};

use crate::id::Id;

/// A row of either engine.
pub(crate) enum Row<'r> {
    Sqlite(&'r SqliteRow),
    Postgres(&'r PgRow),
}

/// The rows that a statement returned.
pub(super) enum Rows {
    Sqlite(Vec<SqliteRow>),
    Postgres(Vec<PgRow>),
}

impl From<Vec<SqliteRow>> for Rows {
    fn from(rows: Vec<SqliteRow>) -> Rows {
        Rows::Sqlite(rows)
    }
}

impl From<Vec<PgRow>> for Rows {
    fn from(rows: Vec<PgRow>) -> Rows {
        Rows::Postgres(rows)
    }
}

impl Rows {
    pub(super) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        let (sqlite, postgres): (&[SqliteRow], &[PgRow]) = match self {
            Rows::Sqlite(rows) => (rows, &[]),
            Rows::Postgres(rows) => (&[], rows),
        };
        sqlite.iter().map(Row::Sqlite).chain(postgres.iter().map(Row::Postgres))
    }
}

/// A type that a column can be read as. Column types are not checked: PostgreSQL's `integer` can be read as [`i64`], and
/// its enums as text.
pub(crate) trait Field: Default + for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres> {}
impl<T: Default + for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres>> Field for T {}

/// A type that a row can be read as.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &Row<'_>) -> sqlx::Result<Self>;
}

impl Row<'_> {
    /// The column with this name. NULL, which the official server writes into many columns, is the type's default.
    pub(crate) fn get<T: Field>(&self, name: &str) -> sqlx::Result<T> {
        match self {
            Row::Sqlite(row) => field(row.try_get_raw(name)?),
            Row::Postgres(row) => field(row.try_get_raw(name)?),
        }
        .map_err(|source| sqlx::Error::ColumnDecode { index: name.to_owned(), source })
    }

    /// The column at this index, from 0. NULL is the type's default.
    pub(crate) fn at<T: Field>(&self, index: usize) -> sqlx::Result<T> {
        match self {
            Row::Sqlite(row) => field(row.try_get_raw(index)?),
            Row::Postgres(row) => field(row.try_get_raw(index)?),
        }
        .map_err(|source| sqlx::Error::ColumnDecode { index: index.to_string(), source })
    }
}

fn field<'r, V, T>(value: V) -> Result<T, sqlx::error::BoxDynError>
where
    V: ValueRef<'r>,
    T: Default + Decode<'r, V::Database>,
    V::Database: sqlx::Database<ValueRef<'r> = V>,
{
    if value.is_null() { Ok(T::default()) } else { T::decode(value) }
}

macro_rules! single {
    ($($type:ty),*) => {$(
        impl FromRow for $type {
            fn from_row(row: &Row<'_>) -> sqlx::Result<$type> {
                row.at(0)
            }
        }
    )*};
}
single!(bool, i64, Id, String);

impl<A: Field, B: Field> FromRow for (A, B) {
    fn from_row(row: &Row<'_>) -> sqlx::Result<(A, B)> {
        Ok((row.at(0)?, row.at(1)?))
    }
}

impl<A: Field, B: Field, C: Field> FromRow for (A, B, C) {
    fn from_row(row: &Row<'_>) -> sqlx::Result<(A, B, C)> {
        Ok((row.at(0)?, row.at(1)?, row.at(2)?))
    }
}

/// Declares a struct that is read from a row: `field column: Type`. The fields under `computed` are not in the row.
macro_rules! row {
    (
        $(#[$meta:meta])*
        struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident $column:ident: $type:ty,)*
        }
        $(computed { $($(#[$extra_meta:meta])* $extra:ident: $extra_type:ty,)* })?
    ) => {
        $(#[$meta])*
        pub(crate) struct $name {
            $($(#[$field_meta])* pub(crate) $field: $type,)*
            $($($(#[$extra_meta])* pub(crate) $extra: $extra_type,)*)?
        }

        impl crate::sql::FromRow for $name {
            fn from_row(row: &crate::sql::Row<'_>) -> sqlx::Result<$name> {
                Ok($name {
                    $($field: row.get(stringify!($column))?,)*
                    $($($extra: Default::default(),)*)?
                })
            }
        }
    };
}
pub(crate) use row;
