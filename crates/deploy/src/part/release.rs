//! The release: unpacked, and the one that `current` points at.

use std::path::Path;

use plan::Step;
use release::{Origin, ReleaseId};

use super::{Part, Stage, View};
use crate::action::{Action, Activation, Fetching, Replacement, Unpacking};
use crate::error::Error;
use crate::place::Place;
use crate::place::layout::Layout;
use crate::state::returning::kept_names;
use crate::state::settled::Settled;

/// What is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// The unpacked releases.
    pub installed: Vec<ReleaseId>,
    /// The active one.
    pub current: Option<ReleaseId>,
    /// Whether the wanted one is there as another build than the wanted one.
    pub other_build: bool,
    /// Those of which the state is kept for `rollback`.
    pub kept: Vec<ReleaseId>,
}

/// # Errors
/// The releases cannot be read; the wanted one is there and damaged.
pub(crate) fn observe(layout: &Layout, settled: &Settled) -> Result<Observed, Error> {
    let Settled { release: wanted, build, .. } = settled;
    let installed = release::installed(&layout.releases())?;
    let mut other_build = false;
    if installed.contains(wanted) {
        let root = layout.releases().join(wanted.to_string());
        let unpacked = check(layout.place(), &root)?;
        other_build = build.as_ref().is_some_and(|build| is_other(&unpacked, build));
    }
    Ok(Observed {
        installed,
        current: release::current(&layout.current()),
        other_build,
        kept: kept_names(layout),
    })
}

/// Whether the program of an unpacked release is another build than this one.
fn is_other(release: &release::Release, build: &str) -> bool {
    host::build::id(&release.binary()).is_ok_and(|there| there != build)
}

/// Whether an unpacked release can be started.
///
/// # Errors
/// What is missing in it.
pub(crate) fn check(place: Place, root: &Path) -> Result<release::Release, Error> {
    release::Release::open(root).map_err(|error| Error::from(error).hint(place.unpack_again(root)))
}

pub(super) struct Release;

impl Part for Release {
    fn name(&self) -> &'static str {
        "release"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        let (seen, wanted) = (&view.observed.release, &view.settled.release);
        let restoring = view.settled.restoring.as_ref();
        let comes = restoring.is_some_and(|restoring| restoring.release_tree && restoring.release == *wanted);
        let is_missing = !seen.installed.contains(wanted) && !comes;
        match stage {
            // Before everything else: where it does not come, nothing has been changed.
            Stage::Fetch if is_missing => match view.origin {
                Origin::Published { wish, cache } => {
                    let edition = view.settled.desired.edition;
                    vec![Fetching { wish: wish.clone(), edition, cache: cache.clone() }.step()]
                }
                _ => Vec::new(),
            },
            Stage::Prepare if is_missing => {
                vec![Unpacking { release: wanted.clone(), origin: view.origin.clone() }.step()]
            }
            // One name for two builds: the release of that name is replaced while no server runs from it.
            Stage::Change if seen.other_build => {
                let (release, build) = (wanted.clone(), view.settled.build.clone().unwrap_or_default());
                vec![Replacement { release, build, origin: view.origin.clone() }.step()]
            }
            // After the database: until it has the schema, the old release is the one that can be started.
            Stage::Start if seen.current.as_ref() != Some(wanted) => {
                vec![Activation { release: wanted.clone(), before: seen.current.clone() }.step()]
            }
            _ => Vec::new(),
        }
    }
}
