//! Mattermost's objects: one struct each, whose fields are the wire's names beside the table's columns.

mod category;
mod channel;
mod column;
mod file_info;
mod post;
mod preference;
mod role;
mod session;
mod status;
mod team;
mod thread;
mod user;

pub(crate) use category::{Category, CategoryWithChannels};
pub(crate) use channel::{Channel, ChannelKind, ChannelMember};
pub(crate) use column::Column;
pub(crate) use file_info::FileInfo;
pub(crate) use post::{Draft, Post, PostList, Reaction};
pub(crate) use preference::Preference;
pub(crate) use role::Role;
pub(crate) use session::Session;
pub(crate) use status::Status;
pub(crate) use team::{Team, TeamMember};
pub(crate) use thread::Thread;
pub(crate) use user::{User, default_notify_props, default_timezone};

use std::collections::BTreeMap;

/// A flat map of strings: notification settings, time zones, session properties.
pub(crate) type StringMap = BTreeMap<String, String>;

/// A client's own JSON: a post's props.
pub(crate) type Props = serde_json::Map<String, serde_json::Value>;

/// Declares a struct that is a row of a table: `field column: Type`. What is under `computed` is not stored.
macro_rules! record {
    (
        $(#[$meta:meta])*
        struct $name:ident in $table:literal {
            $(#[$first_meta:meta])* $first:ident $first_column:ident: $first_type:ty,
            $($(#[$field_meta:meta])* $field:ident $column:ident: $type:ty,)*
        }
        $(computed { $($(#[$extra_meta:meta])* $extra:ident: $extra_type:ty,)* })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, serde::Serialize)]
        pub(crate) struct $name {
            $(#[$first_meta])* pub(crate) $first: $first_type,
            $($(#[$field_meta])* pub(crate) $field: $type,)*
            $($($(#[$extra_meta])* pub(crate) $extra: $extra_type,)*)?
        }

        impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for $name {
            fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> sqlx::Result<$name> {
                use sqlx::Row;
                Ok($name {
                    $first: row.try_get(stringify!($first_column))?,
                    $($field: row.try_get(stringify!($column))?,)*
                    $($($extra: Default::default(),)*)?
                })
            }
        }

        #[allow(dead_code, reason = "not every table is written whole")]
        impl $name {
            const INSERT: &'static str = concat!(
                "INSERT INTO ", $table, " (", stringify!($first_column), $(", ", stringify!($column),)*
                ") VALUES (?", $(record!(@mark $column),)* ")"
            );

            /// The statement that stores it as a new row.
            pub(crate) fn insert(&self) -> sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
                self.bind_to($name::INSERT)
            }

            /// `statement` with every column bound, in the order of the declaration.
            pub(crate) fn bind_to(
                &self,
                statement: &'static str,
            ) -> sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
                sqlx::query(statement).bind(&self.$first)$(.bind(&self.$field))*
            }
        }
    };
    (@mark $column:ident) => { ", ?" };
}
pub(crate) use record;
