//! Why a function gives no answer, in words.

use std::fmt;
use std::time::Duration;

use host::Exit;

use super::bounds::PROCESSES_MAX;
use crate::Error;

/// Why there is no answer of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The process could not be started.
    NotStarted(String),
    /// It did not ask for its first call in time.
    SlowStart(Duration),
    /// It said that it cannot start.
    FailedStart(Error),
    /// It ended; whether that was before its first call.
    Ended {
        /// How.
        exit: Exit,
        /// Before it asked for its first call.
        early: bool,
    },
    /// It did not answer in time, and was ended.
    TooLong(Duration),
    /// Its answer is larger than AWS allows.
    TooLarge,
    /// It and what it started used more memory than they may, and were ended.
    Memory {
        /// Bytes that it had.
        used: u64,
        /// Bytes that it may have.
        limit: u64,
    },
    /// It started more processes than it may, and all were ended.
    Processes(u64),
    /// It wrote more than it may, and was ended.
    Files {
        /// Bytes that its files take.
        used: u64,
        /// Bytes that they may take.
        limit: u64,
    },
    /// It asked for the next call instead of answering.
    NoAnswer,
    /// It failed, or its answer has another form.
    Fault(Error),
    /// Every process of the function was busy for too long.
    Busy(Duration),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(why) => write!(f, "the function's process cannot be started: {why}"),
            Self::SlowStart(limit) => write!(
                f,
                "the function's process did not ask for its first call within {} s, and was ended",
                limit.as_secs()
            ),
            Self::FailedStart(fault) => write!(f, "the function's process cannot start: {fault}"),
            Self::Ended { exit, early: true } => {
                write!(f, "the function's process {exit}, before it asked for its first call")
            }
            Self::Ended { exit, early: false } => {
                write!(f, "the function's process {exit}, without an answer")
            }
            Self::TooLong(limit) => {
                write!(
                    f,
                    "the function did not answer within {} s, and its process was ended",
                    limit.as_secs_f64()
                )
            }
            Self::TooLarge => write!(f, "the function's answer is larger than 6 MiB, AWS's limit"),
            Self::Memory { used, limit } => write!(
                f,
                "the function's processes used {} MiB of memory, more than its {} MiB, and were ended",
                used >> 20,
                limit >> 20
            ),
            Self::Processes(count) => {
                write!(
                    f,
                    "the function had {count} processes, more than its {PROCESSES_MAX}, and they were ended"
                )
            }
            Self::Files { used: u64::MAX, .. } => {
                write!(f, "the function wrote too many files into its TMPDIR, and its process was ended")
            }
            Self::Files { used, limit } => write!(
                f,
                "the function's files in TMPDIR take {} MiB, with those that it has deleted and open, more than its {} MiB, and its \
                 process was ended",
                used >> 20,
                limit >> 20
            ),
            Self::NoAnswer => {
                write!(f, "the function's process asked for the next call instead of answering")
            }
            Self::Fault(fault) => write!(f, "{fault}"),
            Self::Busy(waited) => {
                write!(f, "every process of the function was busy for {} s", waited.as_secs_f64())
            }
        }
    }
}

impl std::error::Error for Failure {}
