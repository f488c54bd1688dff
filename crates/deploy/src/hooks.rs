//! Programs of the administrator that run before and after an operation, or are told something: `DIR/hooks/NAME`.
//!
//! As root each runs as a user that nobody else is, and what it started ends with it. It gets four variables and the usual `PATH`.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::guest::{self, Slot};
use host::{Shim, Tool};

use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// How long a hook may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);
/// How much of each of its output streams is kept, in bytes: the end.
const KEPT: usize = 8 * 1024;

/// What a hook is told, in its environment: OLD, NEW, REASON, DIR.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// The release before.
    pub old: String,
    /// The release after.
    pub new: String,
    /// Why.
    pub reason: String,
    /// A text on its standard input.
    pub input: Option<String>,
}

/// Whether there is such a hook.
pub(crate) fn exists(layout: &Layout, name: &str) -> bool {
    layout.hooks().join(name).symlink_metadata().is_ok()
}

/// Runs a hook and returns the end of what it printed. `on_line` hears each line as it comes.
///
/// # Errors
/// Others may change it; it cannot be started; it ends with another code than 0, or not within `limit`.
pub(crate) async fn run(
    layout: &Layout,
    name: &str,
    told: Told,
    limit: Duration,
    on_line: impl FnMut(&str) + Send + 'static,
) -> Result<String, Error> {
    let path = layout.hooks().join(name);
    let is_root = host::User::current()?.is_root();
    let slot = Slot::take().ok_or_else(|| Error::not_ready("too many programs of strangers run already"))?;
    check(&layout.hooks(), is_root, Kind::Directory)?;
    check(&path, is_root, Kind::Hook)?;
    end_left(layout);
    let keeper = keeper(layout);
    guest::keep(&keeper)?;
    let Shim { program, args } = Shim::this_program();
    let tool = Tool::new(program, limit)
        .args(args)
        .arg(std::process::id().to_string())
        .arg("--")
        .arg(&path)
        .env(guest::MARK, guest::mark(&slot, "hook"))
        .env("OLD", told.old)
        .env("NEW", told.new)
        .env("REASON", told.reason)
        .env("DIR", layout.root())
        .user(slot.user())
        .cwd("/")
        .keep(KEPT)
        .on_line(on_line);
    let tool = match told.input {
        Some(text) => tool.feed(move |to| {
            // One that does not read what it is told has been told all the same.
            let _ = to.write_all(text.as_bytes());
            Ok(())
        }),
        None => tool,
    };
    let left = EndLeft(slot);
    let ran = tool.run().await;
    drop(left);
    let _ = host::disk::remove_file(&keeper);
    match ran {
        Ok(output) => Ok(output.text()),
        Err(error) => {
            let said = error.output.last_line().map(|line| format!(": {}", finding::one_line(line, 200)));
            let how = match &error.end {
                host::tool::End::Failed(exit) => format!("it {exit}"),
                host::tool::End::TooLong(limit) => format!("it did not end within {} s", limit.as_secs()),
                end => end.to_string(),
            };
            let what = format!("hooks/{name} says no: {how}{}", said.unwrap_or_default());
            let hint = format!("remove the cause and run the command again, or move {} away", path.display());
            Err(Error::new(Exit::Refused, what).detail(error.output.text()).hint(hint))
        }
    }
}

/// Ends what a hook has started whose command was killed: the hook itself ends with its command.
pub(crate) fn end_left(layout: &Layout) {
    guest::end_left(&keeper(layout));
}

/// Says which process has a hook.
fn keeper(layout: &Layout) -> PathBuf {
    layout.run().join("hook.pid")
}

/// Ends what a hook left running, also when it is not waited for any more.
struct EndLeft(Slot);

impl Drop for EndLeft {
    fn drop(&mut self) {
        guest::end_in(&self.0);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    Hook,
}

/// Refuses what others than root and the deployment's owner may change, and what could not be run.
fn check(path: &Path, is_root: bool, kind: Kind) -> Result<(), Error> {
    let shown = path.display();
    let refused = |what: String, fix: String| Err(Error::new(Exit::Refused, what).hint(fix));
    let meta = path.symlink_metadata().map_err(|error| Error::path("look at", path, &error))?;
    let is_right = match kind {
        Kind::Directory => meta.is_dir(),
        Kind::Hook => meta.is_file(),
    };
    if !is_right {
        let noun = if kind == Kind::Hook { "file" } else { "directory" };
        return refused(
            format!("{shown} is no {noun}"),
            format!("put the hook itself there, not a link; or remove {shown}"),
        );
    }
    let mode = meta.mode() & 0o7777;
    let owner = rustix::process::geteuid().as_raw();
    if meta.uid() != 0 && meta.uid() != owner {
        return refused(
            format!("{shown} belongs to the user with the id {}, who could change what it does", meta.uid()),
            format!("`chown {owner} {shown}`"),
        );
    }
    if mode & 0o022 != 0 {
        return refused(
            format!("{shown} can be changed by others than its owner (mode {mode:04o})"),
            format!("`chmod go-w {shown}`"),
        );
    }
    // As root it runs as a user of its own.
    let needs = if is_root { 0o005 } else { 0o500 };
    if mode & needs != needs {
        return refused(
            format!("{shown} cannot be run (mode {mode:04o})"),
            format!("`chmod 755 {shown}`; root runs it as a user without rights, so keep no secret in it"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_hook_that_others_may_change_or_nobody_may_run_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("before-upgrade");
        std::fs::write(&path, "#!/bin/sh\n").expect("written");
        let with = |mode: u32, is_root: bool| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
            check(&path, is_root, Kind::Hook).map_err(|error| (error.exit, error.what))
        };
        for (mode, is_root, says) in [
            (0o755, true, None),
            (0o700, false, None),
            (0o700, true, Some("cannot be run")),
            (0o644, false, Some("cannot be run")),
            (0o775, true, Some("can be changed by others")),
            (0o757, false, Some("can be changed by others")),
        ] {
            let said = with(mode, is_root).err();
            assert_eq!(said.is_some(), says.is_some(), "{mode:o}: {said:?}");
            if let (Some((exit, said)), Some(says)) = (said, says) {
                assert!(exit == Exit::Refused && said.contains(says), "{said}");
            }
        }
        let link = dir.path().join("after-upgrade");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(check(&link, true, Kind::Hook).is_err_and(|error| error.what.contains("is no file")));
        assert!(check(dir.path(), false, Kind::Hook).is_err());
    }
}
