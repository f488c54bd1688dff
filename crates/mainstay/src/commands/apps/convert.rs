//! `mainstay apps convert`

use apps::{Error, Given, MANIFEST_LIMIT};
use finding::Exit;
use serde_json::json;

use super::{is_manifest, say, write};
use crate::cli::AppsConvert;
use crate::printer::Printer;

pub(super) fn run(printer: Printer, args: AppsConvert) -> Result<Exit, Error> {
    let path = &args.path;
    let given =
        Given { display_name: args.display_name, homepage_url: args.homepage_url, is_conversion: true };
    let (converted, bytes) = if is_manifest(path) {
        let converted = apps::convert(path, &apps::read_file(path, MANIFEST_LIMIT)?, &given)?;
        let bytes = converted.manifest.to_pretty_json().into_bytes();
        (converted, bytes)
    } else {
        apps::convert_bundle(path, &given)?
    };
    say(printer, &converted.warnings);
    printer.data(&json!({
        "from": converted.from, "manifest": converted.manifest, "file": args.output, "warnings": converted.warnings,
    }));
    match &args.output {
        Some(output) => {
            write(output, &bytes)?;
            printer.show(&format!(
                "{} was in {}; {} is in the current format",
                path.display(),
                converted.from.words(),
                output.display()
            ));
        }
        None if !printer.json => printer.text(&converted.manifest.to_pretty_json()),
        None => {}
    }
    Ok(Exit::Done)
}
