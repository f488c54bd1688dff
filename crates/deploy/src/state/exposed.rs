//! Files that hold a secret, and the deployment's own directory: whether others can read them.
//!
//! The secret decides, not the file's name.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use settings::Wanted;

use crate::place::layout::Layout;
use crate::state::left_behind::left_behind;
use crate::state::wanted::wanted_file;

/// What others can read although it holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exposed {
    /// The file or directory.
    pub path: PathBuf,
    /// Its mode.
    pub mode: u32,
    /// The mode that it should have.
    pub closed: u32,
    /// What is secret in it.
    pub why: String,
}

impl std::fmt::Display for Exposed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, mode, why, .. } = self;
        write!(f, "{} can be read by others (mode {mode:04o}), and {why}", path.display())
    }
}

/// Everything of a deployment that is more open than it should be. What is not there, or cannot be looked at, is left out.
pub(crate) fn exposed(layout: &Layout, wanted: Option<&Wanted>) -> Vec<Exposed> {
    // What is no file where one belongs is somebody else's to tell.
    let secret = |path: PathBuf, why: &str| {
        let is_dir = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
        if is_dir { None } else { open(path, 0o077, why.to_owned()) }
    };
    let declared = wanted.map(Wanted::secrets).unwrap_or_default();
    let of_wanted = (!declared.is_empty())
        .then(|| open(layout.wanted(), 0o077, format!("it says `{}`", declared.join("`, `"))));
    [
        open(layout.root().to_owned(), 0o004, "it holds a deployment's secrets".to_owned()),
        of_wanted.flatten(),
        secret(layout.secrets(), "it holds every secret that Mainstay generated"),
        secret(layout.declared(), "it can hold secrets of config.json"),
        secret(layout.config(), "it holds the database's password and the salts"),
        secret(layout.journal(), "it holds the history"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The sentences that `status` and `settings check` say of a deployment: what others can read, who runs as root, and what was left
/// behind.
pub fn warnings(layout: &Layout) -> Vec<String> {
    // A file of settings that cannot be read is reported by whoever needs it.
    let wanted = wanted_file(layout).ok();
    let open = exposed(layout, wanted.as_ref()).into_iter();
    let open = open.map(|exposed| format!("{exposed}; `mainstay up` closes it"));
    let user = wanted.as_ref().and_then(|wanted| wanted.get("user"));
    open.chain(layout.place().runs_as_root(user)).chain(left_behind(layout)).collect()
}

fn open(path: PathBuf, closed_to: u32, why: String) -> Option<Exposed> {
    let mode = mode(&path)?;
    (mode & closed_to != 0).then_some(Exposed { path, mode, closed: mode & !closed_to, why })
}

/// Permission bits; of a link, none.
fn mode(path: &Path) -> Option<u32> {
    let meta = path.symlink_metadata().ok()?;
    (!meta.is_symlink()).then(|| meta.permissions().mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_decides_whether_mainstay_toml_may_be_open() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        let write = |path: &Path, mode| {
            fs::write(path, "x").expect("written");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        };
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        write(&layout.wanted(), 0o644);
        write(&layout.secrets(), 0o640);
        write(&layout.declared(), 0o600);
        let wanted = |text: &str| settings::parse(Path::new("mainstay.toml"), text).expect("it is right");
        let names = |wanted: &Wanted| {
            let found = exposed(&layout, Some(wanted));
            let name =
                |one: &Exposed| (one.path.strip_prefix(dir.path()).expect("below").to_owned(), one.closed);
            found.iter().map(name).map(|(path, mode)| (path.display().to_string(), mode)).collect::<Vec<_>>()
        };
        let of = |list: &[(&str, u32)]| list.iter().map(|(n, m)| ((*n).to_owned(), *m)).collect::<Vec<_>>();
        let open = wanted("listen = \"127.0.0.1:1\"\n[mattermost.EmailSettings]\nSMTPPassword = \"\"\n");
        assert_eq!(names(&open), of(&[("", 0o751), ("secrets.toml", 0o600)]));
        let secret = wanted("[mattermost.SqlSettings]\nDataSource = \"postgres://u:hunter2@db/n\"\n");
        assert_eq!(names(&secret), of(&[("", 0o751), ("mainstay.toml", 0o600), ("secrets.toml", 0o600)]));
        let told = exposed(&layout, Some(&secret))[1].to_string();
        assert!(told.contains("SqlSettings.DataSource") && !told.contains("hunter2"), "{told}");
    }
}
