//! System accounts: created and removed with the machine's own tools, so that its policies (id ranges,
//! SELinux, shadow files) hold.
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::tool::{Tool, ToolError};
use crate::user::{User, UserError, group_id};

/// Where system tools are; an ordinary user's `PATH` often lacks them.
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
/// How long a tool may take: it may wait for another that holds the user database.
const LIMIT: Duration = Duration::from_secs(60);
/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_millis(50);
/// Who has it locked makes or removes a user.
const TURN: &str = "/run/mainstay-users.lock";

/// Why an account was not created or removed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name would be refused, or be taken for an option.
    #[error(
        "{0:?} is not a user name: write a lower-case letter or _, then up to 31 letters, digits, - or _"
    )]
    Name(String),
    /// Only system accounts are removed.
    #[error("user {0} is not a system account: Mainstay does not remove it")]
    Refused(String),
    /// The machine has no tool for this.
    #[error("neither {0} is installed; create the user by hand and name it with --user")]
    NoTool(&'static str),
    /// Another process makes or removes a user without end, or there is no lock.
    #[error(
        "cannot lock {0}, which keeps others from changing users at the same time: {1}; only root can change the accounts of a machine"
    )]
    Lock(&'static str, #[source] std::io::Error),
    /// The tool did not do it.
    #[error("{0}; only root can change the accounts of a machine")]
    Failed(#[from] ToolError),
    /// The user database could not be read, or does not show the new user.
    #[error(transparent)]
    User(#[from] UserError),
}

/// What [`create`] found or created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// False when it was there before: then Mainstay must not remove it.
    pub created: bool,
}

/// Creates a system user with a group of the same name, no password and no login. The home directory is not created.
/// Safe to run again: an existing user is returned as it is. Of several who create one name at once, one is told that it did.
pub fn create(name: &str, home: &Path) -> Result<Account, AccountError> {
    check(name)?;
    let present = || match User::named(name) {
        Ok(user) => Ok(Some(Account { user, created: false })),
        Err(UserError::Unknown(_)) => Ok(None),
        Err(e) => Err(AccountError::from(e)),
    };
    if let Some(account) = present()? {
        return Ok(account);
    }
    let _turn = turn()?;
    // Another one may have been faster.
    if let Some(account) = present()? {
        return Ok(account);
    }
    add(name, home)?;
    Ok(Account { user: User::named(name)?, created: true })
}

/// Waits until no other process makes or removes a user for Mainstay. The tools' own lock is not enough: `useradd` looks whether the name is
/// free before it takes that, and of two who add one name at once the second gets the first one's entry and changes its home.
fn turn() -> Result<File, AccountError> {
    use rustix::fs::{FlockOperation, flock};
    let failed = |source: std::io::Error| AccountError::Lock(TURN, source);
    // Only root can make a file there, so nobody else can hold the lock.
    let file =
        File::options().write(true).create(true).truncate(false).mode(0o600).open(TURN).map_err(failed)?;
    let end = Instant::now() + LIMIT;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => std::thread::sleep(PAUSE),
            Err(error) => return Err(failed(error.into())),
        }
    }
}

fn add(name: &str, home: &Path) -> Result<(), AccountError> {
    let home = home.as_os_str();
    // An interrupted removal may have left the group behind: use it.
    let group_exists = group_id(name)?.is_some();
    if let Some(useradd) = find("useradd") {
        let group: &[&str] = if group_exists { &["--gid", name] } else { &["--user-group"] };
        run(|| {
            tool(&useradd)
                .args(["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--home-dir"])
                .arg(home)
                .args(group)
                .arg(name)
        })?;
    } else if let (Some(adduser), Some(addgroup)) = (find("adduser"), find("addgroup")) {
        // Busybox (Alpine).
        if !group_exists {
            run(|| tool(&addgroup).args(["-S", name]))?;
        }
        run(|| {
            tool(&adduser)
                .args(["-S", "-D", "-H", "-s", "/sbin/nologin", "-G", name, "-h"])
                .arg(home)
                .arg(name)
        })?;
    } else {
        return Err(AccountError::NoTool("useradd nor adduser"));
    }
    Ok(())
}

/// Whether a user is one that [`create`] makes: root and ordinary users (id 1000 and up) are none.
pub fn is_system(user: &User) -> bool {
    (1..1000).contains(&user.uid)
}

/// Removes a system user and its group, and no file. Safe to run again. Root and ordinary users (id 1000 and up) are
/// refused.
pub fn delete(name: &str) -> Result<(), AccountError> {
    check(name)?;
    let _turn = turn()?;
    match User::named(name) {
        Ok(user) if is_system(&user) => {
            let userdel = one_of(["userdel", "deluser"], "userdel nor deluser")?;
            run(|| tool(&userdel).arg(name))?;
        }
        Ok(user) => return Err(AccountError::Refused(user.name)),
        Err(UserError::Unknown(_)) => {}
        Err(e) => return Err(e.into()),
    }
    // Most tools remove the group along with its only member.
    if group_id(name)?.is_some() {
        let groupdel = one_of(["groupdel", "delgroup"], "groupdel nor delgroup")?;
        run(|| tool(&groupdel).arg(name))?;
    }
    Ok(())
}

fn one_of(names: [&str; 2], missing: &'static str) -> Result<PathBuf, AccountError> {
    names.into_iter().find_map(find).ok_or(AccountError::NoTool(missing))
}

/// Runs a tool to its end. One of them changes the user database at a time, and the others end at once: they are run again.
fn run<'a>(make: impl Fn() -> Tool<'a>) -> Result<(), ToolError> {
    let end = Instant::now() + LIMIT;
    loop {
        match make().run_blocking() {
            Err(error) if error.to_string().contains("cannot lock") && Instant::now() < end => {
                std::thread::sleep(PAUSE);
            }
            ended => return ended.map(drop),
        }
    }
}

fn tool(path: &Path) -> Tool<'static> {
    // Busybox's tools look for each other in `PATH`.
    Tool::new(path, LIMIT).env("PATH", DIRECTORIES.join(":"))
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
