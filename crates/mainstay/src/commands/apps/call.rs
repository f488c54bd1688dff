//! `mainstay apps call`

use std::io::Read as _;
use std::time::Duration;

use apps::runtime::PAYLOAD_MAX;
use apps::serve::Running;
use apps::{Error, event};
use finding::{Exit, one_line};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::local::{Here, prepare};
use super::say;
use crate::cli::Call;
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    here: &Here,
    args: &Call,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    checked(&args.path)?;
    let body = body(args)?;
    let (id, bundle) = here.app(&args.app)?;
    let limit = Duration::from_secs(args.functions.timeout);
    let given_up = || Error::new(Exit::NotVerified, "the call was given up");
    let answered = match (bundle, Running::read(&here.dir(&id))) {
        (Some(bundle), running) => {
            say(printer, &bundle.warnings);
            let mut settings = here.settings(&id, &args.functions)?;
            let mut printed = format!("`mainstay apps logs {id}`");
            if let Some(running) = running {
                settings.dir = settings.dir.aside();
                printed = format!("the files in {}", settings.dir.logs().display());
                printer.say(&format!(
                    "note: {id} {} runs here; the bundle is called beside it. `mainstay apps call {id}` calls what runs",
                    running.version
                ));
            }
            let runtime = prepare(&bundle, &bundle.functions, settings)?;
            let answered = tokio::select! {
                answered = runtime.call(&args.path, &body) => Some(answered),
                () = cancel.cancelled() => None,
            };
            runtime.stop().await;
            let answered = answered.ok_or_else(given_up)?;
            let hint = format!("what it printed: {printed}");
            let answered =
                answered.map_err(|error| Error::new(Exit::NotVerified, error.to_string()).hint(hint))?;
            serde_json::to_vec(&answered.into_call_response()?).unwrap_or_default()
        }
        (None, Some(running)) => {
            let answered = tokio::select! {
                answered = running.call(&args.path, body, limit + Duration::from_secs(15)) => answered,
                () = cancel.cancelled() => return Err(given_up()),
            };
            let hint = format!("what it printed: `mainstay apps logs {id}`");
            answered.map_err(|error| if error.hint.is_none() { error.hint(hint) } else { error })?
        }
        (None, None) => return Err(here.not_running(&id)),
    };
    let answer: Value = serde_json::from_slice(&answered).map_err(|error| {
        Error::new(Exit::NotVerified, format!("the answer is not JSON, as Mattermost expects: {error}"))
    })?;
    printer.document(&answer);
    Ok(if answer["type"] == "error" { Exit::NotVerified } else { Exit::Done })
}

/// Refuses what is no path of a call.
fn checked(path: &str) -> Result<(), Error> {
    let wrong =
        |why: &str| Err(Error::new(Exit::Usage, format!("the path is `{}`; {why}", one_line(path, 200))));
    match () {
        () if !path.starts_with('/') => wrong("it must begin with `/`"),
        () if path.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            wrong("it must have no space and no control character; write `%20` for a space")
        }
        () => Ok(()),
    }
}

/// The call as JSON.
fn body(args: &Call) -> Result<String, Error> {
    let read = |what: &str, text: &str| {
        serde_json::from_str::<Value>(text)
            .map_err(|error| Error::new(Exit::Usage, format!("{what} is not JSON: {error}")))
    };
    match (&args.body, &args.values) {
        (Some(text), _) if text == "-" => {
            let mut text = String::new();
            std::io::stdin()
                .take(PAYLOAD_MAX as u64)
                .read_to_string(&mut text)
                .map_err(|error| Error::new(Exit::Usage, format!("cannot read stdin: {error}")))?;
            read("stdin", &text).map(|call| call.to_string())
        }
        (Some(text), _) => read("`--body`", text).map(|call| call.to_string()),
        (None, Some(values)) => match read("`--values`", values)? {
            values @ Value::Object(_) => Ok(event::call_body(&args.path, Some(&values))),
            _ => Err(Error::new(Exit::Usage, "`--values` is not a JSON object")),
        },
        (None, None) => Ok(event::call_body(&args.path, None)),
    }
}
