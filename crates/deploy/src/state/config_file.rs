//! The server's config.json on disk.

use std::net::SocketAddr;
use std::path::Path;

use release::ReleaseId;
use serde_json::Value;
use settings::{Base, Resolved};

use crate::error::{Error, Kind};
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::state::desired::Desired;
use crate::state::settled::config_json;

/// The file as data.
///
/// # Errors
/// It cannot be read, is a link or somebody else's, or it is no JSON object: said with its line.
pub(crate) fn read(path: &Path) -> Result<Value, Error> {
    // The server writes in its directory, and this may be root.
    let read = host::disk::read_guarded(path, FILE_LIMIT);
    let content = read.map_err(|error| Error::path("read", path, &error.source))?;
    let value: Value = serde_json::from_slice(&content.bytes).map_err(|error| {
        Error::new(Kind::Settings, format!("{}:{}: it is no JSON ({error})", path.display(), error.line()))
            .hint(
                "mend the file, or move it aside and run `mainstay up`: a new one is made from the release's",
            )
    })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Error::new(Kind::Settings, format!("{}: it is no JSON object", path.display())))
    }
}

/// The deployment's own, if there is one.
///
/// # Errors
/// As [`read`].
pub(crate) fn deployed(layout: &Layout) -> Result<Option<Value>, Error> {
    let path = layout.config();
    // A link to nothing is there: it is refused and not replaced.
    path.symlink_metadata().is_ok().then(|| read(&path)).transpose()
}

/// What a rendered config.json differs in from the one in place; `None` when there is none.
pub(crate) fn differs(
    layout: &Layout,
    resolved: &Resolved,
    desired: &Desired,
    release: &ReleaseId,
    listen: SocketAddr,
) -> Result<Option<bool>, Error> {
    let Some(config) = deployed(layout)? else { return Ok(None) };
    let rendered = config_json(resolved, desired, release, layout, listen, Base::Deployed(&config))?;
    Ok(Some(rendered != config))
}

/// As it is written.
pub(crate) fn text(config: &Value) -> Result<Vec<u8>, Error> {
    let mut text =
        serde_json::to_vec_pretty(config).map_err(|error| Error::new(Kind::Bug, error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}
