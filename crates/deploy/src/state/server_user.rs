//! The system user that the server runs as when root installs and names none: one for each deployment, so that no server reads the files
//! of another.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use finding::hint;

use crate::control::presence::agent_directory;
use crate::error::{Error, Exit};
use crate::place::layout::Layout;

/// How the names of users begin that Mainstay makes, and the whole name of the one for a directory called `mainstay`.
const PREFIX: &str = "mainstay";

/// No name of a user is longer. The kernel's tools allow 32 with the closing NUL.
const LONGEST: usize = 31;

/// Whether Mainstay makes a user of that name where it is missing.
pub(crate) fn is_made_here(name: &str) -> bool {
    name == PREFIX || name.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('-'))
}

/// Whether the server can run as this user; one that Mainstay makes need not be there yet.
///
/// # Errors
/// There is no such user, and how it is made; it is root.
pub(crate) fn check_usable(user: Option<&str>) -> Result<(), Error> {
    let Some(name) = user else { return Ok(()) };
    match host::User::named(name) {
        Ok(user) if user.is_root() => Err(Error::new(
            Exit::Settings,
            format!("`user`: the server must not run as {name}: whoever breaks into it would have the whole machine"),
        )
        .hint("name an ordinary user, or leave `user` out: `mainstay up` makes one for the deployment alone")),
        Err(host::user::UserError::Unknown(_)) if is_made_here(name) => Ok(()),
        found => Ok(found.map(drop)?),
    }
}

/// Whether the user of that name is there for the deployment whose files are in `home`. Mainstay makes each of its users with that home,
/// so one with another home is another deployment's.
pub(crate) fn is_there(name: &str, home: &Path) -> bool {
    host::User::named(name).is_ok_and(|user| belongs(&user, home))
}

/// A drill's scratch deployment runs as the user of the deployment that it is of.
fn belongs(user: &host::User, home: &Path) -> bool {
    let of = Layout::new(&user.home);
    !is_made_here(&user.name) || user.home == home || of.drill() == home || !of.journal().exists()
}

/// Whether another deployment has made the user of that name for itself.
pub(crate) fn is_anothers(name: &str, home: &Path) -> bool {
    is_made_here(name) && host::User::named(name).is_ok_and(|user| user.home != home)
}

/// Refuses a user that somebody names and that was made for another deployment: it would go with that one, and each server could read
/// what the other keeps. A deployment whose files are that user's keeps it; a copy of that other deployment does not.
///
/// # Errors
/// It is so: the other deployment, and the name to use.
pub(crate) fn refuse_anothers(name: &str, layout: &Layout, is_copy: bool) -> Result<(), Error> {
    let Ok(user) = host::User::named(name) else { return Ok(()) };
    let owns = || {
        layout.config().parent().and_then(|dir| dir.metadata().ok()).is_some_and(|dir| dir.uid() == user.uid)
    };
    if belongs(&user, layout.root()) || user.home == layout.postgres() || (owns() && !is_copy) {
        return Ok(());
    }
    let home = |name: &str| host::User::named(name).ok().map(|user| user.home);
    Err(Error::not_ready(format!(
        "user {name} was made for the deployment in {}, which alone uses it",
        user.home.display()
    ))
    .hint(hint!(
        "take a user of its own, with `--user {}`; nothing has been changed",
        own_user(layout.root(), home)
    )))
}

/// The directories of the other deployments that are known: each user that Mainstay made has one as its home, and each agent runs one.
pub(crate) fn other_deployments(root: &Path) -> Vec<PathBuf> {
    let made = host::user::all().unwrap_or_default().into_iter().filter(|user| is_made_here(&user.name));
    let running = host::running::all().filter_map(|found| agent_directory(&found).map(Path::to_owned));
    let mut all: Vec<PathBuf> = made.map(|user| user.home).chain(running).filter(|dir| dir != root).collect();
    all.sort();
    all.dedup();
    all
}

/// The user of the deployment in `layout` where nobody names one: who owns its files, otherwise a user of its own.
pub fn default_user(layout: &Layout) -> String {
    let present = || {
        let config = layout.config();
        let owner = config.parent()?.symlink_metadata().ok()?.uid();
        // Root's directory is one that an interrupted run has not given away yet.
        (owner != 0).then(|| host::User::named(&owner.to_string()).ok()).flatten()
    };
    let home = |name: &str| host::User::named(name).ok().map(|user| user.home);
    present().map_or_else(|| own_user(layout.root(), home), |user| user.name)
}

/// What is called after the deployment in `root`: the plain name, and the one where another deployment has that.
pub(crate) fn names_for(root: &Path) -> [String; 2] {
    [own_user(root, |_| None), own_user(root, |_| Some(PathBuf::new()))]
}

/// The user that the managed database of the deployment in `root` runs as, where root installs: it is not the server's, which must not
/// read what PostgreSQL keeps beside its tables.
pub(crate) fn database_user(layout: &Layout) -> String {
    let data = layout.postgres_data();
    let present = || {
        let owner = data.symlink_metadata().ok()?.uid();
        (owner != 0).then(|| host::User::named(&owner.to_string()).ok()).flatten()
    };
    let home = |name: &str| host::User::named(name).ok().map(|user| user.home);
    present().map_or_else(|| own_database_user(layout, home), |user| user.name)
}

