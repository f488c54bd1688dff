//! A deployment's directory: whose it is.

use std::path::Path;

use container_contract::VOLUME;

use super::Place;
use super::layout::Layout;
use crate::error::{Error, reason};

/// What a directory is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ground {
    /// Nothing, or an empty directory.
    Free,
    /// A deployment, or the beginning of one.
    Ours,
}

/// Looks at a directory without touching it.
///
/// # Errors
/// It holds what is not ours: named.
pub(crate) fn ground(layout: &Layout) -> Result<Ground, Error> {
    let root = layout.root();
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Ground::Free),
        Err(error) => {
            return Err(Error::path("use", root, &error).hint("name another directory with `--dir`"));
        }
    };
    let mut ground = Ground::Free;
    for entry in entries {
        let entry = entry.map_err(|error| Error::path("read", root, &error))?;
        let name = entry.file_name();
        if !name.to_str().is_some_and(Layout::is_ours) {
            let name = Path::new(&name).display().to_string();
            return Err(Error::not_ready(format!(
                "{} holds `{name}`, which is not Mainstay's",
                root.display()
            ))
            .hint("name an empty directory, or one that does not exist yet, with `--dir`"));
        }
        ground = Ground::Ours;
    }
    Ok(ground)
}

/// Whether this user can write in `ground`, the directory nearest to the deployment's that exists.
///
/// # Errors
/// It cannot: why, and the way out.
pub(crate) fn writable(ground: &Path, layout: &Layout) -> Result<(), Error> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    let root = layout.root();
    if !ground.is_dir() {
        return Err(Error::not_ready(format!(
            "cannot use {}: {} is not a directory",
            root.display(),
            ground.display()
        )));
    }
    // The effective user's rights, asked of the kernel: a read-only file system says no as well.
    accessat(CWD, ground, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).map_err(|error| {
        let refused =
            Error::not_ready(format!("cannot write in {}: {}", ground.display(), reason(&error.into())));
        if layout.place() == Place::Container {
            let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            return refused.hint(format!(
                "make it user {uid}'s: `chown -R {uid}:{gid} DIRECTORY` on the host, DIRECTORY being what is mounted at \
                 {VOLUME}; or leave `--user` out of the `docker run` line, and it is done for you"
            ));
        }
        refused.hint("name another directory with `--dir`, or run this as its owner")
    })
}
