//! What an upgrade keeps for `rollback`, and what `rollback` brings back.

use plan::Step;

use super::database::plan::{kept, kept_without_database};
use super::{Part, Stage, View};
use crate::action::{Action, KeepState, ReturnState};
use crate::state::location::Location;
use crate::state::returning::KeptDatabase;

pub(super) struct Kept;

impl Part for Kept {
    fn name(&self) -> &'static str {
        "kept-state"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        let settled = view.settled;
        let Some(before) = view.observed.release.current.clone().filter(|_| view.migrates()) else {
            return Vec::new();
        };
        match stage {
            // Before config.json is written and a managed database starts.
            Stage::Change if view.changes_database() => {
                let Some(returning) = &settled.returning else { return Vec::new() };
                let dumped = returning.state.database == KeptDatabase::Dump;
                let (release, remembers) = (returning.state.release.clone(), returning.remembers);
                vec![ReturnState { release, dumped, remembers }.step()]
            }
            // An image brings its release with it: what it ran before cannot come back from here.
            Stage::Record if !view.layout.place().image_decides_release() => {
                let is_server = matches!(settled.location, Location::Server(_));
                let database = match (is_server, view.observed.database.can_be_dumped) {
                    _ if !view.changes_database() => KeptDatabase::Unchanged,
                    // What was copied is not where the data was before.
                    _ if settled.before.as_ref().is_some_and(|before| !before.is(&settled.location)) => {
                        KeptDatabase::Nothing
                    }
                    (false, _) => KeptDatabase::Copy,
                    (true, true) => KeptDatabase::Dump,
                    (true, false) => KeptDatabase::Nothing,
                };
                let copy = match view.changes_database() {
                    true => kept(view.layout, settled),
                    false => kept_without_database(view.layout, settled),
                };
                let forgets = match &settled.returning {
                    Some(returning) => returning.forgets.clone(),
                    None => view.observed.release.kept.clone(),
                };
                let next = settled.release.clone();
                vec![KeepState { release: before, next, copy, database, forgets }.step()]
            }
            _ => Vec::new(),
        }
    }
}
