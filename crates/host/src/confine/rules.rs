//! What the kernel takes from this process and all that it starts.
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

/// What programs need to start: loaders, libraries, interpreters, and what the kernel says of itself.
const SYSTEM: [&str; 8] = ["/bin", "/sbin", "/lib", "/lib64", "/usr", "/etc", "/proc", "/sys"];
/// The devices that every program may use. The terminal is none of them.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// The rules that this program knows; a kernel that has fewer applies fewer.
const KNOWN: ABI = ABI::V6;

/// Takes network, processes and files away. What this machine has no means to take goes into `reached`, in words.
pub(super) fn restrict(
    work: &Path,
    program: &File,
    is_root: bool,
    reached: &mut Vec<String>,
) -> Result<(), String> {
    let alone = own_name_spaces(is_root);
    let offline = no_tcp();
    if alone.is_err() && offline.is_err() {
        reached
            .push("the network: this machine offers neither a network namespace nor Landlock's rules".into());
    }
    if alone.is_err() {
        reached.push("to go on after its end: this machine offers no PID namespace".into());
    }
    match only_files(work, program) {
        Ok(true) => {}
        Ok(false) => reached.push("files that any user may read: this kernel has no Landlock".into()),
        Err(error) => return Err(format!("cannot keep files from it: {error}")),
    }
    Ok(())
}

/// A network without interfaces, and process ids that end with their first process. Others than root need a user namespace
/// for that.
#[expect(deprecated, reason = "it is deprecated for one flag, FILES, which is not used")]
fn own_name_spaces(is_root: bool) -> io::Result<()> {
    let alone = UnshareFlags::NEWNET | UnshareFlags::NEWPID | UnshareFlags::NEWIPC;
    if is_root {
        return Ok(rustix::thread::unshare(alone)?);
    }
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    rustix::thread::unshare(alone | UnshareFlags::NEWUSER)?;
    // The same ids as outside. Without them the program runs as well, as nobody.
    let _ = fs::write("/proc/self/setgroups", "deny");
    let _ = fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"));
    let _ = fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"));
    Ok(())
}

/// Denies every TCP connection, where the kernel can: from 6.7 on.
fn no_tcp() -> Result<(), landlock::RulesetError> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessNet::from_all(ABI::V4))?
        .create()?;
    rules.restrict_self().map(drop)
}

/// Denies every file but those of the system, which it may read, and those in `work`. False where the kernel cannot.
fn only_files(work: &Path, program: &File) -> Result<bool, landlock::RulesetError> {
    let read = AccessFs::from_read(KNOWN);
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, read))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::from_file(KNOWN)))?
        .add_rules(path_beneath_rules([work], AccessFs::from_all(KNOWN)))?
        .add_rule(PathBeneath::new(program, AccessFs::Execute | AccessFs::ReadFile))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// What a program needs to find other machines by name, where `/etc/resolv.conf` is a link.
const RESOLVERS: [&str; 3] = ["/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager"];

/// Denies every file but those of the system and those in `read`, which it may read, and those in `write`. The network stays. False
/// where the kernel cannot.
pub(crate) fn only_paths(read: &[PathBuf], write: &[PathBuf]) -> Result<bool, landlock::RulesetError> {
    let reading = AccessFs::from_read(KNOWN);
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, reading))?
        .add_rules(path_beneath_rules(RESOLVERS, reading))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::from_file(KNOWN)))?
        .add_rules(path_beneath_rules(read, reading))?
        .add_rules(path_beneath_rules(write, AccessFs::from_all(KNOWN)))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
