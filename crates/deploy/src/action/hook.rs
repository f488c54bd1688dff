//! A hook of the administrator: it is asked before an operation, and told after it.

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, step};
use crate::error::Error;
use crate::hooks::{self, Told};
use crate::world::World;

/// The step's name.
pub(crate) const HOOK_STEP: &str = "hook";

/// Runs `hooks/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Its name in the directory `hooks`: `before-upgrade`, `after-upgrade`.
    pub name: String,
    /// The release before.
    pub old: String,
    /// The release after.
    pub new: String,
    /// Whether the operation is over: what it says changes nothing then.
    #[serde(default)]
    pub after: bool,
}

impl Hook {
    pub(crate) fn step(self) -> Step<Action> {
        let title = match self.after {
            true => format!("Run hooks/{}", self.name),
            false => format!("Ask hooks/{}, which may refuse", self.name),
        };
        step(HOOK_STEP, title, Undo::Nothing, 1_000, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let layout = &world.layout;
        if !hooks::exists(layout, &self.name) {
            return Ok(Value::Null);
        }
        // Whoever holds the lock has said why.
        let reason = plan::Lock::present_holder(&layout.lock()).ok().flatten().map(|holder| holder.why);
        let told = Told {
            old: self.old.clone(),
            new: self.new.clone(),
            reason: reason.unwrap_or_default(),
            input: None,
        };
        let heard = progress.clone();
        let say = move |line: &str| heard.say(finding::one_line(line, 200));
        match hooks::run(layout, &self.name, told, hooks::LIMIT, say).await {
            Ok(said) => Ok(json!({ "said": said })),
            Err(error) if self.after => {
                let what = format!("warning: {}; what was done stays done", error.what);
                progress.waits(what, std::time::Duration::ZERO);
                tracing::warn!(hook = self.name, what = error.what, "a hook failed after its operation");
                Ok(json!({ "said": error.detail.unwrap_or_default(), "failed": error.what }))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}