fn own_database_user(layout: &Layout, home: impl Fn(&str) -> Option<PathBuf>) -> String {
    const SUFFIX: &str = "db";
    let readable = readable(layout.root());
    let plain = match &*readable {
        PREFIX | "" => fitting(SUFFIX, ""),
        name => fitting(name, SUFFIX),
    };
    let is_free = |name: &str| home(name).is_none_or(|home| home == layout.postgres());
    if is_free(&plain) && !readable.is_empty() {
        return plain;
    }
    fitting(&readable, &format!("{}-{SUFFIX}", digest(layout.root())))
}

/// The user that Mainstay made for the managed database in `layout`, if it is there.
pub(crate) fn made_for_database(layout: &Layout) -> Option<host::User> {
    let names = [own_database_user(layout, |_| None), own_database_user(layout, |_| Some(PathBuf::new()))];
    let users = names.iter().filter_map(|name| host::User::named(name).ok());
    users.into_iter().find(|user| user.home == layout.postgres() && host::account::is_system(user))
}

/// The user that Mainstay made for the deployment in `root`, if it is there.
pub(crate) fn made_for(root: &Path) -> Option<host::User> {
    let names = names_for(root);
    let users = names.iter().filter_map(|name| host::User::named(name).ok());
    users.into_iter().find(|user| user.home == root && host::account::is_system(user))
}

/// The name for a deployment in `root`. `home` is the home directory of a user that exists: Mainstay makes each with the deployment's
/// directory as its home.
fn own_user(root: &Path, home: impl Fn(&str) -> Option<PathBuf>) -> String {
    let readable = readable(root);
    let plain = match &*readable {
        PREFIX => PREFIX.to_owned(),
        name => fitting(name, ""),
    };
    let is_free = |name: &str| home(name).is_none_or(|home| home == root);
    if !readable.is_empty() && is_free(&plain) { plain } else { fitting(&readable, &digest(root)) }
}

/// The directory's name as far as a user's name can have it.
fn readable(root: &Path) -> String {
    let name = root.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = name.split(|c| !allowed(c)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

fn fitting(name: &str, digest: &str) -> String {
    let parts = |name: &str| {
        [PREFIX, name, digest].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
    };
    let room = LONGEST.saturating_sub(parts("x").len() - 1);
    // Only ASCII is in it.
    parts(name.get(..room).unwrap_or(name).trim_end_matches('-'))
}

/// Eight digits that are always the same for one path (FNV-1a).
fn digest(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let hash =
        bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_has_another_user_than_the_server() {
        let of = |root: &str| own_database_user(&Layout::new(root), |_| None);
        assert_eq!(of("/var/lib/mainstay"), "mainstay-db");
        assert_eq!(of("/srv/chat"), "mainstay-chat-db");
        let taken = |name: &str| (name == "mainstay-db").then(|| PathBuf::from("/srv/db"));
        let other = own_database_user(&Layout::new("/var/lib/mainstay"), taken);
        assert_eq!(other, format!("mainstay-mainstay-{}-db", digest("/var/lib/mainstay".as_ref())));
        let long = of("/srv/a-very-long-name-of-a-directory-indeed");
        for name in [&other, &long, &of("/srv/чат")] {
            assert!(name.len() <= LONGEST && is_made_here(name) && name.ends_with("-db"), "{name}");
        }
    }

    #[test]
    fn each_directory_has_a_user_of_its_own() {
        let nobody = |_: &str| None;
        let of = |root: &str| own_user(root.as_ref(), nobody);
        assert_eq!(of("/var/lib/mainstay"), "mainstay");
        assert_eq!(of("/srv/chat"), "mainstay-chat");
        assert_eq!(of("/srv/Team Chat (2)"), "mainstay-team-chat-2");
        // Nothing of the name can be used.
        assert_eq!(of("/srv/чат"), format!("mainstay-{}", digest("/srv/чат".as_ref())));
        let long = of("/srv/a-very-long-name-of-a-directory-indeed");
        assert_eq!(long, "mainstay-a-very-long-name-of-a");
        // Its own, made before; and the one of another directory with the same name.
        let taken = |name: &str| (name == "mainstay-chat").then(|| PathBuf::from("/srv/chat"));
        assert_eq!(own_user("/srv/chat".as_ref(), taken), "mainstay-chat");
        let other = own_user("/home/chat".as_ref(), taken);
        assert_eq!(other, format!("mainstay-chat-{}", digest("/home/chat".as_ref())));
        let longest = own_user("/x/a-very-long-name-of-a-directory-indeed".as_ref(), |_| Some("/srv".into()));
        for name in [&other, &long, &longest] {
            assert!(name.len() <= LONGEST && is_made_here(name), "{name}");
        }
        assert!(!is_made_here("nobody") && !is_made_here("mainstayer"));
    }
}
