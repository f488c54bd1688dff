//! Which deployment this is: whether everything that it had is still there, and whose data lies in its place.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use finding::hint;
use plan::{Lock, Step};

use super::database::is_filled;
use super::{Part, Stage, View};
use crate::action::{self, Action};
use crate::error::{Error, Exit};
use crate::place::container::without_database;
use crate::place::layout::Layout;
use crate::place::postgres;
use crate::state::blank::{is_blank, is_there};
use crate::state::cluster::data_version;
use crate::state::config_file;
use crate::state::identity::{Identity as Record, Used, data_mark, fresh_id, original, used};
use crate::state::location::{self, Location};
use crate::state::settled::Settled;

/// What is known of the deployment's past, and what its data says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// What `deployment.json` says.
    pub record: Option<Record>,
    /// Whether people may have used it.
    pub used: Option<Used>,
    /// The id in the directory of the data.
    pub data: Option<String>,
    /// Whether the directory of the data holds anything that people can see.
    pub data_is_empty: bool,
    /// Whether config.json is there.
    pub config: bool,
    /// The directory that this one was copied from, and whether that deployment runs.
    pub original: Option<(Layout, bool)>,
    /// An id that nobody has, for a record that is missing.
    pub fresh: String,
}

pub(crate) async fn observe(layout: &Layout) -> Result<Observed, Error> {
    let record = Record::read(layout)?;
    let original = record.as_ref().and_then(|record| original(record, layout));
    let runs =
        |there: &Layout| Lock::present_holder(&there.agent_lock()).is_ok_and(|holder| holder.is_some());
    Ok(Observed {
        used: used(layout).await?,
        data: data_mark(layout)?,
        data_is_empty: is_empty(layout),
        config: has_config(layout),
        original: original.map(|there| (there.clone(), runs(&there))),
        fresh: fresh_id(),
        record,
    })
}

/// Whether config.json is there; one that cannot be read is.
fn has_config(layout: &Layout) -> bool {
    !matches!(config_file::deployed(layout), Ok(None))
}

/// Whether mainstay.toml is there, where there is to be one.
fn has_wanted(layout: &Layout) -> bool {
    is_there(&layout.wanted()) || !layout.place().keeps_decisions()
}

/// Hidden files are nobody's, as are those of the file system.
fn is_empty(layout: &Layout) -> bool {
    let Ok(entries) = std::fs::read_dir(layout.database()) else { return true };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.into_iter().all(|name| name.starts_with('.') || name == "lost+found")
}

/// What was there and is gone, in words; empty where nothing is missing, and where there never was a deployment.
pub(crate) fn gone(layout: &Layout, settled: &Settled, observed: &super::Observed) -> Vec<String> {
    let seen = &observed.identity;
    if seen.used.is_none() {
        return Vec::new();
    }
    let file = (settled.file.is_some() && !is_blank(&layout.wanted())) || !layout.place().keeps_decisions();
    let mut gone = gone_files(layout, file, seen.config);
    match &settled.location {
        Location::Managed(_) if data_version(layout).is_none() => {
            gone.push(format!("the PostgreSQL cluster in {}", layout.postgres_data().display()));
        }
        Location::Server(server) | Location::Managed(server) if !observed.database.exists => {
            gone.push(format!("the tables in {server}"));
        }
        Location::File if seen.record.as_ref().is_some_and(|record| record.managed) => {
            gone.push("what says that the database is the managed one".to_owned());
        }
        Location::File if !observed.database.exists => {
            // Where it was is not known where the file of settings is gone as well.
            gone.push(match seen.record.as_ref().and_then(|record| record.database.as_ref()) {
                Some(address) => format!("the address of {address}"),
                None => missing(&layout.sqlite()),
            });
        }
        // Uploads can be in a store elsewhere, so an empty directory alone says nothing. One that has lost its mark does.
        Location::Server(_) | Location::Managed(_)
            if seen.record.is_some() && seen.data.is_none() && seen.data_is_empty =>
        {
            gone.push(format!("the files in {}", layout.database().display()));
        }
        _ => {}
    }
    gone
}

