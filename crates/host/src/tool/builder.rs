//! A program to run, as data.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::feed::Input;
use crate::user::User;

/// For work that may take any time, such as a migration: the caller must be able to cancel it.
pub const NO_LIMIT: Duration = Duration::MAX;

/// Bytes kept of each output stream unless the caller chooses otherwise.
const KEPT: usize = 64 * 1024;

/// Called with each line of output.
type OnLine<'a> = Box<dyn FnMut(&str) + Send + 'a>;

/// Called with the id of the process.
type OnStart<'a> = Box<dyn FnOnce(u32) + Send + 'a>;

/// A program to run to its end, and how.
pub struct Tool<'a> {
    pub(super) program: PathBuf,
    pub(super) limit: Duration,
    pub(super) args: Vec<OsString>,
    pub(super) env: BTreeMap<String, OsString>,
    pub(super) secrets: BTreeMap<String, SecretString>,
    pub(super) inherits: bool,
    pub(super) cwd: Option<PathBuf>,
    pub(super) user: Option<User>,
    pub(super) kept: usize,
    pub(super) input: Option<Input<'a>>,
    pub(super) on_line: Option<OnLine<'a>>,
    pub(super) on_start: Option<OnStart<'a>>,
}

impl<'a> Tool<'a> {
    /// A program, by its path or by a name to look up in `PATH`, and how long it may take.
    ///
    /// It inherits `PATH`, `LANG` and `TZ`, reads nothing, and runs as the current user in the current directory.
    pub fn new(program: impl Into<PathBuf>, limit: Duration) -> Self {
        Self {
            program: program.into(),
            limit,
            args: Vec::new(),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            inherits: false,
            cwd: None,
            user: None,
            kept: KEPT,
            input: None,
            on_line: None,
            on_start: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets variables.
    #[must_use]
    pub fn envs(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.env.extend(variables.into_iter().map(|(name, value)| (name, value.into())));
        self
    }

    /// Sets a variable to a secret.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: SecretString) -> Self {
        self.secrets.insert(name.into(), value);
        self
    }

    /// Passes on the whole environment of this process. Only for programs that act for the same person, such as `docker`.
    #[must_use]
    pub fn inherit_environment(mut self) -> Self {
        self.inherits = true;
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    /// Runs it as this user, with the user's first group and no other. Needs root unless it is the current user.
    #[must_use]
    pub fn user(mut self, user: Option<User>) -> Self {
        self.user = user;
        self
    }

    /// Keeps so many bytes at the end of each output stream; what comes before is read and discarded.
    #[must_use]
    pub fn keep(mut self, bytes: usize) -> Self {
        self.kept = bytes;
        self
    }

    /// Writes a secret to its standard input.
    #[must_use]
    pub fn input(mut self, text: SecretString) -> Self {
        self.input = Some(Input::Secret(text));
        self
    }

    /// Calls `write` with its standard input, in a thread of its own. When the program stops reading, writing fails.
    #[must_use]
    pub fn feed(mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'a) -> Self {
        self.input = Some(Input::Writer(Box::new(write)));
        self
    }

    /// Calls `on_line` with each line of either output stream as it comes, on the thread that reads them.
    #[must_use]
    pub fn on_line(mut self, on_line: impl FnMut(&str) + Send + 'a) -> Self {
        self.on_line = Some(Box::new(on_line));
        self
    }

    /// Calls `on_start` with the id of its process, which is that of its process group, on the thread that waits for it.
    #[must_use]
    pub fn on_start(mut self, on_start: impl FnOnce(u32) + Send + 'a) -> Self {
        self.on_start = Some(Box::new(on_start));
        self
    }
}

impl fmt::Debug for Tool<'_> {
    /// Shows names of variables and not their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &self.env.keys().chain(self.secrets.keys()).collect::<Vec<_>>())
            .field("user", &self.user.as_ref().map(|user| &user.name))
            .finish_non_exhaustive()
    }
}
