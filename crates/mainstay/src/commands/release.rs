//! `mainstay release`

use std::path::PathBuf;

use deploy::{Error, Layout};
use serde_json::json;

use super::{layout, variables};
use crate::cli::{self, Common};
use crate::printer::Printer;
use finding::Exit;

pub(super) fn run(printer: Printer, common: &Common, command: cli::Release) -> Result<Exit, Error> {
    match command {
        cli::Release::List => list(printer, &layout(common, &variables())?),
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
