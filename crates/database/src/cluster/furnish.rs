//! The server's user and database in a managed cluster.

use std::time::Duration;

use dsn::Server;
use secrecy::ExposeSecret as _;

use crate::connect::{Connected, connect};
use crate::create::{CreateError, Statement, create, for_administration, quietly, run};
use crate::quote;

/// Creates user and database, gives the user the password that `wanted` has and no right beyond its database. Safe to run again. With
/// `statements`, the statistics of statements are switched on; they are in the superuser's own database.
///
/// # Errors
/// The superuser cannot log in; the server refuses a statement.
pub async fn furnish(
    admin: &Server,
    wanted: &Server,
    statements: bool,
    limit: Duration,
) -> Result<(), CreateError> {
    create(admin, wanted, limit).await?;
    let admin = for_administration(admin);
    let (user, name) =
        (quote::postgres_name(&wanted.user, "user")?, quote::postgres_name(&wanted.name, "database name")?);
    let password = quote::postgres_text(wanted.password.expose_secret());
    let statement = |does, sql| Statement { does, sql };
    let mut all = vec![
        statement(
            "set the user's password and rights",
            format!(
                "alter role {user} with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password {password}"
            ),
        ),
        statement("close the database to others", format!("revoke all on database {name} from public")),
        // Mattermost's indexes for searching are English; a search with another configuration cannot use them.
        statement(
            "set the configuration of searches",
            format!("alter database {name} set default_text_search_config = 'pg_catalog.english'"),
        ),
    ];
    if statements {
        let sql = "create extension if not exists pg_stat_statements".to_owned();
        all.push(statement("switch on the statistics of statements", sql));
    }
    let mut connected: Connected = connect(&admin, limit).await.map_err(CreateError::Admin)?;
    quietly(&mut connected, &admin).await?;
    for statement in &all {
        run(&mut connected, &admin, statement).await?;
    }
    connected.close().await;
    Ok(())
}
