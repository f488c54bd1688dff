//! Roles.

use std::sync::Arc;

use super::handle::Store;
use crate::clock;
use crate::error::Result;
use crate::id::Id;
use crate::model::Role;
use crate::permission::DEFAULT_ROLES;
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