/// Of the files that every deployment has, those that are gone.
fn gone_files(layout: &Layout, wanted: bool, config: bool) -> Vec<String> {
    let all = [
        (wanted, layout.wanted()),
        (is_there(&layout.secrets()), layout.secrets()),
        (config, layout.config()),
    ];
    all.into_iter().filter(|(is_there, _)| !is_there).map(|(_, path)| missing(&path)).collect()
}

/// The file, and whether it is still there with nothing in it.
fn missing(path: &Path) -> String {
    let is_empty = if path.exists() { " (it is empty)" } else { "" };
    format!("{}{is_empty}", path.display())
}

/// Refuses to go on where something is gone.
///
/// # Errors
/// What, when the deployment was last known to be well, and the ways on.
pub(crate) fn refuse_gone(layout: &Layout, last: i64, gone: &[String]) -> Result<(), Error> {
    if gone.is_empty() {
        return Ok(());
    }
    let last = jiff::Timestamp::from_millisecond(last).map(|at| format!(" at {at:.0}")).unwrap_or_default();
    let again = layout.place().start_empty();
    let (it, they, is) = if gone.len() == 1 { ("it", "it", "is") } else { ("them", "they", "are") };
    Err(Error::new(
        Exit::Refused,
        format!(
            "{} holds a deployment that was last verified{last}, and {} gone: {}. Started as it is, people would find an empty \
             Mattermost, or one with other settings",
            layout.root().display(),
            if gone.len() == 1 { "this is" } else { "these are" },
            gone.join(", ")
        ),
    )
    .hint(format!(
        "put {it} back: mount the file system that {they} {is} on, or restore {it} from a backup. To begin with an empty Mattermost \
         instead, {again}: that moves what is left to {} and deletes nothing",
        layout.set_aside().display()
    )))
}

/// The same for a command that only reads the settings of a deployment: with a file of them gone it would read those of another one.
///
/// # Errors
/// As [`refuse_gone`].
pub async fn refuse_gone_settings(layout: &Layout) -> Result<(), Error> {
    let Some(Used { last }) = used(layout).await? else { return Ok(()) };
    refuse_gone(layout, last, &gone_files(layout, has_wanted(layout), has_config(layout)))
}

/// The same for a command that goes on with what is there and asks no database.
///
/// # Errors
/// As [`refuse_gone`]; the data is another deployment's.
pub(crate) async fn refuse_gone_files(layout: &Layout) -> Result<(), Error> {
    let Some(Used { last }) = used(layout).await? else { return Ok(()) };
    let record = Record::read(layout)?;
    let config = has_config(layout);
    let in_file = match &record {
        Some(record) => record.database.is_none() && !record.managed,
        None => config && location::is_file(layout)?,
    };
    let mut gone = gone_files(layout, has_wanted(layout), config);
    if in_file && !is_filled(&layout.sqlite()) {
        gone.push(missing(&layout.sqlite()));
    }
    if record.as_ref().is_some_and(|record| record.managed) && data_version(layout).is_none() {
        gone.push(format!("the PostgreSQL cluster in {}", layout.postgres_data().display()));
    }
    refuse_gone(layout, last, &gone)?;
    let Some(record) = record else { return Ok(()) };
    refuse_others_data(layout, &record, data_mark(layout)?.as_deref(), in_file)
}

