//! Unpacks the archive of a function, which may be hostile.

use std::fs::{self, Permissions};
use std::io::{Cursor, Read as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use finding::Exit;
use zip::ZipArchive;

use crate::Error;
use crate::file::unwritten;
use crate::found::shown;

/// How much AWS lets a function hold unpacked, in bytes.
const UNPACKED_MAX: u64 = 250 << 20;
/// How many files a function may have.
const FILES_MAX: usize = 50_000;
/// How long the target of a link may be, in bytes.
const LINK_MAX: u64 = 4096;

/// Unpacks `archive`, the package of the function `name`, into `dir`, which exists and is empty. What it makes can be read by
/// everybody and written by its owner.
pub(super) fn unpack(name: &str, archive: &[u8], dir: &Path) -> Result<(), Error> {
    let bad = |why: String| {
        Error::new(Exit::Settings, format!("the package of the function {name} cannot be used: {why}"))
    };
    let disk = |path: &Path, error: std::io::Error| unwritten(path, &error);
    let mut archive =
        ZipArchive::new(Cursor::new(archive)).map_err(|error| bad(format!("it is not a zip: {error}")))?;
    if archive.len() > FILES_MAX {
        return Err(bad(format!("it has {} files; allowed are {FILES_MAX}", archive.len())));
    }
    let mut room = UNPACKED_MAX;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| bad(error.to_string()))?;
        let shown = shown(&entry.name().unwrap_or_default());
        let Some(path) = entry.enclosed_name().filter(|path| !path.as_os_str().is_empty()) else {
            return Err(bad(format!("{shown} lies outside of it")));
        };
        let target = dir.join(&path);
        // A parent that is a link would lead elsewhere.
        let parent = target.parent().unwrap_or(dir);
        make_dirs(dir, parent).map_err(|error| disk(parent, error))?;
        if entry.is_dir() {
            make_dirs(dir, &target).map_err(|error| disk(&target, error))?;
            continue;
        }
        if entry.is_symlink() {
            let mut to = String::new();
            (&mut entry)
                .take(LINK_MAX)
                .read_to_string(&mut to)
                .map_err(|error| bad(format!("the link {shown}: {error}")))?;
            if !stays_inside(&path, Path::new(&to)) {
                return Err(bad(format!("the link {shown} leads out of it, to {to:?}")));
            }
            symlink(&to, &target).map_err(|error| disk(&target, error))?;
            continue;
        }
        let mode = if entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0) { 0o755 } else { 0o644 };
        let mut file = fs::File::create_new(&target).map_err(|error| disk(&target, error))?;
        // What is wrong with an archive has no number of the kernel's.
        let written = std::io::copy(&mut (&mut entry).take(room + 1), &mut file).map_err(|error| {
            if error.raw_os_error().is_some() {
                disk(&target, error)
            } else {
                bad(format!("{shown}: {error}"))
            }
        })?;
        room = room
            .checked_sub(written)
            .ok_or_else(|| bad(format!("it holds more than {} MiB, AWS's limit", UNPACKED_MAX >> 20)))?;
        file.set_permissions(Permissions::from_mode(mode)).map_err(|error| disk(&target, error))?;
    }
    Ok(())
}

/// Makes `path` and the directories between it and `dir`. Fails where one of them is something else than a directory.
fn make_dirs(dir: &Path, path: &Path) -> std::io::Result<()> {
    let Ok(inner) = path.strip_prefix(dir) else { return Err(std::io::ErrorKind::InvalidInput.into()) };
    let mut at = dir.to_owned();
    for part in inner {
        at.push(part);
        match fs::create_dir(&at) {
            Ok(()) => fs::set_permissions(&at, Permissions::from_mode(0o755))?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                if !fs::symlink_metadata(&at)?.is_dir() {
                    return Err(std::io::ErrorKind::NotADirectory.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether a link at `link` (relative to the package) to `to` stays in the package, by its words alone.
fn stays_inside(link: &Path, to: &Path) -> bool {
    let mut at: Vec<PathBuf> = link.parent().into_iter().flat_map(Path::iter).map(PathBuf::from).collect();
    for part in to.components() {
        match part {
            Component::Normal(name) => at.push(name.into()),
            Component::CurDir => {}
            Component::ParentDir => {
                if at.pop().is_none() {
                    return false;
                }
            }
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zipped(fill: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        fill(&mut zip);
        zip.finish().unwrap().into_inner()
    }

    fn unpacked(archive: &[u8]) -> Result<tempfile::TempDir, String> {
        let dir = tempfile::tempdir().unwrap();
        unpack("f", archive, dir.path()).map_err(|error| error.what)?;
        Ok(dir)
    }

    #[test]
    fn files_directories_and_links_are_as_in_the_package() {
        let options = SimpleFileOptions::default();
        let archive = zipped(|zip| {
            zip.start_file("bootstrap", options.unix_permissions(0o755)).unwrap();
            zip.write_all(b"#!/bin/sh").unwrap();
            zip.start_file("lib/a.js", options.unix_permissions(0o640)).unwrap();
            zip.add_symlink("lib/b.js", "../lib/a.js", options).unwrap();
        });
        let dir = unpacked(&archive).unwrap();
        let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("bootstrap"), mode("lib/a.js"), mode("lib/b.js")), (0o755, 0o644, 0o644));
    }

    #[test]
    fn what_leads_out_is_refused() {
        let options = SimpleFileOptions::default();
        for (name, to) in [("a", "/etc/passwd"), ("lib/a", "../../x"), ("a", "b/../../x")] {
            let archive = zipped(|zip| zip.add_symlink(name, to, options).unwrap());
            assert!(unpacked(&archive).unwrap_err().contains("leads out of it"), "{name} -> {to}");
        }
        let archive = zipped(|zip| {
            zip.add_symlink("lib", "other", options).unwrap();
            zip.start_file("lib/a", options).unwrap();
        });
        assert!(unpacked(&archive).unwrap_err().contains("cannot write"));
        let archive = zipped(|zip| zip.start_file("../a", options).unwrap());
        assert!(unpacked(&archive).is_err());
        assert!(unpacked(b"no zip").unwrap_err().contains("it is not a zip"));
    }

    #[test]
    fn a_package_that_unpacks_to_more_than_aws_allows_is_refused() {
        let archive = zipped(|zip| {
            zip.start_file("zeros", SimpleFileOptions::default()).unwrap();
            let block = vec![0; 1 << 20];
            for _ in 0..251 {
                zip.write_all(&block).unwrap();
            }
        });
        assert!(unpacked(&archive).unwrap_err().contains("more than 250 MiB"));
    }
}
