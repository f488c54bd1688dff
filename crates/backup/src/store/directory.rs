//! A store in a directory of this machine, or of a mounted file system.
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{Entry, Store, StoreError};

/// Names of files that are being written. No file of a repository begins with a dot.
const STAGED: &str = ".writing-";

/// A directory. Files are 0600, directories 0700: a repository is encrypted, its sizes and times are not.
#[derive(Debug, Clone)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The repository in `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Directory {
        Directory { root: root.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The content beside the file, on the disk, and its directory made.
    fn staged(&self, path: &Path, content: &[Bytes]) -> io::Result<tempfile::NamedTempFile> {
        let parent = path.parent().unwrap_or(&self.root);
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        let mut file = tempfile::Builder::new().prefix(STAGED).tempfile_in(parent)?;
        for part in content {
            file.write_all(part)?;
        }
        file.as_file().set_permissions(Permissions::from_mode(0o600))?;
        file.as_file().sync_all()?;
        Ok(file)
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

impl Store for Directory {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let fail = |path: &Path, error: &io::Error| StoreError::io("list", path.display().to_string(), error);
        let deep = !folder.is_empty();
        let mut entries = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let path = self.path(&folder);
            let read = match fs::read_dir(&path) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(fail(&path, &error)),
            };
            for entry in read {
                let entry = entry.map_err(|error| fail(&path, &error))?;
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
                if name.starts_with('.') {
                    continue;
                }
                let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                let meta = match entry.metadata() {
                    Ok(meta) => meta,
                    // Removed meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(fail(&entry.path(), &error)),
                };
                if meta.is_dir() && deep {
                    folders.push(name);
                } else if meta.is_file() {
                    entries.push(Entry { name, size: meta.len() });
                }
            }
        }
        Ok(entries)
    }

    fn read(&self, name: &str) -> Result<Bytes, StoreError> {
        let path = self.path(name);
        fs::read(&path)
            .map(Bytes::from)
            .map_err(|error| StoreError::io("read", path.display().to_string(), &error))
    }

    fn read_range(&self, name: &str, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        let path = self.path(name);
        let fail = |error: io::Error| StoreError::io("read", path.display().to_string(), &error);
        let file = File::open(&path).map_err(fail)?;
        // A length from a damaged index must not become an allocation.
        let size = file.metadata().map_err(fail)?.len();
        if offset.saturating_add(length) > size {
            let why = format!("it has {size} bytes; {length} from byte {offset} were expected");
            return Err(StoreError { action: "read", at: path.display().to_string(), why, missing: false });
        }
        let mut content = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut content, offset).map_err(fail)?;
        Ok(content.into())
    }

    fn write(&self, name: &str, content: &[Bytes]) -> Result<(), StoreError> {
        let path = self.path(name);
        let fail = |error: &io::Error| StoreError::io("write", path.display().to_string(), error);
        let file = self.staged(&path, content).map_err(|error| fail(&error))?;
        file.persist(&path).map_err(|error| fail(&error.error))?;
        sync_parent(&path).map_err(|error| fail(&error))
    }

    fn create(&self, name: &str, content: &[u8]) -> Result<bool, StoreError> {
        let path = self.path(name);
        let fail = |error: &io::Error| StoreError::io("write", path.display().to_string(), error);
        let file = self.staged(&path, &[Bytes::copy_from_slice(content)]).map_err(|error| fail(&error))?;
        match file.persist_noclobber(&path) {
            Ok(_) => sync_parent(&path).map(|()| true).map_err(|error| fail(&error)),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(fail(&error.error)),
        }
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::io("remove", path.display().to_string(), &error)),
        }
    }
}
