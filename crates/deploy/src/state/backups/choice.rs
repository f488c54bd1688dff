//! What `[backup]` of `mainstay.toml` says, and the variables `MAINSTAY_BACKUP_*` that outrank it.

use std::path::{Component, Path, PathBuf};

use backup::Keep;
use settings::{KEYS, Wanted};

use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::state::backups::objects::Objects;
use crate::state::wanted::wanted_file;
use crate::world::World;

/// The table in `mainstay.toml`.
const TABLE: &str = "backup.";

/// How object storage begins.
const S3: &str = "s3://";

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RepositoryPlace {
    /// A directory of this machine, or of a file system that is mounted here.
    Directory(PathBuf),
    /// Object storage.
    Objects(Objects),
}

impl RepositoryPlace {
    /// The place in words.
    pub(crate) fn location(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Objects(objects) if objects.prefix.is_empty() => format!("{S3}{}", objects.bucket),
            Self::Objects(objects) => format!("{S3}{}/{}", objects.bucket, objects.prefix),
        }
    }

    /// Whether whoever has it has no other part of the deployment: then the key must be elsewhere, too.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Self::Objects(_))
    }
}

/// What is wanted of backups.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// Where the repository is.
    pub place: RepositoryPlace,
    /// What is kept; `None` = everything.
    pub keep: Option<Keep>,
    /// Whether the release's files are in a snapshot, too.
    pub with_release: bool,
    /// Bytes a second at most.
    pub limit: Option<u64>,
    /// Whether `status --check` fails for a backup, check or drill that failed.
    pub watch: bool,
}

impl Choice {
    /// For a deployment. `named` is a repository of the command line, a directory with its whole path.
    ///
    /// # Errors
    /// A value is wrong; the place cannot be a repository.
    pub(crate) fn of(world: &World, named: Option<&str>) -> Result<Self, Error> {
        let wanted = with_variables(world, wanted_file(&world.layout)?)?;
        let usual = world.layout.repository().to_string_lossy().into_owned();
        let (text, base) = match named {
            Some(text) => {
                let wrong = |problem: String| {
                    Error::new(Exit::Usage, problem.replace("`backup.repository`", "`--repository`"))
                };
                Wanted::default().with("backup.repository", text).map_err(wrong)?;
                (text, world.layout.root().to_owned())
            }
            None => (wanted.get("backup.repository").unwrap_or(&usual), world.layout.root().to_owned()),
        };
        let place = place(text, &base, &wanted);
        if let RepositoryPlace::Directory(path) = &place {
            check(&world.layout, path)?;
        }
        let switch = |key: &str| wanted.get(key) == Some("true");
        Ok(Self {
            place,
            keep: keep(&wanted),
            with_release: switch("backup.with_release"),
            limit: wanted.get("backup.limit").and_then(settings::rate),
            watch: switch("backup.watch"),
        })
    }
}

/// The variable that outranks a key of `[backup]`.
fn variable(key: &str) -> String {
    format!("MAINSTAY_{}", key.replace('.', "_").to_uppercase())
}

/// The same with what the variables say.
fn with_variables(world: &World, wanted: Wanted) -> Result<Wanted, Error> {
    KEYS.iter().filter(|key| key.name.starts_with(TABLE)).try_fold(wanted, |wanted, key| {
        let name = variable(key.name);
        let given = world.variables.get(&name).filter(|value| !value.is_empty());
        let wrong = |problem: String| {
            let problem = problem.replace(&format!("`{}`", key.name), &format!("`{name}`"));
            Error::new(Exit::Settings, problem).hint("nothing has been changed")
        };
        given.map_or(Ok(wanted.clone()), |value| wanted.with(key.name, value).map_err(wrong))
    })
}

/// Whether the environment of this call names another repository than mainstay.toml does, or says something else of it. In a container the
/// environment is what the deployment says; on a machine the schedule has none of it, so that a mistake in it is one of whoever typed it.
pub(crate) fn names_another(world: &World) -> bool {
    let said = wanted_file(&world.layout).ok().unwrap_or_default();
    let differs = |key: &settings::Key| {
        let given = world.variables.get(&variable(key.name)).filter(|value| !value.is_empty());
        given.is_some_and(|value| said.get(key.name) != Some(value))
    };
    world.layout.place().keeps_decisions()
        && KEYS.iter().filter(|key| key.name.starts_with(TABLE)).any(differs)
}

/// Where a drill has its scratch deployment, if not in the deployment's directory.
///
/// # Errors
/// A value is wrong; the directory is not there, or is the deployment's own.
pub(crate) fn scratch_place(world: &World) -> Result<Option<PathBuf>, Error> {
    let wanted = with_variables(world, wanted_file(&world.layout)?)?;
    let Some(text) = wanted.get("backup.scratch") else { return Ok(None) };
    let path = world.layout.root().join(text);
    let wrong = |exit: Exit, why: String| {
        let what = format!("{} of `[backup] scratch` {why}", path.display());
        Error::new(exit, what).hint("name a directory on a disk with enough room; nothing has been changed")
    };
    let real = path.canonicalize().map_err(|error| {
        wrong(Exit::NotReady, format!("cannot be used: {}", finding::disk::explained(&error)))
    })?;
    if !real.is_dir() {
        return Err(wrong(Exit::Settings, "is no directory".to_owned()));
    }
    if real.starts_with(resolved(world.layout.root())) {
        return Err(wrong(Exit::Settings, "is in the deployment's directory".to_owned()));
    }
    Ok(Some(real))
}

