//! A zip file that somebody else made: read without trust.
//!
//! Nothing is unpacked to a path of the archive's own choice, and no size is believed: what is read is bounded by what the archive declared,
//! and that is bounded here.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use finding::{Exit, Finding, Location, one_line};
use zip::{CompressionMethod, ZipArchive};

use crate::Error;
use crate::reader::Reader;

/// The largest archive, in bytes.
pub const ARCHIVE_MAX: u64 = 2 << 30;
/// The most that all files of an archive may have unpacked, in bytes.
pub(crate) const UNPACKED_MAX: u64 = 2 << 30;
/// The most entries of an archive.
pub(crate) const ENTRIES_MAX: usize = 20_000;
/// How many times its packed size a file may have: deflate makes at most 1,032 of it, from zeros.
const RATIO_MAX: u64 = 200;
/// Smaller files may have any ratio.
const RATIO_FROM: u64 = 4 << 20;
/// The most bytes of a name on a disk.
pub(crate) const NAME_MAX: usize = 255;
/// How many findings an archive gets.
const MOST: usize = 50;

/// The type bits of a Unix mode, and two types.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the archive.
    pub name: String,
    /// Its size unpacked, in bytes.
    pub size: u64,
    /// Its Unix permissions, where the archive was made by a program that knows them.
    pub mode: Option<u32>,
    index: usize,
}

/// An archive whose entries have passed all checks of names and sizes.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    zip: ZipArchive<Reader>,
    reader: Reader,
    path: PathBuf,
    /// The files, in the archive's order; no directories.
    pub entries: Vec<Entry>,
}

impl Archive {
    /// Opens an archive. `path` is its name in messages.
    pub(crate) fn open(path: &Path, reader: Reader) -> Result<Self, Error> {
        let shown = path.display();
        if reader.length() > ARCHIVE_MAX {
            let size = reader.length() >> 20;
            return Err(Error::new(
                Exit::Settings,
                format!("{shown} has {size} MB; a bundle has at most {} MB", ARCHIVE_MAX >> 20),
            ));
        }
        let mut zip = ZipArchive::new(reader.clone()).map_err(|error| not_zip(path, &reader, &error))?;
        if zip.len() > ENTRIES_MAX {
            let what = format!("{shown} has {} entries; a bundle has at most {ENTRIES_MAX}", zip.len());
            return Err(Error::new(Exit::Settings, what));
        }
        let mut flaws = Flaws { path, findings: Vec::new() };
        if zip.has_duplicate_names() {
            flaws.add(
                "a name occurs twice in it",
                "two programs could read different files",
                "make the archive again",
            );
        } else if zip.has_overlapping_entries().map_err(|error| not_zip(path, &reader, &error))? {
            flaws.add(
                "files overlap in it",
                "this is how small archives unpack to huge ones",
                "make the archive again",
            );
        }
        let entries = entries(&zip, &mut flaws);
        if let Some(count) = Some(flaws.findings.len()).filter(|count| *count > 0) {
            let what = format!("{shown} is refused: {count} of its entries cannot be used");
            let what = if count == 1 { format!("{shown} is refused") } else { what };
            return Err(Error::new(Exit::Settings, what).findings(flaws.findings));
        }
        Ok(Self { zip, reader, path: path.to_owned(), entries })
    }

    /// The bytes of a file. Its checksum is right.
    pub(crate) fn read(&self, entry: &Entry) -> Result<Vec<u8>, Error> {
        let mut zip = self.zip.clone();
        let damaged = |why: String| self.damaged(entry, &why);
        let file = zip.by_index(entry.index).map_err(|error| damaged(error.to_string()))?;
        let mut bytes = Vec::with_capacity(usize::try_from(entry.size).unwrap_or_default().min(64 << 20));
        file.take(entry.size + 1).read_to_end(&mut bytes).map_err(|error| damaged(error.to_string()))?;
        if bytes.len() as u64 != entry.size {
            return Err(damaged(format!("it has not the {} bytes that the archive says", entry.size)));
        }
        Ok(bytes)
    }

    /// Whether the bytes of a file have the checksum and the length that the archive says. Keeps none of them.
    pub(crate) fn check(&self, entry: &Entry) -> Result<(), Error> {
        let mut zip = self.zip.clone();
        let damaged = |why: String| self.damaged(entry, &why);
        let mut file = zip.by_index(entry.index).map_err(|error| damaged(error.to_string()))?;
        let (mut part, mut length) = (vec![0; 128 << 10], 0);
        loop {
            match file.read(&mut part).map_err(|error| damaged(error.to_string()))? {
                0 => break,
                count => length += count as u64,
            }
            if length > entry.size {
                break;
            }
        }
        if length != entry.size {
            return Err(damaged(format!("it has not the {} bytes that the archive says", entry.size)));
        }
        Ok(())
    }

    fn damaged(&self, entry: &Entry, why: &str) -> Error {
        let what = format!("{} in {} is damaged: {}", entry.name, self.path.display(), one_line(why, 120));
        Error::new(Exit::Settings, what).hint("make the bundle again, or copy it again")
    }

    /// The archive that a file of this archive is.
    pub(crate) fn inner(&self, entry: &Entry) -> Result<Self, Error> {
        let path = self.path.join(&entry.name);
        let mut zip = self.zip.clone();
        let stored = zip
            .by_index_raw(entry.index)
            .ok()
            .filter(|file| file.compression() == CompressionMethod::Stored)
            .and_then(|file| file.data_start());
        let reader = match stored {
            Some(start) => self.reader.part(start, entry.size),
            None => Reader::of_bytes(self.read(entry)?),
        };
        Self::open(&path, reader)
    }
}

