//! The start of the managed PostgreSQL, until it takes logins.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::Error;
use crate::place::postgres::administrator;
use crate::state::database_failure;
use crate::state::refused_start::RefusedStart;
use crate::world::World;

/// How long PostgreSQL may take until it answers: after a crash it replays what it wrote ahead.
const START_PATIENCE: Duration = Duration::from_secs(600);

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(5);

/// How often it has to end before it is known that it does not start.
const ENDS: u64 = 3;

/// Waits until it takes logins.
///
/// # Errors
/// It ends again and again: its last words; the agent is gone.
pub(super) async fn wait(world: &World) -> Result<(), Error> {
    let (administrator, began) = (administrator(&world.layout), Instant::now());
    let mut restarts = None;
    loop {
        let answers = database::answers(&administrator, QUESTION).await;
        if answers.map_err(|failure| database_failure::refused(&failure))? {
            return Ok(());
        }
        let status = world.agent.status().await?;
        let Some(running) = status.as_ref().and_then(|status| status.postgres()) else {
            return Err(Error::not_ready("PostgreSQL was stopped while it started"));
        };
        let first = *restarts.get_or_insert(running.restarts);
        if running.restarts >= first + ENDS || began.elapsed() > START_PATIENCE {
            let log = world.layout.log(crate::LogPart::Database);
            let said = host::tail(&log, 20).unwrap_or_default();
            let data = world.layout.postgres_data();
            let last = match RefusedStart::of(&said, &data, &data) {
                Some(refused) => refused.what(),
                None => said.last().cloned().unwrap_or_else(|| "it said nothing".to_owned()),
            };
            return Err(Error::not_ready(format!("PostgreSQL does not start: {last}"))
                .hint(format!("its log is {}; remove the cause, then run `mainstay up`", log.display()))
                .detail(said.join("\n")));
        }
        sleep(Duration::from_millis(10)).await;
    }
}
