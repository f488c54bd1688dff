//! `mainstay version`

use finding::Exit;
use serde_json::json;

use crate::printer::Printer;

pub(super) fn run(printer: Printer) -> Exit {
    let server = release::builtin().version.to_string();
    printer.data(&json!({ "version": crate::VERSION, "builtin_server": server }));
    printer.show(&format!(
        "Mainstay {}, with a built-in server that speaks as Mattermost {server}",
        crate::VERSION
    ));
    Exit::Done
}
