//! The key of the backups: `backup.key`, for its owner alone. Without it nobody restores.

use std::io::ErrorKind;
use std::path::Path;

use backup::Key;

use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// A key is not longer, in bytes.
const LIMIT: u64 = 4096;

/// What is said where it matters.
pub const WITHOUT_THE_KEY: &str =
    "without the key nobody restores: keep a copy of it where this machine's disk is not";

/// The key in a file; `None` = there is no such file.
///
/// # Errors
/// It cannot be read, or holds no key.
pub(crate) fn read(path: &Path) -> Result<Option<Key>, Error> {
    let bytes = match host::disk::read_named(path, LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::path("read", path, &error)),
    };
    let text = String::from_utf8(bytes).unwrap_or_default();
    let key = Key::parse(&text).map_err(|error| {
        Error::new(Exit::Usage, format!("{} holds no key of backups: {error}", path.display()))
            .hint("put the copy of the key there that was exported, on one line")
    })?;
    Ok(Some(key))
}

/// Makes the deployment's key. One that is there stays.
///
/// # Errors
/// The disk.
pub(crate) fn make(layout: &Layout) -> Result<(), Error> {
    let path = layout.backup_key();
    if read(&path)?.is_some() {
        return Ok(());
    }
    let key = Key::generate().map_err(|error| Error::not_ready(error.to_string()))?;
    Ok(host::disk::atomic_write(&path, format!("{}\n", key.reveal()).as_bytes(), 0o600, None)?)
}
