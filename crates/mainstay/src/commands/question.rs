//! The question before a change.

use std::io::{BufRead as _, IsTerminal as _};

use deploy::Error;
use finding::Exit;

use crate::printer::Printer;

/// Whether the user agrees; where nobody can be asked, `--yes` is needed. Ctrl-C and TERM are an answer, too.
///
/// # Errors
/// There is no terminal; a signal came in place of an answer.
pub(super) fn agreed(printer: Printer, question: &str) -> Result<bool, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::new(Exit::Usage, format!("there is no terminal to ask: \"{question}\""))
            .hint("say `--yes`"));
    }
    let question = format!("{question} [y/N]");
    let answer = std::thread::scope(|scope| scope.spawn(|| answer(printer, &question)).join());
    let answer = answer.map_err(|_| Error::new(Exit::Bug, "the question ended without an answer"))??;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A line from the terminal. The caller's runtime waits for this call and hears no signal meanwhile, so this has one of its own.
/// The question is shown once both signals are heard: whoever answers at once ends nothing unsaid.
fn answer(printer: Printer, question: &str) -> Result<String, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let cannot = |error: std::io::Error| Error::not_ready(format!("cannot ask: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
        printer.say(question);
        let (line, read) = tokio::sync::oneshot::channel();
        // It reads until the process ends, if nobody types: a terminal cannot be left any other way.
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_line(&mut text);
            let _ = line.send(read.map(|_| text));
        });
        tokio::select! {
            _ = interrupt.recv() => Err(Error::new(Exit::Usage, "interrupted; nothing has been changed")),
            _ = terminate.recv() => Err(Error::new(Exit::Usage, "told to end; nothing has been changed")),
            line = read => Ok(line.ok().and_then(Result::ok).unwrap_or_default()),
        }
    })
}
