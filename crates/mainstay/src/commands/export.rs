//! `mainstay export`

use container_image::compose::{self, Deployment, Document, PUBLISH, Request};
use container_image::parse_name;
use deploy::{Error, World};
use serde_json::json;

use super::image::operation_error;
use crate::cli::{Export, ExportCompose};
use crate::printer::Printer;
use finding::Exit;

pub(super) fn run(printer: Printer, world: &World, command: Export) -> Result<Exit, Error> {
    match command {
        Export::Compose(args) => write_compose(printer, world, &args),
    }
}

fn write_compose(printer: Printer, world: &World, args: &ExportCompose) -> Result<Exit, Error> {
    let publish = args.publish.map_or(PUBLISH, |listen| listen.socket_addr());
    let request = Request {
        image: args.image.as_deref().map(parse_name).transpose().map_err(operation_error)?,
        database_image: args.database_image.clone(),
        publish,
        file: args.output.clone(),
    };
    let release = deploy::present_release(&world.layout);
    let settings = deploy::settings_of(world, &deploy::wanted_file(&world.layout)?, &release)?;
    let secrets = if world.layout.secrets().exists() { Some(world.secrets()?) } else { None };
    let deployment = Deployment {
        release: &release,
        settings: &settings,
        environment: &world.variables,
        secrets: secrets.as_ref(),
        default_site_url: &deploy::default_site_url(publish, &deploy::host_name()),
    };
    let documents = compose::documents(&deployment, &request).map_err(operation_error)?;
    compose::write(&documents).map_err(operation_error)?;
    let names: Vec<_> =
        documents.iter().map(|document: &Document| document.path.display().to_string()).collect();
    printer.data(&json!({ "files": names }));
    for document in &documents {
        let what =
            if document.private { "secrets, readable only by their owner" } else { "the compose file" };
        printer.show(&format!("  {}  {what}", document.path.display()));
    }
    printer.show(&format!(
        "\nNext: build the image with `mainstay image build --load`, then `docker-compose --file {} up --detach`",
        args.output.display()
    ));
    Ok(Exit::Done)
}
