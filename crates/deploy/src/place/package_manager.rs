//! Whose a file is: a package manager of the machine replaces its own files, and must not find others in their place.

use std::path::Path;
use std::time::Duration;

use host::tool::Tool;

/// How long a package manager may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A package manager: how it is asked whose a file is, and how it brings a newer version.
struct Manager {
    program: &'static str,
    asks: &'static [&'static str],
    upgrades: &'static str,
}

const MANAGERS: [Manager; 4] = [
    Manager {
        program: "dpkg-query",
        asks: &["--search"],
        upgrades: "apt-get update && apt-get install --only-upgrade",
    },
    Manager { program: "rpm", asks: &["--query", "--file"], upgrades: "dnf upgrade" },
    Manager {
        program: "pacman",
        asks: &["--query", "--owns", "--quiet"],
        upgrades: "pacman --sync --refresh",
    },
    Manager { program: "apk", asks: &["info", "--quiet", "--who-owns"], upgrades: "apk upgrade" },
];

/// Where the programs of package managers are.
pub(crate) const DIRECTORIES: [&str; 3] = ["/usr/bin", "/bin", "/sbin"];

/// Whose a file is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The program that said so.
    pub manager: &'static str,
    /// The package, as it is called there.
    pub package: String,
    /// The command that brings its newer version.
    pub upgrade: String,
}

/// The package that the file belongs to; `None` where no package manager of this machine knows it.
pub(crate) async fn owner(file: &Path, directories: &[&str]) -> Option<Owner> {
    for Manager { program, asks, upgrades } in MANAGERS {
        let found = directories.iter().map(|dir| Path::new(dir).join(program)).find(|path| path.is_file());
        let Some(found) = found else { continue };
        // It ends with an error where the file is nobody's.
        let answer = Tool::new(found, PATIENCE).args(asks).arg(file).run().await;
        let Some(package) = answer.ok().and_then(|answer| package(&answer.stdout)) else { continue };
        let upgrade = format!("{upgrades} {package}");
        return Some(Owner { manager: program, package, upgrade });
    }
    None
}

/// The package in the first line of an answer: `mainstay: /usr/bin/mainstay`, or its name alone.
fn package(answer: &str) -> Option<String> {
    let line = answer.lines().next()?.trim();
    let name = line.split([':', ',', ' ']).next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn the_package_of_a_file_is_named_with_the_command_that_upgrades_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let query = dir.path().join("dpkg-query");
        let script = "#!/bin/sh\ncase \"$2\" in /usr/bin/mainstay) echo 'mainstay:amd64: /usr/bin/mainstay';; *) exit 1;; esac\n";
        std::fs::write(&query, script).expect("written");
        std::fs::set_permissions(&query, std::fs::Permissions::from_mode(0o755)).expect("executable");
        let directories = [dir.path().to_str().expect("a name")];
        let found = owner(Path::new("/usr/bin/mainstay"), &directories).await.expect("owned");
        assert_eq!((found.manager, &*found.package), ("dpkg-query", "mainstay"));
        assert_eq!(found.upgrade, "apt-get update && apt-get install --only-upgrade mainstay");
        assert_eq!(owner(Path::new("/usr/local/bin/mainstay"), &directories).await, None);
        assert_eq!(owner(Path::new("/usr/bin/mainstay"), &["/nowhere"]).await, None);
    }

    #[test]
    fn answers_of_other_managers_are_read() {
        assert_eq!(package("mainstay-0.2.0-1.x86_64\n").as_deref(), Some("mainstay-0.2.0-1.x86_64"));
        assert_eq!(package("\n"), None);
    }
}
