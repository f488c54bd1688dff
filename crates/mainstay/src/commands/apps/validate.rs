//! `mainstay apps validate`

use apps::source::Fetched;
use apps::{Bundle, Error, MANIFEST_LIMIT, Manifest};
use apps_aws::Flags;
use finding::Exit;
use serde_json::json;

use super::{is_manifest, say, source};
use crate::cli::AppsValidate;
use crate::printer::Printer;

pub(super) async fn run(printer: Printer, args: &AppsValidate) -> Result<Exit, Error> {
    let fetched = source::bring(&args.bundle, &args.source, &Flags::default()).await?;
    let done =
        if is_manifest(&fetched.path) { manifest(printer, &fetched) } else { bundle(printer, &fetched) };
    done.map_err(|error| fetched.explain(error))
}

fn manifest(printer: Printer, fetched: &Fetched) -> Result<Exit, Error> {
    let Fetched { path, from, .. } = fetched;
    let (manifest, mut warnings) = Manifest::read(path, &apps::read_file(path, MANIFEST_LIMIT)?)?;
    warnings.extend(apps::advice(&manifest));
    let warnings = fetched.named(&warnings);
    printer.data(&json!({ "valid": true, "manifest": manifest, "warnings": warnings }));
    say(printer, &warnings);
    let version = if manifest.version.is_empty() { "without a version" } else { &manifest.version };
    printer.show(&format!("{from} is a valid manifest of {} {version}", manifest.app_id));
    Ok(Exit::Done)
}

fn bundle(printer: Printer, fetched: &Fetched) -> Result<Exit, Error> {
    let Fetched { path, from, .. } = fetched;
    let bundle = Bundle::open(path)?;
    bundle.verify()?;
    let warnings = fetched.named(&bundle.warnings);
    let manifest = &bundle.manifest;
    let functions: Vec<_> = bundle
        .functions
        .iter()
        .map(|package| json!({"name": package.function.name, "archive": package.entry.name, "bytes": package.size}))
        .collect();
    let files: Vec<_> =
        bundle.assets.iter().map(|asset| json!({"name": asset.name, "bytes": asset.size})).collect();
    printer.data(&json!({
        "valid": true, "manifest": manifest, "functions": functions, "static_files": files, "warnings": warnings,
    }));
    say(printer, &warnings);
    printer.show(&format!(
        "{from} is a valid bundle of {} {}; functions: {}; static files: {}",
        manifest.app_id,
        manifest.version,
        functions.len(),
        files.len()
    ));
    Ok(Exit::Done)
}
