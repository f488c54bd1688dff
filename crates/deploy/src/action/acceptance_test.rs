//! The program's acceptance test, as the last word of a plan.

use std::net::SocketAddr;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{Action, step};
use crate::error::{Error, Exit};
use crate::operation::verify;
use crate::world::World;

/// Runs the acceptance test through the edge, speaking as the site URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptanceTest {
    /// The address people type.
    pub site_url: Url,
    /// Where the edge is reached from here. The public name may not point at this machine yet: `mainstay verify` tests that.
    pub edge: SocketAddr,
}

impl AcceptanceTest {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Test it as {}", self.site_url.as_str().trim_end_matches('/'));
        step("acceptance", title, Undo::Nothing, 1500, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let target = verify::target(&self.site_url, Some(self.edge), world)?;
        let progress = progress.clone();
        let report = verify::run(target, &world.layout, move |check| progress.say(check.title)).await?;
        match verify::first_failure(&report) {
            None => Ok(json!({ "checks": report.checks.len() })),
            Some(failed) => Err(Error::new(Exit::NotVerified, format!("not verified: {failed}"))
                .hint(format!("the whole report is {}", world.layout.report().display()))),
        }
    }

    #[allow(clippy::unused_async, reason = "every action has the same shape")]
    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        // The test cleans up after itself.
        Ok(())
    }
}
