//! The built-in server as a release tarball in the official layout.
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};
use version::Version;

use crate::edition::{Edition, ReleaseId};
use crate::error::ReleaseError;
use crate::layout::MANIFEST;

const CONFIG: &[u8] = include_bytes!("../builtin/config.json");
const NOTICE: &[u8] = include_bytes!("../builtin/NOTICE.txt");
const LICENCE: &[u8] = include_bytes!("../builtin/LICENSE.txt");

/// What a member of the tarball contains.
enum Content {
    Directory,
    Text(&'static [u8]),
    Binary,
    /// A description of the tarball, for people.
    Manifest,
}

/// The tarball's members, in the order of their names. The web client is inside the binary: `client`, `fonts`, `i18n` and
/// `templates` are empty and belong to the official layout.
const MEMBERS: [(&str, u32, Content); 12] = [
    ("LICENSE.txt", 0o644, Content::Text(LICENCE)),
    ("NOTICE.txt", 0o644, Content::Text(NOTICE)),
    ("bin/", 0o755, Content::Directory),
    ("bin/mattermost", 0o755, Content::Binary),
    ("client/", 0o755, Content::Directory),
    ("config/", 0o755, Content::Directory),
    ("config/config.json", 0o600, Content::Text(CONFIG)),
    ("fonts/", 0o755, Content::Directory),
    ("i18n/", 0o755, Content::Directory),
    ("logs/", 0o755, Content::Directory),
    (MANIFEST, 0o644, Content::Manifest),
    ("templates/", 0o755, Content::Directory),
];

/// The built-in server of this very build: what [`pack_builtin`] makes of this binary.
pub fn builtin() -> ReleaseId {
    let build = Some(env!("CARGO_PKG_VERSION").to_owned());
    ReleaseId { version: Version { build, ..Version::new(11, 6, 0) }, edition: Edition::Builtin }
}

/// Writes the built-in server as an uncompressed tarball, with `binary` as its `bin/mattermost`.
/// The same binary gives the same bytes: order, times, owners and modes are fixed.
pub fn pack_builtin(binary: &Path, out: impl Write) -> Result<(), ReleaseError> {
    let fail = |e| ReleaseError::disk("pack", binary, e);
    let program = File::open(binary).map_err(fail)?;
    let size = program.metadata().map_err(fail)?.size();
    let mut tarball = Builder::new(BufWriter::with_capacity(256 * 1024, out));
    let manifest = manifest(size);
    write(&mut tarball, program, size, &manifest).map_err(fail)?;
    tarball.into_inner().and_then(|mut out| out.flush()).map_err(fail)
}

/// Writes the same, compressed, to a file that appears when it is complete.
pub fn pack_builtin_to(binary: &Path, output: &Path) -> Result<(), ReleaseError> {
    let fail = |e| ReleaseError::disk("write", output, e);
    let file = host::disk::replaceable(output).map_err(fail)?;
    let output = file.as_path();
    let dir = output.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::Builder::new().prefix(".pack-").tempfile_in(dir).map_err(fail)?;
    // No time and no name in the header: two runs write the same bytes.
    let mut packed = GzBuilder::new().mtime(0).write(file, Compression::default());
    pack_builtin(binary, &mut packed)?;
    let file = packed.finish().map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    rustix::fs::fchmod(file.as_file(), rustix::fs::Mode::from_raw_mode(0o644)).map_err(|e| fail(e.into()))?;
    file.persist(output).map_err(|e| fail(e.error))?;
    Ok(())
}

fn write(tarball: &mut Builder<impl Write>, program: File, size: u64, manifest: &str) -> io::Result<()> {
    append(tarball, "", 0o755, EntryType::Directory, 0, io::empty())?;
    // The header with its size is written already. A binary that grows or shrinks meanwhile is an error.
    let mut program = Exactly { inner: program, left: size };
    for (name, mode, content) in &MEMBERS {
        match content {
            Content::Directory => append(tarball, name, *mode, EntryType::Directory, 0, io::empty())?,
            Content::Binary => append(tarball, name, *mode, EntryType::Regular, size, &mut program)?,
            Content::Text(text) => {
                append(tarball, name, *mode, EntryType::Regular, text.len() as u64, *text)?;
            }
            Content::Manifest => {
                append(tarball, name, *mode, EntryType::Regular, manifest.len() as u64, manifest.as_bytes())?;
            }
        }
    }
    Ok(())
}

fn append(
    tarball: &mut Builder<impl Write>,
    name: &str,
    mode: u32,
    kind: EntryType,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tarball.append_data(&mut header, format!("mattermost/{name}"), content)
}

/// Which release this is and what is in it, for people.
fn manifest(binary: u64) -> String {
    let id = builtin();
    let mut lines = format!("{id}\n");
    for (name, mode, content) in &MEMBERS {
        let size = match content {
            Content::Directory => 0,
            Content::Manifest => continue,
            Content::Text(text) => text.len() as u64,
            Content::Binary => binary,
        };
        lines.push_str(&format!("{mode:04o} {size:>10} {name}\n"));
    }
    lines
}

/// A reader that fails unless there are exactly so many bytes.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        match self.left.checked_sub(n as u64) {
            Some(left) if n > 0 || left == 0 || buffer.is_empty() => {
                self.left = left;
                Ok(n)
            }
            _ => Err(io::Error::other("the binary changed while it was read")),
        }
    }
}
