//! What processes keep that no directory shows and no process has mapped: memory behind a descriptor (memfd), segments of System V, and
//! files that were deleted and are open.
//!
//! The kernel shows another user's descriptors to root with `CAP_SYS_PTRACE`, and one's own to everybody.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;

/// Bytes of what has no name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Unnamed {
    /// In memory, beside what the processes have mapped.
    pub(super) memory: u64,
    /// On a disk.
    pub(super) files: u64,
}

/// Of these processes, whose user ids are `uids` where nobody else has them.
pub(super) fn of(members: &[u32], uids: &Range<u32>) -> Unnamed {
    let mut open = Open::default();
    for pid in members {
        open.add(*pid);
    }
    let text = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    open.memory.extend(segments(&text, members, uids));
    let mut memory = 0;
    if !open.memory.is_empty() {
        let mut mapped = HashMap::new();
        for pid in members {
            add_mapped(&fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default(), &mut mapped);
        }
        let beside =
            |(inode, size): (&u64, &u64)| size.saturating_sub(mapped.get(inode).copied().unwrap_or(0));
        memory = open.memory.iter().map(beside).sum();
    }
    Unnamed { memory, files: open.files.values().sum() }
}

/// Open files that have no name, each once, with what they take.
#[derive(Debug, Default)]
struct Open {
    /// By inode.
    memory: HashMap<u64, u64>,
    /// By device and inode.
    files: HashMap<(u64, u64), u64>,
}

impl Open {
    fn add(&mut self, pid: u32) {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(meta) = fs::metadata(&path) else { continue };
            if !meta.is_file() || meta.nlink() > 0 {
                continue;
            }
            let size = meta.blocks() * 512;
            let is_memory = fs::read_link(&path)
                .is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(MEMFD));
            if is_memory {
                self.memory.insert(meta.ino(), size);
            } else {
                self.files.insert((meta.dev(), meta.ino()), size);
            }
        }
    }
}

/// How the kernel calls a file of memory.
const MEMFD: &[u8] = b"/memfd:";

/// The segments of System V in `/proc/sysvipc/shm` that these users own, or these processes made: by inode, which is the segment's id.
fn segments(text: &str, members: &[u32], uids: &Range<u32>) -> Vec<(u64, u64)> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split_ascii_whitespace().collect();
    let column = |name: &str| names.iter().position(|one| *one == name);
    let (Some(id), Some(creator), Some(owner), Some(resident)) =
        (column("shmid"), column("cpid"), column("cuid"), column("rss"))
    else {
        return Vec::new();
    };
    let segment = |line: &str| {
        let fields: Vec<u64> =
            line.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        let (creator, owner) = (u32::try_from(*fields.get(creator)?), u32::try_from(*fields.get(owner)?));
        let is_its = owner.is_ok_and(|owner| uids.contains(&owner))
            || creator.is_ok_and(|creator| members.contains(&creator));
        is_its.then(|| Some((*fields.get(id)?, *fields.get(resident)?))).flatten()
    };
    lines.filter_map(segment).collect()
}

/// Adds what `/proc/PID/smaps` says to be mapped of memory behind descriptors and of segments, by inode, in bytes.
fn add_mapped(smaps: &str, mapped: &mut HashMap<u64, u64>) {
    let mut inode = None;
    for line in smaps.lines() {
        if let Some(share) = line.strip_prefix("Pss:") {
            let kib = share.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0);
            if let Some(inode) = inode {
                *mapped.entry(inode).or_default() += kib << 10;
            }
            continue;
        }
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // A mapping: addresses, rights, offset, device, inode, path.
        if fields.len() >= 5 && !fields[0].ends_with(':') {
            let is_memory =
                fields.get(5).is_some_and(|path| path.starts_with("/memfd:") || path.starts_with("/SYSV"));
            inode = fields[4].parse().ok().filter(|_| is_memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_without_a_name_counts_once_and_no_longer_than_it_is_open() {
        let own = [std::process::id()];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; 3 << 20]).unwrap();
        file.sync_all().unwrap();
        let again = file.try_clone().unwrap();
        // Other tests of this process may have some open as well.
        let size = file.metadata().unwrap().blocks() * 512;
        let mut open = Open::default();
        open.add(own[0]);
        let meta = file.metadata().unwrap();
        assert_eq!(open.files.get(&(meta.dev(), meta.ino())), Some(&size));
        assert!(of(&own, &(0..0)).files >= size);
        drop((file, again));
        let mut open = Open::default();
        open.add(own[0]);
        assert_eq!(open.files.get(&(meta.dev(), meta.ino())), None);
    }

    #[test]
    fn memory_behind_a_descriptor_counts_beside_what_is_mapped_of_it() {
        let smaps = "7f00-7f10 rw-s 00000000 00:01 1077 /memfd:x (deleted)\nSize: 64 kB\nPss:  40 kB\nPss_Shmem: 40 kB\n\
                     7f10-7f20 rw-p 00000000 00:00 0\nPss: 8 kB\n\
                     7f20-7f30 rw-s 00000000 00:01 5 /SYSV00000000 (deleted)\nPss: 4 kB\n";
        let mut mapped = HashMap::new();
        add_mapped(smaps, &mut mapped);
        add_mapped(smaps, &mut mapped);
        assert_eq!(mapped, HashMap::from([(1077, 80 << 10), (5, 8 << 10)]));
    }

    #[test]
    fn segments_of_system_v_are_its_maker_s_or_its_owner_s() {
        let text = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n\
                    \x20        0          5  1600                524288    40    41      0  1000  1000  1000  1000          0          0 1790000000                  4096                     0\n\
                    \x20        0          6  1600                524288    50    41      0  2000  1000  2000  1000          0          0 1790000000                  8192                     0\n";
        assert_eq!(segments(text, &[40], &(0..0)), [(5, 4096)]);
        assert_eq!(segments(text, &[], &(2000..2001)), [(6, 8192)]);
        assert_eq!(segments("", &[40], &(0..0)), []);
    }
}
