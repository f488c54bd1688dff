//! Thin calls to the machine that more than one action makes.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::Path;

use crate::error::{Error, reason};

/// User and group id.
pub(crate) type Owner = (u32, u32);

/// This machine's host name, as the kernel reports it.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

/// User and group of a user that must exist; `None` = leave the owner as it is.
pub(crate) fn owner(user: Option<&str>) -> Result<Option<Owner>, Error> {
    let Some(name) = user else { return Ok(None) };
    let user = host::User::named(name)?;
    Ok(Some((user.uid, user.gid)))
}

/// Makes a directory and what is missing above it; one that is there keeps its mode.
pub(crate) fn make_dir(path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), Error> {
    let fail = |error: std::io::Error| Error::path("make", path, &error);
    if !path.is_dir() {
        std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(fail)?;
        // The umask may have taken bits away.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(fail)?;
    }
    if let Some((uid, gid)) = owner {
        chown(path, Some(uid), Some(gid)).map_err(fail)?;
    }
    Ok(())
}

/// Runs a program to its end as another user, with an environment of its own, and gives what it said.
///
/// # Errors
/// It cannot be started, or it fails: its last line.
pub(crate) async fn run_to_end(call: &release::Call, user: Option<&host::User>) -> Result<(), Error> {
    let mut command = tokio::process::Command::new(&call.program);
    command.args(&call.args).env_clear().envs(&call.env).current_dir(&call.cwd).kill_on_drop(true);
    if let Some(user) = user.filter(|user| !user.is_current()) {
        command.uid(user.uid).gid(user.gid);
    }
    let program = call.program.display();
    let output = command.output().await;
    let output =
        output.map_err(|error| Error::not_ready(format!("cannot run {program}: {}", reason(&error))))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
        .join("\n");
    let last = said.lines().rev().find(|line| !line.is_empty()).unwrap_or("it said nothing").to_owned();
    Err(Error::not_ready(format!("{program} failed: {last}")).detail(said))
}
