//! The exit codes: a contract that scripts depend on (docs/reference/exit-codes.md).

use std::process::ExitCode;

use deploy::Kind;

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// A bug of ours.
    Bug = 1,
    /// What was asked makes no sense.
    Usage = 2,
    /// Settings are invalid.
    Settings = 3,
    /// The machine is not ready: port taken, disk full, database away.
    NotReady = 4,
    /// Verification failed.
    NotVerified = 5,
    /// It failed and was undone.
    Undone = 6,
    /// It failed and needs somebody; the message says what for.
    NeedsYou = 7,
    /// Refused by policy: a downgrade, an unsupported path.
    Refused = 8,
    /// Another operation holds the lock; the message says which.
    Busy = 9,
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Usage => Self::Usage,
            Kind::Settings => Self::Settings,
            Kind::NotReady => Self::NotReady,
            Kind::NotVerified => Self::NotVerified,
            Kind::Undone => Self::Undone,
            Kind::NeedsYou => Self::NeedsYou,
            Kind::Refused => Self::Refused,
            Kind::Busy => Self::Busy,
            Kind::Bug => Self::Bug,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
