//! Why a database cannot be used, as the command line tells it.

use database::{CreateError, Failure, Reason, Version};
use dsn::{Engine, Server};

use crate::error::{Error, Exit};

/// Whether creating user and database may be the cure. PostgreSQL says of an unknown user that the password is wrong.
pub(crate) fn is_missing(server: &Server, reason: &Reason) -> bool {
    match reason {
        Reason::UnknownUser | Reason::UnknownDatabase | Reason::WrongPassword => true,
        Reason::DatabaseDenied => server.engine == Engine::MySql,
        _ => false,
    }
}

/// A failure as the command line tells it: a rule of the release is a refusal, all else is for the machine's owner to mend.
pub(crate) fn refused(failure: &Failure) -> Error {
    let database::Finding { what, cause, fix, .. } = failure.finding();
    let kind = if matches!(failure.reason, Reason::TooOld { .. }) { Exit::Refused } else { Exit::NotReady };
    let missing = is_missing(&failure.server, &failure.reason);
    let fix = match sql_for(&failure.server).filter(|_| missing) {
        Some(sql) => format!(
            "{fix}\n\nIf it was never created, this does it, and so does `mainstay up --create-database FILE`, where FILE holds an \
             administrator's address:\n\n{sql}"
        ),
        None => fix,
    };
    Error::new(kind, format!("{what}: {cause}")).hint(fix)
}

/// Why nothing could be created.
pub(crate) fn not_created(error: &CreateError) -> Error {
    match error {
        CreateError::Admin(failure) => {
            let database::Finding { what, cause, fix, .. } = failure.finding();
            Error::not_ready(format!("the administrator cannot log in: {what}: {cause}")).hint(fix)
        }
        CreateError::Name(_) | CreateError::NoPassword | CreateError::Engines { .. } => {
            Error::new(Exit::Settings, error.to_string())
        }
        _ => Error::not_ready(error.to_string()),
    }
}

/// The SQL that creates user and database, where the names allow it.
pub(crate) fn sql_for(server: &Server) -> Option<String> {
    script(server).ok()
}

/// In the form of the newest servers, which older ones take as well: whoever cannot log in cannot ask for the version.
pub(crate) fn script(server: &Server) -> Result<String, database::NameError> {
    database::script(server, Version { major: 15, minor: 0, patch: 0 })
}

#[cfg(test)]
mod tests {
    use dsn::Host;

    use super::*;

    fn server(engine: Engine) -> Server {
        let mut server = Server::new(engine, Host::Name("db".into()));
        (server.name, server.user, server.password) = ("chat".into(), "mm".into(), "hunter2".into());
        server
    }

    fn failure(engine: Engine, reason: Reason) -> Failure {
        Failure { server: Box::new(server(engine)), reason }
    }

    #[test]
    fn a_rule_of_the_release_is_a_refusal_and_all_else_the_machines() {
        let version = |major| database::Version { major, minor: 0, patch: 0 };
        let old = Reason::TooOld { found: version(14), minimum: version(15) };
        let error = refused(&failure(Engine::Postgres, old));
        assert_eq!(error.exit, Exit::Refused);
        assert!(error.what.contains("PostgreSQL 14.0") && error.what.contains("15.0 or later"), "{error}");
        for reason in [
            Reason::Unreached(database::Unreached::Refused),
            Reason::WrongPassword,
            Reason::TooManyConnections,
        ] {
            assert_eq!(refused(&failure(Engine::Postgres, reason)).exit, Exit::NotReady);
        }
    }

    #[test]
    fn what_was_never_created_is_said_in_sql_and_without_the_password() {
        for engine in [Engine::Postgres, Engine::MySql] {
            for reason in [Reason::UnknownDatabase, Reason::WrongPassword] {
                let error = refused(&failure(engine, reason));
                let hint = error.hint.expect("a way out");
                assert!(
                    hint.contains("CREATE DATABASE") && hint.contains("--create-database FILE"),
                    "{hint}"
                );
                assert!(!hint.contains("hunter2") && !error.what.contains("hunter2"), "{hint}");
            }
            let hint = refused(&failure(engine, Reason::Unreached(database::Unreached::Refused)))
                .hint
                .expect("a way out");
            assert!(!hint.contains("CREATE DATABASE"), "{hint}");
        }
    }
}
