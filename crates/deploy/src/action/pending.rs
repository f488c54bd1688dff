//! Whether a newer release would change the database at all. One that does not only exchanges the program: nothing of the database is
//! copied, and nothing waits for a copy.

use std::time::Duration;

use host::tool::Tool;
use plan::{Progress, Step, Undo};
use release::{Call, Release, ReleaseId, SAVE_PLAN};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, step};
use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};
use crate::place::machine::make_dir;
use crate::world::World;

/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What the official server and the built-in one print where nothing is to be done.
const NOTHING: &str = "No migrations to apply";

/// The answer, beside what is kept for an undo.
pub(super) const FILE: &str = "pending.json";

/// Asks the new release what it would migrate, while the old server runs. Nothing is changed.
///
/// What cannot be known is no failure: the database is copied then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The new release.
    pub release: ReleaseId,
    /// Who runs it; `None` = whoever runs the plan.
    pub user: Option<String>,
}

/// What the new release says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// It has nothing to migrate.
    Nothing,
    /// It would migrate.
    Some,
    /// It does not know the question, or failed.
    Unknown,
}

impl Pending {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Ask {} whether it changes the database", self.release);
        step("pending", title, Undo::Nothing, 500, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let release = Release::open(&world.layout.releases().join(self.release.to_string()))?;
        let user = self.user.as_deref().map(host::User::named).transpose()?;
        let asked = |call: Call| {
            let tool = Tool::new(&call.program, LIMIT).args(&call.args).envs(call.env).cwd(&call.cwd);
            tool.user(user.clone()).run()
        };
        let answer = match release.migrate_dry(&world.layout.config()) {
            None => Answer::Unknown,
            Some(call) => match asked(call).await {
                Ok(output) if output.text().contains(NOTHING) => Answer::Nothing,
                Ok(_) => Answer::Some,
                Err(error) => {
                    tracing::info!(%error, "what the release would migrate is not known");
                    Answer::Unknown
                }
            },
        };
        let saves_plan = match release.migrate_help().filter(|_| answer == Answer::Some) {
            None => false,
            Some(call) => asked(call).await.is_ok_and(|output| output.text().contains(SAVE_PLAN)),
        };
        progress.say(match answer {
            Answer::Nothing => "it changes nothing: only the program is exchanged",
            Answer::Some => "it changes the database",
            Answer::Unknown => "it cannot say, so the database is copied",
        });
        make_dir(&world.layout.before(), 0o700, None)?;
        let said = json!({ "migrates": answer, "saves_plan": saves_plan });
        host::disk::atomic_write(
            &world.layout.before().join(FILE),
            said.to_string().as_bytes(),
            0o600,
            None,
        )?;
        Ok(said)
    }

    #[expect(clippy::unused_async, reason = "every action has an undo")]
    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Err(Error::new(Exit::Bug, "a question has no undo"))
    }
}

/// What was answered in this run.
pub(super) fn answer(layout: &Layout) -> Answer {
    serde_json::from_value(said(layout)["migrates"].clone()).unwrap_or(Answer::Unknown)
}

/// Whether the new release can save its own plan of the migrations.
pub(super) fn saves_plan(layout: &Layout) -> bool {
    said(layout)["saves_plan"] == true
}

fn said(layout: &Layout) -> Value {
    let read = host::disk::read_named(&layout.before().join(FILE), FILE_LIMIT).ok();
    read.and_then(|text| serde_json::from_slice::<Value>(&text).ok()).unwrap_or_default()
}

/// Whether the new release said in this run that it leaves the database as it is.
pub(super) fn changes_nothing(layout: &Layout) -> bool {
    answer(layout) == Answer::Nothing
}
