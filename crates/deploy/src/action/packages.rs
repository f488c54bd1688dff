//! PostgreSQL, installed from the machine's distribution.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use host::tool::Tool;
use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::machine::make_dir;
use crate::world::World;

/// How long a package manager may take: it downloads 50 MB, and waits for another one that runs.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Where Debian's packages look whether they are to make and start a cluster of their own, which nobody asked for.
const NO_MAIN_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/mainstay.conf";

/// The package manager of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    /// Debian, Ubuntu and what is made of them.
    Apt,
    /// RHEL, Fedora and what is made of them.
    Dnf,
    /// RHEL 8 and 9, where the version that everybody gets is too old and a newer one is a module.
    DnfModule,
}

impl Manager {
    /// The machine's, known by its program and by `/etc/os-release`.
    pub(crate) fn of(root: &Path) -> Option<Self> {
        let has = |program: &str| root.join("usr/bin").join(program).exists();
        let release = std::fs::read_to_string(root.join("etc/os-release")).unwrap_or_default();
        let has_modules = ["platform:el8", "platform:el9"].iter().any(|platform| release.contains(platform));
        match () {
            () if has("apt-get") => Some(Self::Apt),
            () if has("dnf") && has_modules => Some(Self::DnfModule),
            () if has("dnf") => Some(Self::Dnf),
            () => None,
        }
    }

    /// The commands that install, in order.
    fn install(self) -> &'static [&'static [&'static str]] {
        const DNF: &[&str] = &["dnf", "install", "--assumeyes", "postgresql-server", "postgresql-contrib"];
        match self {
            Self::Apt => &[&["apt-get", "install", "--yes", "--no-install-recommends", "postgresql"]],
            Self::Dnf => &[DNF],
            Self::DnfModule => &[&["dnf", "module", "enable", "--assumeyes", "postgresql:16"], DNF],
        }
    }

    /// The command that lists what is installed, a name a line.
    fn list(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["dpkg-query", "--show", "--showformat=${binary:Package}\\n"],
            Self::Dnf | Self::DnfModule => &["rpm", "--query", "--all", "--queryformat=%{NAME}\\n"],
        }
    }

    /// The command that removes packages and refuses where others need them.
    fn remove(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["dpkg", "--remove"],
            Self::Dnf | Self::DnfModule => &["rpm", "--erase"],
        }
    }
}

/// Installs PostgreSQL; in a plan only where there is none and somebody allowed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packages {
    /// What installs it.
    pub manager: Manager,
}

impl Packages {
    pub(crate) fn step(self) -> Step<Action> {
        let commands: Vec<_> = self.manager.install().iter().map(|words| words.join(" ")).collect();
        let title = format!("Install PostgreSQL: {}", commands.join(" && "));
        step("packages", title, Undo::by("Remove the packages that it installed"), 30_000, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (manager, path) = (self.manager, path_of(world));
        blocking(move || {
            let before = installed(manager, &path)?;
            let without_cluster = (manager == Manager::Apt).then(|| Path::new(NO_MAIN_CLUSTER));
            if let Some(file) = without_cluster {
                make_dir(file.parent().unwrap_or(file), 0o755, None)?;
                host::disk::atomic_write(file, b"create_main_cluster = false\n", 0o644, None)?;
            }
            let done = manager.install().iter().try_for_each(|words| install(manager, words, &path));
            if let Some(file) = without_cluster {
                host::disk::remove_file(file)?;
            }
            done?;
            let new: Vec<_> = installed(manager, &path)?.difference(&before).cloned().collect();
            Ok(Value::from(new))
        })
        .await
    }

    pub(super) async fn undo(&self, world: &World, output: Option<&Value>) -> Result<(), Error> {
        let names: Vec<String> = output
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            .unwrap_or_default();
        if names.is_empty() {
            return Ok(());
        }
        let (manager, path) = (self.manager, path_of(world));
        blocking(move || {
            let words = manager.remove();
            let removed = tool(words, &path).args(&names).run_blocking();
            // Another package may need them by now.
            removed.map(drop).map_err(|error| {
                Error::not_ready(format!("the packages {} cannot be removed: {error}", names.join(", ")))
                    .hint("remove them by hand, or keep them; then run the command again")
            })
        })
        .await
    }
}

fn path_of(world: &World) -> String {
    world.env.get("PATH").cloned().unwrap_or_default()
}

fn tool<'a>(words: &[&str], path: &str) -> Tool<'a> {
    let (program, args) = words.split_first().map_or(("", &[][..]), |(program, args)| (*program, args));
    Tool::new(program, PATIENCE)
        .args(args)
        .env("PATH", path)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("NEEDRESTART_MODE", "a")
        .env("LC_ALL", "C.UTF-8")
        .keep(1 << 20)
        .cwd("/")
}

/// Runs one command. A machine whose lists of packages were never fetched gets them first.
fn install(manager: Manager, words: &[&str], path: &str) -> Result<(), Error> {
    let mut installed = tool(words, path).run_blocking();
    if installed.is_err() && manager == Manager::Apt {
        let _ = tool(&["apt-get", "update"], path).run_blocking();
        installed = tool(words, path).run_blocking();
    }
    installed.map(drop).map_err(|error| {
        Error::not_ready(format!("PostgreSQL cannot be installed: {error}")).hint(format!(
            "run `{}` yourself, as root, and correct what it says; or name a database elsewhere with DB_HOST",
            words.join(" ")
        ))
    })
}

fn installed(manager: Manager, path: &str) -> Result<BTreeSet<String>, Error> {
    let output = tool(manager.list(), path).run_blocking()?;
    Ok(output.text().lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_distribution_has_its_own_command_and_the_plan_shows_it() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        assert_eq!(Manager::of(root), None);
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        };
        write("usr/bin/dnf", "");
        assert_eq!(Manager::of(root), Some(Manager::Dnf));
        write("etc/os-release", "ID=\"rocky\"\nPLATFORM_ID=\"platform:el9\"\n");
        let title = Packages { manager: Manager::of(root).expect("one") }.step().title;
        assert_eq!(
            title,
            "Install PostgreSQL: dnf module enable --assumeyes postgresql:16 && dnf install --assumeyes postgresql-server \
             postgresql-contrib"
        );
        write("usr/bin/apt-get", "");
        assert_eq!(Manager::of(root), Some(Manager::Apt));
    }
}
