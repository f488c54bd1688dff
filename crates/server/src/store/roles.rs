//! Roles.

use std::sync::Arc;

use super::handle::Store;
use crate::clock;
use crate::error::Result;
use crate::id::Id;
use crate::model::Role;
use crate::permission::{ADDED, Added, DEFAULT_ROLES};
use crate::sql::{Connection, query};

/// Inserts the missing default roles. Existing ones are not changed.
pub(super) async fn insert_defaults(connection: &mut Connection) -> sqlx::Result<()> {
    for role in DEFAULT_ROLES {
        let permissions: String = role.permissions.iter().flat_map(|name| [" ", name]).collect();
        query(
            "insert into roles (id, name, displayname, description, createat, updateat, deleteat, permissions, \
             schememanaged, builtin, schemeid) values ($1, $2, $3, $4, $5, $5, 0, $6, true, true, null) \
             on conflict (name) do nothing",
        )
        .bind(Id::random())
        .bind(role.name)
        .bind(role.display_name)
        .bind(role.description)
        .bind(clock::now())
        .bind(permissions)
        .execute(&mut *connection)
        .await?;
    }
    for added in ADDED {
        add_permissions(connection, added).await?;
    }
    Ok(())
}

/// Gives each role its further permissions, once: an administrator may take them away again.
async fn add_permissions(connection: &mut Connection, added: &Added) -> sqlx::Result<()> {
    let marked = query("insert into systems (name, value) values ($1, 'true') on conflict (name) do nothing");
    if marked.bind(added.row).execute(&mut *connection).await? == 0 {
        return Ok(());
    }
    for name in added.roles {
        let found = query("select permissions from roles where name = $1").bind(*name);
        let mut granted: String = found.fetch_optional(&mut *connection).await?.unwrap_or_default();
        for permission in added.permissions {
            if !granted.split_whitespace().any(|one| one == *permission) {
                granted.push(' ');
                granted.push_str(permission);
            }
        }
        let changed = query("update roles set permissions = $2, updateat = $3 where name = $1");
        changed.bind(*name).bind(granted).bind(clock::now()).execute(&mut *connection).await?;
    }
    Ok(())
}

impl Store {
    pub(crate) async fn role(&self, name: &str) -> Result<Option<Arc<Role>>> {
        let load = async {
            let row = query("select * from roles where name = $1").bind(name);
            Ok(row.fetch_optional(&self.readers).await?.map(Arc::new))
        };
        self.caches.roles.get_or_load(name.to_owned(), load).await
    }

    pub(crate) async fn role_by_id(&self, id: Id) -> Result<Option<Role>> {
        Ok(query("select * from roles where id = $1").bind(id).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn roles(&self) -> Result<Vec<Role>> {
        Ok(query("select * from roles where deleteat = 0 order by name").fetch_all(&self.readers).await?)
    }
}
