//! What has to run while a run is finished or taken back: after a power cut, a `down` or the end of the agent it does not, and the steps
//! that follow count on it.
//!
//! What ran when a run began is kept beside what else its undo needs. From that and from the steps follows what runs at any point between
//! two of them.

use std::path::PathBuf;

use plan::{Phase, Progress, Recovery, Step, Undo};
use serde::{Deserialize, Serialize};

use super::agent::{SERVER_PATIENCE, STOP_PATIENCE, start_agent};
use super::{Action, Switch, postgres_start};
use crate::control::health;
use crate::control::protocol::{Ask, DATABASE, EDGE, PartSpec, SERVER};
use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::place::machine::make_dir;
use crate::world::World;

/// The version of the file's format.
const FORMAT: u32 = 1;

/// Parts by name, in the order in which they are started.
type Parts = Vec<(String, PartSpec)>;

/// What ran when a run began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RanBefore {
    /// The version of the format.
    format: u32,
    parts: Parts,
}

impl RanBefore {
    fn path(layout: &Layout) -> PathBuf {
        layout.before().join("running.json")
    }

    /// Writes down what runs now.
    ///
    /// # Errors
    /// The agent does not answer; the file cannot be written.
    pub(crate) async fn keep(world: &World) -> Result<(), Error> {
        let parts = world.agent.status().await?.map(|status| status.specs()).unwrap_or_default();
        if parts.is_empty() {
            return Ok(());
        }
        make_dir(&world.layout.before(), 0o700, None)?;
        let text = serde_json::to_vec(&Self { format: FORMAT, parts })
            .map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
        Ok(host::disk::atomic_write(&Self::path(&world.layout), &text, 0o600, None)?)
    }

    /// What was written down. A run of an earlier version wrote nothing, and a newer one may have written what cannot be read: then only
    /// the steps tell what runs.
    pub(crate) fn read(layout: &Layout) -> Self {
        let content = host::disk::read_guarded(&Self::path(layout), FILE_LIMIT).ok();
        let read = content.and_then(|content| serde_json::from_slice::<Self>(&content.bytes).ok());
        read.filter(|before| before.format == FORMAT).unwrap_or_default()
    }

    /// What runs after the steps `done`, but for what one of `next` starts or stops: those see to it themselves.
    fn between<'a>(&self, done: &[Step<Action>], next: impl IntoIterator<Item = &'a Step<Action>>) -> Parts {
        let mut parts = self.parts.clone();
        for step in done {
            for (name, spec) in changes(&step.action) {
                parts.retain(|(known, _)| *known != name);
                parts.extend(spec.map(|spec| (name, spec)));
            }
        }
        let changed: Vec<_> = next.into_iter().flat_map(|step| changes(&step.action)).collect();
        parts.retain(|(name, _)| changed.iter().all(|(changed, _)| changed != name));
        parts.sort_by_key(|(_, spec)| spec.rank());
        parts
    }

    /// Has what runs at this point of a run that is finished or taken back run again. What does not start is told: the step that counts on
    /// it says so as well.
    pub(crate) async fn revive(
        &self,
        steps: &[Step<Action>],
        phase: &Phase,
        recovery: Recovery,
        world: &World,
    ) {
        let parts = match *phase {
            Phase::Ready(next) | Phase::Running(next) if recovery == Recovery::Resume => {
                self.between(&steps[..next], &steps[next..])
            }
            // What ran before, and what none of the steps has changed that are undone now.
            Phase::Ready(at) => self.between(&[], undoable(&steps[..at])),
            Phase::Running(at) | Phase::Unwinding(at) | Phase::Undoing(at) | Phase::Stuck(at, _) => {
                self.between(&[], undoable(&steps[..=at]))
            }
            Phase::Done | Phase::Undone => return,
        };
        if let Err(error) = start_missing(parts, world).await {
            tracing::warn!(%error, "a part that ran does not start again");
        }
    }

    /// Has everything run again that ran before a run that is undone.
    pub(crate) async fn restore(&self, world: &World) {
        if let Err(error) = start_missing(self.between(&[], []), world).await {
            tracing::warn!(%error, "a part that ran before does not start again");
        }
    }
}

/// Those that have an undo.
fn undoable(steps: &[Step<Action>]) -> impl Iterator<Item = &Step<Action>> {
    steps.iter().filter(|step| step.undo != Undo::Nothing)
}

