//! `mainstay logs`

use deploy::{Error, LogPart, World};
use tokio_util::sync::CancellationToken;

use crate::cli::{Logs, Part};
use crate::printer::Printer;
use finding::Exit;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: &Logs,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let part = match args.part {
        Part::Server => LogPart::Server,
        Part::Edge => LogPart::Edge,
        Part::Agent => LogPart::Agent,
        Part::Schedule => LogPart::Schedule,
        Part::Database => {
            let server = deploy::database_address(world).filter(|address| !address.starts_with("sqlite:"));
            let what = match server {
                Some(address) => format!("{address} is not Mainstay's: its log is on its own server"),
                None => "this deployment's database is a file and keeps no log of its own".to_owned(),
            };
            return Err(Error::not_ready(what).hint(
                "`mainstay logs server` has what Mattermost says of it, `mainstay database status` how it is",
            ));
        }
    };
    let path = world.layout.log(part);
    if !path.exists() && !args.follow {
        return Err(Error::not_ready(format!(
            "{} does not exist: that part has not run yet",
            path.display()
        ))
        .hint("start the deployment with `mainstay up`"));
    }
    if !args.follow {
        for line in host::tail(&path, args.lines)? {
            printer.raw(&line);
        }
        return Ok(Exit::Done);
    }
    let mut lines = host::follow(&path, args.lines, cancel)?;
    while let Some(line) = lines.next().await? {
        printer.raw(&line);
    }
    Ok(Exit::Done)
}
