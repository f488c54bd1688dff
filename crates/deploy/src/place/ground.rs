//! A deployment's directory: whose it is.

use std::path::Path;

use container_contract::VOLUME;
use finding::hint;

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
/// It holds no deployment and what is not ours: named. It cannot be a deployment's directory.
pub(crate) fn ground(layout: &Layout) -> Result<Ground, Error> {
    let root = layout.root();
    check_directory(root)?;
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Ground::Free),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(unreadable(root));
        }
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
            // An app may have run here before there was a deployment.
            Some(Layout::APPS) => {}
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

/// The longest path of a new deployment's directory, in bytes: SQLite opens no file with a path of more than 512, and what is below the
/// directory needs its part of that.
const LONGEST: usize = 400;

/// What no new deployment's path may hold, and why.
const SEPARATORS: [(char, &str); 2] = [
    (':', "which separates the directories in PATH, and the fields of the file that has the users' homes"),
    ('?', "after which a database reads options and not the file's name"),
];

/// Refuses a path that cannot be a deployment's directory.
///
/// # Errors
/// What is wrong with it.
pub fn check_directory(root: &Path) -> Result<(), Error> {
    let shown = root.to_string_lossy().escape_debug().to_string();
    let refused = |problem: &str| {
        let short =
            shown.char_indices().nth(200).map_or(shown.clone(), |(end, _)| format!("{}...", &shown[..end]));
        let what = format!("{short} cannot be a deployment's directory: {problem}");
        Err(Error::new(Exit::Usage, what)
            .hint("name another directory with `--dir`; nothing has been changed"))
    };
    let Some(text) = root.to_str() else {
        return refused("its path is not UTF-8 text, and the server's config.json can hold no other");
    };
    if text.contains(char::is_control) {
        return refused("its path holds a control character, such as a line break");
    }
    match root.symlink_metadata() {
        Ok(meta) if meta.is_symlink() && !root.exists() => {
            let target = std::fs::read_link(root).unwrap_or_default();
            return refused(&format!("it is a link to {}, which does not exist", target.display()));
        }
        Ok(_) if root.is_file() => return refused("it is a file"),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return refused(&format!("{} is not a directory", host::disk::nearest(root).display()));
        }
        _ => {}
    }
    // One that has been in use is used on.
    if Layout::new(root).journal().exists() {
        return Ok(());
    }
    if let Some((separator, why)) = SEPARATORS.iter().find(|(separator, _)| text.contains(*separator)) {
        return refused(&format!("its path holds `{separator}`, {why}"));
    }
    if text.len() > LONGEST {
        return refused(&format!("its path has {} bytes; allowed: up to {LONGEST}", text.len()));
    }
    Ok(())
}

/// Refuses the deployment of somebody else, which this user may not read.
///
/// # Errors
/// Whose it is, and the same command as its owner types it.
pub fn refuse_unreadable(layout: &Layout) -> Result<(), Error> {
    let root = layout.root();
    match std::fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(unreadable(root)),
        _ => Ok(()),
    }
}

fn unreadable(root: &Path) -> Error {
    use std::os::unix::fs::MetadataExt as _;
    let me = host::User::current().map_or_else(|_| "this user".to_owned(), |me| me.name);
    let Ok(meta) = std::fs::metadata(root) else {
        let what = format!("{me} may not look at {}: permission denied", root.display());
        return Error::not_ready(what).hint("name another directory with `--dir`, or run this as root");
    };
    let owner = meta.uid().to_string();
    let owner = host::User::named(&owner).map_or(owner, |user| user.name);
    Error::not_ready(format!("{} belongs to {owner}, and {me} may not read it", root.display())).hint(
        if meta.uid() == 0 {
            hint!("run it as {}: `sudo mainstay --dir {} SAME`", owner, root.display())
        } else {
            hint!("run it as {}: `sudo -u {} mainstay --dir {} SAME`", owner, owner, root.display())
        },
    )
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
            return refused.hint(hint!(
                "make it user {}'s: `chown -R {}:{} DIRECTORY` on the host, DIRECTORY being what is mounted at \
                 {}; or leave `--user` out of the `docker run` line, and it is done for you",
                uid,
                uid,
                gid,
                VOLUME
            ));
        }
        refused.hint("name another directory with `--dir`, or run this as its owner")
    })
}
