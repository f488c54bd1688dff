//! What a guest uses together with everything that it started.

use std::fs;
use std::path::Path;

use super::left::Strays;
use super::unnamed::{self, Unnamed};
use crate::procfs::{self, Stat};

/// No more files are counted: a directory with more counts as full.
const FILES_MAX: usize = 100_000;

/// What a guest and its descendants use now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory. What several of them share counts once where there is more than one. What they keep in memory without having it
    /// mapped (memfd, System V) counts, too.
    pub memory: u64,
    /// How many processes there are.
    pub processes: u64,
    /// Bytes of files that they have open and that have no name any more.
    pub nameless: u64,
}

/// What the guest with this process id and everything that it started use now. As root all processes of its user id are its own; otherwise
/// those that descend from it, are in its group, or carry its mark.
pub(super) fn usage(leader: u32, strays: &Strays) -> Usage {
    let members = members(leader, strays);
    let memory: u64 = match &members[..] {
        [one] => resident(*one),
        all => all.iter().map(|pid| proportional(*pid)).sum(),
    };
    let Unnamed { memory: unmapped, files } = unnamed::of(&members, &strays.uids);
    Usage { memory: memory + unmapped, processes: members.len() as u64, nameless: files }
}

/// The living processes of a guest.
fn members(leader: u32, strays: &Strays) -> Vec<u32> {
    if !strays.uids.is_empty() {
        return procfs::pids().filter(|pid| strays.has_user(*pid)).filter(|pid| is_alive(*pid)).collect();
    }
    let all: Vec<Stat> = procfs::pids().filter_map(Stat::of).filter(|stat| stat.state != 'Z').collect();
    let mut found = vec![leader];
    found.extend(all.iter().filter(|stat| stat.group == leader && stat.pid != leader).map(|stat| stat.pid));
    // What lost its parent has another one now.
    let orphans = all.iter().filter(|stat| stat.parent == 1 && !found.contains(&stat.pid));
    let orphans: Vec<u32> = orphans.map(|stat| stat.pid).filter(|pid| strays.has_mark(*pid)).collect();
    found.extend(orphans);
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        let children = all.iter().filter(|stat| stat.parent == parent && !found.contains(&stat.pid));
        let children: Vec<u32> = children.map(|stat| stat.pid).collect();
        found.extend(children);
    }
    found
}

fn is_alive(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.state != 'Z')
}

/// Bytes of memory of one process.
fn resident(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = text.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// The same, with its share of what it has in common with others, such as the process that it was forked from.
fn proportional(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map_or_else(|| resident(pid), |kib| kib << 10)
}

/// Bytes that the files below a directory take on the disk. Links are not followed.
pub fn size_of(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let (mut size, mut files, mut waiting) = (0, 0, vec![dir.to_owned()]);
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            (size, files) = (size + meta.blocks() * 512, files + 1);
            if files > FILES_MAX {
                return u64::MAX;
            }
            if meta.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_its_share_is_no_more() {
        let own = std::process::id();
        assert!(resident(own) > 1 << 20);
        assert!(proportional(own) > 0);
    }

    #[test]
    fn files_count_by_what_they_take_and_links_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/file"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink("/usr", dir.path().join("link")).unwrap();
        let size = size_of(dir.path());
        assert!((1 << 20..2 << 20).contains(&size), "{size}");
        assert_eq!(size_of(&dir.path().join("none")), 0);
    }
}
