//! The deployment's directory: the user it belongs to, its directories, `mainstay.toml` and `secrets.toml`.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use plan::Step;
use release::Channel;

use super::{Part, Stage, View, take_over};
use crate::action::{
    Access, Action, Closed, Closing, Directories, Entry, Keeps, Owned, Ownership, Secrets, SystemUser,
    WantedFile,
};
use crate::error::Error;
use crate::place::layout::Layout;
use crate::state::access::{Denied, denied};
use crate::state::blank::is_there;
use crate::state::exposed::{Exposed, exposed};
use crate::state::location::{Location, MANAGED};
use crate::state::server_user;
use crate::state::settled::Settled;

/// What is there.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    /// Directories of the layout that are missing.
    pub missing: Vec<String>,
    /// Whether `secrets.toml` is there.
    pub secrets: bool,
    /// Whether the system user is there, where one is wanted; another deployment's is not.
    pub user: bool,
    /// The server's directories that belong to another user than the one it is to run as.
    pub of_others: Vec<Owned>,
    /// What the user that the server runs as cannot read and write.
    pub denied: Vec<Denied>,
    /// What others can read although it holds a secret.
    pub exposed: Vec<Exposed>,
}

pub(super) fn observe(layout: &Layout, settled: &Settled) -> Result<Observed, Error> {
    Ok(Observed {
        missing: layout.dirs().filter(|name| !layout.root().join(name).is_dir()).map(str::to_owned).collect(),
        secrets: is_there(&layout.secrets()),
        user: settled.desired.user.as_deref().is_none_or(|user| server_user::is_there(user, layout.root())),
        of_others: of_others(layout, settled.desired.user.as_deref()),
        denied: denied_to(layout, settled.desired.user.as_deref())?,
        exposed: exposed(layout, settled.file.as_ref()),
    })
}

/// A user that is not there yet has nothing, and gets the directories with everything in them.
fn denied_to(layout: &Layout, user: Option<&str>) -> Result<Vec<Denied>, Error> {
    match user.and_then(|name| host::User::named(name).ok()) {
        Some(user) => denied(layout, &user),
        None => Ok(Vec::new()),
    }
}

/// Without a user of its own the server runs as whoever runs it, and owns what it made.
fn of_others(layout: &Layout, user: Option<&str>) -> Vec<Owned> {
    let Some(name) = user else { return Vec::new() };
    // A user that is not there yet gets what is there, too.
    let uid = host::User::named(name).ok().map(|user| user.uid);
    let owned = |name: &'static str| {
        let meta = layout.root().join(name).symlink_metadata().ok().filter(std::fs::Metadata::is_dir)?;
        let owner = (meta.uid(), meta.gid());
        (Some(owner.0) != uid).then(|| Owned { name: name.to_owned(), owner })
    };
    layout.server_dirs().filter_map(owned).collect()
}

pub(super) struct Directory;

impl Part for Directory {
    fn name(&self) -> &'static str {
        "directory"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        let (seen, desired) = (&view.observed.directory, &view.settled.desired);
        let user = desired.user.clone();
        let mut steps = Vec::new();
        if stage == Stage::Change
            && let Some(user) = user.clone()
        {
            if !seen.of_others.is_empty() {
                let directories = seen.of_others.clone();
                steps.push(Ownership { user: user.clone(), directories }.step());
            }
            if !seen.denied.is_empty() {
                let entries = seen.denied.iter().map(|denied| closed(denied, view.layout)).collect();
                steps.push(Access { user, entries }.step());
            }
        }
        if stage != Stage::Prepare {
            return steps;
        }
        if let Some(name) = user.clone().filter(|_| !seen.user) {
            steps.push(SystemUser { name, home: None }.step());
        }
        if !seen.missing.is_empty() {
            steps.push(Directories { user, missing: seen.missing.clone() }.step(view.layout));
        }
        let changes = wanted_changes(view.settled, view.layout);
        if !changes.is_empty() {
            steps.push(WantedFile { changes, replaces: view.settled.file.is_some() }.step());
        }
        if !seen.exposed.is_empty() {
            let root = view.layout.root();
            let entry = |Exposed { path, mode, closed, .. }: &Exposed| {
                let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
                Entry { name, before: *mode, mode: *closed }
            };
            steps.push(Closing { entries: seen.exposed.iter().map(entry).collect() }.step());
        }
        if !seen.secrets {
            steps.push(secrets(view).step());
        }
        steps
    }
}

