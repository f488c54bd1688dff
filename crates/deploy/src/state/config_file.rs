//! The server's config.json on disk, and `declared.json` beside it.

use std::path::Path;

use release::{Edition, ReleaseId};
use serde_json::Value;
use settings::{Memory, MemoryError, Present};

use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::state::blank::is_blank;

/// The file as data.
///
/// # Errors
/// It cannot be read, is a link or somebody else's, or it is not a JSON object: said with its line.
pub(crate) fn read(path: &Path) -> Result<Value, Error> {
    if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        let what =
            format!("{} is a directory, where a file with the server's settings belongs", path.display());
        return Err(Error::new(Exit::Settings, what)
            .hint("move it away, and put the file back from a backup; nothing has been changed"));
    }
    // The server can write in that directory, and this process may be root.
    let read = host::disk::read_guarded(path, FILE_LIMIT);
    let content = read.map_err(|error| Error::path("read", path, &error.source))?;
    let wrong = |line: usize, what: &str| {
        Error::new(Exit::Settings, format!("{}:{line}: {what}", path.display()))
            .hint("correct the file, or put it back from a backup; nothing has been changed")
    };
    if content.bytes.trim_ascii().is_empty() {
        return Err(wrong(1, "it is empty"));
    }
    if content.bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(wrong(
            1,
            "it begins with a byte order mark, which no Mattermost server reads; save it as UTF-8 without one",
        ));
    }
    let value: Value = serde_json::from_slice(&content.bytes)
        .map_err(|error| wrong(error.line(), &format!("it is not JSON ({error})")))?;
    let is = match &value {
        Value::Object(_) => return Ok(value),
        Value::Array(_) => "a list",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Bool(_) | Value::Null => "a single word",
    };
    Err(wrong(
        1,
        &format!(
            "it is {is}; config.json is an object with a section for each subject, as in `{{\"ServiceSettings\": {{...}}}}`"
        ),
    ))
}

/// What keeps the uploaded files, where that is not the server's own directory.
pub(crate) fn files_elsewhere(config: &Value) -> Option<&str> {
    config["FileSettings"]["DriverName"].as_str().filter(|driver| !["", "local"].contains(driver))
}

/// The deployment's own, if there is one. One that was emptied, also to `{}`, is not there: every setting in it is gone.
///
/// # Errors
/// As [`read`].
pub(crate) fn deployed(layout: &Layout) -> Result<Option<Value>, Error> {
    let path = layout.config();
    // A broken link is refused, not replaced.
    if path.symlink_metadata().is_err() || is_blank(&path) {
        return Ok(None);
    }
    let config = read(&path)?;
    Ok(config.as_object().is_some_and(|sections| !sections.is_empty()).then_some(config))
}

/// A deployment's config.json and what is needed to write it anew. An operation reads them once. Without `Debug`: they hold
/// secrets.
#[derive(Clone)]
pub(crate) struct ConfigFiles {
    /// The deployment's config.json; `None` = there is none yet.
    pub config: Option<Value>,
    /// The config.json that the release ships; empty where the release is not unpacked yet.
    pub shipped: Value,
    /// What Mainstay declared last; `None` = there is no `declared.json`.
    pub memory: Option<Memory>,
}

impl ConfigFiles {
    /// Reads them.
    ///
    /// # Errors
    /// One of them cannot be read, is a link or somebody else's, or is damaged.
    pub(crate) fn read(layout: &Layout, release: &ReleaseId) -> Result<Self, Error> {
        Ok(Self {
            config: deployed(layout)?,
            shipped: shipped(layout, release)?,
            memory: memory(&layout.declared())?,
        })
    }

    pub(crate) fn present(&self) -> Present<'_> {
        Present { config: self.config.as_ref(), shipped: &self.shipped, memory: self.memory.as_ref() }
    }
}

/// The config.json that the release ships; empty where the release is not unpacked yet.
///
/// # Errors
/// As [`read`].
pub(crate) fn shipped(layout: &Layout, release: &ReleaseId) -> Result<Value, Error> {
    let path = layout.releases().join(release.to_string()).join("config/config.json");
    if path.exists() { read(&path) } else { Ok(Value::Object(serde_json::Map::new())) }
}

/// What is remembered in a file; `None` = there is no such file.
///
/// # Errors
/// It cannot be read, or it is not what Mainstay writes.
pub(crate) fn memory(path: &Path) -> Result<Option<Memory>, Error> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let read = host::disk::read_guarded(path, FILE_LIMIT);
    let content = read.map_err(|error| Error::path("read", path, &error.source))?;
    let text = String::from_utf8_lossy(&content.bytes);
    Memory::parse(&text).map(Some).map_err(|error| {
        let hint = match error {
            MemoryError::Newer(_) => "use the newer Mainstay again",
            MemoryError::Damaged { .. } => {
                "put it back from a backup; without the file, `mainstay up` begins to remember anew, and what is no longer declared stays as it is"
            }
        };
        Error::new(Exit::Settings, format!("{}: {error}", path.display())).hint(hint)
    })
}

/// As it is written.
pub(crate) fn text(config: &Value) -> Result<Vec<u8>, Error> {
    let mut text =
        serde_json::to_vec_pretty(config).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}
/// What the settings must know of a release.
pub(crate) fn server_of(release: &ReleaseId) -> settings::Server {
    let line = match release.edition {
        Edition::Builtin => settings::Line::Builtin,
        Edition::Team => settings::Line::Team,
        Edition::Entry | Edition::Enterprise => settings::Line::Enterprise,
    };
    settings::Server { version: release.version.series(), line }
}
