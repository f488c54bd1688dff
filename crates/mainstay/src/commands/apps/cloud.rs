//! What the commands for AWS have in common.

use apps::Error;
use apps_aws::{Aws, Flags, Holder, Settings, Shown, Turn, Watch};
use serde_json::json;

use crate::cli::Cloud;
use crate::commands::{question, variables};
use crate::printer::Printer;

/// The settings of a command.
pub(super) fn settings(cloud: &Cloud) -> Result<Settings, Error> {
    Settings::read(&flags(cloud), &variables())
}

/// What the command line says about AWS.
pub(super) fn flags(cloud: &Cloud) -> Flags {
    Flags {
        region: cloud.region.clone(),
        bucket: cloud.bucket.clone(),
        profile: cloud.profile.clone(),
        endpoint: cloud.endpoint_url.clone(),
    }
}

/// The settings, and AWS connected with them.
pub(super) async fn connect(cloud: &Cloud) -> Result<(Settings, Aws), Error> {
    let settings = settings(cloud)?;
    let aws = Aws::new(&settings).await?;
    Ok((settings, aws))
}

/// How a command deals with another run.
pub(super) fn turn<'a>(cloud: &Cloud, holder: &'a Holder, only_look: bool, watch: &'a Watch<'a>) -> Turn<'a> {
    Turn { holder, take_over: cloud.take_over, only_look, watch }
}

/// Prints a plan: where each value comes from, and the calls.
pub(super) fn show(printer: Printer, settings: &Settings, calls: &[Shown]) {
    printer.data(&json!({ "plan": { "settings": settings.settled, "calls": calls } }));
    let origin =
        |settled: &apps_aws::Settled| format!("{:<14} {}  ({})", settled.name, settled.value, settled.origin);
    let mut lines: Vec<String> = settings.settled.iter().map(origin).collect();
    lines.push(String::new());
    lines.extend(calls.iter().map(ToString::to_string));
    if calls.is_empty() {
        lines.push("Nothing would change".to_owned());
    }
    printer.show(&lines.join("\n"));
}

/// Says each call once it was made.
pub(super) fn said(printer: Printer) -> impl Fn(&Shown) + Send + Sync {
    move |call: &Shown| printer.say(&call.to_string())
}

/// Whether the user agrees.
pub(super) fn agreed(printer: Printer, text: &str) -> Result<bool, Error> {
    question::agreed(printer, text).map_err(|error| Error {
        exit: error.exit,
        what: error.what,
        hint: error.hint.map(Into::into),
        findings: Vec::new(),
    })
}
