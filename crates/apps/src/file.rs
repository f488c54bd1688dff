//! Files that a person named.

use std::io::Read as _;
use std::path::Path;

use finding::Exit;

use crate::Error;

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// It cannot be read, is no regular file, or is larger.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = open(path)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| unread(path, &error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(
            Exit::Settings,
            format!("{} is larger than {limit} bytes, which is the limit", path.display()),
        ));
    }
    Ok(bytes)
}

/// Opens a file. A pipe or a device is refused: reading it may never end.
pub(crate) fn open(path: &Path) -> Result<std::fs::File, Error> {
    host::disk::open_named(path).map_err(|error| unread(path, &error))
}

/// Why a path was not read.
pub(crate) fn unread(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Exit::NotReady, format!("cannot read {}: {}", path.display(), finding::disk::reason(error)))
}

/// Why a path was not written.
pub(crate) fn unwritten(path: &Path, error: &std::io::Error) -> Error {
    let hint = finding::disk::remedy(error).map(str::to_owned);
    let what = format!("cannot write {}: {}", path.display(), finding::disk::reason(error));
    Error { hint, ..Error::new(Exit::NotReady, what) }
}
