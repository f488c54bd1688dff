//! `mainstay apps validate`

use std::path::Path;

use apps::{Bundle, Error, MANIFEST_LIMIT, Manifest};
use finding::Exit;
use serde_json::json;

use super::{is_manifest, say};
use crate::cli::AppsValidate;
use crate::printer::Printer;

pub(super) fn run(printer: Printer, args: &AppsValidate) -> Result<Exit, Error> {
    if is_manifest(&args.path) { manifest(printer, &args.path) } else { bundle(printer, &args.path) }
}

fn manifest(printer: Printer, path: &Path) -> Result<Exit, Error> {
    let (manifest, warnings) = Manifest::read(path, &apps::read_file(path, MANIFEST_LIMIT)?)?;
    printer.data(&json!({ "valid": true, "manifest": manifest, "warnings": warnings }));
    say(printer, &warnings);
    let version = if manifest.version.is_empty() { "without a version" } else { &manifest.version };
    printer.show(&format!("{} is a valid manifest of {} {version}", path.display(), manifest.app_id));
    Ok(Exit::Done)
}

fn bundle(printer: Printer, path: &Path) -> Result<Exit, Error> {
    let bundle = Bundle::open(path)?;
    bundle.verify()?;
    let manifest = &bundle.manifest;
    let functions: Vec<_> = bundle
        .functions
        .iter()
        .map(|package| json!({"name": package.function.name, "archive": package.entry.name, "bytes": package.size}))
        .collect();
    let files: Vec<_> =
        bundle.assets.iter().map(|asset| json!({"name": asset.name, "bytes": asset.size})).collect();
    printer.data(&json!({
        "valid": true, "manifest": manifest, "functions": functions, "static_files": files, "warnings": bundle.warnings,
    }));
    say(printer, &bundle.warnings);
    printer.show(&format!(
        "{} is a valid bundle of {} {}; functions: {}; static files: {}",
        path.display(),
        manifest.app_id,
        manifest.version,
        functions.len(),
        files.len()
    ));
    Ok(Exit::Done)
}
