//! `mainstay apps run`

use std::sync::Arc;

use apps::Error;
use apps::serve::{Backend, bind};
use finding::Exit;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::local::{Here, announce, answer, note_own_user, open, prepare};
use crate::cli::Run;
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    here: &Here,
    args: &Run,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    if !args.listen.ip().is_loopback() {
        return Err(Error::new(
            Exit::Refused,
            format!("`apps run` answers everybody who can connect, so not on {}", args.listen),
        )
        .hint("`mainstay apps serve` answers calls with a token, on any address"));
    }
    let bundle = open(printer, &args.bundle)?;
    let id = &bundle.manifest.app_id;
    if bundle.functions.is_empty() {
        return Err(Error::new(Exit::Refused, format!("the bundle of {id} has no function to run"))
            .hint("`mainstay apps serve BUNDLE --command COMMAND` serves an app that answers by HTTP"));
    }
    let runtime = Arc::new(prepare(&bundle, &bundle.functions, here.settings(id, &args.functions)?)?);
    let listener = bind(args.listen, &[]).await?;
    let dir = here.dir(id);
    let running = announce(&dir, &bundle, &listener, None)?;
    let functions: Vec<_> = runtime
        .functions()
        .iter()
        .map(|function| json!({ "name": function.name, "path": function.path }))
        .collect();
    printer.data(&json!({
        "app_id": id, "version": running.version, "url": running.url, "pid": running.pid,
        "functions": functions, "bucket": dir.bucket(), "logs": dir.logs(),
    }));
    printer.show(&format!("{id} {} runs on {} until you stop it (Ctrl-C)", running.version, running.url));
    for function in runtime.functions() {
        printer.show(&format!("  {} {} ({})", function.path, function.name, function.runtime));
    }
    printer
        .show(&format!("Call it: mainstay apps call {id} /ping\nIts log: mainstay apps logs {id} --follow"));
    note_own_user(printer);
    let backend = Backend::Functions(runtime.clone());
    answer(&bundle, &dir, &running.url, (backend, None), (listener, &[]), cancel).await;
    runtime.stop().await;
    Ok(Exit::Done)
}
