//! What people have is counted before a release changes their database, and compared after it was proven.

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::pending::changes_nothing;
use super::{Action, step};
use crate::error::{Error, Exit};
use crate::place::layout::FILE_LIMIT;
use crate::place::machine::make_dir;
use crate::state::census::{Census as Counts, Compared, census, compare, loss};
use crate::world::World;

/// A census of a large deployment names thousands of tables and columns.
const LIMIT: u64 = 16 * FILE_LIMIT;

/// Counts rows and looks at uploaded files, while the server is stopped; not for a release that leaves the database as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {}

impl Census {
    pub(crate) fn step() -> Step<Action> {
        step("count", "Count what people have: rows, columns, uploaded files", Undo::Nothing, 200, Self {})
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        if changes_nothing(&world.layout) {
            return Ok(Value::Null);
        }
        let counted = census(world, None).await?;
        make_dir(&world.layout.before(), 0o700, None)?;
        let text = serde_json::to_vec(&counted).map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
        host::disk::atomic_write(&world.layout.census(), &text, 0o600, None)?;
        let rows: u64 = counted.rows.values().sum();
        Ok(json!({ "tables": counted.rows.len(), "rows": rows, "files": counted.files.looked_at }))
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

/// Compares with what was counted. Fewer rows, columns or files are a failure: nobody is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Tables and columns (`table.column`) that may be lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_lose: Vec<String>,
}

impl Comparison {
    /// The step's name.
    pub(crate) const STEP: &'static str = "compare";

    pub(crate) fn step() -> Step<Action> {
        let title = "Compare rows, columns and uploaded files with those of before";
        step(Self::STEP, title, Undo::Nothing, 200, Self { may_lose: Vec::new() })
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        if changes_nothing(&world.layout) {
            return Ok(Value::Null);
        }
        let path = world.layout.census();
        let text =
            host::disk::read_named(&path, LIMIT).map_err(|error| Error::path("read", &path, &error))?;
        let before: Counts = serde_json::from_slice(&text)
            .map_err(|error| Error::not_ready(format!("{}: {error}", path.display())))?;
        let after = census(world, Some(&before)).await?;
        let compared: Compared = compare(&before, &after, &self.may_lose).map_err(|lost| loss(&lost))?;
        progress.say(compared.in_words());
        serde_json::to_value(&compared).map_err(|error| Error::new(Exit::Bug, error.to_string()))
    }

    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        Ok(())
    }
}

/// Says in a plan which tables and columns may be lost.
pub(crate) fn let_go(steps: &mut [Step<Action>], names: &[String]) {
    for step in steps {
        if let Action::Comparison(comparison) = &mut step.action {
            comparison.may_lose = names.to_vec();
        }
    }
}
