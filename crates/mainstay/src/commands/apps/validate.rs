//! `mainstay apps validate`

use apps::{Error, Manifest};
use finding::Exit;
use serde_json::json;

use super::say;
use crate::cli::Validate;
use crate::printer::Printer;

pub(super) fn run(printer: Printer, args: &Validate) -> Result<Exit, Error> {
    let bytes = apps::read_file(&args.path, apps::MANIFEST_LIMIT)?;
    let (manifest, warnings) = Manifest::read(&args.path, &bytes)?;
    printer.data(&json!({ "valid": true, "manifest": manifest, "warnings": warnings }));
    say(printer, &warnings);
    printer.show(&format!("{} is a valid manifest of {}", args.path.display(), manifest.app_id));
    Ok(Exit::Done)
}
