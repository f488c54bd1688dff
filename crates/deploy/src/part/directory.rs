//! The deployment's directory: the user it belongs to, its directories, `mainstay.toml` and `secrets.toml`.

use std::collections::BTreeMap;

use plan::Step;

use super::{Part, Stage, View};
use crate::action::{Action, Directories, Secrets, SystemUser, WantedFile};
use crate::place::layout::Layout;
use crate::state::settled::Settled;

/// What is there.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    /// Directories of the layout that are missing.
    pub missing: Vec<String>,
    /// Whether `secrets.toml` is there.
    pub secrets: bool,
    /// Whether the system user is there, where one is wanted.
    pub user: bool,
}

pub(super) fn observe(layout: &Layout, settled: &Settled) -> Observed {
    Observed {
        missing: layout.dirs().filter(|name| !layout.root().join(name).is_dir()).map(str::to_owned).collect(),
        secrets: layout.secrets().exists(),
        user: settled.desired.user.as_ref().is_none_or(|user| host::User::named(user).is_ok()),
    }
}

pub(super) struct Directory;

impl Part for Directory {
    fn name(&self) -> &'static str {
        "directory"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        if stage != Stage::Prepare {
            return Vec::new();
        }
        let (seen, desired) = (&view.observed.directory, &view.settled.desired);
        let user = desired.user.clone();
        let mut steps = Vec::new();
        if let Some(name) = user.clone().filter(|_| !seen.user) {
            steps.push(SystemUser { name }.step());
        }
        if !seen.missing.is_empty() {
            steps.push(Directories { user, missing: seen.missing.clone() }.step(view.layout));
        }
        let changes = wanted_changes(view.settled, view.layout);
        if !changes.is_empty() {
            steps.push(WantedFile { changes, replaces: view.settled.file.is_some() }.step());
        }
        if !seen.secrets {
            steps.push(Secrets { admin_name: "admin".to_owned() }.step());
        }
        steps
    }
}

/// The keys of `mainstay.toml` that must be written.
fn wanted_changes(settled: &Settled, layout: &Layout) -> BTreeMap<String, String> {
    let Settled { desired, file, .. } = settled;
    let mut changes: BTreeMap<String, String> = BTreeMap::new();
    if file.is_none() && layout.place().keeps_decisions() {
        // A first file says what was decided, so that a later default does not move a deployment.
        changes.insert("edition".to_owned(), desired.edition.to_string());
        changes.insert("listen".to_owned(), desired.listen.to_string());
        changes.insert("site_url".to_owned(), desired.site_url_text().to_owned());
        changes.extend(desired.user.iter().map(|user| ("user".to_owned(), user.clone())));
    }
    for key in &settled.given {
        let value = desired.wanted.get(key).unwrap_or_default();
        if file.as_ref().is_none_or(|file| file.get(key) != Some(value)) {
            changes.insert((*key).to_owned(), value.to_owned());
        }
    }
    changes
}
