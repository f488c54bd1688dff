//! `mainstay export`

use container_image::compose::{self, Deployment, Document, PUBLISH, Request};
use container_image::parse_name;
use deploy::{Error, OtherInit, World};
use serde_json::json;

use super::image::operation_error;
use crate::cli::{Export, ExportCompose};
use crate::printer::Printer;
use finding::Exit;

pub(super) fn run(printer: Printer, world: &World, command: Export) -> Result<Exit, Error> {
    if !matches!(command, Export::Compose(_)) {
        // What would be started at boot is installed first.
        deploy::refuse_not_installed(&world.layout)?;
    }
    match command {
        Export::Compose(args) => write_compose(printer, world, &args),
        Export::Systemd => write_unit(printer, world),
        Export::Openrc => write_other(printer, world, OtherInit::OpenRc),
        Export::Runit => write_other(printer, world, OtherInit::Runit),
        Export::Cron => write_other(printer, world, OtherInit::Cron),
    }
}

/// The unit that `up` writes.
fn write_unit(printer: Printer, world: &World) -> Result<Exit, Error> {
    let deploy::Unit { name, path, systemctl, text } = deploy::unit(world)?;
    printer.data(&json!({ "path": path, "text": text }));
    if !printer.json {
        printer.raw(text.trim_end());
    }
    printer.say(&format!(
        "\n`mainstay up` writes this to {}. By hand: put it there, then `{systemctl} daemon-reload` and `{systemctl} enable {name}`",
        path.display()
    ));
    Ok(Exit::Done)
}

/// What starts the deployment at boot without systemd.
fn write_other(printer: Printer, world: &World, init: OtherInit) -> Result<Exit, Error> {
    let (name, text) = (deploy::unit(world)?.name, init.text(world));
    printer.data(&json!({ "text": text }));
    if !printer.json {
        printer.raw(text.trim_end());
    }
    printer.say(&format!("\nNext: {}", init.place(&name)));
    Ok(Exit::Done)
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
