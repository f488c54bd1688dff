//! What `/proc` says about a process.
use std::fs;
use std::sync::OnceLock;

/// The fields of `/proc/PID/stat` that distinguish a process from a later one with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    /// `Z` for a process that has ended and was not reaped yet.
    pub(crate) state: char,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    /// Clock ticks after boot.
    pub(crate) started: u64,
}

impl Stat {
    /// Fields by proc(5). The name (field 2) may contain spaces and brackets: count from the last `)`.
    fn parse(text: &str) -> Option<Self> {
        let pid = text.split_once(' ')?.0.parse().ok()?;
        let rest: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            state: rest.first()?.chars().next()?,
            parent: rest.get(1)?.parse().ok()?,
            group: rest.get(2)?.parse().ok()?,
            session: rest.get(3)?.parse().ok()?,
            started: rest.get(19)?.parse().ok()?,
        })
    }

    /// `None` if there is no such process.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// Every process id that this process may see.
pub(crate) fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// What a process group has used so far: clock ticks of its processors, and bytes that it read and wrote. Only ever compared.
pub(crate) fn used_by_group(group: u32) -> u64 {
    let members = pids().filter_map(Stat::of).filter(|stat| stat.group == group);
    members.map(|stat| ticks(stat.pid).unwrap_or(0) + moved(stat.pid).unwrap_or(0)).sum()
}

/// Fields 14 and 15 of `/proc/PID/stat`.
fn ticks(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    Some(rest.get(11)?.parse::<u64>().ok()? + rest.get(12)?.parse::<u64>().ok()?)
}

/// `rchar` and `wchar` of `/proc/PID/io`, which only the process's user and root may read.
fn moved(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    Some(of("rchar:")? + of("wchar:")?)
}

/// The short name of a program (at most 15 bytes: the kernel keeps no more).
pub(crate) fn program_name(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

/// The id of the boot, where this process was told it.
static TOLD: OnceLock<String> = OnceLock::new();

/// Tells this process the id of its boot: 32 digits, as systemd has it. Anything else is ignored.
pub(crate) fn boot_is(id: &str) {
    if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let parts = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]];
        // Told twice, the first one counts.
        let _ = TOLD.set(parts.join("-"));
    }
}

/// A random id that changes with every boot; empty if the kernel does not provide it.
pub(crate) fn boot_id() -> String {
    if let Some(told) = TOLD.get() {
        return told.clone();
    }
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim_end().to_owned()
}

/// Identifies a pid namespace within this boot. The number of a namespace may be used again, but not together with the start
/// time of its first process. Empty if the kernel does not provide it.
pub(crate) fn namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let began = Stat::of(1).map(|first| first.started).unwrap_or_default();
    format!("{} since {began}", link.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 1 42 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 98765 0 0";
        let expected = Stat { pid: 42, state: 'S', parent: 1, group: 42, session: 7, started: 98765 };
        assert_eq!(Stat::parse(stat), Some(expected));
        assert_eq!(Stat::parse("42 (cut"), None);
        assert_eq!(Stat::parse("42 (cut) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn what_a_group_uses_grows_with_its_work() {
        let group = Stat::of(std::process::id()).expect("this process").group;
        let before = used_by_group(group);
        fs::read("/proc/self/status").expect("something to read");
        assert!(used_by_group(group) > before);
        assert_eq!(used_by_group(u32::MAX), 0);
    }

    #[test]
    fn this_process_is_seen() {
        let pid = std::process::id();
        assert_eq!(Stat::of(pid).map(|s| s.pid), Some(pid));
        assert!(pids().any(|p| p == pid));
        assert!(program_name(pid).is_some());
    }
}
