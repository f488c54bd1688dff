//! `mainstay.toml` as it is on disk.

use settings::Wanted;

use crate::error::{Error, Exit};
use crate::place::layout::Layout;

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
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::path("read", path, &error)),
    };
    match settings::parse(&path, &text) {
        Ok(wanted) => Ok(Some((wanted, text))),
        Err(findings) => {
            Err(Error::new(Exit::Settings, findings.to_string()).hint("nothing has been changed"))
        }
    }
}