/// Refuses the data of another deployment.
///
/// # Errors
/// Whose it is, as far as it says, and the ways on.
pub(crate) fn refuse_strangers(
    layout: &Layout,
    settled: &Settled,
    observed: &super::Observed,
) -> Result<(), Error> {
    let seen = &observed.identity;
    if let (Location::Server(server), Some((there, true))) = (&settled.location, &seen.original)
        && seen.record.as_ref().is_some_and(|record| record.database.as_deref() == Some(&*server.to_string()))
    {
        return Err(Error::new(
            Exit::Refused,
            format!(
                "{} is a copy of {}, which runs, and both would use {server}",
                layout.root().display(),
                there.root().display()
            ),
        )
        .hint(
            "name another database for one of them, with a copy of the data in it; or stop the other one",
        ));
    }
    let Some(record) = &seen.record else { return Ok(()) };
    if let (Location::Server(server) | Location::Managed(server), Some(other)) =
        (&settled.location, &observed.database.deployment)
        && *other != record.id
    {
        return Err(Error::new(
            Exit::Refused,
            format!("{server} belongs to another deployment ({other}), and this one is {}", record.id),
        )
        .hint("name this deployment's own database, or install another deployment with `--dir`; nothing has been changed"));
    }
    let stays = matches!(settled.location, Location::File) && record.database.is_none();
    refuse_others_data(layout, record, seen.data.as_deref(), stays)
}

/// `strict` = the directory must carry the mark: it holds the database.
fn refuse_others_data(
    layout: &Layout,
    record: &Record,
    mark: Option<&str>,
    strict: bool,
) -> Result<(), Error> {
    let dir = layout.database().display().to_string();
    let path = layout.data_mark().display().to_string();
    let what = match mark {
        Some(mark) if mark == record.id => return Ok(()),
        None if !strict => return Ok(()),
        Some(other) => {
            format!(
                "{dir} belongs to another deployment ({}), and this one is {}",
                other.escape_debug(),
                record.id
            )
        }
        None => format!("{dir} does not say that it belongs to this deployment: {path} is missing"),
    };
    Err(Error::new(Exit::Refused, what).hint(hint!(
        "mount or restore this deployment's own data. If it is the right one, say so: `echo {} > {}`; nothing has been changed",
        record.id,
        path
    )))
}

/// Refuses a volume that a Mattermost used whose database nobody names.
///
/// # Errors
/// What is there, and the ways on.
pub(crate) fn refuse_without_database(
    layout: &Layout,
    settled: &Settled,
    observed: &super::Observed,
) -> Result<(), Error> {
    let starts_empty = settled.location == Location::File && !observed.database.exists;
    match &observed.volume_used {
        Some(last) if starts_empty && observed.identity.used.is_none() => Err(without_database(layout, last)),
        _ => Ok(()),
    }
}

/// The names of what is left of the deployment's data, below its directory.
///
/// # Errors
/// One of them is a file system of its own, which cannot be moved.
pub(crate) fn remains(layout: &Layout) -> Result<Vec<String>, Error> {
    const FILES: [&str; 4] = ["secrets.toml", "declared.json", "deployment.json", "run/verified.json"];
    let dirs = layout.server_dirs().filter(|name| !name.starts_with("logs")).chain([postgres::DIRECTORY]);
    let names = dirs.chain(FILES).filter(|name| layout.root().join(name).symlink_metadata().is_ok());
    let names = names.map(str::to_owned).collect::<Vec<_>>();
    let device = |path: &Path| std::fs::symlink_metadata(path).ok().map(|meta| meta.dev());
    let mounted = |name: &&String| device(&layout.root().join(name)) != device(layout.root());
    match names.iter().find(mounted) {
        None => Ok(names),
        Some(name) => Err(Error::new(
            Exit::Refused,
            format!(
                "{} is a file system of its own, which cannot be moved aside",
                layout.root().join(name).display()
            ),
        )
        .hint("unmount it, or mount an empty one there; nothing has been changed")),
    }
}

pub(super) struct Identity;

