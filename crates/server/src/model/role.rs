//! Roles.

use serde::Serialize;

use crate::id::Id;

/// A named list of permissions.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Role {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) create_at: i64,
    pub(crate) update_at: i64,
    pub(crate) delete_at: i64,
    pub(crate) permissions: Vec<String>,
    pub(crate) scheme_managed: bool,
    pub(crate) built_in: bool,
    pub(crate) scheme_id: Option<Id>,
}

impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for Role {
    fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> sqlx::Result<Role> {
        use sqlx::Row;
        Ok(Role {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            display_name: row.try_get("displayname")?,
            description: row.try_get("description")?,
            create_at: row.try_get("createat")?,
            update_at: row.try_get("updateat")?,
            delete_at: row.try_get("deleteat")?,
            // The table writes each permission behind one space.
            permissions: row
                .try_get::<&str, _>("permissions")?
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            scheme_managed: row.try_get("schememanaged")?,
            built_in: row.try_get("builtin")?,
            scheme_id: row.try_get("schemeid")?,
        })
    }
}
