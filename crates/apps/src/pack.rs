//! Makes a bundle of a directory: the same files always give the same bytes.
//!
//! Nothing is built, and nothing is run. For a function `hello` the directory holds `hello.zip`, `hello.jar`, or a directory `hello` with what
//! belongs into its archive.

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use finding::{Exit, Finding, Location};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use crate::archive::{ENTRIES_MAX, UNPACKED_MAX};
use crate::found::shown;
use crate::reading::MANIFEST_LIMIT;
use crate::{Error, Function, Manifest, file};

/// Files that no app needs and that differ from machine to machine: nobody is told that they are left out.
const LITTER: [&str; 5] = [".DS_Store", "Thumbs.db", "__pycache__", ".git", ".gitignore"];
/// The directory in which Python packages carry libraries.
const LIBRARIES: &str = ".libs";
/// How the names of private keys begin that SSH makes.
const SSH_KEYS: [&str; 4] = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"];
/// How many names of files a warning tells.
const TOLD: usize = 5;

/// Whether a file of this name belongs to its author and not into an app: settings of tools, which hold passwords, and keys.
fn is_private(name: &str) -> bool {
    (name.starts_with('.') && name != LIBRARIES) || SSH_KEYS.iter().any(|key| name.starts_with(key))
}

/// A bundle that was made of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The zip file.
    pub bytes: Vec<u8>,
    /// The names of what is in it.
    pub files: Vec<String>,
    /// What its maker should know.
    pub warnings: Vec<Finding>,
}

/// How deep directories may be nested.
const DEPTH_MAX: usize = 32;

/// A file to pack: its name in the archive, where it is, and whether it is executable.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    name: String,
    path: PathBuf,
    size: u64,
    is_executable: bool,
}

/// A bundle of a directory.
///
/// # Errors
/// A file is missing or cannot be read, or the manifest is wrong.
pub fn pack(dir: &Path) -> Result<Packed, Error> {
    let manifest_path = dir.join("manifest.json");
    if !manifest_path.exists() {
        let what = format!("there is no manifest.json in {}", dir.display());
        return Err(Error::new(Exit::Settings, what)
            .hint("name the directory of an app, or begin one with `mainstay apps init TEMPLATE`"));
    }
    let bytes = file::read_file(&manifest_path, MANIFEST_LIMIT)?;
    let (manifest, _) = Manifest::read(&manifest_path, &bytes)?;
    let (mut zip, mut left_out) = (Zip::new(), Vec::new());
    zip.add("manifest.json", &bytes, false)?;
    let functions = manifest.aws_lambda.map(|section| section.functions).unwrap_or_default();
    for function in &functions {
        let (name, archive) = archive_of(dir, function, &mut left_out)?;
        zip.add(&name, &archive, false)?;
    }
    let statics = dir.join("static");
    if statics.exists() {
        for source in files(&statics, "static", &mut left_out)? {
            zip.add(&source.name, &file::read_file(&source.path, source.size)?, false)?;
        }
    }
    let (bytes, files) = zip.finish()?;
    Ok(Packed { bytes, files, warnings: warning(dir, &left_out).into_iter().collect() })
}

/// Says which files were left out, unless there are none.
fn warning(dir: &Path, left_out: &[PathBuf]) -> Option<Finding> {
    if left_out.is_empty() {
        return None;
    }
    let mut names: Vec<String> = left_out
        .iter()
        .map(|path| shown(&path.strip_prefix(dir).unwrap_or(path).display().to_string()))
        .collect();
    names.sort();
    let more = names.len().saturating_sub(TOLD);
    names.truncate(TOLD);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = format!("left out of the bundle: {}{more}", names.join(", "));
    let cause = "names that begin with `.`, and keys, are their author's, and everybody can read a bundle";
    let fix = "give a file that the app needs another name";
    Some(Finding::warning(what, cause, fix).at(Location::File(dir.to_owned())))
}