impl Part for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        if stage != Stage::Record {
            return Vec::new();
        }
        let (seen, layout) = (&view.observed.identity, view.layout);
        let is_file = view.settled.location == Location::File;
        let restoring = view.settled.restoring.as_ref();
        let managed = matches!(view.settled.location, Location::Managed(_));
        let (database, marked) = match &view.settled.location {
            Location::File => (None, None),
            Location::Managed(_) => (None, view.observed.database.deployment.clone()),
            Location::Server(server) => (Some(server.to_string()), view.observed.database.deployment.clone()),
        };
        // A copy beside its original is a deployment of its own, unless both have the same data.
        let is_copy = seen.original.is_some() && database.is_none();
        let known = seen.record.clone().filter(|_| !is_copy);
        let id = match &known {
            Some(record) => record.id.clone(),
            None if is_copy => seen.fresh.clone(),
            None if restoring.is_some_and(|restoring| restoring.is_copy) => seen.fresh.clone(),
            None if let Some(restoring) = restoring => restoring.manifest.deployment.clone(),
            None => marked.clone().or_else(|| seen.data.clone()).unwrap_or_else(|| seen.fresh.clone()),
        };
        let is_recorded = known.as_ref().is_some_and(|record| {
            record.database == database
                && record.managed == managed
                && record.root == layout.root()
                && seen.data.as_ref() == Some(&record.id)
        });
        // What a snapshot says of whose it is was true of the deployment that it was taken of.
        if restoring.is_none() && is_recorded && (is_file || marked.as_ref() == Some(&id)) {
            return Vec::new();
        }
        let mut identity = Record::new(Some(id), database, layout);
        identity.managed = managed;
        identity.since = known.map_or(identity.since, |record| record.since);
        let step = action::Identity {
            identity,
            before: seen.record.clone(),
            user: view.settled.desired.user.clone(),
            data_before: seen.data.clone(),
            database_before: marked,
        };
        vec![step.step()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::up::tests::{finished, nothing, settled};

    fn lost(change: impl FnOnce(&mut super::super::Observed)) -> Vec<String> {
        let layout = Layout::new("/srv/chat");
        let mut observed = finished();
        change(&mut observed);
        let wanted = Some(settings::Wanted::default());
        // No file of this layout exists: of the secrets that is not what is asked here.
        let gone = gone(&layout, &settled(false, wanted), &observed);
        gone.into_iter().filter(|path| !path.ends_with("secrets.toml")).collect()
    }

    #[test]
    fn what_was_there_once_is_gone_and_not_new() {
        assert_eq!(lost(|_| {}), Vec::<String>::new());
        assert_eq!(lost(|seen| seen.identity.config = false), ["/srv/chat/config/config.json"]);
        assert_eq!(lost(|seen| seen.database.exists = false), ["/srv/chat/data/mattermost.db"]);
        let elsewhere = lost(|seen| {
            seen.database.exists = false;
            if let Some(record) = &mut seen.identity.record {
                record.database = Some("postgres://mm:***@db:5432/chat".to_owned());
            }
        });
        assert_eq!(elsewhere, ["the address of postgres://mm:***@db:5432/chat"]);
        assert_eq!(lost(|seen| *seen = nothing()), Vec::<String>::new(), "there never was one");
    }

    #[test]
    fn the_way_on_is_named() {
        let layout = Layout::new("/srv/chat");
        let refused =
            refuse_gone(&layout, 0, &["/srv/chat/data/mattermost.db".to_owned()]).expect_err("refused");
        assert_eq!(refused.exit, Exit::Refused);
        assert!(
            refused.what.contains("1970-01-01T00:00:00Z") && refused.what.contains("mattermost.db"),
            "{refused}"
        );
        assert!(
            refused
                .hint
                .is_some_and(|hint| hint.contains("--start-empty") && hint.contains("/srv/chat/set-aside"))
        );
    }

    #[test]
    fn the_data_of_another_deployment_is_named() {
        let layout = Layout::new("/srv/chat");
        let record = Record::new(Some("aaaa".to_owned()), None, &layout);
        refuse_others_data(&layout, &record, Some("aaaa"), true).expect("its own");
        let other = refuse_others_data(&layout, &record, Some("bbbb"), false).expect_err("another's");
        assert!(other.what.contains("bbbb") && other.exit == Exit::Refused, "{other}");
        let unmarked = refuse_others_data(&layout, &record, None, true).expect_err("unmarked");
        assert!(
            unmarked
                .hint
                .is_some_and(|hint| hint.contains("echo aaaa > /srv/chat/data/.mainstay-deployment"))
        );
        refuse_others_data(&layout, &record, None, false).expect("the database is elsewhere");
    }
}
