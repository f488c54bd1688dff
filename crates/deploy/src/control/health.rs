//! Is the server well? Asked on loopback, behind the edge.

use std::net::SocketAddr;
use std::time::Duration;

use plan::Progress;
use serde_json::Value;
use tokio::time::Instant;

use super::protocol::Ask;
use crate::error::{Error, Exit};
use crate::world::World;

/// An HTTP client for a server on loopback: no proxy, no redirect, `patience` for each request.
pub(crate) fn client(patience: Duration) -> Result<reqwest::Client, Error> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(patience)
        // There is no TLS on loopback, and a machine without certificates of authorities is enough.
        .tls_certs_only([])
        .build()
        .map_err(|error| Error::new(Exit::Bug, error.to_string()))
}

/// Whether database and file store of the server at `listen` are well.
///
/// # Errors
/// What is wrong, in words: it does not answer, or says what is unhealthy.
pub(crate) async fn ask(client: &reqwest::Client, listen: SocketAddr) -> Result<(), String> {
    let url = format!("http://{listen}/api/v4/system/ping?get_server_status=true");
    let answer = client.get(url).send().await.map_err(|_| "it does not answer yet".to_owned())?;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    let well = |key: &str| body.get(key).and_then(Value::as_str).is_none_or(|value| value == "OK");
    match (status.is_success(), well("database_status"), well("filestore_status")) {
        (true, true, true) => Ok(()),
        (_, false, _) => Err("its database is unhealthy".to_owned()),
        (_, _, false) => Err("its file store is unhealthy".to_owned()),
        _ => Err(format!("it answers with status {}", status.as_u16())),
    }
}

/// Waits until the server is well.
///
/// # Errors
/// It ends three times, or is not healthy within `patience`: with the last line that it printed.
pub(crate) async fn wait(
    world: &World,
    listen: SocketAddr,
    patience: Duration,
    progress: Option<&Progress>,
) -> Result<(), Error> {
    const LIVES: u64 = 3;
    let client = client(Duration::from_secs(10))?;
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(5);
    loop {
        let trouble = match ask(&client, listen).await {
            Ok(()) => return Ok(()),
            Err(trouble) => trouble,
        };
        let status = world.agent.ask(&Ask::Status, Duration::from_secs(5)).await?;
        let server = status
            .server()
            .cloned()
            .ok_or_else(|| Error::not_ready("the server was stopped while it started"))?;
        if server.restarts >= LIVES || Instant::now() > deadline {
            let end = server.last_exit.unwrap_or(trouble);
            return Err(not_well(world, &end));
        }
        if let Some(progress) = progress {
            progress.say(&trouble);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_millis(250));
    }
}

fn not_well(world: &World, end: &str) -> Error {
    let log = world.layout.log(crate::LogPart::Server);
    let said = host::tail(&log, 20).unwrap_or_default();
    let last = last_words(&said).map(|line| format!("; its last words: {line}")).unwrap_or_default();
    Error::not_ready(format!("the server does not come up: {end}{last}"))
        .hint(format!("see {}", log.display()))
        .detail(said.join("\n"))
}

/// What the server itself said last: the supervisor writes notes of its own into the same log.
fn last_words(said: &[String]) -> Option<&str> {
    let own = |line: &&str| !line.trim().is_empty() && !line.starts_with("mainstay:");
    said.iter().rev().map(String::as_str).find(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supervisors_notes_are_nobodys_last_words() {
        let said = ["no such table: Users", "mainstay: the program ended with code 1; starting it again", ""];
        assert_eq!(last_words(&said.map(str::to_owned)), Some("no such table: Users"));
        assert_eq!(last_words(&["mainstay: ended 2 processes of an earlier run".to_owned()]), None);
    }
}
