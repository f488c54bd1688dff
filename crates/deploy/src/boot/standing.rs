//! What there is by now for the start at boot: looked at, nothing touched.

use std::path::{Path, PathBuf};

use host::systemd::{Manager, Shown};

use super::unit::{directory, directory_of, is_unedited};
use crate::error::Error;
use crate::place::Place;
use crate::place::layout::FILE_LIMIT;
use crate::state::server_user::names_for;
use crate::world::World;

/// Directories whose content does not survive a restart of the machine, or not for long.
const PASSING: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run"];

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Something outside decides when the deployment starts: the engine of its container.
    Outside,
    /// This path is gone after a restart of the machine, so that nothing could start.
    Passing(PathBuf),
    /// No systemd runs here, or none for this user.
    NoManager {
        /// Whether it runs the machine, and only this user has no manager.
        for_user: bool,
    },
    /// A unit is there, or could be.
    Unit(Found),
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Who runs it.
    pub manager: Manager,
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: File,
    /// How it is.
    pub shown: Shown,
    /// Whether the user's manager runs from boot on; true for the machine's.
    pub from_boot: bool,
}

/// A unit's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    /// There is none.
    Missing,
    /// As Mainstay wrote it.
    Ours,
    /// Mainstay's, and edited by somebody.
    Edited,
    /// Somebody else's under that name.
    Foreign,
    /// The name is barred (`systemctl mask`).
    Masked,
}

impl Found {
    /// Where its file is.
    pub(crate) fn path(&self) -> PathBuf {
        self.manager.units().join(&self.name)
    }
}

/// The manager that would start this deployment at boot, if it runs.
fn manager(world: &World) -> Option<(Manager, host::User)> {
    let user = host::User::current().ok()?;
    let manager = Manager::of(&user, &world.variables);
    manager.runs().then_some((manager, user))
}

/// The name of the unit for the deployment, and the manager that would run it, wherever that runs.
pub(crate) fn unit_of(world: &World) -> Result<(Manager, String), Error> {
    let manager = Manager::of(&host::User::current()?, &world.variables);
    let (name, _) = find(manager.units(), world.layout.root());
    Ok((manager, name))
}

/// The unit of this deployment, if one is there that can run it. Asks nobody.
pub(crate) fn present(world: &World) -> Option<(Manager, String)> {
    if world.layout.place() == Place::Container {
        return None;
    }
    let (manager, _) = manager(world)?;
    let (name, file) = find(manager.units(), world.layout.root());
    matches!(file, File::Ours | File::Edited).then_some((manager, name))
}

/// Looks.
///
/// # Errors
/// systemd does not answer.
pub(crate) async fn look(world: &World) -> Result<Standing, Error> {
    if world.layout.place() == Place::Container {
        return Ok(Standing::Outside);
    }
    let passing = [world.layout.root(), &world.mainstay].into_iter().find(|path| is_passing(path));
    if let Some(path) = passing {
        return Ok(Standing::Passing(path.to_owned()));
    }
    let Some((manager, user)) = manager(world) else {
        return Ok(Standing::NoManager { for_user: Path::new("/run/systemd/system").is_dir() });
    };
    let (name, file) = find(manager.units(), world.layout.root());
    let shown = manager.show(&name).await?;
    let from_boot = user.is_root() || host::systemd::lingers(&user);
    Ok(Standing::Unit(Found { manager, name, file, shown, from_boot }))
}

fn is_passing(path: &Path) -> bool {
    PASSING.iter().any(|passing| path.starts_with(passing))
}

/// The name and the file of the unit for a deployment in `root`. Where another deployment has the plain name, a longer one.
fn find(units: &Path, root: &Path) -> (String, File) {
    let [plain, longer] = names_for(root).map(|name| format!("{name}.service"));
    match state(&units.join(&plain), root) {
        Some(file) => (plain, file),
        None => {
            let file = state(&units.join(&longer), root).unwrap_or(File::Foreign);
            (longer, file)
        }
    }
}

/// None where the file is of another deployment.
fn state(path: &Path, root: &Path) -> Option<File> {
    if path.symlink_metadata().is_err() {
        return Some(File::Missing);
    }
    if path.canonicalize().is_ok_and(|target| target == Path::new("/dev/null")) {
        return Some(File::Masked);
    }
    let Ok(content) = host::disk::read_guarded(path, FILE_LIMIT) else { return Some(File::Foreign) };
    let text = String::from_utf8_lossy(&content.bytes);
    match directory(&text) {
        Some(dir) if dir == directory_of(root) && is_unedited(&text) => Some(File::Ours),
        Some(dir) if dir == directory_of(root) => Some(File::Edited),
        Some(_) => None,
        None => Some(File::Foreign),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use host::systemd::Scope;

    use super::*;
    use crate::boot::unit::UnitText;

    #[test]
    fn the_unit_of_a_directory_is_found_under_either_name() {
        let units = tempfile::tempdir().expect("a directory");
        let write = |name: &str, dir: &str, change: &str| {
            let unit = UnitText {
                name: name.to_owned(),
                scope: Scope::System,
                program: "/usr/bin/mainstay".into(),
                dir: dir.into(),
                user: None,
                writes: Vec::new(),
                sockets: None,
                stop: Duration::from_secs(60),
                apps: false,
            };
            std::fs::write(units.path().join(name), unit.text() + change).expect("written");
        };
        let at = |root: &str| find(units.path(), root.as_ref());
        assert_eq!(at("/var/lib/mainstay"), ("mainstay.service".to_owned(), File::Missing));
        assert_eq!(at("/srv/chat"), ("mainstay-chat.service".to_owned(), File::Missing));
        write("mainstay-chat.service", "/srv/chat", "");
        assert_eq!(at("/srv/chat").1, File::Ours);
        // Another directory of that name gets another unit.
        let (other, file) = at("/home/chat");
        assert!(other != "mainstay-chat.service" && file == File::Missing, "{other}");
        write(&other, "/home/chat", "");
        assert_eq!(at("/home/chat"), (other, File::Ours));
        write("mainstay-chat.service", "/srv/chat", "# mine\n");
        assert_eq!(at("/srv/chat").1, File::Edited);
        std::fs::write(units.path().join("mainstay-chat.service"), "[Service]\n").expect("written");
        assert_eq!(at("/srv/chat").1, File::Foreign);
        std::fs::remove_file(units.path().join("mainstay-chat.service")).expect("removed");
        std::os::unix::fs::symlink("/dev/null", units.path().join("mainstay-chat.service")).expect("a link");
        assert_eq!(at("/srv/chat").1, File::Masked);
    }

    #[test]
    fn what_is_gone_after_a_restart_is_known() {
        assert!(is_passing("/tmp/chat".as_ref()) && is_passing("/run/x".as_ref()));
        assert!(!is_passing("/srv/tmp".as_ref()) && !is_passing("/tmpfiles".as_ref()));
    }
}
