//! Room that a run keeps on the journal's disk while it goes forward, and gives up when it turns round: so an undo can be written down, and
//! can write what it has to, where the disk is full.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use super::file::beside;

/// What is kept, in bytes: an entry writes up to 100 KB, because the row of its run has the whole plan; the rest is for what an undo writes.
pub(super) const BYTES: u64 = 8 << 20;

/// Keeps the room. Where the disk has none, the run goes on without.
pub(super) fn keep(journal: &Path) {
    let path = beside(journal, "-room");
    let made = || -> io::Result<()> {
        let mut file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, BYTES) {
            Err(rustix::io::Errno::OPNOTSUPP) => {}
            made => return Ok(made?),
        }
        let zeros = [0; 1 << 16];
        (0..BYTES / zeros.len() as u64).try_for_each(|_| file.write_all(&zeros))
    };
    if let Err(error) = made() {
        tracing::debug!(%error, "no room is kept for an undo");
        give_up(journal);
    }
}

/// Gives the room up, and says whether there was any.
pub(super) fn give_up(journal: &Path) -> bool {
    std::fs::remove_file(beside(journal, "-room")).is_ok()
}