fn closed(denied: &Denied, layout: &Layout) -> Closed {
    let Denied { path, owner, mode, opened } = denied;
    let name = path.strip_prefix(layout.root()).unwrap_or(path).display().to_string();
    Closed { name, owner: *owner, before: *mode, mode: *opened }
}

/// The secrets to generate; where a Mattermost is taken over, with the salts and keys that it had.
fn secrets(view: &View<'_>) -> Secrets {
    let settled = view.settled;
    let keeps = take_over::is_taken_over(settled, view.observed);
    let name = if keeps { take_over::ADMINISTRATOR } else { "admin" };
    Secrets {
        admin_name: name.to_owned(),
        least_length: least_length(settled),
        keeps: keeps.then(|| Keeps {
            release: settled.release.clone(),
            config: settled.taken.as_ref().map(|taken| taken.path.clone()),
        }),
    }
}

/// The fewest characters of a password, where that is more than a generated one has.
fn least_length(settled: &Settled) -> Option<usize> {
    const USUAL: u64 = 24;
    let least = settled.resolved.setting("PasswordSettings", "MinimumLength")?.value()?.as_u64()?;
    usize::try_from(least).ok().filter(|_| least > USUAL)
}

/// The keys of `mainstay.toml` that must be written.
fn wanted_changes(settled: &Settled, layout: &Layout) -> BTreeMap<String, String> {
    let Settled { desired, file, release, .. } = settled;
    let mut changes: BTreeMap<String, String> = BTreeMap::new();
    if file.is_none() && layout.place().keeps_decisions() {
        // A first file says what was decided, so that a later default does not move a deployment.
        changes.insert("edition".to_owned(), edition(settled).to_string());
        changes.insert("listen".to_owned(), host::Listen::from(desired.listen).to_string());
        changes.insert("site_url".to_owned(), desired.site_url_text().to_owned());
        changes.extend(desired.user.iter().map(|user| ("user".to_owned(), user.clone())));
    }
    if let (Location::Managed(_), true) = (&settled.location, layout.place().keeps_decisions())
        && file.as_ref().is_none_or(|file| file.get("database").is_none())
    {
        changes.insert("database".to_owned(), MANAGED.to_owned());
    }
    for key in &settled.given {
        let value = desired.wanted.get(key).unwrap_or_default();
        if file.as_ref().is_none_or(|file| file.get(key) != Some(value)) {
            changes.insert((*key).to_owned(), value.to_owned());
        }
    }
    // What is installed is what is wanted from then on, whatever the file says.
    if let Some(file) = file.as_ref().filter(|_| layout.place().keeps_decisions()) {
        if file.get("edition").unwrap_or("builtin") != edition(settled).to_string() {
            changes.insert("edition".to_owned(), edition(settled).to_string());
        }
        // A version is replaced by a version, a line by a line; a channel goes on leading somewhere.
        let instead = match file.get("version").and_then(|text| text.parse().ok()) {
            Some(Channel::Exactly(pinned)) if pinned.numbers() != release.version.numbers() => {
                Some(release.version.to_string())
            }
            Some(Channel::Line(line)) if line != release.version.series() => {
                Some(release.version.series().to_string())
            }
            _ => None,
        };
        changes.extend(instead.map(|version| ("version".to_owned(), version)));
    }
    changes
}

/// The edition of the release. Entry and Enterprise are one tarball: which of them it is, somebody says.
fn edition(settled: &Settled) -> release::Edition {
    let (desired, release) = (settled.desired.edition, settled.release.edition);
    if desired.is_one_tarball_with(release) { desired } else { release }
}
