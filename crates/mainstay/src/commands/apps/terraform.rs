//! `mainstay apps generate-terraform-data`

use apps::{Bundle, Error};
use apps_aws::Flags;
use finding::Exit;

use super::{say, source};
use crate::cli::AppsTerraformData;
use crate::printer::Printer;

pub(super) async fn run(printer: Printer, args: &AppsTerraformData) -> Result<Exit, Error> {
    let fetched = source::bring(&args.bundle, &args.source, &Flags::default()).await?;
    let bundle = Bundle::open(&fetched.path).map_err(|error| fetched.explain(error))?;
    say(printer, &fetched.named(&bundle.warnings));
    let data = apps::terraform_data(&bundle);
    if printer.json {
        printer.data(&serde_json::from_str::<serde_json::Value>(&data).unwrap_or_default());
    } else {
        printer.raw(data.trim_end());
    }
    Ok(Exit::Done)
}
