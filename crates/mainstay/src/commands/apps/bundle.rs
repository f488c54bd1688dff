//! `mainstay apps bundle`

use std::path::PathBuf;

use apps::{Bundle, Error, names};
use finding::Exit;
use serde_json::json;

use super::{say, write};
use crate::cli::AppsBundle;
use crate::printer::Printer;

pub(super) fn run(printer: Printer, args: &AppsBundle) -> Result<Exit, Error> {
    let apps::Packed { bytes, files, warnings } = apps::pack(&args.app)?;
    let mut bundle = Bundle::from_bytes(&args.app, bytes.clone())?;
    bundle.warnings.extend(warnings);
    let manifest = &bundle.manifest;
    let default = || PathBuf::from(format!("{}_{}.zip", manifest.app_id, manifest.version));
    let output = args.output.clone().unwrap_or_else(default);
    write(&output, &bytes)?;
    let sha256 = names::sha256(&bytes);
    say(printer, &bundle.warnings);
    printer.data(&json!({
        "file": output, "bytes": bytes.len(), "sha256": sha256, "files": files, "warnings": bundle.warnings,
    }));
    for file in &files {
        printer.show(&format!("  {file}"));
    }
    printer.show(&format!(
        "\nBundled {} {} into {}; bytes: {}; SHA-256: {sha256}",
        manifest.app_id,
        manifest.version,
        output.display(),
        bytes.len()
    ));
    Ok(Exit::Done)
}
