//! `mainstay apps generate-terraform-data`

use apps::{Bundle, Error};
use finding::Exit;

use super::say;
use crate::cli::AppsTerraformData;
use crate::printer::Printer;

pub(super) fn run(printer: Printer, args: &AppsTerraformData) -> Result<Exit, Error> {
    let bundle = Bundle::open(&args.bundle)?;
    say(printer, &bundle.warnings);
    let data = apps::terraform_data(&bundle);
    if printer.json {
        printer.data(&serde_json::from_str::<serde_json::Value>(&data).unwrap_or_default());
    } else {
        printer.raw(data.trim_end());
    }
    Ok(Exit::Done)
}
