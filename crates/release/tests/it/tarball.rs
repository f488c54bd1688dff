//! Archives built member by member, header by header.
use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use release::{Limits, Release, ReleaseError};
use tar::{EntryType, Header};

/// What every release has, from a server of the given version output.
pub(crate) struct Tarball {
    bytes: Vec<u8>,
}

pub(crate) const TEAM: &str = "Version: 11.7.15\nBuild Number: 11.7.15\nBuild Enterprise Ready: false\n";

impl Tarball {
    pub(crate) fn empty() -> Self {
        Self { bytes: Vec::new() }
    }

    /// A small Team Edition.
    pub(crate) fn official() -> Self {
        Self::of(&format!("#!/bin/sh\ncat <<'E'\n{TEAM}E\n"))
    }

    pub(crate) fn of(server: &str) -> Self {
        Self::empty()
            .directory("mattermost/")
            .program("mattermost/bin/mattermost", server.as_bytes())
            .file("mattermost/config/config.json", b"{}")
            .directory("mattermost/client/")
            .directory("mattermost/fonts/")
            .directory("mattermost/i18n/")
            .directory("mattermost/templates/")
    }

    /// A member as raw as can be: the name goes into the header unchecked.
    pub(crate) fn raw(
        mut self,
        kind: EntryType,
        name: &[u8],
        mode: u32,
        link: &[u8],
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        if let Some(gnu) = header.as_gnu_mut().filter(|_| kind.is_gnu_sparse()) {
            gnu.set_real_size(0);
        }
        header.set_cksum();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        self.raw(EntryType::Regular, name.as_bytes(), 0o644, b"", content)
    }

    pub(crate) fn program(self, name: &str, content: &[u8]) -> Self {
        self.raw(EntryType::Regular, name.as_bytes(), 0o755, b"", content)
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.raw(EntryType::Directory, name.as_bytes(), 0o755, b"", b"")
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.raw(EntryType::Symlink, name.as_bytes(), 0o777, target.as_bytes(), b"")
    }

    /// Bytes as they are, after what is there.
    pub(crate) fn and(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The archive without its end mark.
    pub(crate) fn open_ended(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn tar(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 1024]);
        self.bytes
    }

    pub(crate) fn tar_gz(self) -> Vec<u8> {
        gz(&self.tar())
    }
}

pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Unpacks into a new `releases/`; on failure nothing may be left there.
pub(crate) fn unpack(bytes: &[u8]) -> Result<(tempfile::TempDir, Release), ReleaseError> {
    let releases = tempfile::tempdir().unwrap();
    let unpacked = release::unpack_stream(
        "test.tar.gz",
        Cursor::new(bytes),
        &crate::confining(),
        releases.path(),
        Limits::default(),
    );
    if unpacked.is_err() {
        assert_eq!(crate::names(releases.path()), [""; 0], "nothing is left behind");
    }
    unpacked.map(|release| (releases, release))
}
