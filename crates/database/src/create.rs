//! A user and a database of its own for Mattermost: as SQL to read and run, or run.

use std::time::Duration;

use dsn::{Engine, Server};
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _};

use crate::connect::{Connected, connect};
use crate::failure::Failure;
use crate::quote::{self, NameError};
use crate::version::Version;

/// Since 15, the schema `public` is closed to everybody but the database's owner.
const CLOSED_SCHEMA: u32 = 15;

/// Why nothing, or not all, was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The names.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Whoever knows the name would be let in.
    #[error("no password is given for the new user; give one, or let one be generated")]
    NoPassword,
    /// Administrator and wanted database differ in kind.
    #[error(
        "the administrator's address is {admin}'s and the wanted database {wanted}'s; give two of one kind"
    )]
    Engines {
        /// Of the administrator's address.
        admin: Engine,
        /// Of the wanted database's.
        wanted: Engine,
    },
    /// The administrator cannot log in.
    #[error("the administrator cannot log in: {0}")]
    Admin(#[source] Failure),
    /// The administrator may not.
    #[error("\"{}\" may not {does}; {}", .admin.user.escape_debug(), needs(.admin.engine))]
    Denied {
        /// Who.
        admin: Box<Server>,
        /// What.
        does: &'static str,
    },
    /// The server would not.
    #[error("cannot {does}: {failure}")]
    Server {
        /// What.
        does: &'static str,
        /// Why.
        #[source]
        failure: Failure,
    },
}

fn needs(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => "use a superuser, or a role with CREATEROLE and CREATEDB",
        Engine::MySql => "use root, or a user with CREATE USER, CREATE and GRANT OPTION",
    }
}

/// Whether it was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Now it is there.
    New,
    /// It was there, and was left as it is.
    Existing,
}

/// What [`create`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// The role or user. The password of one that existed is not changed: something else may be using it.
    pub user: Made,
    /// The database. One that existed keeps its owner; privileges are added.
    pub database: Made,
}

/// One statement and what it does, as the rest of "cannot ..." and "may not ...".
struct Statement {
    does: &'static str,
    sql: String,
}

/// What is run, in order. `password` is an SQL expression.
struct Recipe {
    user: Statement,
    database: Statement,
    grant: Statement,
    /// Inside the new database: it is made the user's own.
    own: Option<Statement>,
    /// Inside the database, new or not.
    open: Option<Statement>,
}

impl Recipe {
    /// `locale` for a PostgreSQL database that shall not have its template's.
    fn of(
        wanted: &Server,
        version: Version,
        password: &str,
        locale: Option<&str>,
    ) -> Result<Self, NameError> {
        let statement = |does, sql| Statement { does, sql };
        match wanted.engine {
            Engine::Postgres => {
                let user = quote::postgres_name(&wanted.user, "user")?;
                let name = quote::postgres_name(&wanted.name, "database name")?;
                let locale = locale.map(quote::postgres_text);
                let locale = locale.map_or(String::new(), |l| format!(" LC_COLLATE {l} LC_CTYPE {l}"));
                let closed = version.major >= CLOSED_SCHEMA;
                Ok(Self {
                    user: statement(
                        "create the role",
                        format!("CREATE ROLE {user} LOGIN PASSWORD {password}"),
                    ),
                    database: statement(
                        "create the database",
                        format!(
                            "CREATE DATABASE {name} OWNER {user} ENCODING 'UTF8'{locale} TEMPLATE template0"
                        ),
                    ),
                    grant: statement(
                        "grant the database",
                        format!("GRANT ALL PRIVILEGES ON DATABASE {name} TO {user}"),
                    ),
                    own: closed.then(|| {
                        statement("hand over schema public", format!("ALTER SCHEMA public OWNER TO {user}"))
                    }),
                    open: closed.then(|| {
                        statement(
                            "open schema public",
                            format!("GRANT USAGE, CREATE ON SCHEMA public TO {user}"),
                        )
                    }),
                })
            }
            Engine::MySql => {
                let account = format!("{}@'%'", quote::mysql_user(&wanted.user)?);
                let name = quote::mysql_name(&wanted.name, "database name")?;
                let pattern = quote::mysql_pattern(&wanted.name, "database name")?;
                Ok(Self {
                    user: statement(
                        "create the user",
                        format!("CREATE USER {account} IDENTIFIED BY {password}"),
                    ),
                    database: statement(
                        "create the database",
                        format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"),
                    ),
                    grant: statement(
                        "grant the database",
                        format!("GRANT ALL PRIVILEGES ON {pattern}.* TO {account}"),
                    ),
                    own: None,
                    open: None,
                })
            }
        }
    }
}

