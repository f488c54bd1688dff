//! Who runs an operation: a process of this machine that has ended holds nothing.

use std::fs;

/// The process that runs an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Boot, process namespace, process, and when it was started: no other process is ever called the same.
    pub(crate) id: String,
    /// For whoever has to wait.
    pub(crate) who: String,
}

impl Holder {
    /// This process.
    pub fn this_process() -> Self {
        let pid = std::process::id();
        let host = read("/proc/sys/kernel/hostname").unwrap_or_else(|| "this machine".to_owned());
        let id = match (here(), started(pid)) {
            (Some(here), Some(started)) => format!("{here}/{pid}/{started}"),
            // Unknown: it counts as alive until its time is over.
            _ => format!("?/{host}/{pid}"),
        };
        Self { id, who: format!("process {pid} on {host}") }
    }

    /// Somebody whose process has ended.
    pub fn ended(name: &str) -> Self {
        Self { id: String::new(), who: name.to_owned() }
    }

    /// Whether the process of this id is known to have ended.
    pub(crate) fn has_ended(id: &str) -> bool {
        if id.is_empty() {
            return true;
        }
        let parts: Vec<&str> = id.rsplitn(3, '/').collect();
        let [began, pid, place] = parts[..] else { return false };
        let Ok(pid) = pid.parse::<u32>() else { return false };
        here().is_some_and(|here| here == place) && started(pid).as_deref() != Some(began)
    }
}

/// This boot of this machine, and this namespace of processes.
fn here() -> Option<String> {
    let boot = read("/proc/sys/kernel/random/boot_id")?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{boot}/{}", namespace.to_string_lossy()))
}

/// When a process was started, in ticks since the boot; None once it has ended, also while nobody has waited for it.
fn started(pid: u32) -> Option<String> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // The name before it is in parentheses and may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let has_ended = matches!(fields.first(), None | Some(&("Z" | "X")));
    fields.get(19).filter(|_| !has_ended).map(|field| (*field).to_owned())
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_ends_and_a_stranger_is_not_judged() {
        assert!(!Holder::has_ended(&Holder::this_process().id));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = format!("{}/{}/1", here().unwrap(), child.id());
        child.wait().unwrap();
        assert!(Holder::has_ended(&id));
        let mut zombie = std::process::Command::new("true").spawn().unwrap();
        let stat = format!("/proc/{}/stat", zombie.id());
        let began = fs::read_to_string(&stat).unwrap();
        let began = began.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().to_owned();
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let id = format!("{}/{}/{began}", here().unwrap(), zombie.id());
        assert!(Holder::has_ended(&id), "it has ended, and nobody has waited for it");
        zombie.wait().unwrap();
        assert!(!Holder::has_ended("another-boot/pid:[1]/1/1"));
        assert!(Holder::has_ended(&Holder::ended("test").id));
    }
}
