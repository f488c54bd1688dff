//! Writes a manifest of any format in the current one.

use std::path::Path;

use finding::Finding;

use crate::archive::Archive;
use crate::bundle::manifest_of;
use crate::file;
use crate::generation::{CONVERT, Generation};
use crate::go::as_go_escapes;
use crate::pack::Zip;
use crate::reader::Reader;
use crate::reading::{self, Given};
use crate::{Error, Manifest};

/// A manifest in the current format.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// What it says.
    pub manifest: Manifest,
    /// The format that it had.
    pub from: Generation,
    /// What could be better, and what was left out.
    pub warnings: Vec<Finding>,
}

/// Reads a manifest of any format. What old formats did not demand is taken from `given`; the name that people see from the id, where
/// nothing says another.
///
/// # Errors
/// As [`Manifest::read`].
pub fn convert(name: &Path, bytes: &[u8], given: &Given) -> Result<Converted, Error> {
    let read = reading::read(name, bytes, given).map_err(|mut error| {
        error.findings.retain(|finding| finding.fix != CONVERT);
        let misses_homepage = error.findings.iter().any(|finding| finding.what.starts_with("`homepage_url`"));
        if misses_homepage { error.hint("give it with `--homepage-url URL`") } else { error }
    })?;
    let mut warnings = read.warnings;
    warnings.retain(|warning| warning.fix != CONVERT);
    Ok(Converted { manifest: read.manifest, from: read.generation, warnings })
}

/// Reads a bundle whose manifest may have any format, and gives it with the manifest in the current one. Its other files stay as they are.
///
/// # Errors
/// It is no safe archive, or its manifest is wrong.
pub fn convert_bundle(path: &Path, given: &Given) -> Result<(Converted, Vec<u8>), Error> {
    let reader = Reader::of_file(file::open(path)?).map_err(|error| file::unread(path, &error))?;
    let archive = Archive::open(path, reader)?;
    let converted = convert(&path.join("manifest.json"), &manifest_of(&archive, path)?, given)?;
    let mut zip = Zip::new();
    zip.add("manifest.json", converted.manifest.to_pretty_json().as_bytes(), false)?;
    for entry in archive.entries.iter().filter(|entry| entry.name != "manifest.json") {
        let is_executable = entry.mode.is_some_and(|mode| mode & 0o111 != 0);
        zip.add(&entry.name, &archive.read(entry)?, is_executable)?;
    }
    let (bytes, _) = zip.finish()?;
    Ok((converted, bytes))
}

impl Manifest {
    /// As JSON, the way Mattermost's tool writes it into the bucket.
    pub fn to_json(&self) -> String {
        // A manifest that was read is texts and JSON.
        as_go_escapes(&serde_json::to_string(self).unwrap_or_default())
    }

    /// As JSON for people, with a line's end.
    pub fn to_pretty_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
