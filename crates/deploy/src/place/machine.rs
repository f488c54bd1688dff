//! Thin calls to the machine that more than one action makes.

use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::Path;

use crate::error::{Error, Exit};

pub use host::here::host_name;

/// User and group id.
pub(crate) type Owner = (u32, u32);

/// User and group of a user that must exist; `None` = leave the owner as it is.
pub(crate) fn owner(user: Option<&str>) -> Result<Option<Owner>, Error> {
    let Some(name) = user else { return Ok(None) };
    let user = host::User::named(name)?;
    Ok(Some((user.uid, user.gid)))
}

/// The mode of a deployment's own directory: the server's user passes through it, and nobody else sees what is in it.
pub(crate) const ROOT_MODE: u32 = 0o711;

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

/// A secret in a file of its own (`NAME_FILE`) is not longer, in bytes.
const SECRET_FILE_LIMIT: u64 = 64 * 1024;

/// The content of a file that holds a secret, bounded.
pub(crate) fn read_secret_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    host::disk::open_named(path)?.take(SECRET_FILE_LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

/// A pipe would be waited for without end, and what is read from it once is gone.
pub(crate) fn check_tarball(path: &Path) -> Result<(), Error> {
    let meta = std::fs::metadata(path).map_err(|error| Error::path("read", path, &error))?;
    if meta.is_file() {
        return Ok(());
    }
    let is = if meta.is_dir() { "a directory" } else { "a pipe or a device" };
    Err(Error::new(
        Exit::Usage,
        format!("`--release {}`: it is {is}, and a tarball is needed", path.display()),
    )
    .hint("name the file itself, as in mattermost-team-11.7.0-linux-amd64.tar.gz"))
}
