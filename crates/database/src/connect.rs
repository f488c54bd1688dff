//! Connections: from an address to the driver's options, and from the driver's errors to reasons.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dsn::{Engine, Host, Server, TlsMode};
use finding::Unreached;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::ExposeSecret as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::failure::Failure;
use crate::reason::Reason;

/// A connection that has logged in.
pub(crate) enum Connected {
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

impl Connected {
    /// Closes the connection properly, so that the server logs no error. A failure does no harm.
    pub(crate) async fn close(self) {
        let closed = match self {
            Self::Postgres(connection) => connection.close().await,
            Self::MySql(connection) => connection.close().await,
        };
        if let Err(error) = closed {
            tracing::debug!(%error, "closing a database connection");
        }
    }
}

impl Failure {
    /// What the driver's error means, for a server that was connected to with [`postgres_options`].
    pub fn of(server: &Server, error: &sqlx::Error) -> Self {
        Self::new(server, reason(server.engine, error))
    }
}

/// Logs in within the time limit, or says why not.
pub(crate) async fn connect(server: &Server, limit: Duration) -> Result<Connected, Failure> {
    let started = Instant::now();
    let fails = |reason| Failure::new(server, reason);
    let found = match tokio::time::timeout(limit, Box::pin(log_in(server))).await {
        Ok(found) => found.map_err(fails),
        Err(_) => Err(fails(Reason::timed_out(limit))),
    };
    let Err(failure) = found else { return found };
    let is_refusal = matches!(failure.reason, Reason::HostNotAllowed | Reason::WrongPassword);
    if server.tls.mode != TlsMode::Disable || matches!(server.host, Host::Socket(_)) || !is_refusal {
        return Err(failure);
    }
    // Where TLS is required, both engines answer a login without TLS as if the host or the password were wrong. If the same login
    // gets further with TLS, TLS was the reason.
    let mut encrypted = server.clone();
    encrypted.tls.mode = TlsMode::Require;
    let limit = limit.saturating_sub(started.elapsed());
    match tokio::time::timeout(limit, Box::pin(log_in(&encrypted))).await {
        Ok(Ok(connected)) => {
            connected.close().await;
            Err(fails(Reason::TlsRequired))
        }
        Ok(Err(Reason::WrongPassword)) if failure.reason == Reason::HostNotAllowed => {
            Err(fails(Reason::TlsRequired))
        }
        Ok(Err(Reason::UnknownDatabase | Reason::DatabaseDenied)) => Err(fails(Reason::TlsRequired)),
        _ => Err(failure),
    }
}

async fn log_in(server: &Server) -> Result<Connected, Reason> {
    if let Host::Name(name) = &server.host {
        // The driver resolves the name again; this look-up distinguishes an unknown name from other failures.
        let mut found = tokio::net::lookup_host((name.as_str(), server.port))
            .await
            .map_err(|_| Unreached::UnknownHost)?;
        found.next().ok_or(Unreached::UnknownHost)?;
    }
    let authority = authority(server).await?;
    // Statements are not logged: some contain a password.
    match server.engine {
        Engine::Postgres => {
            postgres(server, authority).disable_statement_logging().connect().await.map(Connected::Postgres)
        }
        Engine::MySql => {
            mysql(server, authority).disable_statement_logging().connect().await.map(Connected::MySql)
        }
    }
    .map_err(|error| reason(server.engine, &error))
}

/// The systems' trusted certificates. Mattermost uses them; the driver does not.
const SYSTEM_AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// The PEM file to verify the server's certificate with, if it is verified.
pub(crate) async fn authority(server: &Server) -> Result<Option<PathBuf>, Reason> {
    if let Some(path) = &server.tls.ca {
        let unusable = |why: String| Reason::AuthorityFile(path.clone(), why);
        let pem = tokio::fs::read(path).await.map_err(|error| unusable(error.to_string()))?;
        let count = CertificateDer::pem_slice_iter(&pem).filter(Result::is_ok).count();
        return if count > 0 {
            Ok(Some(path.clone()))
        } else {
            Err(unusable("it holds no certificate".into()))
        };
    }
    let verifies = matches!(server.tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull);
    Ok(SYSTEM_AUTHORITIES.iter().map(PathBuf::from).find(|path| verifies && path.is_file()))
}

/// The mode by libpq's rule: a given authority means verification.
pub(crate) fn mode(server: &Server) -> TlsMode {
    match server.tls.mode {
        _ if matches!(server.host, Host::Socket(_)) => TlsMode::Disable,
        TlsMode::Require if server.tls.ca.is_some() => TlsMode::VerifyCa,
        mode => mode,
    }
}

pub(crate) fn host_text(host: &Host) -> String {
    match host {
        Host::Ip(ip) => ip.to_string(),
        host => host.to_string(),
    }
}

/// sqlx's options for this PostgreSQL server, for callers that keep connections. Statements are not logged: some contain a
/// password.
///
/// # Errors
/// The file of authorities cannot be used.
pub async fn postgres_options(server: &Server) -> Result<PgConnectOptions, Failure> {
    let authority = authority(server).await.map_err(|reason| Failure::new(server, reason))?;
    Ok(postgres(server, authority).disable_statement_logging())
}

fn postgres(server: &Server, authority: Option<PathBuf>) -> PgConnectOptions {
    let Server { host, port, name, user, password, .. } = server;
    // Everything is set, because the driver would read the rest from PG* variables.
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&host_text(host))
        .port(*port)
        .username(user)
        .password(password.expose_secret())
        .database(if name.is_empty() { user } else { name })
        .application_name("mainstay")
        // PgBouncer refuses this start-up parameter by default.
        .extra_float_digits(None)
        .ssl_mode(match mode(server) {
            TlsMode::Disable => PgSslMode::Disable,
            TlsMode::Prefer => PgSslMode::Prefer,
            TlsMode::Require => PgSslMode::Require,
            TlsMode::VerifyCa => PgSslMode::VerifyCa,
            TlsMode::VerifyFull => PgSslMode::VerifyFull,
        });
    if let Host::Socket(directory) = host {
        options = options.socket(directory);
    }
    if let Some(path) = authority {
        options = options.ssl_root_cert(path);
    }
    let file = |key: &str| server.parameters.get(key).filter(|path| !path.is_empty());
    if let (Some(certificate), Some(key)) = (file("sslcert"), file("sslkey")) {
        options = options.ssl_client_cert(certificate).ssl_client_key(key);
    }
    match server.session_parameters() {
        none if none.is_empty() => options,
        // They may change where the probe looks; and a name that the server does not know keeps Mattermost out.
        parameters => options.options(parameters),
    }
}

