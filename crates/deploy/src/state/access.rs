//! Whether the server's user can use what the server reads and writes: config.json, its own directories, its database.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use finding::quoted;
use host::User;

use crate::error::Error;
use crate::place::layout::Layout;
use crate::place::machine::Owner;

/// A file or directory that the server's user cannot read and write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    pub path: PathBuf,
    pub owner: Owner,
    pub mode: u32,
    /// The mode with which its owner can use it.
    pub opened: u32,
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let owner = User::named(&self.owner.0.to_string()).map_or(self.owner.0.to_string(), |user| user.name);
        write!(f, "{} (it belongs to {owner}, mode {:04o})", self.path.display(), self.mode)
    }
}

/// What `user` cannot use. What is not there is left out, and so are links, which lead to what is not Mainstay's.
///
/// # Errors
/// The groups of the user are not known.
pub(crate) fn denied(layout: &Layout, user: &User) -> Result<Vec<Denied>, Error> {
    let mut denied = Vec::new();
    let dirs = layout.server_dirs().map(|name| (name.to_owned(), true));
    for (name, is_dir) in dirs.chain(layout.server_files().map(|name| (name, false))) {
        let path = layout.root().join(name);
        let Ok(meta) = path.symlink_metadata() else { continue };
        let needs = match is_dir {
            true if meta.is_dir() => 0o7,
            false if meta.is_file() => 0o6,
            // What is of another kind is no question of rights.
            _ => continue,
        };
        if !user.may_use(&path, &meta, needs)? {
            let (owner, mode) = ((meta.uid(), meta.gid()), meta.mode() & 0o7777);
            denied.push(Denied { path, owner, mode, opened: mode | (needs << 6) });
        }
    }
    Ok(denied)
}

/// Refuses to start a server again that could not use its files.
///
/// # Errors
/// Which files, whose they are, and the commands that give them back.
pub(crate) fn check(layout: &Layout, user: &User) -> Result<(), Error> {
    if !user.is_current() {
        user.can_enter(layout.root())?;
    }
    let denied = denied(layout, user)?;
    if denied.is_empty() {
        return Ok(());
    }
    let (all, paths): (Vec<_>, Vec<_>) =
        denied.iter().map(|one| (one.to_string(), quoted(&one.path.display().to_string()))).unzip();
    let paths = paths.join(" ");
    let by_hand = format!("`chown {}:{} {paths}` and `chmod u+rwX {paths}`", user.uid, user.gid);
    let hint = match User::current()?.is_root() {
        true => format!("`mainstay up` gives it to {user}; or {by_hand}"),
        false => format!("as root: {by_hand}"),
    };
    Err(Error::not_ready(format!(
        "the server runs as {user}, who cannot read and write {}; nothing has been stopped or changed",
        all.join(", ")
    ))
    .hint(hint))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_the_servers_user_cannot_use_is_named_with_owner_and_mode() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        let me = User::current().expect("a user");
        let stranger = User { name: "stranger".to_owned(), uid: 54_321, gid: 54_321, home: "/".into() };
        for name in ["config", "data"] {
            fs::create_dir(dir.path().join(name)).expect("made");
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o777)).expect("a mode");
        }
        let write = |path: PathBuf, mode| {
            fs::write(&path, "x").expect("written");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        };
        write(layout.config(), 0o600);
        write(layout.sqlite(), 0o644);
        assert_eq!(denied(&layout, &me).expect("looked"), []);
        let found = denied(&layout, &stranger).expect("looked");
        let found: Vec<_> = found.iter().map(|one| (one.path.clone(), one.mode, one.opened)).collect();
        assert_eq!(found, [(layout.config(), 0o600, 0o600), (layout.sqlite(), 0o644, 0o644)]);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let refused = check(&layout, &stranger).expect_err("refused");
        assert!(refused.to_string().contains("mode 0600"), "{refused}");
        assert!(refused.hint.expect("a way out").contains("chown 54321:54321"));
        write(layout.config(), 0o666);
        write(layout.sqlite(), 0o666);
        check(&layout, &stranger).expect("everything can be used");
    }
}
