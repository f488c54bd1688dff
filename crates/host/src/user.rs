//! Users of this machine, and the files that they can reach.
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use crate::disk::DiskError;
use crate::procfs;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Login name; the number as text if there is none.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Id of the primary group.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
}

/// Why a user cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is no such user.
    #[error(
        "there is no user {0:?} in /etc/passwd; create it with `useradd --system --user-group NAME`, or name another (a directory user by its number)"
    )]
    Unknown(String),
    /// The user database cannot be read.
    #[error("cannot read {path}: {source}")]
    Database {
        /// The file.
        path: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
}

/// A directory that a user cannot enter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("user {user} cannot enter {} (mode {mode:04o}); choose a directory elsewhere, or allow it with `chmod o+x {}`", at.display(), finding::quoted(&at.display().to_string()))]
pub struct Blocked {
    /// The user.
    pub user: String,
    /// The first directory of the path that the user cannot enter.
    pub at: PathBuf,
    /// Its mode.
    pub mode: u32,
}

/// Why [`User::can_traverse`] fails.
#[derive(Debug, thiserror::Error)]
pub enum TraverseError {
    /// The user cannot enter a directory.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// A part of the path cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The groups of the user are not known.
    #[error(transparent)]
    User(#[from] UserError),
}

impl User {
    /// The user that this process runs as. Without an entry in the user database (containers) its name is its number and its home
    /// is `/`.
    pub fn current() -> Result<Self, UserError> {
        let uid = geteuid().as_raw();
        let known = find(&read(PASSWD)?, |user| user.uid == uid);
        Ok(known.unwrap_or_else(|| Self {
            name: uid.to_string(),
            uid,
            gid: rustix::process::getegid().as_raw(),
            home: "/".into(),
        }))
    }

    /// The user with this name or number.
    pub fn named(name: &str) -> Result<Self, UserError> {
        let number: Option<u32> = name.parse().ok();
        find(&read(PASSWD)?, |user| user.name == name || Some(user.uid) == number)
            .ok_or_else(|| UserError::Unknown(name.to_owned()))
    }

    /// True for the user that this process runs as.
    pub fn is_current(&self) -> bool {
        self.uid == geteuid().as_raw()
    }

    /// A process that runs as this user, if one does.
    pub fn process(&self) -> Option<u32> {
        procfs::pids().find(|pid| {
            let is_its = fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() == self.uid);
            is_its && procfs::Stat::of(*pid).is_some_and(|stat| stat.state != 'Z')
        })
    }

    /// Something in `path`, or that itself, that belongs to this user. Links are not followed.
    pub fn file_in(&self, path: &Path) -> Option<PathBuf> {
        let mut waiting = vec![path.to_owned()];
        while let Some(path) = waiting.pop() {
            let Ok(meta) = path.symlink_metadata() else { continue };
            if meta.uid() == self.uid {
                return Some(path);
            }
            if meta.is_dir() {
                waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            }
        }
        None
    }

    /// True for root.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Checks that this user can enter every directory above `path`, also where links lead to.
    ///
    /// Owner, group and mode decide. Access lists are not read: a path that only a list opens is refused.
    pub fn can_traverse(&self, path: &Path) -> Result<(), TraverseError> {
        self.can_pass(path, 1)
    }

    /// The same with the directory `dir` itself.
    pub fn can_enter(&self, dir: &Path) -> Result<(), TraverseError> {
        self.can_pass(dir, 0)
    }

    fn can_pass(&self, path: &Path, skipped: usize) -> Result<(), TraverseError> {
        if self.is_root() {
            return Ok(());
        }
        let groups = self.groups()?;
        let real = fs::canonicalize(path).map_err(|e| DiskError::new("look at", path, e))?;
        let literal = std::path::absolute(path).map_err(|e| DiskError::new("look at", path, e))?;
        let mut ways: Vec<&Path> =
            real.ancestors().skip(skipped).chain(literal.ancestors().skip(skipped)).collect();
        ways.sort_by_key(|dir| dir.components().count());
        for dir in ways {
            let meta = fs::metadata(dir).map_err(|e| DiskError::new("look at", dir, e))?;
            let mode = meta.permissions().mode() & 0o7777;
            if !may(self.uid, &groups, meta.uid(), meta.gid(), mode, 0o1) {
                return Err(Blocked { user: self.name.clone(), at: dir.to_path_buf(), mode }.into());
            }
        }
        Ok(())
    }