fn mysql(server: &Server, authority: Option<PathBuf>) -> MySqlConnectOptions {
    let Server { host, port, name, user, password, .. } = server;
    let mut options = MySqlConnectOptions::new()
        .host(&host_text(host))
        .port(*port)
        .username(user)
        .charset("utf8mb4")
        .ssl_mode(match mode(server) {
            TlsMode::Disable => MySqlSslMode::Disabled,
            TlsMode::Prefer => MySqlSslMode::Preferred,
            TlsMode::Require => MySqlSslMode::Required,
            TlsMode::VerifyCa => MySqlSslMode::VerifyCa,
            TlsMode::VerifyFull => MySqlSslMode::VerifyIdentity,
        });
    if server.has_password() {
        options = options.password(password.expose_secret());
    }
    if !name.is_empty() {
        options = options.database(name);
    }
    if let Host::Socket(path) = host {
        options = options.socket(path);
    }
    if let Some(path) = authority {
        options = options.ssl_ca(path);
    }
    options
}

/// What the driver's error means.
fn reason(engine: Engine, error: &sqlx::Error) -> Reason {
    match error {
        sqlx::Error::Database(error) => {
            if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                of_postgres(error.code(), error.routine(), error.message())
            } else if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
                of_mysql(error.number(), error.message())
            } else {
                Reason::Other(error.code().map(Into::into), error.message().to_owned())
            }
        }
        sqlx::Error::Io(error) => of_io(error),
        sqlx::Error::Tls(error) => match Unreached::of(&**error, None) {
            Unreached::Other(_) => Reason::TlsNotOffered,
            unreached => unreached.into(),
        },
        sqlx::Error::Protocol(words) => Reason::OtherProtocol(words.clone()),
        // What the drivers refuse to do with a password: PostgreSQL's to prepare it for SCRAM, MySQL's to send it unencrypted.
        sqlx::Error::Configuration(_) => match engine {
            Engine::Postgres => Reason::LoginCharacters,
            Engine::MySql => Reason::PasswordNeedsTls,
        },
        other => Reason::Other(None, other.to_string()),
    }
}

