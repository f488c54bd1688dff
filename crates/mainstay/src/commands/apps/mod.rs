//! `mainstay apps`: one file a command.

mod aws;
mod bundle;
mod call;
mod cloud;
mod convert;
mod deploy;
mod deployed;
mod deployer;
mod deployment;
mod init;
mod local;
mod logs;
mod mattermost;
mod run;
mod serve;
mod source;
mod terraform;
mod validate;

use std::path::Path;

pub(super) use logs::{Shown, of_all as logs_of_all};

use ::apps::mattermost::Wish;
use ::deploy::Error;
use finding::{Exit, Finding, Severity};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{interrupted, runtime, trace};
use crate::cli::{Apps, AppsTerraform, Common, Provision};
use crate::printer::Printer;

pub(super) fn run(printer: Printer, common: &Common, command: Apps) -> Result<Exit, Error> {
    trace(common);
    let layout = super::layout(common, &super::variables())?;
    let place =
        local::Here { apps: layout.apps(), failed: layout.failed_apps(), variables: super::variables() };
    runtime_for(&command)?.block_on(async {
        let cancel = interrupted()?;
        let command = match deployed::Command::of(command) {
            Ok(local) => return Box::pin(deployed::run(printer, &place, common, local, cancel)).await,
            Err(command) => *command,
        };
        Box::pin(dispatch(printer, &place, common, command, cancel))
            .await
            .map_err(|error| failed(printer, error))
    })
}

/// What a command waits with. What serves many callers has a thread for each processor.
fn runtime_for(command: &Apps) -> Result<tokio::runtime::Runtime, Error> {
    if !matches!(command, Apps::Run(_) | Apps::Serve(_)) {
        return runtime();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Error::not_ready(format!("cannot start: {error}")))
}

async fn dispatch(
    printer: Printer,
    here: &local::Here,
    common: &Common,
    command: Apps,
    cancel: CancellationToken,
) -> Result<Exit, apps::Error> {
    match command {
        Apps::Run(args) => Box::pin(run::run(printer, here, &args, cancel)).await,
        Apps::Serve(args) => Box::pin(serve::run(printer, here, &args, cancel)).await,
        Apps::Call(args) => Box::pin(call::run(printer, here, &args, cancel)).await,
        Apps::Logs(args) => Box::pin(logs::run(printer, here, &args, cancel)).await,
        Apps::Validate(args) => read_until(&cancel, validate::run(printer, &args)).await,
        Apps::Init(args) => init::run(printer, &args),
        Apps::Bundle(args) => bundle::run(printer, &args),
        Apps::Convert(args) => read_until(&cancel, convert::run(printer, args)).await,
        Apps::GenerateTerraformData(args) | Apps::Terraform(AppsTerraform::GenerateData(args)) => {
            read_until(&cancel, terraform::run(printer, &args)).await
        }
        Apps::Deploy(args) => stopped_by(&cancel, deploy::deploy(printer, &args)).await,
        Apps::Provision(Provision::App(args)) => stopped_by(&cancel, deploy::deploy(printer, &args)).await,
        Apps::List(args) => stopped_by(&cancel, deploy::list(printer, &args)).await,
        Apps::Rollback(args) => stopped_by(&cancel, deploy::rollback(printer, &args)).await,
        Apps::Undeploy(args) => stopped_by(&cancel, deploy::undeploy(printer, &args)).await,
        Apps::Deployer(args) => deployer::run(printer, args, cancel).await,
        Apps::Install(args) => mattermost::install(printer, common, args).await,
        Apps::Enable(args) => mattermost::switch(printer, common, args, Wish::Enable).await,
        Apps::Disable(args) => mattermost::switch(printer, common, args, Wish::Disable).await,
        Apps::Uninstall(args) => mattermost::uninstall(printer, common, args).await,
        Apps::Aws(command) => stopped_by(&cancel, aws::run(printer, *command)).await,
    }
}

/// A command that a signal stops between two calls; what it began is on record.
async fn stopped_by(
    cancel: &CancellationToken,
    command: impl Future<Output = Result<Exit, apps::Error>>,
) -> Result<Exit, apps::Error> {
    tokio::select! {
        done = Box::pin(command) => done,
        () = cancel.cancelled() => Err(apps::Error::new(Exit::NeedsYou, "interrupted")
            .hint("run the same command again: it continues from the deploy record")),
    }
}

/// A command that deploys nothing, until a signal stops it.
async fn read_until(
    cancel: &CancellationToken,
    command: impl Future<Output = Result<Exit, apps::Error>>,
) -> Result<Exit, apps::Error> {
    tokio::select! {
        done = Box::pin(command) => done,
        () = cancel.cancelled() => Err(apps::Error::new(Exit::Undone, "interrupted; nothing was changed")),
    }
}

/// Whether a path names a manifest; otherwise it names a bundle or an app's directory.
fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) && !path.is_dir()
}

/// Writes a file whole, or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), apps::Error> {
    host::disk::write_named(path, bytes, 0o644)
        .map_err(|error| apps::Error::new(Exit::NotReady, error.to_string()))
}

/// An error of the rest of the command line, in an app's words.
fn from_deploy(error: Error) -> apps::Error {
    let Error { exit, what, hint, .. } = error;
    apps::Error { exit, what, hint: hint.map(Into::into), findings: Vec::new() }
}

/// Prints everything that was found, and gives the command line's error.
fn failed(printer: Printer, error: apps::Error) -> Error {
    for finding in &error.findings {
        let mut document = serde_json::to_value(finding).unwrap_or_default();
        if let Value::Object(fields) = &mut document {
            fields.insert("type".to_owned(), json!("finding"));
        }
        printer.data(&document);
    }
    say(printer, &error.findings);
    Error { exit: error.exit, what: error.what, hint: error.hint.map(Into::into), detail: None }
}

/// Says what was found, on stderr, a line each.
fn say(printer: Printer, findings: &[Finding]) {
    for finding in findings {
        let label = match finding.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let place = finding.location.as_ref().map_or_else(String::new, |place| format!("{place}: "));
        printer.say(&format!("{label}: {place}{finding}"));
    }
}