/// What a deployment says of its backups, as variables for a program that works on another directory.
pub(crate) fn as_variables(world: &World) -> Result<Vec<(String, String)>, Error> {
    let wanted = with_variables(world, wanted_file(&world.layout)?)?;
    let keys = KEYS.iter().filter(|key| key.name.starts_with(TABLE));
    let said = keys.filter_map(|key| Some((variable(key.name), wanted.get(key.name)?.to_owned())));
    Ok(said.collect())
}

fn place(text: &str, base: &Path, wanted: &Wanted) -> RepositoryPlace {
    let Some(name) = text.strip_prefix(S3) else { return RepositoryPlace::Directory(base.join(text)) };
    let (bucket, prefix) = name.split_once('/').unwrap_or((name, ""));
    let said = |key: &str| wanted.get(key).map(str::to_owned);
    RepositoryPlace::Objects(Objects {
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        endpoint: said("backup.endpoint"),
        region: said("backup.region"),
        path_style: wanted.get("backup.path_style") == Some("true"),
        credentials: said("backup.credentials").map(PathBuf::from),
    })
}

/// What is kept, as soon as one key says so.
fn keep(wanted: &Wanted) -> Option<Keep> {
    let number = |key: &str| wanted.get(key).and_then(|text| text.parse().ok());
    let keep = Keep {
        last: number("backup.keep_last"),
        daily: number("backup.keep_daily"),
        weekly: number("backup.keep_weekly"),
        monthly: number("backup.keep_monthly"),
        yearly: number("backup.keep_yearly"),
    };
    (!keep.is_empty()).then_some(keep)
}

/// Refuses a directory that holds, or belongs to, something else of the deployment: a snapshot would hold itself, or the server could
/// delete it.
fn check(layout: &Layout, path: &Path) -> Result<(), Error> {
    let real = resolved(path);
    let root = resolved(layout.root());
    let wrong = |why: String| {
        Error::new(Exit::Settings, format!("{} cannot be a backup repository: {why}", path.display())).hint(
            format!(
                "name another directory in `[backup] repository`, best on another disk; the default is {}",
                layout.repository().display()
            ),
        )
    };
    if root.starts_with(&real) {
        return Err(wrong(format!("the deployment's directory {} is in it", layout.root().display())));
    }
    let within = real.strip_prefix(&root).ok().and_then(|rest| rest.components().next());
    match within {
        Some(Component::Normal(name)) if name == Layout::REPOSITORY => return Ok(()),
        Some(Component::Normal(name)) if name.to_str().is_some_and(Layout::is_ours) => {
            let own = layout.root().join(name);
            return Err(wrong(format!("{} belongs to the deployment", own.display())));
        }
        _ => {}
    }
    if layout.place().loses_its_root()
        && host::disk::listed_mount(&real).is_none_or(|mount| mount == Path::new("/"))
    {
        return Err(Error::new(
            Exit::Refused,
            format!("{} is in no volume: a backup there is lost with the container", path.display()),
        )
        .hint(format!(
            "mount a second volume, as in `docker run --volume /srv/docker/mattermost/backups:{}`, or name object storage in \
             MAINSTAY_BACKUP_REPOSITORY",
            layout.repository().display()
        )));
    }
    let data = resolved(&layout.data());
    if real.starts_with(&data) && !real.starts_with(&root) {
        return Err(wrong(format!("it is in {}, the directory of uploaded files", layout.data().display())));
    }
    Ok(())
}

/// The path without links, as far as it exists.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    let there = host::disk::nearest(path);
    let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
    there.canonicalize().map_or_else(|_| path.to_owned(), |there| there.join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(dir: &tempfile::TempDir) -> Layout {
        Layout::new(dir.path().join("chat"))
    }

    #[test]
    fn what_belongs_to_the_deployment_is_no_repository() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = layout(&dir);
        std::fs::create_dir_all(layout.data()).expect("made");
        std::os::unix::fs::symlink(layout.data(), dir.path().join("link")).expect("a link");
        for path in ["chat/backups", "chat/backups/main", "chat/copies", "elsewhere/new"] {
            check(&layout, &dir.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        for (path, why) in [
            ("chat/data", "belongs to the deployment"),
            ("chat/data/backups", "belongs to the deployment"),
            ("link/backups", "belongs to the deployment"),
            ("chat/postgres", "belongs to the deployment"),
            ("chat", "is in it"),
            (".", "is in it"),
        ] {
            let refused = check(&layout, &dir.path().join(path)).expect_err(path);
            assert!(refused.exit == Exit::Settings && refused.what.contains(why), "{path}: {refused}");
        }
    }

    #[test]
    fn a_bucket_may_have_a_prefix() {
        let location = |text: &str| place(text, Path::new("/srv/chat"), &Wanted::default()).location();
        assert_eq!(location("s3://company-backups/chat/"), "s3://company-backups/chat");
        assert_eq!(location("s3://company-backups"), "s3://company-backups");
        assert_eq!(location("backups"), "/srv/chat/backups");
        assert_eq!(location("/mnt/backups"), "/mnt/backups");
    }

    #[test]
    fn everything_is_kept_until_somebody_says_otherwise() {
        assert_eq!(keep(&Wanted::default()), None);
        let wanted = Wanted::default().with("backup.keep_daily", "7").expect("a number");
        assert_eq!(keep(&wanted), Some(Keep { daily: Some(7), ..Keep::default() }));
    }
}