fn of_io(error: &io::Error) -> Reason {
    match (error.kind(), Unreached::of(error, None)) {
        (io::ErrorKind::NotFound, _) => Reason::NoSocket,
        (io::ErrorKind::PermissionDenied, _) => Reason::SocketDenied,
        (_, Unreached::Other(words)) => Reason::Other(None, words),
        (_, unreached) => unreached.into(),
    }
}

/// From PostgreSQL's SQLSTATE (manual, appendix A) and the routine that raised it; the message is in the server's language.
fn of_postgres(code: &str, routine: Option<&str>, message: &str) -> Reason {
    match (code, routine) {
        ("28P01", _) => Reason::WrongPassword,
        ("28000", Some("InitializeSessionUserId")) => Reason::UnknownUser,
        ("28000", _) => Reason::HostNotAllowed,
        ("3D000", _) => Reason::UnknownDatabase,
        ("42501", Some("CheckMyDatabase" | "InitPostgres")) => Reason::DatabaseDenied,
        ("42501", _) => Reason::TableDenied { table: None, owner: None },
        ("53300", _) => Reason::TooManyConnections,
        ("42704" | "22023", _) => Reason::Parameter(message.to_owned()),
        // PgBouncer has this code for nearly everything, and its messages are English.
        ("08P01", None) => of_pooler(message),
        ("57P03" | "57P01" | "57P02", _) => Reason::StartingUp,
        ("55P03", _) => Reason::Locked,
        _ => Reason::Other(Some(code.to_owned()), message.to_owned()),
    }
}

/// From PgBouncer's own messages.
fn of_pooler(message: &str) -> Reason {
    let says = |words: &str| message.contains(words);
    if says("unsupported startup parameter") {
        Reason::PoolerParameter(message.to_owned())
    } else if says("no such database") || (says("database") && says("does not exist")) {
        Reason::UnknownDatabase
    } else if says("no such user") || says("authentication failed") {
        Reason::WrongPassword
    } else if says("no more connections allowed") || says("query_wait_timeout") {
        Reason::TooManyConnections
    } else if says("pgbouncer cannot connect to server") || says("server login") || says("server_login_retry")
    {
        Reason::PoolerCutOff(message.to_owned())
    } else {
        Reason::Other(Some("08P01".to_owned()), message.to_owned())
    }
}

/// From MySQL's and MariaDB's error numbers (their manuals, server error reference).
fn of_mysql(number: u16, message: &str) -> Reason {
    match number {
        1040 | 1203 | 1226 => Reason::TooManyConnections,
        1044 => Reason::DatabaseDenied,
        1045 | 1698 => Reason::WrongPassword,
        1049 => Reason::UnknownDatabase,
        1142 | 1143 => Reason::TableDenied { table: None, owner: None },
        1053 | 1927 => Reason::StartingUp,
        1129 => Reason::HostBlocked,
        1205 => Reason::Locked,
        1130 => Reason::HostNotAllowed,
        3159 | 4151 => Reason::TlsRequired,
        3118 => Reason::UnknownUser,
        _ => Reason::Other(Some(number.to_string()), message.to_owned()),
    }
}
