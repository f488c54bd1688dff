//! `mainstay release`

use std::path::PathBuf;

use deploy::{Error, Layout};
use serde_json::json;

use super::{layout, release_path, variables};
use crate::cli::{self, Common};
use crate::printer::Printer;
use finding::Exit;

pub(super) fn run(printer: Printer, common: &Common, command: cli::Release) -> Result<Exit, Error> {
    match command {
        cli::Release::List => list(printer, &layout(common, &variables())?),
        cli::Release::Lines => Ok(lines(printer)),
        cli::Release::Path(args) => release_path::run(printer, common, &args),
        cli::Release::PackBuiltin { output } => pack(printer, output),
    }
}

fn list(printer: Printer, layout: &Layout) -> Result<Exit, Error> {
    let current = release::current(&layout.current());
    let installed = release::installed(&layout.releases())?;
    if installed.is_empty() {
        printer.show(&format!("No release is unpacked in {}", layout.releases().display()));
    }
    for id in installed {
        let active = current.as_ref() == Some(&id);
        printer.data(&json!({"release": id.to_string(), "active": active}));
        printer.show(&format!("{} {id}", if active { "*" } else { " " }));
    }
    Ok(Exit::Done)
}

/// The release lines of the catalogue, the newest first.
fn lines(printer: Printer) -> Exit {
    let catalogue = release::Catalogue::built_in();
    let today = jiff::Zoned::now().date();
    for line in &catalogue.lines {
        let supported = line.ends.map(|ends| ends >= today);
        printer.data(&json!({
            "line": line.series, "newest": line.newest, "extended": line.extended, "released": line.released, "ends": line.ends,
            "supported": supported, "as_of": catalogue.date,
        }));
        let kind = if line.extended { "extended" } else { "" };
        let until = match (line.ends, supported) {
            (Some(ends), Some(true)) => format!("supported until {ends}"),
            (Some(ends), _) => format!("no longer supported since {ends}"),
            (None, _) => "no longer supported".to_owned(),
        };
        printer.show(&format!(
            "{:<6} {:<9} {kind:<9} {until}",
            line.series.to_string(),
            line.newest.to_string()
        ));
    }
    printer.show(&format!("\nAs of {}", catalogue.date));
    Exit::Done
}

fn pack(printer: Printer, output: Option<PathBuf>) -> Result<Exit, Error> {
    let id = release::builtin();
    let output =
        output.unwrap_or_else(|| format!("mattermost-{id}-linux-{}.tar.gz", std::env::consts::ARCH).into());
    let binary = std::env::current_exe().map_err(|error| Error::path("find", "/proc/self/exe", &error))?;
    release::pack_builtin_to(&binary, &output)?;
    printer.data(&json!({"release": id.to_string(), "file": output}));
    printer.show(&format!("Packed {id} into {}", output.display()));
    Ok(Exit::Done)
}