/// The sql_mode in which our texts mean what they say, and an impossible value is an error.
const MYSQL_MODE: &str = "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'";

/// The server's log must not hold the password. Only a superuser may stop it.
const UNLOGGED: [&str; 3] = [
    "SET log_statement = 'none'",
    "SET log_min_duration_statement = -1",
    "SET log_min_error_statement = 'panic'",
];

/// The exact SQL for a server of this version, to be read and run by its administrator. It holds no password: psql is
/// given it as a variable, and the MySQL client's place for it is a syntax error until it is filled in.
///
/// # Errors
/// Names that are no identifiers.
pub fn script(wanted: &Server, version: Version) -> Result<String, NameError> {
    let password = match wanted.engine {
        Engine::Postgres => ":'password'",
        Engine::MySql => "<PASSWORD>",
    };
    let Recipe { user, database, grant, own, open } = Recipe::of(wanted, version, password, None)?;
    let (mut lines, place) = (Vec::new(), wanted.place());
    match wanted.engine {
        Engine::Postgres => {
            lines.push(format!(
                "-- On {place}, as a superuser: psql --set=password=PASSWORD --file=THIS_FILE"
            ));
            lines.push("\\set ON_ERROR_STOP on".into());
            lines.extend(UNLOGGED.map(|setting| format!("{setting};")));
        }
        Engine::MySql => {
            lines.push(format!("-- On {place}, as root; write the quoted password in place of <PASSWORD>"));
            lines.push(format!("{MYSQL_MODE};"));
        }
    }
    lines.extend([user, database, grant].map(|statement| statement.sql + ";"));
    if own.is_some() || open.is_some() {
        lines.push(quote::psql_connect(&wanted.name));
    }
    lines.extend([own, open].into_iter().flatten().map(|statement| statement.sql + ";"));
    Ok(lines.join("\n") + "\n")
}

/// Runs it on the server that `admin` leads to. What exists already is no error, so it can be run again after a crash.
/// Whether the wanted database can then be used, [`crate::probe`] tells.
///
/// # Errors
/// Before anything is changed: names, passwords, kinds, the administrator's login. Later: what the server refuses.
pub async fn create(admin: &Server, wanted: &Server, patience: Duration) -> Result<Created, CreateError> {
    if admin.engine != wanted.engine {
        return Err(CreateError::Engines { admin: admin.engine, wanted: wanted.engine });
    }
    if !wanted.has_password() {
        return Err(CreateError::NoPassword);
    }
    let admin = for_administration(admin);
    // Names are checked before the first connection.
    quote::prepared(wanted.password.expose_secret(), "password")?;
    if wanted.engine == Engine::Postgres {
        quote::prepared(&wanted.user, "user")?;
    }
    script(wanted, Version::of_postgres(0))?;
    let connected = connect(&admin, patience).await.map_err(CreateError::Admin)?;
    match connected {
        Connected::Postgres(connection) => on_postgres(connection, &admin, wanted, patience).await,
        server @ Connected::MySql(_) => on_mysql(server, &admin, wanted).await,
    }
}

/// The locale for a new database: None for template0's own, if that one knows more than ASCII.
const LOCALE: &str = "
    select case when pg_encoding_to_char(encoding) = 'UTF8' and datcollate not in ('C', 'POSIX') then null
           else coalesce((select collcollate::text from pg_collation
                          where collprovider = 'c' and collname in ('en_US.utf8', 'C.utf8')
                          order by collname desc limit 1), 'C') end,
           current_setting('server_version_num')::int4, current_setting('is_superuser')::bool
    from pg_database where datname = 'template0'";