    /// Whether this user can reach and open the file. As with [`Self::can_traverse`], access lists are not read.
    pub fn can_read(&self, path: &Path) -> Result<bool, TraverseError> {
        match self.can_traverse(path) {
            Ok(()) => {}
            Err(TraverseError::Blocked(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        let meta = fs::metadata(path).map_err(|e| DiskError::new("look at", path, e))?;
        Ok(self.is_root()
            || may(self.uid, &self.groups()?, meta.uid(), meta.gid(), meta.permissions().mode(), 0o4))
    }

    /// Whether this user may read (4), write (2) and enter or run (1) what is at `path`, apart from the directories above it. For the
    /// user of this process the kernel answers; for another one owner, group and mode decide, and access lists are not read.
    pub fn may_use(&self, path: &Path, meta: &fs::Metadata, wants: u32) -> Result<bool, UserError> {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        if self.is_current() {
            let wants = [(0o4, Access::READ_OK), (0o2, Access::WRITE_OK), (0o1, Access::EXEC_OK)]
                .into_iter()
                .filter(|(bit, _)| wants & bit != 0)
                .fold(Access::EXISTS, |all, (_, access)| all | access);
            // Anything else, as a disk that is mounted only for reading, is no matter of rights.
            return Ok(accessat(CWD, path, wants, AtFlags::EACCESS) != Err(rustix::io::Errno::ACCESS));
        }
        let (owner, group, mode) = (meta.uid(), meta.gid(), meta.mode());
        Ok(self.is_root() || may(self.uid, &self.groups()?, owner, group, mode, wants))
    }

    /// Ids of all groups that this user is in.
    pub fn groups(&self) -> Result<Vec<u32>, UserError> {
        let text = read(GROUP)?;
        let more = text.lines().filter_map(|line| member_of(line, &self.name));
        Ok(std::iter::once(self.gid).chain(more).collect())
    }

    /// Gives `path` itself (of a link: the link's target) to this user and the user's primary group.
    pub fn own(&self, path: &Path) -> Result<(), DiskError> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(|e| DiskError::new("change the owner of", path, e))
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The kernel's rule: of owner, group and others, the first that applies decides alone.
fn may(uid: u32, groups: &[u32], owner: u32, group: u32, mode: u32, want: u32) -> bool {
    let bits = if uid == owner {
        mode >> 6
    } else if groups.contains(&group) {
        mode >> 3
    } else {
        mode
    };
    bits & want == want
}

fn read(path: &'static str) -> Result<String, UserError> {
    let bytes = fs::read(path).map_err(|source| UserError::Database { path, source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Every user of this machine.
pub fn all() -> Result<Vec<User>, UserError> {
    Ok(read(PASSWD)?.lines().filter_map(parse).collect())
}

fn find(passwd: &str, wanted: impl Fn(&User) -> bool) -> Option<User> {
    passwd.lines().filter_map(parse).find(wanted)
}

/// One line of passwd(5): name:password:uid:gid:comment:home:shell.
fn parse(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, _, home, _] = fields[..] else { return None };
    Some(User { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()?, home: home.into() })
}

/// One line of group(5), name:password:gid:members: its id if `user` is listed.
fn member_of(line: &str, user: &str) -> Option<u32> {
    let fields: Vec<&str> = line.split(':').collect();
    let [_, _, gid, members] = fields[..] else { return None };
    members.split(',').any(|m| m == user).then(|| gid.parse().ok())?
}

/// The id of the group with this name.
pub(crate) fn group_id(name: &str) -> Result<Option<u32>, UserError> {
    let text = read(GROUP)?;
    Ok(text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_lines() {
        let text = "# comment\nroot:x:0:0:root:/root:/bin/bash\nbad:x:zero:0::/:/bin/sh\n+@nis::::::\nmm:x:999:998::/var/lib/mm:/usr/sbin/nologin\n";
        let mm = User { name: "mm".into(), uid: 999, gid: 998, home: "/var/lib/mm".into() };
        assert_eq!(find(text, |u| u.name == "mm"), Some(mm));
        assert_eq!(find(text, |u| u.name == "bad"), None);
        assert_eq!(find(text, |u| u.uid == 0).map(|u| u.name), Some("root".into()));
    }

    #[test]
    fn group_lines() {
        assert_eq!(member_of("adm:x:4:syslog,mm", "mm"), Some(4));
        assert_eq!(member_of("adm:x:4:syslog,mmx", "mm"), None);
        assert_eq!(member_of("adm:x:4:", "mm"), None);
        assert_eq!(member_of("adm:x", "mm"), None);
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        assert!(may(7, &[7], 7, 1, 0o700, 1));
        assert!(!may(7, &[7], 7, 7, 0o077, 1), "an owner without the bit is refused, whatever others may");
        assert!(may(7, &[5], 1, 5, 0o710, 1));
        assert!(!may(7, &[5], 1, 5, 0o701, 1));
        assert!(may(7, &[5], 1, 2, 0o701, 1));
        assert!(!may(7, &[5], 1, 2, 0o750, 1));
    }
}
