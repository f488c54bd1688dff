//! What stands or runs in a deployment. Each part says how it is observed, and which steps bring it to what is wanted; the order of
//! the parts and their stages is the plan of `up`.
//!
//! To add a part: a file here with its `observe` and its [`Part`], a field in [`Observed`], a row in [`PARTS`].

mod acceptance;
mod agent;
mod apps;
pub(crate) mod boot;
mod comparison;
pub(crate) mod configuration;
pub(crate) mod database;
pub(crate) mod directory;
pub(crate) mod edge;
pub(crate) mod identity;
mod kept;
mod observed;
pub(crate) mod preflight;
pub(crate) mod release;
mod restored;
mod schedule;
pub(crate) mod server;
pub(crate) mod take_over;
mod volume;

use plan::Step;

use crate::action::Action;
use crate::control::protocol::Status;
use crate::place::layout::Layout;
use crate::state::creation::Creation;
use crate::state::returning::Returning;
use crate::state::settled::Settled;

pub(crate) use acceptance::test_step;
pub(crate) use apps::restarting;
pub(crate) use observed::{Observed, observe};

/// When a step of a part runs, in the order of a plan. A stage that changes what a running server reads comes between its stop and its
/// start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Bring what is missing onto this machine; the deployment is not touched.
    Fetch,
    /// Bring in what is missing, beside what runs.
    Prepare,
    /// Stop what has to change.
    Stop,
    /// Keep a copy of what a change of it cannot undo.
    Keep,
    /// Change it.
    Change,
    /// Start it.
    Start,
    /// Let people in.
    Open,
    /// Prove that it works.
    Prove,
    /// Write down what is there now.
    Record,
    /// Let people in who had to wait. From then on what they do is lost with an undo, so nothing comes after it.
    Admit,
}

impl Stage {
    const ALL: [Self; 10] = [
        Self::Fetch,
        Self::Prepare,
        Self::Stop,
        Self::Keep,
        Self::Change,
        Self::Start,
        Self::Open,
        Self::Prove,
        Self::Record,
        Self::Admit,
    ];
}

/// All that a part decides from.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub layout: &'a Layout,
    pub settled: &'a Settled,
    pub observed: &'a Observed,
    /// Who may create a missing database.
    pub creation: Option<&'a Creation>,
    /// Where a release that is missing comes from.
    pub origin: &'a ::release::Origin,
}

impl View<'_> {
    /// Whether the deployment's schema becomes that of another release. One that is taken over from elsewhere is not its own yet.
    pub(crate) fn migrates(&self) -> bool {
        let current = self.observed.release.current.as_ref();
        self.observed.database.exists && current.is_some_and(|current| *current != self.settled.release)
    }

    /// Whether the database may be another one after that.
    pub(crate) fn changes_database(&self) -> bool {
        let stays = |returning: &Returning| !returning.replaces_database();
        self.migrates() && !self.settled.returning.as_ref().is_some_and(stays)
    }

    /// Whether data that people have gets the schema of another release: that of this deployment, also where it moves on the way, or of a snapshot.
    pub(crate) fn changes_schema(&self) -> bool {
        let current = self.observed.release.current.as_ref();
        match &self.settled.restoring {
            Some(restoring) => restoring.release != self.settled.release,
            None if self.settled.moving.is_some() => {
                current.is_some_and(|current| *current != self.settled.release)
            }
            None => self.settled.returning.is_none() && self.migrates(),
        }
    }
}

/// A part's contribution to plans. Pure: the same view gives the same steps.
pub(crate) trait Part: Sync {
    /// What it is called: on the command line, by the agent, in errors.
    fn name(&self) -> &'static str;

    /// The steps of one stage that bring it to what is wanted; none for what is as it should be.
    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>>;

    /// The step that stops it, where it runs.
    fn stop(&self, _running: &Status) -> Option<Step<Action>> {
        None
    }

    /// The step that starts it as it runs now, after [`stop`](Part::stop) has stopped it.
    fn start_again(&self, _running: &Status) -> Option<Step<Action>> {
        None
    }
}

/// Every part, in the order in which they are started.
pub(crate) const PARTS: [&dyn Part; 16] = [
    &restored::Restored,
    &kept::Kept,
    &directory::Directory,
    &release::Release,
    &configuration::Configuration,
    &boot::Boot,
    &agent::Agent,
    &database::plan::Database,
    &server::Server,
    &edge::Edge,
    &apps::Apps,
    &schedule::Schedule,
    &acceptance::Acceptance,
    &comparison::Comparison,
    &volume::Volume,
    &identity::Identity,
];

/// The steps that bring every part to what is wanted.
pub(crate) fn converging(view: &View<'_>) -> Vec<Step<Action>> {
    let mut steps = Vec::new();
    for stage in Stage::ALL {
        // A test of what did not change would prove nothing new, unless the last one failed.
        if stage == Stage::Prove && steps.is_empty() && view.observed.verified {
            continue;
        }
        let of = |part: &&dyn Part| part.steps(stage, view);
        // What needs others is stopped before them.
        match stage {
            Stage::Stop => steps.extend(PARTS.iter().rev().flat_map(of)),
            _ => steps.extend(PARTS.iter().flat_map(of)),
        }
    }
    steps
}

/// The steps that stop every part that runs, last started first.
pub(crate) fn stopping(running: Option<&Status>) -> Vec<Step<Action>> {
    let Some(running) = running else { return Vec::new() };
    PARTS.iter().rev().filter_map(|part| part.stop(running)).collect()
}
