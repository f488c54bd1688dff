//! Reads an archive that may be cut off, damaged, or built to do harm.
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use crate::error::ReleaseError;
use crate::member::{Described, Member, Members};

const CHUNK: usize = 256 * 1024;
/// How much of a file is its beginning.
const HEAD: usize = 4096;
/// The most bytes that the headers of one member may have. Long names have headers of their own.
const HEADERS: u64 = 1 << 20;
/// Zeros that may follow the end mark: archivers fill up to a record.
const PADDING: u64 = 1 << 20;
/// The ratio is not checked below this size.
const FREE_OF_RATIO: u64 = 64 << 20;

/// How large an archive may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Members.
    pub members: usize,
    /// Bytes when unpacked.
    pub bytes: u64,
    /// Unpacked bytes for each compressed one, from 64 MiB on.
    pub ratio: u64,
}

impl Default for Limits {
    /// Ten times what the largest official release (11.x, enterprise) takes.
    fn default() -> Self {
        Self { members: 200_000, bytes: 8 << 30, ratio: 100 }
    }
}

/// What the readers, one inside the other, report for an error message.
#[derive(Default)]
struct Gauge {
    /// Bytes read from the archive as it is.
    packed: Cell<u64>,
    /// Bytes after decompression.
    unpacked: Cell<u64>,
    /// Bytes that may be read before the next member.
    allowance: Cell<u64>,
    /// The stream has ended.
    ended: Cell<bool>,
    /// A limit was exceeded.
    broken: RefCell<Option<String>>,
}

/// The place of the magic word in a tarball's first header.
const USTAR: std::ops::Range<usize> = 257..262;

/// Unpacks members of one archive.
pub(crate) struct Unpacker<'a> {
    /// How errors name the archive.
    pub(crate) name: &'a str,
    pub(crate) limits: Limits,
}

