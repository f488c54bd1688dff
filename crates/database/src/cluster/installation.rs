//! PostgreSQL's programs on this machine.

use std::path::{Path, PathBuf};

/// The programs of one major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// 15 of 15.3.
    pub major: u32,
    /// The directory of `initdb` and `postgres`.
    pub bin: PathBuf,
}

/// A directory with the programs. Where its name does not say the version, `postgres --version` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The directory of `initdb` and `postgres`.
    pub bin: PathBuf,
    /// The major version, where the path has it.
    pub major: Option<u32>,
}

/// Where distributions put the programs of a major version: the directory, and what is before and after the number below it.
const PLACES: [(&str, &str, &str); 4] = [
    // Debian and Ubuntu.
    ("usr/lib/postgresql", "", "/bin"),
    // PostgreSQL's own packages for RHEL.
    ("usr", "pgsql-", "/bin"),
    // SUSE.
    ("usr/lib", "postgresql", "/bin"),
    // Alpine.
    ("usr/libexec", "postgresql", ""),
];

/// The directories below `root` and in `path` (as `PATH` has them) that hold the programs of a server, each once.
pub fn programs(root: &Path, path: &str) -> Vec<Programs> {
    with(root, path, &["postgres", "initdb"])
}

/// The directories that hold this client program: an installation of the client alone has no server.
pub(crate) fn directories_of(root: &Path, path: &str, program: &str) -> Vec<PathBuf> {
    with(root, path, &[program]).into_iter().map(|found| found.bin).collect()
}

/// The directories with all of these programs.
fn with(root: &Path, path: &str, names: &[&str]) -> Vec<Programs> {
    let mut found: Vec<Programs> = Vec::new();
    let mut add = |bin: PathBuf, major| {
        let holds_all = |dir: &Path| names.iter().all(|name| dir.join(name).is_file());
        // A link into a directory of a version stands for that directory.
        let first = names.first().and_then(|name| bin.join(name).canonicalize().ok());
        let real = first.and_then(|file| Some(file.parent()?.to_owned()));
        let bin = real.filter(|dir| holds_all(dir)).unwrap_or(bin);
        if holds_all(&bin) && found.iter().all(|known| known.bin != bin) {
            found.push(Programs { bin, major });
        }
    };
    for (dir, before, after) in PLACES {
        let dir = root.join(dir);
        let names = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
            if let Some(major) = name.strip_prefix(before).and_then(|rest| rest.parse().ok()) {
                add(dir.join(format!("{name}{after}")), Some(major));
            }
        }
    }
    path.split(':').filter(|dir| dir.starts_with('/')).for_each(|dir| add(dir.into(), None));
    found
}

/// The installations among `programs`, the newest first. `ask` runs `postgres --version` of a directory.
pub fn installations(programs: Vec<Programs>, ask: impl Fn(&Path) -> Option<String>) -> Vec<Installation> {
    let installation = |Programs { bin, major }| {
        let asked = || ask(&bin).as_deref().and_then(major_of);
        Some(Installation { major: major.or_else(asked)?, bin })
    };
    let mut found: Vec<_> = programs.into_iter().filter_map(installation).collect();
    found.sort_by_key(|installation| std::cmp::Reverse(installation.major));
    found
}

/// The major version in what `postgres --version` prints: `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
pub fn major_of(text: &str) -> Option<u32> {
    let number = text.strip_prefix("postgres (PostgreSQL) ")?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl Installation {
    /// One of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Whether its library for the statistics of statements is there; some distributions have a package of its own for it.
    pub fn has_statements(&self) -> bool {
        let beside = self.bin.join("../lib");
        let dirs = [beside.as_path(), Path::new("/usr/lib64/pgsql"), Path::new("/usr/lib/pgsql")];
        dirs.iter().any(|dir| dir.join("pg_stat_statements.so").is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(root: &Path, bin: &str) {
        let bin = root.join(bin);
        std::fs::create_dir_all(&bin).expect("a directory");
        for name in ["postgres", "initdb"] {
            std::fs::write(bin.join(name), "").expect("a program");
        }
    }

    #[test]
    fn each_distribution_is_known_and_a_link_is_no_second_one() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path().canonicalize().expect("a path");
        for bin in ["usr/lib/postgresql/15/bin", "usr/lib/postgresql/9.6/bin", "usr/pgsql-17/bin", "usr/bin"]
        {
            place(&root, bin);
        }
        std::fs::create_dir_all(root.join("usr/lib/postgresql/16/bin")).expect("leftovers");
        std::fs::create_dir_all(root.join("linked")).expect("a directory");
        for name in ["postgres", "initdb"] {
            let to = root.join("usr/lib/postgresql/15/bin").join(name);
            std::os::unix::fs::symlink(to, root.join("linked").join(name)).expect("a link");
        }
        let path = format!("{0}/linked:{0}/usr/bin:{0}/nowhere:relative", root.display());
        let said = |bin: &Path| bin.ends_with("usr/bin").then(|| "postgres (PostgreSQL) 13.11\n".to_owned());
        let found = installations(programs(&root, &path), said);
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.major, found.bin.strip_prefix(&root).expect("below").display().to_string()))
            .collect();
        let expected = [(17, "usr/pgsql-17/bin"), (15, "usr/lib/postgresql/15/bin"), (13, "usr/bin")];
        assert_eq!(found, expected.map(|(major, bin)| (major, bin.to_owned())));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("mysqld 8.0"), None);
    }
}
