//! The disks of a deployment that have no room left: who looks for the cause of a failure is told which.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::place::layout::Layout;

/// With less free space than this, in bytes, writing fails soon or by now.
const LITTLE: u64 = 64 << 20;

/// With fewer free files than this, making one fails soon.
const FEW: u64 = 100;

/// A sentence for each full file system that something of the deployment is on.
pub(crate) fn full_disks(layout: &Layout) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let places =
        [layout.root().to_owned(), layout.database(), layout.data(), layout.logs(), layout.releases()];
    let mut told = Vec::new();
    for place in places {
        let Ok(device) = std::fs::metadata(&place).map(|meta| meta.dev()) else { continue };
        if seen.insert(device)
            && let Some(full) = in_words(&place)
        {
            told.push(format!("{full}; free some space there, or what the deployment writes is lost"));
        }
    }
    told
}

/// How full the file system of `path` is, where it is full.
pub(crate) fn in_words(path: &Path) -> Option<String> {
    let free = host::disk::free(path).ok()?;
    let mounted = host::disk::mount_point(path).ok()?;
    let of = match mounted == path {
        true => format!("the file system at {}", mounted.display()),
        false => format!("the file system at {}, which {} is on,", mounted.display(), path.display()),
    };
    let (mb, total) = (free.bytes >> 20, free.total >> 20);
    if free.bytes < LITTLE {
        return Some(format!("{of} is full: {mb} MB of {total} MB are free"));
    }
    let files = free.inodes.filter(|files| *files < FEW)?;
    Some(format!("{of} has room for {files} more files"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_with_room_is_not_named() {
        // A file system of the kernel's own has no room, and none is needed.
        assert!(in_words(Path::new("/proc")).is_some_and(|said| said.contains("at /proc")));
        let nothing = Layout::new("/no/such/deployment");
        assert_eq!(full_disks(&nothing), Vec::<String>::new());
    }
}
