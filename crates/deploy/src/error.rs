//! Why an operation was not done.

use std::path::PathBuf;

use finding::Hint;

/// What an error ends the command with.
pub(crate) use finding::Exit;

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    /// What the command ends with.
    pub exit: Exit,
    /// What the user did not expect.
    pub what: String,
    /// What to do next.
    pub hint: Option<Hint>,
    /// The cause chain, for the log.
    pub detail: Option<String>,
}

impl Error {
    /// An error that ends the command with this.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), hint: None, detail: None }
    }

    /// The machine is not ready.
    pub fn not_ready(what: impl Into<String>) -> Self {
        Self::new(Exit::NotReady, what)
    }

    /// With the next thing to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With the cause chain.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// What went wrong with a path.
    pub fn path(what: &str, path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Self::not_ready(format!("cannot {what} {}: {}", path.into().display(), reason(error)))
    }
}

pub(crate) use finding::disk::reason;

macro_rules! not_ready {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::not_ready(error.to_string())
            }
        })*
    };
}

// Each of these says by itself what is wrong, where, and the way out.
not_ready!(
    host::DiskError,
    host::PortError,
    host::account::AccountError,
    host::user::UserError,
    host::user::TraverseError,
    edge::EdgeError,
    release::ReleaseError,
    version::VersionError,
);

impl From<database::dump::Error> for Error {
    fn from(error: database::dump::Error) -> Self {
        let remedy = error.remedy();
        let error = Self::not_ready(error.to_string());
        match remedy {
            Some(remedy) => error.hint(remedy),
            None => error,
        }
    }
}

impl From<host::ToolError> for Error {
    fn from(error: host::ToolError) -> Self {
        Self::not_ready(error.to_string()).detail(error.output.text())
    }
}

/// What becomes of a damaged journal, and what else can be done.
const SET_ASIDE: &str = "moves it aside, to state.db.corrupt-DATE, and goes on: the history is lost, and with it the undo of a run that was \
                         interrupted. `mainstay down` stops without it";

impl Error {
    /// The journal cannot be read, by a command that changes nothing and so does not repair it either.
    pub(crate) fn of_reader(error: plan::JournalError) -> Self {
        let is_damaged = matches!(error, plan::JournalError::Corrupt { .. });
        let error = Self::from(error);
        if is_damaged { error.hint(format!("`mainstay up --yes` {SET_ASIDE}")) } else { error }
    }
}

impl From<plan::JournalError> for Error {
    fn from(error: plan::JournalError) -> Self {
        let what = error.to_string();
        match error {
            plan::JournalError::Corrupt { .. } => {
                Self::not_ready(what).hint(format!("the same command with `--yes` {SET_ASIDE}"))
            }
            plan::JournalError::ForeignPlan { program, .. } => {
                let program = program.map_or_else(
                    || "the version that began it".to_owned(),
                    |program| format!("mainstay {program}"),
                );
                Self::new(Exit::Refused, what).hint(format!(
                    "run the same command with {program}, which can finish it; or give it up with `mainstay up --yes`: what its steps \
                     did stays, and the next `up` starts from there"
                ))
            }
            _ => Self::not_ready(what),
        }
    }
}

impl From<plan::LockError> for Error {
    fn from(error: plan::LockError) -> Self {
        match error {
            plan::LockError::Held { holder, .. } => {
                Self::new(Exit::Busy, crate::whereabouts::in_words(&holder))
                    .hint(crate::whereabouts::way_on(&holder))
            }
            error @ plan::LockError::Io { .. } => Self::not_ready(error.to_string()),
        }
    }
}

impl From<plan::EngineError> for Error {
    fn from(error: plan::EngineError) -> Self {
        match error {
            // The run had begun: what it did last, only the journal knows.
            plan::EngineError::Journal(error) => Self::new(Exit::NeedsYou, error.to_string()).hint(
                "make the journal's disk writable again, then run the command again: it goes on from what the journal says",
            ),
            error @ plan::EngineError::Fault(_) => Self::new(Exit::Usage, error.to_string()),
            error => Self::new(Exit::Bug, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_fails_on_the_way_needs_somebody_and_one_that_does_not_open_changes_nothing() {
        let fault = || plan::JournalError::Unopenable { path: "state.db".into(), reason: "x".to_owned() };
        assert_eq!(Error::from(fault()).exit, Exit::NotReady);
        let midway = Error::from(plan::EngineError::Journal(fault()));
        assert_eq!(midway.exit, Exit::NeedsYou);
        assert!(midway.hint.is_some_and(|hint| hint.contains("again")));
    }
}
