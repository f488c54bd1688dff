//! `mainstay apps convert`

use apps::source::Fetched;
use apps::{Error, Given, MANIFEST_LIMIT};
use apps_aws::Flags;
use finding::Exit;
use serde_json::json;

use super::{is_manifest, say, source, write};
use crate::cli::AppsConvert;
use crate::printer::Printer;

pub(super) async fn run(printer: Printer, args: AppsConvert) -> Result<Exit, Error> {
    let fetched = source::bring(&args.bundle, &args.source, &Flags::default()).await?;
    converted(printer, &fetched, args).map_err(|error| fetched.explain(error))
}

fn converted(printer: Printer, fetched: &Fetched, args: AppsConvert) -> Result<Exit, Error> {
    let path = &fetched.path;
    let given =
        Given { display_name: args.display_name, homepage_url: args.homepage_url, is_conversion: true };
    let (converted, bytes) = if is_manifest(path) {
        let converted = apps::convert(path, &apps::read_file(path, MANIFEST_LIMIT)?, &given)?;
        let bytes = converted.manifest.to_pretty_json().into_bytes();
        (converted, bytes)
    } else {
        apps::convert_bundle(path, &given)?
    };
    let warnings = fetched.named(&converted.warnings);
    say(printer, &warnings);
    printer.data(&json!({
        "from": converted.from, "manifest": converted.manifest, "file": args.output, "warnings": warnings,
    }));
    match &args.output {
        Some(output) => {
            write(output, &bytes)?;
            printer.show(&format!(
                "{} was in {}; {} is in the current format",
                fetched.from,
                converted.from.words(),
                output.display()
            ));
        }
        None if !printer.json => printer.text(&converted.manifest.to_pretty_json()),
        None => {}
    }
    Ok(Exit::Done)
}