/// The parts that the action starts, as what, and those that it stops.
fn changes(action: &Action) -> Vec<(String, Option<PartSpec>)> {
    let on = |switch: Switch, spec: PartSpec| (switch == Switch::On).then_some(spec);
    match action {
        Action::Postgres(postgres) => {
            let spec = PartSpec::Postgres(postgres.spec.clone());
            vec![(DATABASE.to_owned(), on(postgres.switch, spec))]
        }
        Action::Server(server) => {
            vec![(SERVER.to_owned(), on(server.switch, PartSpec::Server(server.spec.clone())))]
        }
        Action::Edge(edge) => vec![(EDGE.to_owned(), edge.spec.clone().map(PartSpec::Edge))],
        Action::Apps(apps) => {
            let stopped = apps.before.iter().map(|app| (app.part(), None));
            let started = apps.apps.iter().map(|app| (app.part(), Some(PartSpec::App(app.clone()))));
            stopped.chain(started).collect()
        }
        Action::HandOver(handover) => {
            handover.parts().iter().map(|(name, spec)| (name.clone(), Some(spec.clone()))).collect()
        }
        Action::ProgramAgent(agent) => {
            agent.parts().iter().map(|(name, spec)| (name.clone(), Some(spec.clone()))).collect()
        }
        _ => Vec::new(),
    }
}

/// Starts those that do not run, each after what it needs.
async fn start_missing(parts: Parts, world: &World) -> Result<(), Error> {
    let running = world.agent.status().await?.map(|status| status.parts).unwrap_or_default();
    let missing: Vec<_> = parts.into_iter().filter(|(name, _)| !running.contains_key(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    start_agent(world).await?;
    for (name, spec) in &missing {
        start(world, name, spec, None).await?;
    }
    Ok(())
}

/// Has the agent run a part, and waits until it can be used.
///
/// # Errors
/// It does not start.
pub(super) async fn start(
    world: &World,
    name: &str,
    spec: &PartSpec,
    progress: Option<&Progress>,
) -> Result<(), Error> {
    let ask = Ask::Start { part: name.to_owned(), spec: spec.clone() };
    world.agent.ask(&ask, STOP_PATIENCE).await?;
    match spec {
        PartSpec::Server(server) => health::wait(world, server, SERVER_PATIENCE, progress).await,
        PartSpec::Postgres(_) => postgres_start::wait(world).await,
        PartSpec::Edge(_) | PartSpec::App(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Edge, Postgres, Server};
    use crate::control::protocol::{EdgeSpec, PostgresSpec, ServerSpec};

    fn server(release: &str) -> ServerSpec {
        ServerSpec {
            release: release.into(),
            user: None,
            listen: ([127, 0, 0, 1], 1).into(),
            socket: None,
            overrides: [].into(),
            path: String::new(),
        }
    }

    fn edge() -> EdgeSpec {
        EdgeSpec {
            listen: ([127, 0, 0, 1], 2).into(),
            https: false,
            proxies: Vec::new(),
            shared: Vec::new(),
            proxy_users: None,
            hold: None,
        }
    }

    const POSTGRES: PostgresSpec = PostgresSpec { user: None, reader: None };

    fn everything() -> RanBefore {
        let parts = vec![
            (DATABASE.to_owned(), PartSpec::Postgres(POSTGRES)),
            (SERVER.to_owned(), PartSpec::Server(server("old"))),
            (EDGE.to_owned(), PartSpec::Edge(edge())),
        ];
        RanBefore { format: FORMAT, parts }
    }

    fn names(parts: Parts) -> Vec<String> {
        parts.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn what_no_step_touches_runs_all_the_time_and_what_was_started_stays() {
        let switch = |switch, release| Server { switch, spec: server(release) }.step();
        let steps = [switch(Switch::Off, "old"), switch(Switch::On, "new")];
        let before = everything();
        // In the middle of a restart, in both directions.
        assert_eq!(names(before.between(&steps[..1], &steps[1..])), [DATABASE, EDGE]);
        assert_eq!(names(before.between(&[], undoable(&steps[..1]))), [DATABASE, EDGE]);
        // After it, the new server and not the old one.
        let after = before.between(&steps, []);
        assert!(after.contains(&(SERVER.to_owned(), PartSpec::Server(server("new")))), "{after:?}");
        assert_eq!(names(after), [DATABASE, SERVER, EDGE]);
    }

    #[test]
    fn a_run_of_which_nothing_was_kept_tells_by_its_steps_in_the_order_of_the_parts() {
        let steps = [
            Edge { spec: Some(edge()), before: None }.step(),
            Server { switch: Switch::On, spec: server("new") }.step(),
            Postgres { switch: Switch::On, spec: POSTGRES, for_copy: false }.step(),
        ];
        assert_eq!(names(RanBefore::default().between(&steps, [])), [DATABASE, SERVER, EDGE]);
    }

    #[test]
    fn what_was_written_down_is_read_for_ever_and_anything_else_is_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        assert_eq!(RanBefore::read(&layout), RanBefore::default());
        let golden = include_str!("../../tests/golden/running-1.json");
        std::fs::create_dir_all(layout.before()).expect("a directory");
        let path = RanBefore::path(&layout);
        std::fs::write(&path, golden).expect("written");
        assert_eq!(RanBefore::read(&layout), everything());
        let written = serde_json::to_value(everything()).expect("JSON");
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(golden).expect("JSON"));
        std::fs::write(&path, golden.replace("\"format\": 1", "\"format\": 2")).expect("written");
        assert_eq!(RanBefore::read(&layout), RanBefore::default());
    }
}
