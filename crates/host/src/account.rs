//! System accounts: made and removed with the machine's own tools, so that its policies (id ranges,
//! SELinux, shadow files) hold.
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::user::{User, UserError, group_id};

/// Where system tools are; an ordinary user's `PATH` often lacks them.
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Why an account was not made or removed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name would be refused, or be taken for an option.
    #[error("{0:?} is no user name: a lower-case letter or _, then up to 31 letters, digits, - or _")]
    Name(String),
    /// Root must not be removed.
    #[error("user {0} is not a system account of ours: it is not removed")]
    Refused(String),
    /// The machine has no tool for it.
    #[error("neither {0} is installed; create the user by hand and name it with --user")]
    NoTool(&'static str),
    /// The tool did not run.
    #[error("cannot run {}: {source}", tool.display())]
    Run {
        /// The tool.
        tool: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The tool refused.
    #[error("{} failed: {said}; only root can change the accounts of a machine", tool.display())]
    Failed {
        /// The tool.
        tool: PathBuf,
        /// Its last words.
        said: String,
    },
    /// The user database could not be read, or does not show the new user.
    #[error(transparent)]
    User(#[from] UserError),
}

/// What [`create`] found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// False when it was there before: then its removal is not ours to do.
    pub created: bool,
}

/// Makes a system user with a group of the same name, no password, no login and no home directory made.
/// Safe to run again: an existing user is returned as it is.
pub fn create(name: &str, home: &Path) -> Result<Account, AccountError> {
    check(name)?;
    match User::named(name) {
        Ok(user) => return Ok(Account { user, created: false }),
        Err(UserError::Unknown(_)) => {}
        Err(e) => return Err(e.into()),
    }
    let home = home.as_os_str().to_owned();
    // A group left over from an interrupted removal is taken over.
    let group_exists = group_id(name)?.is_some();
    if let Some(useradd) = find("useradd") {
        let group: &[&str] = if group_exists { &["--gid", name] } else { &["--user-group"] };
        let mut command = Command::new(&useradd);
        command.args(["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--home-dir"]);
        run(&useradd, command.arg(home).args(group).arg(name))?;
    } else if let (Some(adduser), Some(addgroup)) = (find("adduser"), find("addgroup")) {
        // Busybox (Alpine).
        if !group_exists {
            run(&addgroup, Command::new(&addgroup).args(["-S", name]))?;
        }
        let mut command = Command::new(&adduser);
        command.args(["-S", "-D", "-H", "-s", "/sbin/nologin", "-G", name, "-h"]);
        run(&adduser, command.arg(home).arg(name))?;
    } else {
        return Err(AccountError::NoTool("useradd nor adduser"));
    }
    Ok(Account { user: User::named(name)?, created: true })
}

/// Removes a system user and its group, and no file. Safe to run again. Ordinary users (id 1000 and up) and
/// root are refused.
pub fn delete(name: &str) -> Result<(), AccountError> {
    check(name)?;
    match User::named(name) {
        Ok(user) if (1..1000).contains(&user.uid) => {
            let (tool, mut command) = tool_of(["userdel", "deluser"], "userdel nor deluser")?;
            run(&tool, command.arg(name))?;
        }
        Ok(user) => return Err(AccountError::Refused(user.name)),
        Err(UserError::Unknown(_)) => {}
        Err(e) => return Err(e.into()),
    }
    // Most tools remove the group along with its only member.
    if group_id(name)?.is_some() {
        let (tool, mut command) = tool_of(["groupdel", "delgroup"], "groupdel nor delgroup")?;
        run(&tool, command.arg(name))?;
    }
    Ok(())
}

fn tool_of(names: [&str; 2], missing: &'static str) -> Result<(PathBuf, Command), AccountError> {
    let tool = names.into_iter().find_map(find).ok_or(AccountError::NoTool(missing))?;
    let command = Command::new(&tool);
    Ok((tool, command))
}

fn check(name: &str) -> Result<(), AccountError> {
    let good = name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    if good { Ok(()) } else { Err(AccountError::Name(name.to_owned())) }
}

fn find(tool: &str) -> Option<PathBuf> {
    DIRECTORIES.iter().map(|dir| Path::new(dir).join(tool)).find(|path| path.is_file())
}

fn run(tool: &Path, command: &mut Command) -> Result<(), AccountError> {
    let output: Output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| AccountError::Run { tool: tool.to_path_buf(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(AccountError::Failed { tool: tool.to_path_buf(), said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_be_options_or_break_passwd_are_refused() {
        for good in ["mattermost", "_mm", "mm-2"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "-r", "Mm", "2mm", "m m", "m:m", "m\nm", "ä", &"m".repeat(33)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
