//! The release: unpacked, and the one that `current` points at.

use std::path::Path;

use plan::Step;
use release::ReleaseId;

use super::{Part, Stage, View};
use crate::action::{Action, Activation, Unpacking};
use crate::error::Error;
use crate::place::Place;
use crate::place::layout::Layout;

/// What is there.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    /// The unpacked releases.
    pub installed: Vec<ReleaseId>,
    /// The active one.
    pub current: Option<ReleaseId>,
}

/// # Errors
/// The releases cannot be read; the wanted one is there and damaged.
pub(crate) fn observe(layout: &Layout, wanted: &ReleaseId) -> Result<Observed, Error> {
    let installed = release::installed(&layout.releases())?;
    if installed.contains(wanted) {
        check(layout.place(), &layout.releases().join(wanted.to_string()))?;
    }
    Ok(Observed { installed, current: release::current(&layout.current()) })
}

/// Whether an unpacked release can be started.
///
/// # Errors
/// What is missing in it.
pub(crate) fn check(place: Place, root: &Path) -> Result<(), Error> {
    release::Release::open(root).map(drop).map_err(|error| Error::from(error).hint(place.unpack_again(root)))
}

pub(super) struct Release;

impl Part for Release {
    fn name(&self) -> &'static str {
        "release"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        let (seen, wanted) = (&view.observed.release, &view.settled.release);
        match stage {
            Stage::Prepare if !seen.installed.contains(wanted) => {
                vec![Unpacking { release: wanted.clone(), origin: view.origin.clone() }.step()]
            }
            // After the database: until it has the schema, the old release is the one that can be started.
            Stage::Start if seen.current.as_ref() != Some(wanted) => {
                vec![Activation { release: wanted.clone(), before: seen.current.clone() }.step()]
            }
            _ => Vec::new(),
        }
    }
}
