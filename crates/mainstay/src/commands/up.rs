//! `mainstay up`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use deploy::{Error, Request, World};
use tokio_util::sync::CancellationToken;

use super::{caller, flags, show_plan};
use crate::cli;
use crate::exit::Exit;
use crate::printer::Printer;
use crate::terminal;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: cli::Up,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let address = |listen: host::Listen| {
        SocketAddr::new(listen.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), listen.port).to_string()
    };
    let request = Request {
        flags: flags([
            ("edition", args.edition),
            ("version", args.release_version),
            ("listen", args.listen.map(address)),
            ("site_url", args.site_url),
            ("user", args.user),
        ]),
        tarball: args.release,
    };
    if args.change.plan {
        return Ok(show_plan(printer, &deploy::planned_up(world, &request).await?));
    }
    let began = Instant::now();
    let mut reader = terminal::reader(printer);
    if args.yes {
        let repair = caller(&args.change, &mut *reader, cancel.clone())?;
        if let Some(aside) = deploy::repair_journal(world, &repair).await? {
            printer.say(&format!("The damaged journal is now {}", aside.display()));
        }
    }
    let up = deploy::up(world, &request, caller(&args.change, &mut *reader, cancel.clone())?).await?;
    printer.data(&up);
    for notice in &up.notices {
        printer.say(&format!("note: {notice}"));
    }
    printer.show(&summary(&up, began.elapsed().as_secs_f64()));
    if args.foreground {
        deploy::stay(world, caller(&args.change, &mut *reader, cancel)?).await?;
    }
    Ok(Exit::Done)
}

/// Brings a container's database to its image's release.
pub(super) async fn migrate(
    printer: Printer,
    world: &World,
    change: &cli::Change,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let request = Request::default();
    if change.plan {
        return Ok(show_plan(printer, &deploy::planned_migration(world, &request).await?));
    }
    let mut reader = terminal::reader(printer);
    let release = deploy::migrate(world, &request, caller(change, &mut *reader, cancel)?).await?;
    printer.data(&serde_json::json!({ "release": release.to_string() }));
    printer.show(&format!("\nThe database has the schema of {release}. Start it with `app:start`"));
    Ok(Exit::Done)
}

fn summary(up: &deploy::Up, seconds: f64) -> String {
    let verified = up.verified_at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let headline = match (up.changed, verified) {
        (true, _) => format!("\nMattermost is up and verified, in {seconds:.1} s"),
        (false, Some(at)) => {
            format!("Mattermost is up; nothing had to be changed. It was verified at {at:.0}")
        }
        (false, None) => "Mattermost is up; nothing had to be changed".to_owned(),
    };
    let mut lines = vec![headline, String::new(), format!("  Address        {}", up.url)];
    if let Some(name) = &up.administrator {
        let secrets = up.dir.join("secrets.toml");
        lines.push(format!("  Administrator  {name}, whose password is in {}", secrets.display()));
    }
    lines.push(format!("  Directory      {}", up.dir.display()));
    lines.push(format!("  Release        {}", up.release));
    lines.push(String::new());
    lines.push(
        "Next: `mainstay status`, `mainstay logs -f`, `mainstay verify --browser`, `mainstay down`"
            .to_owned(),
    );
    lines.join("\n")
}
