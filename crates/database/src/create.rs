//! Creates a user and a database for Mattermost, or prints the SQL for it.

use std::time::Duration;

use dsn::{Engine, Server};
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _};

use crate::connect::{Connected, connect};
use crate::failure::Failure;
use crate::quote::{self, NameError};
use crate::version::Version;

/// Since 15, only the database's owner may create tables in the schema `public`.
const CLOSED_SCHEMA: u32 = 15;

/// Why nothing, or not everything, was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A name or the password is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Without a password, everybody who knows the name could log in.
    #[error("no password is given for the new user; give one, or let one be generated")]
    NoPassword,
    /// The administrator's address and the wanted database are of different kinds.
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
    /// The administrator lacks a privilege.
    #[error("\"{}\" may not {does}; {}", .admin.user.escape_debug(), needs(.admin.engine))]
    Denied {
        /// Who.
        admin: Box<Server>,
        /// What.
        does: &'static str,
    },
    /// The server refused a statement.
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

/// Whether it existed already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was created.
    New,
    /// It existed, and was not changed.
    Existing,
}

/// What [`create`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// The role or user. The password of an existing one is not changed: another program may be using it.
    pub user: Made,
    /// The database. An existing one keeps its owner; privileges are added.
    pub database: Made,
}

/// One statement, and what it does, for messages that begin with "cannot" or "may not".
pub(crate) struct Statement {
    pub does: &'static str,
    pub sql: String,
}

/// The statements, in order. `password` is an SQL expression.
struct Recipe {
    user: Statement,
    database: Statement,
    grant: Statement,
    /// Run inside the new database: makes the user the schema's owner.
    own: Option<Statement>,
    /// Run inside the database, new or not.
    open: Option<Statement>,
}

impl Recipe {
    /// `locale`: for a PostgreSQL database with another locale than its template's.
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

/// The sql_mode in which quoted texts are read correctly, and an impossible value is an error.
const MYSQL_MODE: &str = "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'";

/// Keeps the password out of the server's log. Only a superuser may set these.
const UNLOGGED: [&str; 3] = [
    "SET log_statement = 'none'",
    "SET log_min_duration_statement = -1",
    "SET log_min_error_statement = 'panic'",
];

/// The SQL for a server of this version, for its administrator to read and run. It contains no password: psql gets it as a
/// variable, and in MySQL's script its placeholder is a syntax error until it is replaced.
///
/// # Errors
/// Names that cannot be identifiers.
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

/// Creates user and database on the server at `admin`. What exists already is not an error, so it can be run again after a crash.
/// [`crate::probe`] then tells whether the wanted database can be used.
///
/// # Errors
/// Before anything is changed: invalid names, passwords or kinds, a failed login of the administrator. Later: a refused statement.
pub async fn create(admin: &Server, wanted: &Server, limit: Duration) -> Result<Created, CreateError> {
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
    let connected = connect(&admin, limit).await.map_err(CreateError::Admin)?;
    match connected {
        Connected::Postgres(connection) => on_postgres(connection, &admin, wanted, limit).await,
        server @ Connected::MySql(_) => on_mysql(server, &admin, wanted).await,
    }
}

/// The locale for a new database: `None` for that of template0, if it supports more than ASCII.
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
    limit: Duration,
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
        quietly(&mut server, admin).await?;
    }
    let user = run(&mut server, admin, &recipe.user).await?;
    if !superuser && user == Made::New {
        // Other users may create a database only for a role that they belong to.
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
        let mut connection = connect(&admin, limit).await.map_err(CreateError::Admin)?;
        for statement in &inside {
            run(&mut connection, &admin, statement).await?;
        }
        connection.close().await;
    }
    Ok(Created { user, database })
}

/// Keeps the password out of the server's log.
pub(crate) async fn quietly(server: &mut Connected, admin: &Server) -> Result<(), CreateError> {
    for sql in UNLOGGED {
        let does = "keep the password out of the log";
        run(server, admin, &Statement { does, sql: sql.to_owned() }).await?;
    }
    Ok(())
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

/// SQLSTATEs of PostgreSQL and error numbers of MySQL: the name exists already.
const EXISTS: [&str; 5] = ["42710", "42P04", "23505", "1396", "1007"];
/// The administrator lacks a privilege.
const DENIED: [&str; 6] = ["42501", "1044", "1045", "1142", "1227", "1410"];

/// Runs one statement whose names and texts are quoted.
pub(crate) async fn run(
    connection: &mut Connected,
    admin: &Server,
    statement: &Statement,
) -> Result<Made, CreateError> {
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
        // Its code() is an SQLSTATE, which is less precise.
        Some(error) => codes.contains(&error.number().to_string().as_str()),
        None => error.code().is_some_and(|code| codes.contains(&code.as_ref())),
    }
}
