//! A deployment's directory: whose it is.

use std::path::Path;

use super::layout::Layout;
use crate::error::Error;

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
