//! `mainstay apps init`

use apps::{Error, template};
use finding::Exit;
use serde_json::json;

use super::local::word;
use crate::cli::AppsInit;
use crate::printer::Printer;

pub(super) fn run(printer: Printer, args: &AppsInit) -> Result<Exit, Error> {
    let template = template(&args.template)?;
    let written = template.write(&args.app, args.id.as_deref())?;
    printer.data(&json!({ "template": template.name, "files": written }));
    for path in &written {
        printer.show(&format!("  {}", path.display()));
    }
    let dir = word(&args.app);
    let build = if template.build.is_empty() {
        String::new()
    } else {
        format!("build it with `{} -C {dir}`, then ", template.build)
    };
    printer.show(&format!("\nNext: {build}`mainstay apps bundle {dir}`"));
    Ok(Exit::Done)
}
