//! The program that runs a deployment beside the one that looks at it: older, newer, or another build of the same version.

use std::path::Path;
use std::time::Duration;

use host::tool::Tool;
use version::Version;

use super::protocol::Status;
use crate::error::{Error, Exit};

/// A program: its version, and which build of that version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Program<'a> {
    pub version: &'a str,
    /// Empty where it could not be found out; then the version alone counts.
    pub build: &'a str,
}

/// How long a program may take to tell its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

/// The version of a `mainstay`, told by the program itself: one that is damaged, or made for another machine, does not get this far.
pub(crate) async fn version_of(program: &Path) -> Result<String, String> {
    if !program.is_absolute() {
        return Err("its path is not absolute".to_owned());
    }
    let told = Tool::new(program, VERSION_PATIENCE).arg("--version").run().await;
    let text = told.map_err(|error| error.to_string())?.text();
    let version = text.trim().strip_prefix("mainstay ").ok_or("it is not a Mainstay")?;
    Ok(version.to_owned())
}

/// How an agent's program compares with the one that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// It can hand over to this one.
    Older,
    /// It has this one's version and another content: nobody knows which of the two is older. It can hand over to this one.
    OtherBuild,
    Same,
    /// It must be left as it is.
    Newer,
}

/// How a program of version `theirs` compares with one of version `ours`.
pub(crate) fn age(theirs: &str, ours: &str) -> Age {
    match (theirs.parse::<Version>(), ours.parse::<Version>()) {
        (Ok(theirs), Ok(ours)) if theirs > ours => Age::Newer,
        _ if theirs == ours => Age::Same,
        _ => Age::Older,
    }
}

impl Status {
    /// How the agent's program compares with ours.
    pub(crate) fn age(&self, ours: Program<'_>) -> Age {
        let by_version = self.version.as_deref().map_or(Age::Older, |theirs| age(theirs, ours.version));
        let is_same = ours.build.is_empty() || self.build.as_deref() == Some(ours.build);
        if by_version == Age::Same && !is_same { Age::OtherBuild } else { by_version }
    }

    /// Refuses to start again what another build of this version runs: it may have been told what this one does not understand, and
    /// would leave out.
    ///
    /// # Errors
    /// The agent's program is another build than ours.
    pub(crate) fn refuse_other_build(&self, ours: Program<'_>) -> Result<(), Error> {
        if self.age(ours) != Age::OtherBuild {
            return Ok(());
        }
        let Program { version, build } = ours;
        let theirs = self.build.as_deref().map(|build| format!(" ({})", short(build))).unwrap_or_default();
        let what = format!(
            "another build of Mainstay {version}{theirs} runs this deployment than this one ({}); nothing has been stopped or changed",
            short(build)
        );
        Err(Error::new(Exit::Refused, what).hint(format!(
            "use the program that runs it: {}; or let this one take it over with `mainstay up`, then run the command again",
            program_of(self.agent_pid)
        )))
    }

    /// Refuses to change what a newer program runs: it may know what this one does not.
    ///
    /// # Errors
    /// The agent's program is newer than ours.
    pub(crate) fn refuse_newer(&self, ours: Program<'_>) -> Result<(), Error> {
        if self.age(ours) != Age::Newer {
            return Ok(());
        }
        let (theirs, ours) = (self.version.as_deref().unwrap_or_default(), ours.version);
        let what = format!("Mainstay {theirs} runs this deployment, and this is the older Mainstay {ours}");
        Err(Error::new(Exit::Refused, what).hint(format!(
            "use Mainstay {theirs} or a later version; `status` and `logs` of this one still work"
        )))
    }
}

/// A build as people compare it.
fn short(build: &str) -> &str {
    build.get(..8).unwrap_or(build)
}

/// The file of a process's program, to show.
fn program_of(pid: u32) -> String {
    let program = std::fs::read_link(format!("/proc/{pid}/exe"));
    program.map_or_else(|_| format!("that of process {pid}"), |path| path.display().to_string())
}