/// Whether a name in a path is longer than a disk takes.
pub(crate) fn is_too_long_for_disk(path: &str) -> bool {
    path.split('/').any(|name| name.len() > NAME_MAX)
}

/// What is wrong with an archive.
struct Flaws<'p> {
    path: &'p Path,
    findings: Vec<Finding>,
}

impl Flaws<'_> {
    fn add(&mut self, what: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) {
        if self.findings.len() < MOST {
            self.findings.push(Finding::error(what, cause, fix).at(Location::File(self.path.to_owned())));
        }
    }
}

fn not_zip(path: &Path, reader: &Reader, error: &zip::result::ZipError) -> Error {
    let mut start = [0; 4];
    let begins_as_one = reader.clone().read_exact(&mut start).is_ok() && start.starts_with(b"PK");
    let (what, hint) = if begins_as_one {
        (
            "is a damaged zip file",
            "its end is missing or wrong: copy it again, or make it again with `mainstay apps bundle DIR`",
        )
    } else {
        ("is not a zip file", "make a bundle with `mainstay apps bundle DIR`")
    };
    Error::new(Exit::Settings, format!("{} {what}: {}", path.display(), one_line(&error.to_string(), 120)))
        .hint(hint)
}

/// The files of an archive. Everything that makes one unusable is added to the flaws.
fn entries(zip: &ZipArchive<Reader>, flaws: &mut Flaws<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::with_capacity(zip.len());
    let mut names: HashMap<String, String> = HashMap::with_capacity(zip.len());
    let mut unpacked: u64 = 0;
    for index in 0..zip.len() {
        let Ok(data) = zip.by_index_data(index) else { continue };
        let raw = data.name_raw();
        let shown = format!("`{}`", one_line(&String::from_utf8_lossy(raw), 100));
        let name = match checked_name(raw) {
            Ok(name) => name,
            Err(why) => {
                flaws.add(format!("the name {shown} is refused"), why, "rename the file");
                continue;
            }
        };
        // A program on a file system without case would put both into one file.
        let folded = name.trim_end_matches('/').to_lowercase();
        if let Some(other) = names.insert(folded, name.to_owned()) {
            let why = "where upper and lower case are the same, they are one file";
            flaws.add(
                format!("{shown} and `{}` differ only in case", one_line(&other, 100)),
                why,
                "rename one",
            );
        }
        let mode = data.unix_mode();
        let kind = mode.map_or(0, |mode| mode & TYPE);
        if data.is_symlink() || !matches!(kind, 0 | REGULAR | DIRECTORY) {
            flaws.add(
                format!("{shown} is a link or a device"),
                "it could lead anywhere",
                "put the file itself there",
            );
            continue;
        }
        if data.is_dir() {
            continue;
        }
        if data.encrypted() {
            flaws.add(
                format!("{shown} is encrypted"),
                "nobody could read it",
                "make the archive without a password",
            );
            continue;
        }
        if !matches!(data.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            let why = "AWS and Mattermost read only stored and deflated files";
            flaws.add(
                format!("{shown} is compressed with {}", data.compression()),
                why,
                "make the archive with `zip`",
            );
            continue;
        }
        let (size, packed) = (data.size(), data.compressed_size());
        unpacked = unpacked.saturating_add(size);
        if size > RATIO_FROM && size / packed.max(1) > RATIO_MAX {
            let why =
                format!("{packed} bytes would become {size}: such archives are made to fill memory and disk");
            flaws.add(format!("{shown} is packed more than {RATIO_MAX} times"), why, "remove it");
        }
        entries.push(Entry { name: name.to_owned(), size, mode: mode.map(|mode| mode & 0o7777), index });
    }
    if unpacked > UNPACKED_MAX {
        let what = format!("its files have {} MB unpacked", unpacked >> 20);
        flaws.add(
            what,
            format!("at most {} MB are read", UNPACKED_MAX >> 20),
            "leave out what the app does not need",
        );
    }
    files_as_directories(&entries, &names, flaws);
    entries
}

/// A file cannot also be the directory of another.
fn files_as_directories(entries: &[Entry], names: &HashMap<String, String>, flaws: &mut Flaws<'_>) {
    let mut said = std::collections::HashSet::new();
    for entry in entries {
        let folded = entry.name.to_lowercase();
        let parents = folded.match_indices('/').map(|(end, _)| &folded[..end]);
        for parent in parents {
            if names.get(parent).is_some_and(|name| !name.ends_with('/')) && said.insert(parent.to_owned()) {
                let what = format!("`{}` is a file and a directory", one_line(parent, 100));
                flaws.add(what, "it cannot be both", "rename one");
            }
        }
    }
}

/// The name of an entry, if it can be a path below a directory on every machine.
fn checked_name(raw: &[u8]) -> Result<&str, &'static str> {
    let name = std::str::from_utf8(raw).map_err(|_| "it is not UTF-8")?;
    let path = name.strip_suffix('/').unwrap_or(name);
    match () {
        () if path.is_empty() => Err("it is empty"),
        () if name.len() > 1024 => Err("it has more than 1024 bytes"),
        () if name.starts_with('/') => Err("it is an absolute path"),
        () if name.contains('\\') => Err("it has a backslash"),
        () if name.chars().any(char::is_control) => Err("it has a control character"),
        () if name.as_bytes().get(1) == Some(&b':') => Err("it names a drive"),
        () if path.split('/').any(|part| part == "..") => Err("it leaves the directory with `..`"),
        () if path.split('/').any(|part| part.is_empty() || part == ".") => {
            Err("a part of the path is empty or `.`")
        }
        () => Ok(name),
    }
}
