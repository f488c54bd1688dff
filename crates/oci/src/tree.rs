//! Turns a directory of this machine into entries of an image.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::entry::{Entry, Owner, leads_above_root};
use crate::error::OciError;

/// The directory `source` with everything in it, at `path` of the image, owned by `owner`.
///
/// The mode is 0755 for directories and for files that their owner may execute, 0644 for other files: the umask with
/// which the tree was unpacked must not change the image. Links stay links. Refuses links that are absolute or lead
/// out of the tree (they point into this machine), names that are not UTF-8, devices, sockets and pipes.
pub fn tree(path: &str, source: &Path, owner: Owner) -> Result<Vec<Entry>, OciError> {
    let mut entries = vec![Entry::directory(path, 0o755, owner)];
    walk(path, source, "", owner, &mut entries)?;
    Ok(entries)
}

fn walk(path: &str, dir: &Path, below: &str, owner: Owner, entries: &mut Vec<Entry>) -> Result<(), OciError> {
    let read = |e| OciError::disk("read", dir, e);
    for found in fs::read_dir(dir).map_err(read)? {
        let found = found.map_err(read)?;
        let source = found.path();
        let name = found.file_name();
        let Some(name) = name.to_str() else {
            return Err(OciError::entry(source.to_string_lossy(), "its name is not UTF-8"));
        };
        let at = format!("{path}/{name}");
        let meta = found.metadata().map_err(|e| OciError::disk("read", &source, e))?;
        let kind = meta.file_type();
        if kind.is_dir() {
            entries.push(Entry::directory(&at, 0o755, owner));
            walk(&at, &source, &format!("{below}/{name}"), owner, entries)?;
        } else if kind.is_file() {
            let mode = if meta.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            entries.push(Entry::file(at, source, mode, owner));
        } else if kind.is_symlink() {
            entries.push(Entry { owner, ..link(at, &source, below)? });
        } else {
            return Err(OciError::entry(
                at,
                format!("{} is not a file, directory or link", source.display()),
            ));
        }
    }
    Ok(())
}

fn link(at: String, source: &Path, below: &str) -> Result<Entry, OciError> {
    let target = fs::read_link(source).map_err(|e| OciError::disk("read", source, e))?;
    match target.to_str() {
        Some(target) if !target.starts_with('/') && !leads_above_root(below, target) => {
            Ok(Entry::symlink(at, target))
        }
        _ => Err(OciError::entry(
            at,
            format!(
                "{} is a link to {}; links in a tree must be relative and stay inside it",
                source.display(),
                target.display()
            ),
        )),
    }
}
