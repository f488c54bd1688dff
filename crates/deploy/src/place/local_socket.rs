//! Where the server opens its sockets, the local channel and the one that the edge connects to: in a directory of mode 0700 that the
//! server's user owns.
//!
//! It is not in `run/`, which is Mainstay's alone. Linux takes at most 107 bytes for a socket's path; where the deployment's directory is
//! too deep, the socket's directory is a short one outside, whose owner and mode are checked before the server starts.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::machine::make_dir;
use crate::error::Error;

/// The directory's name in the deployment's.
pub(crate) const DIRECTORY: &str = "local";

/// The longest path of a Unix socket, in bytes: Linux keeps 108, and the last one ends the text.
pub(crate) const LONGEST: usize = 107;

impl Layout {
    /// Is there while the acceptance test has access tokens switched on.
    pub(crate) fn tokens_marker(&self) -> PathBuf {
        self.run().join("access-tokens-on")
    }

    /// Names what an acceptance test has made and not removed yet.
    pub(crate) fn left_by_test(&self) -> PathBuf {
        self.run().join("left-by-test")
    }

    /// The socket of the server's local channel.
    pub fn local_socket(&self) -> PathBuf {
        let inside = self.root().join(DIRECTORY).join("server.sock");
        if inside.as_os_str().len() <= LONGEST { inside } else { elsewhere(self.root()).join("server.sock") }
    }

    /// The socket where a server listens for the edge, beside that of its local channel.
    pub fn http_socket(&self) -> PathBuf {
        self.local_socket().with_file_name("http.sock")
    }
}

/// A short directory for the deployment in `root`: the same one each time.
pub(crate) fn elsewhere(root: &Path) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    // FNV-1a, which no later compiler changes: config.json remembers the path.
    let hash = root.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let uid = rustix::process::geteuid();
    match uid.is_root() {
        true => format!("/run/mainstay-{hash:016x}").into(),
        false => format!("/tmp/mainstay-{}-{hash:016x}", uid.as_raw()).into(),
    }
}

/// Makes the sockets' directory where it is missing: what lies outside the deployment's directory does not survive a reboot.
///
/// # Errors
/// Somebody else made it, or may enter it.
pub(crate) fn prepare(layout: &Layout, user: Option<&host::User>) -> Result<(), Error> {
    let socket = layout.local_socket();
    let Some(directory) = socket.parent() else { return Ok(()) };
    let owner = user.map(|user| (user.uid, user.gid));
    if directory.symlink_metadata().is_err() {
        make_dir(directory, 0o700, owner)?;
    }
    let mut meta = directory.symlink_metadata().map_err(|error| Error::path("look at", directory, &error))?;
    let uid = owner.map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid);
    // Orchestrators open everything in a volume to its group, each time that they mount it (Kubernetes' `fsGroup`).
    if meta.is_dir() && meta.uid() == uid && directory.starts_with(layout.root()) && meta.mode() & 0o077 != 0
    {
        let closed = std::fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .and_then(|()| directory.symlink_metadata());
        meta = closed.map_err(|error| Error::path("close", directory, &error))?;
    }
    if meta.is_dir() && meta.uid() == uid && meta.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::not_ready(format!(
        "{} must be a directory of mode 0700 that belongs to user {uid}, because the server's sockets lie in it",
        directory.display()
    ))
    .hint(finding::hint!("look who made it, remove it, and run `mainstay up` again: `ls -ld {}`", directory.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_directory_gets_a_short_socket_of_its_own() {
        let near = Layout::new("/var/lib/mainstay");
        assert_eq!(near.local_socket(), Path::new("/var/lib/mainstay/local/server.sock"));
        assert_eq!(near.http_socket(), Path::new("/var/lib/mainstay/local/http.sock"));
        let deep = |name: &str| Layout::new(format!("/srv/{}/{name}", "d".repeat(120))).local_socket();
        assert!(deep("a").as_os_str().len() <= LONGEST);
        assert!(deep("a").with_file_name("http.sock").as_os_str().len() <= LONGEST);
        assert_ne!(deep("a"), deep("b"));
        // The longest path that fits stays inside.
        let longest = Layout::new(format!("/{}", "d".repeat(LONGEST - "/local/server.sock".len() - 1)));
        assert_eq!(longest.local_socket().as_os_str().len(), LONGEST);
        assert!(longest.local_socket().starts_with(longest.root()));
    }

    #[test]
    fn a_directory_that_others_may_enter_is_closed_and_another_ones_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(root.path());
        prepare(&layout, None).expect("made");
        prepare(&layout, None).expect("it is there");
        let directory = root.path().join(DIRECTORY);
        let mode = || directory.metadata().expect("a directory").permissions().mode() & 0o777;
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o750)).expect("opened");
        prepare(&layout, None).expect("closed again");
        assert_eq!(mode(), 0o700);
        std::fs::remove_dir(&directory).expect("removed");
        std::os::unix::fs::symlink("/tmp", &directory).expect("a link");
        let refused = prepare(&layout, None).expect_err("a link");
        assert!(refused.what.contains("0700"), "{refused}");
    }
}
