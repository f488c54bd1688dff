//! A deployment's directory: whose it is.

use std::path::Path;

use container_contract::VOLUME;

use super::Place;
use super::layout::Layout;
use crate::error::{Error, Exit, reason};

/// What a directory is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ground {
    /// Nothing, or an empty directory.
    Free,
    /// A deployment, or the beginning of one.
    Ours,
}

/// Looks at a directory without touching it. Hidden files, as of editors, and `lost+found` are nobody's; where a deployment stands,
/// other files block nothing.
///
/// # Errors
/// It holds no deployment and what is not ours: named. Its name cannot be written into a file of settings.
pub(crate) fn ground(layout: &Layout) -> Result<Ground, Error> {
    let root = layout.root();
    check_name(root)?;
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Ground::Free),
        Err(error) => {
            return Err(Error::path("use", root, &error).hint("name another directory with `--dir`"));
        }
    };
    let (mut ground, mut stranger) = (Ground::Free, None);
    for entry in entries {
        let name = entry.map_err(|error| Error::path("read", root, &error))?.file_name();
        match name.to_str() {
            // Only a deployment has these.
            Some(name) if Layout::is_sign(name) => return Ok(Ground::Ours),
            Some(name) if Layout::is_ours(name) => ground = Ground::Ours,
            Some(name) if name.starts_with('.') || name == "lost+found" => {}
            _ => stranger = Some(name),
        }
    }
    let Some(name) = stranger else { return Ok(ground) };
    let name = name.to_string_lossy().escape_debug().to_string();
    Err(Error::not_ready(format!("{} holds `{name}`, which is not Mainstay's", root.display()))
        .hint("name an empty directory, or one that does not exist yet, with `--dir`"))
}

/// The directory's path stands in config.json and in messages: it must be one line of text.
fn check_name(root: &Path) -> Result<(), Error> {
    let problem = match root.to_str() {
        None => "is not UTF-8 text, and the server's config.json can hold no other",
        Some(text) if text.contains(char::is_control) => "holds a control character, such as a line break",
        Some(_) => return Ok(()),
    };
    let shown = root.to_string_lossy().escape_debug().to_string();
    Err(Error::new(Exit::Usage, format!("the path {shown} {problem}"))
        .hint("name another directory with `--dir`"))
}

/// Whether this user can write in `ground`, the directory nearest to the deployment's that exists.
///
/// # Errors
/// It cannot: why, and the way out.
pub(crate) fn writable(ground: &Path, layout: &Layout) -> Result<(), Error> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    let root = layout.root();
    if !ground.is_dir() {
        return Err(Error::not_ready(format!(
            "cannot use {}: {} is not a directory",
            root.display(),
            ground.display()
        )));
    }
    // The effective user's rights, asked of the kernel: a read-only file system says no as well.
    accessat(CWD, ground, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).map_err(|error| {
        let refused =
            Error::not_ready(format!("cannot write in {}: {}", ground.display(), reason(&error.into())));
        if layout.place() == Place::Container {
            let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            return refused.hint(format!(
                "make it user {uid}'s: `chown -R {uid}:{gid} DIRECTORY` on the host, DIRECTORY being what is mounted at \
                 {VOLUME}; or leave `--user` out of the `docker run` line, and it is done for you"
            ));
        }
        refused.hint("name another directory with `--dir`, or run this as its owner")
    })
}