async fn on_postgres(
    mut server: PgConnection,
    admin: &Server,
    wanted: &Server,
    patience: Duration,
) -> Result<Created, CreateError> {
    let (locale, number, superuser): (Option<String>, i32, bool) = sqlx::query_as(LOCALE)
        .fetch_one(&mut server)
        .await
        .map_err(|error| failed(admin, "look at the server", &error))?;
    let mut server = Connected::Postgres(server);
    let password = quote::postgres_text(wanted.password.expose_secret());
    let version = Version::of_postgres(number.unsigned_abs());
    let recipe = Recipe::of(wanted, version, &password, locale.as_deref())?;
    if superuser {
        // The server's log must not hold the password; only a superuser may stop it.
        for setting in
            ["log_statement = 'none'", "log_min_duration_statement = -1", "log_min_error_statement = 'panic'"]
        {
            run(
                &mut server,
                admin,
                &Statement { does: "keep the password out of the log", sql: format!("SET {setting}") },
            )
            .await?;
        }
    }
    let user = run(&mut server, admin, &recipe.user).await?;
    if !superuser && user == Made::New {
        // Others may create a database only for a role they are in.
        let role = quote::postgres_name(&wanted.user, "user")?;
        let sql = format!("GRANT {role} TO CURRENT_USER");
        run(&mut server, admin, &Statement { does: "join the role", sql }).await?;
    }
    let database = run(&mut server, admin, &recipe.database).await?;
    run(&mut server, admin, &recipe.grant).await?;
    server.close().await;

    let own = recipe.own.filter(|_| database == Made::New);
    let inside: Vec<Statement> = [own, recipe.open].into_iter().flatten().collect();
    if !inside.is_empty() {
        let admin = Server { name: wanted.name.clone(), ..admin.clone() };
        let mut connection = connect(&admin, patience).await.map_err(CreateError::Admin)?;
        for statement in &inside {
            run(&mut connection, &admin, statement).await?;
        }
        connection.close().await;
    }
    Ok(Created { user, database })
}

async fn on_mysql(mut server: Connected, admin: &Server, wanted: &Server) -> Result<Created, CreateError> {
    let password = quote::mysql_text(wanted.password.expose_secret());
    let recipe = Recipe::of(wanted, Version::of_postgres(0), &password, None)?;
    run(&mut server, admin, &Statement { does: "set the SQL mode", sql: MYSQL_MODE.into() }).await?;
    let user = run(&mut server, admin, &recipe.user).await?;
    let database = run(&mut server, admin, &recipe.database).await?;
    run(&mut server, admin, &recipe.grant).await?;
    server.close().await;
    Ok(Created { user, database })
}

/// The administrator's server, with the database to connect to for administration if the address names none.
pub(crate) fn for_administration(server: &Server) -> Server {
    let mut admin = server.clone();
    if admin.engine == Engine::Postgres && admin.name.is_empty() {
        admin.name = "postgres".into();
    }
    admin
}

/// SQLSTATEs of PostgreSQL and error numbers of MySQL: there is one of that name.
const EXISTS: [&str; 5] = ["42710", "42P04", "23505", "1396", "1007"];
/// The administrator lacks a privilege.
const DENIED: [&str; 6] = ["42501", "1044", "1045", "1142", "1227", "1410"];

/// Runs one statement whose names and texts are quoted.
async fn run(connection: &mut Connected, admin: &Server, statement: &Statement) -> Result<Made, CreateError> {
    match connection.execute(&statement.sql).await {
        Ok(()) => Ok(Made::New),
        Err(error) if has_code(&error, &EXISTS) => Ok(Made::Existing),
        Err(error) => Err(failed(admin, statement.does, &error)),
    }
}

impl Connected {
    /// Runs SQL whose names and texts are quoted.
    pub(crate) async fn execute(&mut self, sql: &str) -> sqlx::Result<()> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Postgres(connection) => connection.execute(sql).await.map(|_| ()),
            Self::MySql(connection) => connection.execute(sql).await.map(|_| ()),
        }
    }
}

pub(crate) fn failed(admin: &Server, does: &'static str, error: &sqlx::Error) -> CreateError {
    if has_code(error, &DENIED) {
        return CreateError::Denied { admin: Box::new(admin.clone()), does };
    }
    CreateError::Server { does, failure: Failure::of(admin, error) }
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    match error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        // Its code() is an SQLSTATE that says less.
        Some(error) => codes.contains(&error.number().to_string().as_str()),
        None => error.code().is_some_and(|code| codes.contains(&code.as_ref())),
    }
}
