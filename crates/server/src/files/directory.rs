//! The directory of attachments (`FileSettings.Directory`).

use std::path::Path;

use crate::config::Config;
use crate::failure::ServerError;
use crate::id::Id;

/// Creates the directory of attachments and checks that it is writable.
pub(crate) fn prepare(config: &Config) -> Result<(), ServerError> {
    let path = Path::new(&config.file.directory);
    let refused = |reason| ServerError::Directory { path: path.to_owned(), reason };
    std::fs::create_dir_all(path).map_err(refused)?;
    probe(path).map_err(refused)
}

/// Writes, reads back and removes a small file.
pub(crate) fn probe(path: &Path) -> std::io::Result<()> {
    let file = path.join(format!(".probe-{}", Id::random()));
    let written = std::fs::write(&file, b"probe").and_then(|()| std::fs::read(&file));
    let removed = std::fs::remove_file(&file);
    if written? != b"probe" {
        return Err(std::io::Error::other("a file read back differs from what was written"));
    }
    removed
}