/// The archive of a function, and its name in the bundle.
fn archive_of(
    dir: &Path,
    function: &Function,
    left_out: &mut Vec<PathBuf>,
) -> Result<(String, Vec<u8>), Error> {
    let name = &function.name;
    if Path::new(name).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
        let what = format!("the name of function {} is no name of a file", shown(name));
        return Err(Error::new(Exit::Settings, what).hint("use A-Z, a-z, 0-9, `-`, `_` and spaces"));
    }
    for extension in ["zip", "jar"] {
        let archive = format!("{name}.{extension}");
        let path = dir.join(&archive);
        if path.exists() {
            return Ok((archive, file::read_file(&path, UNPACKED_MAX)?));
        }
    }
    let source = dir.join(name);
    if !source.is_dir() {
        let what = format!(
            "function {} has nothing to pack: {} has no {name}.zip, no {name}.jar and no directory {name}",
            shown(name),
            dir.display()
        );
        return Err(Error::new(Exit::Settings, what)
            .hint("build it first; in an app of `mainstay apps init`, with `make`"));
    }
    let sources = files(&source, "", left_out)?;
    if sources.is_empty() {
        let what = format!("the directory {} of function {} is empty", source.display(), shown(name));
        return Err(Error::new(Exit::Settings, what)
            .hint("build it first; in an app of `mainstay apps init`, with `make`"));
    }
    let mut zip = Zip::new();
    for source in sources {
        zip.add(&source.name, &file::read_file(&source.path, source.size)?, source.is_executable)?;
    }
    let (bytes, _) = zip.finish()?;
    Ok((format!("{name}.zip"), bytes))
}

/// The files below a directory, sorted by name.
fn files(dir: &Path, prefix: &str, left_out: &mut Vec<PathBuf>) -> Result<Vec<Source>, Error> {
    let mut walk = Walk { sources: Vec::new(), total: 0, left_out };
    walk.through(dir, prefix, 0)?;
    let mut sources = walk.sources;
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

/// What was found below a directory.
struct Walk<'a> {
    sources: Vec<Source>,
    /// Their bytes.
    total: u64,
    left_out: &'a mut Vec<PathBuf>,
}

impl Walk<'_> {
    fn through(&mut self, dir: &Path, prefix: &str, depth: usize) -> Result<(), Error> {
        use std::os::unix::fs::PermissionsExt as _;

        let too_much =
            |what: String| Err(Error::new(Exit::Settings, what).hint("leave out what the app does not need"));
        if depth > DEPTH_MAX {
            return too_much(format!("{} is nested more than {DEPTH_MAX} directories deep", dir.display()));
        }
        for entry in std::fs::read_dir(dir).map_err(|error| file::unread(dir, &error))? {
            let entry = entry.map_err(|error| file::unread(dir, &error))?;
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                return too_much(format!("the name of {} is not UTF-8", path.display()));
            };
            if LITTER.contains(&name.as_str()) {
                continue;
            }
            if is_private(&name) {
                self.left_out.push(path);
                continue;
            }
            let meta = std::fs::symlink_metadata(&path).map_err(|error| file::unread(&path, &error))?;
            let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if meta.is_dir() {
                self.through(&path, &name, depth + 1)?;
            } else if meta.is_file() {
                self.total += meta.len();
                let is_executable = meta.permissions().mode() & 0o111 != 0;
                self.sources.push(Source { name, path, size: meta.len(), is_executable });
            } else {
                let what =
                    format!("{} is a link, a pipe or a device; a bundle holds only files", path.display());
                return Err(Error::new(Exit::Settings, what).hint("put the file itself there"));
            }
            if self.sources.len() > ENTRIES_MAX || self.total > UNPACKED_MAX {
                return too_much(format!(
                    "{} holds more than {ENTRIES_MAX} files or {} MB",
                    dir.display(),
                    UNPACKED_MAX >> 20
                ));
            }
        }
        Ok(())
    }
}

/// A zip file that depends on names and contents alone.
pub(crate) struct Zip {
    writer: ZipWriter<Cursor<Vec<u8>>>,
    names: Vec<String>,
}

impl Zip {
    pub(crate) fn new() -> Self {
        Self { writer: ZipWriter::new(Cursor::new(Vec::new())), names: Vec::new() }
    }

    pub(crate) fn add(&mut self, name: &str, bytes: &[u8], is_executable: bool) -> Result<(), Error> {
        // What is compressed already only costs time.
        let is_packed = [".zip", ".jar", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".woff2"]
            .iter()
            .any(|end| name.ends_with(end));
        let method = if is_packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .last_modified_time(DateTime::default())
            .system(System::Unix)
            .unix_permissions(if is_executable { 0o755 } else { 0o644 });
        let failed =
            |error: String| Error::new(Exit::Settings, format!("cannot pack {}: {error}", shown(name)));
        self.writer.start_file(name, options).map_err(|error| failed(error.to_string()))?;
        self.writer.write_all(bytes).map_err(|error| failed(error.to_string()))?;
        self.names.push(name.to_owned());
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(Vec<u8>, Vec<String>), Error> {
        let bytes = self
            .writer
            .finish()
            .map_err(|error| Error::new(Exit::Settings, format!("cannot pack the bundle: {error}")))?;
        Ok((bytes.into_inner(), self.names))
    }
}
