//! Where this process runs: the host name, the container, and whose numbers its process ids are.
use std::fs;

use crate::procfs;

/// The number of hex digits in the id of a container.
const ID_LENGTH: usize = 64;

/// The host name as the kernel reports it; in a container the container's.
pub fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

/// The memory in bytes that programs here may use: the machine's, or less where the control group of this process says so. `None` where
/// the kernel does not say.
pub fn memory() -> Option<u64> {
    let machine = memory_in(&fs::read_to_string("/proc/meminfo").ok()?)?;
    // The file is missing at the root of the hierarchy, and says `max` where there is no limit.
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = group.and_then(|text| text.trim().parse().ok());
    Some(limit.map_or(machine, |limit: u64| limit.min(machine)))
}

fn memory_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The id of the container that this process runs in, where an engine shows it: it mounts files of the container, such as
/// `/etc/hostname`, from a directory with that name.
pub fn container_id() -> Option<String> {
    id_in(&fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// Tells this process the id of its boot, for a process whose `/proc` shows another one: a service of a container gets a `/proc` of its
/// own, with the id of the machine's boot. `id` is 32 digits, as systemd has it; anything else is ignored.
pub fn boot_is(id: &str) {
    procfs::boot_is(id);
}

/// Boot and pid namespace: process ids of two processes can be compared where both are the same.
pub fn numbers() -> String {
    format!("{} {}", procfs::boot_id(), procfs::namespace())
}

/// mountinfo by proc(5): field 4 is the mounted directory in its file system, field 5 the mount point.
fn id_in(mounts: &str) -> Option<String> {
    let from = |line: &str| {
        let mut fields = line.split(' ').skip(3);
        let (from, at) = (fields.next()?.to_owned(), fields.next()?);
        ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"].contains(&at).then_some(from)
    };
    let is_id = |part: &&str| part.len() == ID_LENGTH && part.bytes().all(|b| b.is_ascii_hexdigit());
    mounts.lines().filter_map(from).find_map(|from| from.split('/').find(is_id).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_read() {
        assert_eq!(memory_in("MemTotal:       24684092 kB\nMemFree: 1 kB\n"), Some(24_684_092 * 1024));
        assert_eq!(memory_in("MemFree: 1 kB\n"), None);
        assert!(memory().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn the_container_is_known_by_the_files_that_its_engine_mounts() {
        let id = "0123456789abcdef".repeat(4);
        let docker = format!(
            "600 500 0:50 / / rw - overlay overlay rw\n\
             601 600 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
        );
        assert_eq!(id_in(&docker), Some(id.clone()));
        // A host that shows the directories of its containers is none of them.
        let host =
            format!("25 1 8:1 /containers/{id} /mnt/x rw - ext4 /dev/sda1 rw\n26 1 8:1 / / rw - ext4 x rw\n");
        assert_eq!(id_in(&host), None);
        assert_eq!(id_in("cut"), None);
    }
}
