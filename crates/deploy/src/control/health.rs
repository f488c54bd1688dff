//! Is the server well? Asked where it listens, behind the edge.

use std::time::Duration;

use plan::Progress;
use serde_json::Value;
use tokio::time::Instant;

use super::protocol::{Ask, ServerSpec};
use crate::error::{Error, Exit};
use crate::world::World;

/// An HTTP client that connects where the server listens: no proxy, no redirect, `patience` for each request.
pub(crate) fn client(server: &ServerSpec, patience: Duration) -> Result<reqwest::Client, Error> {
    let client = reqwest::Client::builder();
    let client = match &server.socket {
        Some(socket) => client.unix_socket(socket.as_path()),
        None => client,
    };
    client
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        // A new connection for each request: whether the server takes one is a part of the question.
        .pool_max_idle_per_host(0)
        .timeout(patience)
        // There is no TLS, and a machine without certificates of authorities is enough.
        .tls_certs_only([])
        .build()
        .map_err(|error| Error::new(Exit::Bug, error.to_string()))
}

/// Whether the server's database and file store are well.
///
/// # Errors
/// What is wrong, in words: it does not answer, or says what is unhealthy.
pub(crate) async fn ask(client: &reqwest::Client, server: &ServerSpec) -> Result<(), String> {
    let url = format!("{}/api/v4/system/ping?get_server_status=true", server.base());
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

/// Whether the server answers at all, whatever it says: neither its database nor its file store is asked for.
pub(crate) async fn answers(client: &reqwest::Client, server: &ServerSpec) -> bool {
    client.get(format!("{}/api/v4/system/ping", server.base())).send().await.is_ok()
}

/// Waits until the server is well.
///
/// # Errors
/// It ends three times, or is not healthy within `patience`: with the last line that it printed.
pub(crate) async fn wait(
    world: &World,
    server: &ServerSpec,
    patience: Duration,
    progress: Option<&Progress>,
) -> Result<(), Error> {
    const LIVES: u64 = 3;
    let client = client(server, Duration::from_secs(10))?;
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(5);
    // What ended before this wait began says nothing of the server as it is now.
    let mut earlier = None;
    loop {
        let trouble = match ask(&client, server).await {
            Ok(()) => return Ok(()),
            Err(trouble) => trouble,
        };
        let status = world.agent.ask(&Ask::Status, Duration::from_secs(5)).await?;
        let running = status
            .server()
            .cloned()
            .ok_or_else(|| Error::not_ready("the server was stopped while it started"))?;
        let earlier = *earlier.get_or_insert(running.restarts);
        if running.restarts.saturating_sub(earlier) >= LIVES || Instant::now() > deadline {
            let end = running.last_exit.unwrap_or(trouble);
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

/// What the server itself said last of its trouble: its last errors, or its last line where it names none. The supervisor writes notes of
/// its own into the same log.
fn last_words(said: &[String]) -> Option<String> {
    const MOST: usize = 3;
    let own = said.iter().filter(|line| !line.trim().is_empty() && !line.starts_with("mainstay:"));
    let lines: Vec<Said> = own.map(|line| Said::of(line)).collect();
    let mut errors: Vec<&str> = Vec::new();
    for line in lines.iter().filter(|line| line.is_error) {
        // A server that is started again and again says the same each time.
        errors.retain(|text| *text != line.text);
        errors.push(&line.text);
    }
    match &errors[errors.len().saturating_sub(MOST)..] {
        [] => lines.last().map(|line| line.text.clone()),
        errors => Some(errors.join("; ")),
    }
}

/// A line of a server's log.
struct Said {
    text: String,
    is_error: bool,
}

impl Said {
    /// Servers write JSON, or text.
    fn of(line: &str) -> Self {
        let Ok(Value::Object(said)) = serde_json::from_str::<Value>(line) else {
            return Self { text: line.to_owned(), is_error: false };
        };
        // Mattermost writes `msg`; the built-in server has `message` in a table below.
        let word = |key: &str| said.get(key).or_else(|| said.get("fields")?.get(key)).and_then(Value::as_str);
        let level = word("level").unwrap_or_default().to_lowercase();
        let text = word("msg").or_else(|| word("message")).unwrap_or(line);
        let cause = word("error").or_else(|| word("err")).filter(|cause| !cause.is_empty());
        let text = cause.map_or_else(|| text.to_owned(), |cause| format!("{text}: {cause}"));
        Self { text, is_error: matches!(level.as_str(), "error" | "critical" | "fatal" | "panic") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supervisors_notes_are_nobodys_last_words() {
        let said = ["no such table: Users", "mainstay: the program ended with code 1; starting it again", ""];
        assert_eq!(last_words(&said.map(str::to_owned)).as_deref(), Some("no such table: Users"));
        assert_eq!(last_words(&["mainstay: ended 2 processes of an earlier run".to_owned()]), None);
    }

    #[test]
    fn the_errors_of_a_log_are_the_last_words_and_each_is_said_once() {
        let said = [
            r#"{"level":"info","msg":"Server is initializing..."}"#,
            r#"{"level":"error","msg":"Failed to ping DB","error":"connection refused"}"#,
            r#"{"timestamp":"x","level":"ERROR","fields":{"message":"no room"}}"#,
            r#"{"level":"error","msg":"Failed to ping DB","error":"connection refused"}"#,
            r#"{"level":"info","msg":"bye"}"#,
        ];
        let last = last_words(&said.map(str::to_owned));
        assert_eq!(last.as_deref(), Some("no room; Failed to ping DB: connection refused"));
    }
}
