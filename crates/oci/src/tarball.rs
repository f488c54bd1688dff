//! Tarballs in POSIX format: ustar headers, and PAX records for values that do not fit into ustar's fields.
use std::io::{self, Write};

use tar::{EntryType, Header};

use crate::entry::Owner;

/// The header of a member.
pub(crate) struct Member<'a> {
    /// Without a leading or trailing slash.
    pub(crate) path: &'a str,
    pub(crate) mode: u32,
    pub(crate) owner: Owner,
    pub(crate) kind: Kind<'a>,
}

pub(crate) enum Kind<'a> {
    Directory,
    /// A file of this many bytes, which the caller writes next.
    File(u64),
    Symlink(&'a str),
}

/// The largest numbers that ustar's octal fields of 8 and 12 bytes can hold.
const SMALL: u64 = 0o7_777_777;
const LARGE: u64 = 0o77_777_777_777;
const BLOCK: u64 = 512;

/// A tarball that is being written.
pub(crate) struct Tarball<W> {
    out: W,
    /// The modification time of every member, in seconds since the epoch.
    mtime: u64,
}

impl<W: Write> Tarball<W> {
    pub(crate) fn new(out: W, mtime: u64) -> Self {
        Self { out, mtime }
    }

    /// Writes a header. After a [`Kind::File`], the caller writes exactly its bytes and then calls [`Self::pad`].
    pub(crate) fn header(&mut self, member: &Member<'_>) -> io::Result<()> {
        let mut records = Records::default();
        let mut header = Header::new_ustar();
        let (kind, size, name) = match member.kind {
            Kind::Directory => (EntryType::Directory, 0, format!("{}/", member.path)),
            Kind::File(size) => (EntryType::Regular, size, member.path.to_owned()),
            Kind::Symlink(_) => (EntryType::Symlink, 0, member.path.to_owned()),
        };
        header.set_entry_type(kind);
        header.set_mode(member.mode);
        header.set_size(records.number("size", size, LARGE));
        header.set_mtime(records.number("mtime", self.mtime, LARGE));
        header.set_uid(records.number("uid", member.owner.uid.into(), SMALL));
        header.set_gid(records.number("gid", member.owner.gid.into(), SMALL));
        if !name.is_ascii() || header.set_path(&name).is_err() {
            records.text("path", &name);
            fill(header.as_ustar_mut().map(|ustar| &mut ustar.name), &name);
        }
        if let Kind::Symlink(target) = member.kind {
            if !target.is_ascii() || target.len() > 100 {
                records.text("linkpath", target);
            }
            // Not with the library, which would change the target's separators.
            fill(header.as_ustar_mut().map(|ustar| &mut ustar.linkname), target);
        }
        header.set_cksum();
        records.write(self)?;
        self.out.write_all(header.as_bytes())
    }

    /// Fills the last block of a file of `size` bytes.
    pub(crate) fn pad(&mut self, size: u64) -> io::Result<()> {
        let rest = (BLOCK - size % BLOCK) % BLOCK;
        self.out.write_all(&[0; BLOCK as usize][..rest as usize])
    }

    /// Writes a whole file from memory.
    pub(crate) fn bytes(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let size = bytes.len() as u64;
        self.header(&Member { path, mode: 0o644, owner: Owner::ROOT, kind: Kind::File(size) })?;
        self.out.write_all(bytes)?;
        self.pad(size)
    }

    /// Ends the tarball.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK as usize])?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Tarball<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Copies as much of `text` as fits; only readers without PAX support use it.
fn fill(field: Option<&mut [u8; 100]>, text: &str) {
    if let Some(field) = field {
        let fitting = text.len().min(field.len());
        field[..fitting].copy_from_slice(&text.as_bytes()[..fitting]);
    }
}

/// The PAX records of one member. Each is `length key=value\n`, where the length includes itself.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    /// The number for the header's field: `value`, or 0 if a record holds it instead.
    fn number(&mut self, key: &str, value: u64, largest: u64) -> u64 {
        if value <= largest {
            return value;
        }
        self.text(key, &value.to_string());
        0
    }

    fn text(&mut self, key: &str, value: &str) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
    }

    fn write<W: Write>(self, tarball: &mut Tarball<W>) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let size = self.0.len() as u64;
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_path("PaxHeaders")?;
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        tarball.out.write_all(header.as_bytes())?;
        tarball.out.write_all(&self.0)?;
        tarball.pad(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &str, owner: Owner, kind: Kind<'_>) -> Vec<u8> {
        let mut tarball = Tarball::new(Vec::new(), 0);
        tarball.header(&Member { path, mode: 0o755, owner, kind }).unwrap();
        tarball.finish().unwrap()
    }

    #[test]
    fn a_short_name_takes_one_block() {
        assert_eq!(written("bin/true", Owner::ROOT, Kind::File(0)).len(), 3 * 512);
    }

    #[test]
    fn values_too_large_for_ustar_are_read_back_from_pax() {
        let long = format!("{}/ä", "long".repeat(60));
        let target = "t".repeat(300);
        let bytes = written(&long, Owner { uid: u32::MAX, gid: 3_000_000 }, Kind::Symlink(&target));
        let mut archive = tar::Archive::new(bytes.as_slice());
        let member = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(member.path().unwrap().to_str(), Some(long.as_str()));
        assert_eq!(member.link_name().unwrap().unwrap().to_str(), Some(target.as_str()));
        assert_eq!(member.header().uid().unwrap(), u64::from(u32::MAX));
        assert_eq!(member.header().gid().unwrap(), 3_000_000);
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for digits in [1, 90, 91, 92, 93, 94, 985, 990, 995] {
            let mut records = Records::default();
            records.text("path", &"x".repeat(digits));
            let text = String::from_utf8(records.0).unwrap();
            let (length, _) = text.split_once(' ').unwrap();
            assert_eq!(length.parse::<usize>().unwrap(), text.len());
        }
    }
}
