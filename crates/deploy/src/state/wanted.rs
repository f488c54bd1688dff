//! `mainstay.toml` as it is on disk, and how a settings file of ours is read.

use std::path::Path;

use settings::Wanted;

use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};

/// What `mainstay.toml` says; nothing when there is none.
///
/// # Errors
/// It cannot be read, or is wrong: every finding.
pub fn wanted_file(layout: &Layout) -> Result<Wanted, Error> {
    Ok(read_wanted(layout)?.map_or_else(Wanted::default, |(wanted, _)| wanted))
}

/// The same with its text.
pub(crate) fn read_wanted(layout: &Layout) -> Result<Option<(Wanted, String)>, Error> {
    let path = layout.wanted();
    // A link that leads nowhere is something that somebody made, and not a file that nobody wrote.
    if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let text = settings_text(&path)?;
    match settings::parse(&path, &text) {
        Ok(wanted) => Ok(Some((wanted, text))),
        Err(findings) => {
            Err(Error::new(Exit::Settings, findings.to_string()).hint("nothing has been changed"))
        }
    }
}

/// The text of a settings file of Mainstay's own.
///
/// # Errors
/// It cannot be read, is no regular file, or is not UTF-8 text: said with its line.
pub(crate) fn settings_text(path: &Path) -> Result<String, Error> {
    let bytes =
        host::disk::read_named(path, FILE_LIMIT).map_err(|error| Error::path("read", path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
        let what = format!("{}:{line}: it is not UTF-8 text", path.display());
        Error::new(Exit::Settings, what).hint("save it as UTF-8; nothing has been changed")
    })
}