impl Unpacker<'_> {
    /// Unpacks everything below `mattermost/` into `into`, an empty directory.
    pub(crate) fn unpack(&self, packed: impl Read, into: &Path) -> Result<(), ReleaseError> {
        self.read(packed, &mut |member, content| make(into, member, content).map(|()| true))
    }

    /// Unpacks one file into `into`; false when there is none of that name.
    pub(crate) fn unpack_one(
        &self,
        packed: impl Read,
        name: &Path,
        into: &Path,
    ) -> Result<bool, ReleaseError> {
        let mut found = false;
        self.read(packed, &mut |member, content| match member {
            Member::File { path, executable } if path == name => {
                found = true;
                write_file(into, *executable, content).map(|()| false)
            }
            _ => skip(content).map(|()| true),
        })?;
        Ok(found)
    }

    /// The beginnings of the named files, as far as they are there. Writes nothing, and reads no further than the last one.
    pub(crate) fn heads(
        &self,
        packed: impl Read,
        names: &[&Path],
    ) -> Result<BTreeMap<PathBuf, Vec<u8>>, ReleaseError> {
        let mut found = BTreeMap::new();
        self.read(packed, &mut |member, content| {
            if let Member::File { path, .. } = member
                && names.contains(&path.as_path())
            {
                let mut head = vec![0; HEAD.min(usize::try_from(content.left).unwrap_or(HEAD)).max(1)];
                let length = content.next(&mut head).map_err(Fault::Archive)?.len();
                head.truncate(length);
                found.insert(path.clone(), head);
            }
            if found.len() == names.len() {
                return Ok(false);
            }
            skip(content).map(|()| true)
        })?;
        Ok(found)
    }

    /// Calls `take` with each permitted member and its content, until it returns false.
    fn read(&self, packed: impl Read, take: &mut Take<'_>) -> Result<(), ReleaseError> {
        let gauge = Rc::new(Gauge::default());
        let mut packed = BufReader::with_capacity(CHUNK, Packed { inner: packed, gauge: gauge.clone() });
        let failed = |entry: Option<&str>, error: &io::Error| {
            let (archive, entry) = (self.name.to_owned(), entry.map(str::to_owned));
            match gauge.broken.borrow_mut().take() {
                Some(why) => ReleaseError::Refused { archive, entry, why },
                None => ReleaseError::Damaged { archive, at: gauge.packed.get(), entry, why: plain(error) },
            }
        };
        let magic = packed.fill_buf().map_err(|e| failed(None, &e))?;
        let plain: Box<dyn Read + '_> = match magic {
            [] => return Err(failed(None, &io::Error::other("it is empty"))),
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(packed)),
            [b'P', b'K', ..] => return Err(self.no_tarball("a zip archive")),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return Err(self.no_tarball("compressed with zstd")),
            [0xfd, b'7', b'z', ..] => return Err(self.no_tarball("compressed with xz")),
            [b'<', ..] => return Err(self.no_tarball("a web page")),
            other if other.get(USTAR).is_some_and(|mark| mark != b"ustar") => {
                return Err(self.no_tarball("not an archive"));
            }
            _ => Box::new(packed),
        };
        let unpacked = Unpacked { inner: plain, gauge: gauge.clone(), limits: self.limits };
        let mut archive = tar::Archive::new(unpacked);
        let mut members = Members::default();
        let mut last: Option<String> = None;
        gauge.allowance.set(HEADERS);
        for entry in archive.entries().map_err(|e| failed(None, &e))? {
            let mut entry = entry.map_err(|e| failed(last.as_deref(), &e))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let member = members
                .admit(
                    &Described {
                        kind: entry.header().entry_type(),
                        path: &entry.path_bytes(),
                        link: entry.link_name_bytes().as_deref(),
                        mode: entry.header().mode().unwrap_or(0),
                    },
                    self.limits.members,
                )
                .map_err(|why| self.refused(&name, why))?;
            let size = entry.size();
            if size > 0 && !matches!(member, Member::File { .. } | Member::Nothing) {
                return Err(self.refused(&name, "it has content but is not a file".into()));
            }
            gauge.allowance.set(size.saturating_add(HEADERS));
            let mut content = Content { inner: &mut entry, left: size };
            let go_on = take(&member, &mut content).map_err(|e| match e {
                Fault::Disk(e) => e,
                Fault::Archive(e) => failed(Some(&name), &e),
            })?;
            if !go_on {
                return Ok(());
            }
            gauge.allowance.set(HEADERS);
            last = Some(name);
        }
        // An archive ends with an end mark. The tar crate also accepts an archive that is cut off between two members.
        if gauge.ended.get() {
            return Err(failed(last.as_deref(), &io::Error::other("it ends without an end mark")));
        }
        gauge.allowance.set(PADDING);
        let mut rest = archive.into_inner();
        second_mark_and_padding(&mut rest).map_err(|e| failed(last.as_deref(), &e))
    }

    fn refused(&self, entry: &str, why: String) -> ReleaseError {
        ReleaseError::Refused { archive: self.name.to_owned(), entry: Some(entry.to_owned()), why }
    }

    fn no_tarball(&self, what: &str) -> ReleaseError {
        let why = format!("it is {what}; a release is a .tar.gz");
        ReleaseError::Refused { archive: self.name.to_owned(), entry: None, why }
    }
}

type Take<'t> = dyn FnMut(&Member, &mut Content<'_>) -> Result<bool, Fault> + 't;

/// What failed: the archive, or the disk that it is unpacked to.
enum Fault {
    Archive(io::Error),
    Disk(ReleaseError),
}

/// Reads the content of one member: all of it, or an error.
struct Content<'a> {
    inner: &'a mut dyn Read,
    left: u64,
}

