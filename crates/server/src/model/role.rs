//! Roles.

use serde::Serialize;

use crate::id::Id;
use crate::sql::{FromRow, Row};

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

impl FromRow for Role {
    fn from_row(row: &Row<'_>) -> sqlx::Result<Role> {
        Ok(Role {
            id: row.get("id")?,
            name: row.get("name")?,
            display_name: row.get("displayname")?,
            description: row.get("description")?,
            create_at: row.get("createat")?,
            update_at: row.get("updateat")?,
            delete_at: row.get("deleteat")?,
            // The table has a space before each permission.
            permissions: row.get::<String>("permissions")?.split_whitespace().map(str::to_owned).collect(),
            scheme_managed: row.get("schememanaged")?,
            built_in: row.get("builtin")?,
            scheme_id: row.get("schemeid")?,
        })
    }
}
