//! `mainstay man`: manual pages, from the same definitions that the command line is read with.

use std::path::Path;

use clap::CommandFactory as _;
use deploy::Error;
use finding::Exit;
use serde_json::json;

use crate::cli::Cli;
use crate::printer::Printer;

pub(super) fn run(printer: Printer, output: Option<&Path>) -> Result<Exit, Error> {
    let command = Cli::command();
    let Some(dir) = output else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command).render(&mut page);
        rendered.map_err(|error| Error::not_ready(error.to_string()))?;
        printer.text(&String::from_utf8_lossy(&page));
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(dir).map_err(|error| Error::path("make", dir.to_owned(), &error))?;
    clap_mangen::generate_to(command, dir)
        .map_err(|error| Error::path("write into", dir.to_owned(), &error))?;
    printer.data(&json!({ "directory": dir }));
    printer.show(&format!("The manual pages are in {0}: `man {0}/mainstay.1`", dir.display()));
    Ok(Exit::Done)
}
