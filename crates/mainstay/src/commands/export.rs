//! `mainstay export`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use deploy::compose::{self, Document, PUBLISH, Request};
use deploy::{Error, World};
use serde_json::json;

use crate::cli::{Export, ExportCompose};
use crate::exit::Exit;
use crate::printer::Printer;

pub(super) fn run(printer: Printer, world: &World, command: Export) -> Result<Exit, Error> {
    match command {
        Export::Compose(args) => write_compose(printer, world, &args),
    }
}

fn write_compose(printer: Printer, world: &World, args: &ExportCompose) -> Result<Exit, Error> {
    let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let publish = args
        .publish
        .map_or(PUBLISH, |listen| SocketAddr::new(listen.address.unwrap_or(everywhere), listen.port));
    let request = Request {
        image: args.image.as_deref().map(str::parse).transpose()?,
        database_image: args.database_image.clone(),
        publish,
    };
    let documents = compose::documents(world, &request, &args.output)?;
    compose::write(&documents)?;
    let names: Vec<_> =
        documents.iter().map(|document: &Document| document.path.display().to_string()).collect();
    printer.data(&json!({ "files": names }));
    for document in &documents {
        let what = if document.private { "secrets, for their owner alone" } else { "the compose file" };
        printer.show(&format!("  {}  {what}", document.path.display()));
    }
    printer.show(&format!(
        "\nNext: build the image with `mainstay image build --load`, then `docker-compose --file {} up --detach`",
        args.output.display()
    ));
    Ok(Exit::Done)
}