impl Content<'_> {
    /// The next bytes; none when it is complete.
    fn next<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        loop {
            match self.inner.read(buffer) {
                Ok(0) if self.left > 0 => return Err(io::Error::other("it is cut off")),
                Ok(n) => {
                    self.left = self.left.saturating_sub(n as u64);
                    return Ok(&buffer[..n]);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

fn make(into: &Path, member: &Member, content: &mut Content<'_>) -> Result<(), Fault> {
    let disk = |path: &Path, e| Fault::Disk(ReleaseError::disk("write", path, e));
    let parent = |path: &Path| {
        let dir = path.parent().unwrap_or(into);
        fs::create_dir_all(dir).map_err(|e| disk(dir, e))
    };
    match member {
        Member::Nothing => skip(content),
        Member::Directory(path) => {
            let path = into.join(path);
            fs::create_dir_all(&path).map_err(|e| disk(&path, e))
        }
        Member::File { path, executable } => {
            let path = into.join(path);
            parent(&path)?;
            write_file(&path, *executable, content)
        }
        Member::Link { path, target } => {
            let path = into.join(path);
            parent(&path)?;
            std::os::unix::fs::symlink(target, &path).map_err(|e| disk(&path, e))
        }
    }
}

/// Writes a new file. The archive decides neither its owner nor its mode.
fn write_file(path: &Path, executable: bool, content: &mut Content<'_>) -> Result<(), Fault> {
    let disk = |e| Fault::Disk(ReleaseError::disk("write", path, e));
    let mode = if executable { 0o755 } else { 0o644 };
    let mut file: File =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(disk)?;
    if executable {
        // Whatever the umask: another user is to run it.
        file.set_permissions(Permissions::from_mode(mode)).map_err(disk)?;
    }
    let mut buffer = vec![0; CHUNK.min(usize::try_from(content.left).unwrap_or(CHUNK).max(1))];
    loop {
        let bytes = content.next(&mut buffer).map_err(Fault::Archive)?;
        if bytes.is_empty() {
            return Ok(());
        }
        file.write_all(bytes).map_err(disk)?;
    }
}

fn skip(content: &mut Content<'_>) -> Result<(), Fault> {
    let mut buffer = vec![0; CHUNK];
    while !content.next(&mut buffer).map_err(Fault::Archive)?.is_empty() {}
    Ok(())
}

/// After the first zero block come a second one and zeros up to the end of the stream, whose checksum is verified when
/// all of it is read.
fn second_mark_and_padding(rest: &mut impl Read) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let mut zeros = 0;
    loop {
        let n = match rest.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if n == 0 {
            return if zeros >= 512 { Ok(()) } else { Err(io::Error::other("its end mark is cut off")) };
        }
        if buffer[..n].iter().any(|byte| *byte != 0) {
            return Err(io::Error::other("there is data after its end mark"));
        }
        zeros += n;
    }
}

/// An error's text without what each reader adds to it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is cut off".into(),
        // The library quotes what it read, and that may be any file of the machine.
        _ if text.contains("numeric field") => "the header of a member is malformed".into(),
        _ => text,
    }
}

/// Counts the bytes of the archive as it is stored.
struct Packed<R> {
    inner: R,
    gauge: Rc<Gauge>,
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.gauge.packed.set(self.gauge.packed.get() + n as u64);
        Ok(n)
    }
}

/// Counts the bytes after decompression, and fails at the limits.
struct Unpacked<R> {
    inner: R,
    gauge: Rc<Gauge>,
    limits: Limits,
}

impl<R: Read> Unpacked<R> {
    fn broken(&self, why: String) -> io::Error {
        *self.gauge.broken.borrow_mut() = Some(why);
        io::Error::other("a limit was exceeded")
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let gauge = &self.gauge;
        gauge.ended.set(n == 0 && !buffer.is_empty());
        gauge.unpacked.set(gauge.unpacked.get() + n as u64);
        let unpacked = gauge.unpacked.get();
        if unpacked > self.limits.bytes {
            return Err(self.broken(format!("it unpacks to more than {} bytes", self.limits.bytes)));
        }
        if unpacked > FREE_OF_RATIO.max(gauge.packed.get().saturating_mul(self.limits.ratio)) {
            return Err(self.broken(format!("it unpacks to more than {} times its size", self.limits.ratio)));
        }
        let Some(left) = gauge.allowance.get().checked_sub(n as u64) else {
            return Err(self.broken(format!("a header takes more than {HEADERS} bytes")));
        };
        gauge.allowance.set(left);
        Ok(n)
    }
}
