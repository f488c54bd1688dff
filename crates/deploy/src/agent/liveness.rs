//! What the agent tells the service manager that started it: that it answers, that it lives, that it stops.
//!
//! It lives when it answers on its own socket, which every command needs, and when the thread that starts programs works, without which
//! no server is started again. How the parts are is not asked: the agent sees to them itself, and another agent would not do it better.

use std::time::Duration;

use host::Spawner;
use host::systemd::Notifier;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use crate::control::client::Client;
use crate::control::protocol::PartStatus;

/// So many times within the watchdog's limit the agent says that it lives.
const TIMES: u32 = 3;

/// How often at least, so that what is told of the parts is true.
const LONGEST: Duration = Duration::from_secs(2);

/// Tells that the agent lives, for ever. `stopping`: it takes no questions any more.
pub(super) async fn tell(
    notifier: &Notifier,
    client: &Client,
    spawner: &Spawner,
    parts: &Parts,
    stopping: &CancellationToken,
) {
    let interval = notifier.watchdog().map_or(LONGEST, |limit| (limit / TIMES).min(LONGEST));
    let mut told = String::new();
    loop {
        let next = Instant::now() + interval;
        let answers = async {
            spawner.works().await && (stopping.is_cancelled() || matches!(client.status().await, Ok(Some(_))))
        };
        if timeout(interval, answers).await == Ok(true) {
            notifier.alive();
        } else {
            tracing::warn!("the agent does not answer itself in time");
        }
        let words = words(parts);
        if words != told && !stopping.is_cancelled() {
            notifier.status(&words);
            told = words;
        }
        sleep_until(next).await;
    }
}

fn process(name: &str, pid: Option<u32>) -> String {
    pid.map_or_else(|| format!("{name}: not running"), |pid| format!("{name}: process {pid}"))
}

/// What runs, in one line.
fn words(parts: &Parts) -> String {
    let word = |(name, status): (String, PartStatus)| match status {
        PartStatus::Server(server) => process(&name, server.pid),
        PartStatus::Postgres(postgres) => process(&name, postgres.pid),
        PartStatus::App(app) => process(&name, app.pid),
        PartStatus::Edge(edge) => format!("{name}: {}", host::Listen::from(edge.spec.listen).words()),
    };
    let words: Vec<String> = parts.status().into_iter().map(word).collect();
    if words.is_empty() { "nothing runs yet".to_owned() } else { words.join("; ") }
}
