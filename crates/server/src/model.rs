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

        impl crate::store::sql::FromRow for $name {
            fn from_row(row: &crate::store::sql::Row<'_>) -> sqlx::Result<$name> {
                Ok($name {
                    $first: row.get(stringify!($first_column))?,
                    $($field: row.get(stringify!($column))?,)*
                    $($($extra: Default::default(),)*)?
                })
            }
        }

        #[allow(dead_code, reason = "not every table is written whole")]
        impl $name {
            /// The statement that stores it as a new row.
            pub(crate) fn insert(&self) -> crate::store::sql::Query {
                static INSERT: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
                    crate::store::sql::insert($table, &[stringify!($first_column), $(stringify!($column)),*])
                });
                self.bind_to(INSERT.as_str())
            }

            /// `statement` with every column bound, in the order of the declaration.
            pub(crate) fn bind_to(
                &self,
                statement: impl Into<crate::store::sql::Text>,
            ) -> crate::store::sql::Query {
                crate::store::sql::query(statement).bind(&self.$first)$(.bind(&self.$field))*
            }
        }
    };
}
pub(crate) use record;
