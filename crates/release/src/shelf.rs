//! The directory `releases/` and the link `current`.
use std::fs;
use std::io;
use std::path::Path;

use crate::edition::ReleaseId;
use crate::error::ReleaseError;

/// The releases in a directory, oldest first; none if it does not exist. Files with other names are ignored.
pub fn installed(releases: &Path) -> Result<Vec<ReleaseId>, ReleaseError> {
    let fail = |e| ReleaseError::disk("read", releases, e);
    let entries = match fs::read_dir(releases) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fail)?,
    };
    let names: Vec<String> = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()
        .map_err(fail)?;
    let mut ids: Vec<ReleaseId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    ids.sort();
    Ok(ids)
}

/// The release that a link points to; `None` if there is no link or it points to something else.
pub fn current(link: &Path) -> Option<ReleaseId> {
    name_of(&fs::read_link(link).ok()?).parse().ok()
}

/// The name of a release's directory, to show.
pub fn name_of(root: &Path) -> String {
    root.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
