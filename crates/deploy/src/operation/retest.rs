//! A test of what was there before a run that was undone, and is there again.

use std::collections::BTreeMap;

use plan::Progress;

use crate::action::AcceptanceTest;
use crate::state::settled::settle;
use crate::state::which_release::Source;
use crate::world::World;

/// What it came to, in words.
pub(super) async fn tested_again(world: &World) -> String {
    let test = async {
        if world.agent.status().await?.is_none_or(|status| status.edge().is_none()) {
            return Ok(false);
        }
        let settled = settle(world, &BTreeMap::new(), Source::default())?;
        AcceptanceTest::of(&settled.desired).apply(world, &Progress::silent()).await.map(|_| true)
    };
    match test.await {
        Ok(true) => "it is verified".to_owned(),
        Ok(false) => "it does not run".to_owned(),
        Err(error) => format!("and yet {error}"),
    }
}
