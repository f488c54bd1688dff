//! Gives up root for good.
//!
//! The kernel changes the calling thread alone. So this ends in an exec, and a program calls it first, while it has only
//! one thread.
use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set, set_capabilities,
    set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// Why the user was not changed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The kernel refused.
    #[error("cannot become user {uid}:{gid}: {source}")]
    Refused {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
        /// The kernel's error.
        source: io::Error,
    },
    /// The program cannot be executed.
    #[error("cannot run {program}: {source}")]
    Exec {
        /// The program.
        program: String,
        /// The kernel's error.
        source: io::Error,
    },
}

/// Capabilities by the names that container engines use, without `CAP_`.
const NAMES: [(&str, CapabilitySet); 5] = [
    ("CHOWN", CapabilitySet::CHOWN),
    ("DAC_OVERRIDE", CapabilitySet::DAC_OVERRIDE),
    ("FOWNER", CapabilitySet::FOWNER),
    ("SETGID", CapabilitySet::SETGID),
    ("SETUID", CapabilitySet::SETUID),
];

/// Those of `needed` that this process does not have. Names other than of file owners, permissions and ids are taken as had.
pub fn lacking(needed: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let has = capabilities(None).map_or(CapabilitySet::all(), |sets| sets.effective);
    let set = |name: &str| NAMES.iter().find(|(known, _)| *known == name).map(|(_, set)| *set);
    needed.filter(|name| set(name).is_some_and(|set| !has.contains(set))).collect()
}

/// Becomes user `uid`, group `gid`, with no other group, and then `command`. Returns only on failure.
///
/// With `low_ports` the program and its children may still bind ports below 1024 (CAP_NET_BIND_SERVICE, ambient). If root
/// itself may not, that is not an error here: binding fails later, with its reason.
pub fn become_user(
    uid: u32,
    gid: u32,
    low_ports: bool,
    command: &mut Command,
) -> Result<Infallible, IdentityError> {
    change(uid, gid, low_ports).map_err(|errno| IdentityError::Refused { uid, gid, source: errno.into() })?;
    let source = command.exec();
    Err(IdentityError::Exec { program: command.get_program().to_string_lossy().into_owned(), source })
}

fn change(uid: u32, gid: u32, low_ports: bool) -> Result<(), Errno> {
    if uid == u32::MAX || gid == u32::MAX {
        // The kernel reads these as "leave it as it is".
        return Err(Errno::INVAL);
    }
    let bind = CapabilitySet::NET_BIND_SERVICE;
    let keep = low_ports && capabilities(None)?.permitted.contains(bind);
    set_keep_capabilities(keep)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    if keep {
        set_capabilities(None, CapabilitySets { effective: bind, permitted: bind, inheritable: bind })?;
        configure_capability_in_ambient_set(bind, true)?;
    }
    Ok(())
}
