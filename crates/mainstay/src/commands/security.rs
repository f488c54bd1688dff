//! `mainstay security`

use std::time::Duration;

use clap::Parser as _;
use deploy::{Due, Error, KnownSource, Watched, World};
use finding::Exit;
use tokio_util::sync::CancellationToken;
use updates::{Decision, Missing};

use crate::cli::{self, Cli, Command, Operation, Security};
use crate::printer::Printer;

/// As many missing fixes are shown; `--json` has all.
const SHOWN: usize = 30;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    command: Security,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    match command {
        Security::Status(args) => {
            let security = deploy::security(world)?;
            printer.data(&security);
            printer.show(&text(&security));
            Ok(if args.check && security.is_bad() { Exit::NotVerified } else { Exit::Done })
        }
        Security::Watch(args) => watch(printer, world, &args, cancel).await,
        Security::Update(args) => Box::pin(update(printer, world, args, cancel)).await,
        Security::Resume => resume(printer, world),
    }
}

async fn watch(
    printer: Printer,
    world: &World,
    args: &cli::SecurityWatch,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    loop {
        let looked = tokio::select! {
            looked = deploy::watch(world) => looked?,
            () = cancel.cancelled() => return Ok(Exit::Done),
        };
        printer.data(&looked);
        let Watched { security, problems, told: _ } = looked;
        printer.show(&text(&security));
        if args.once {
            return match problems.is_empty() {
                true => Ok(Exit::Done),
                false => Err(unread(&problems)),
            };
        }
        for problem in &problems {
            printer.say(&format!("warning: {problem}"));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(args.every * 3600)) => {}
            () = cancel.cancelled() => return Ok(Exit::Done),
        }
    }
}

/// That a source was not read: what is known stays.
fn unread(problems: &[String]) -> Error {
    Error::not_ready(problems.join("; ")).hint(
        "what was known before is kept; without a network, bring both lists as files and name them with `advisories` and `releases` in \
         `[updates]` of mainstay.toml",
    )
}

async fn update(
    printer: Printer,
    world: &World,
    args: cli::SecurityUpdate,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let change = args.change;
    let due: Due = deploy::update_due(world, change.plan).await?;
    printer.data(&due);
    for problem in &due.problems {
        printer.say(&format!("warning: {problem}; what was known before counts"));
    }
    printer.show(&due.in_words());
    let Decision::Update { .. } = due.decision else { return Ok(Exit::Done) };
    let is_plan = change.plan;
    let upgrade = upgrade(&due, change)?;
    if is_plan {
        return super::upgrade::run(printer, world, upgrade, cancel).await;
    }
    deploy::update_begins(world, &due)?;
    let ended = Box::pin(super::upgrade::run(printer, world, upgrade, cancel)).await;
    let written = deploy::update_ended(world, ended.as_ref().err()).await;
    match ended {
        Ok(exit) => written.map(|()| exit),
        Err(error) => Err(deploy::after_failed_update(error)),
    }
}

/// The upgrade as it would be typed.
fn upgrade(due: &Due, change: cli::Change) -> Result<cli::Upgrade, Error> {
    let to = due.to.as_ref().map(ToString::to_string);
    let words = ["mainstay", "upgrade"].map(str::to_owned).into_iter();
    let words = words.chain(to.into_iter().flat_map(|to| ["--to".to_owned(), to]));
    let why = match change.why.as_str() {
        "asked for on the command line" => format!("`policy = \"{}\"` in [updates]", due.policy),
        why => why.to_owned(),
    };
    match Cli::try_parse_from(words).map(|cli| cli.command) {
        Ok(Command::Operation(Operation::Upgrade(upgrade))) => {
            Ok(cli::Upgrade { change: cli::Change { why, ..change }, ..upgrade })
        }
        Ok(_) => Err(Error::new(Exit::Bug, "`upgrade` is another command")),
        Err(error) => Err(Error::new(Exit::Bug, error.to_string())),
    }
}

fn resume(printer: Printer, world: &World) -> Result<Exit, Error> {
    let resumed = deploy::resume_updates(world)?;
    printer.data(&serde_json::json!({ "resumed": resumed }));
    printer.show(&match resumed {
        Some(attempt) => format!(
            "The update to {} may be tried again. It failed at {:.0}: {}\nNext: `mainstay security update` does it now, if a window is open",
            attempt.to,
            attempt.began,
            attempt.why()
        ),
        None => "No update waits: none that began by itself has failed".to_owned(),
    });
    Ok(Exit::Done)
}

fn text(security: &deploy::Security) -> String {
    let exposure = &security.exposure;
    let mut rows: Vec<(&str, String)> = vec![("Release", security.release.clone())];
    if security.builtin {
        rows.push((
            "Fixes",
            "the built-in server is Mainstay's own: its fixes come with Mainstay's releases, and Mattermost's advisories are not about it"
                .to_owned(),
        ));
        rows.push(match &exposure.newer {
            Some(newer) => {
                ("Newer", format!("this Mainstay has the built-in server {newer}: `mainstay upgrade`"))
            }
            None => {
                ("Newer", "not in this Mainstay; its own releases are announced in its changelog".to_owned())
            }
        });
        rows.extend(latched(security));
        return in_rows(&rows);
    }
    let ends = |ends: jiff::civil::Date| match exposure.unsupported {
        true => format!("ended on {ends}: this line of releases gets no security fixes any more"),
        false => format!("until {ends}"),
    };
    let support =
        exposure.support_ends.map_or_else(|| "this line is in no list of supported ones".to_owned(), ends);
    rows.push(("Support", support));
    rows.push(match &exposure.newer {
        Some(newer) => ("Newer", format!("{newer} is the newest of its line")),
        None => ("Newer", "none of its line is known".to_owned()),
    });
    rows.push(("Advisories", source(&security.known.advisories)));
    rows.push(("Releases", source(&security.known.releases)));
    rows.push((
        "Catalogue",
        format!("of {}, {}", security.known.catalogue, days_ago(security.today, security.known.catalogue)),
    ));
    rows.push(("By itself", format!("policy `{}`", security.policy)));
    rows.extend(latched(security));
    rows.extend(security.not_told.iter().map(|why| ("Not told", why.clone())));
    let mut text = in_rows(&rows);
    text.push_str("\n\n");
    text.push_str(&fixes(security));
    text
}

fn latched(security: &deploy::Security) -> Option<(&'static str, String)> {
    let latched = security.latched.as_ref()?;
    let (to, began, why) = (&latched.to, latched.began, latched.why());
    Some((
        "Failed",
        format!("the update to {to} of {began:.0}: {why}; `mainstay security resume` lets it be tried again"),
    ))
}

/// The fixes that are missing, and what to do.
fn fixes(security: &deploy::Security) -> String {
    let exposure = &security.exposure;
    let mut lines = Vec::new();
    let certain: Vec<&Missing> = exposure.certain().collect();
    let possible = exposure.missing.len() - certain.len();
    match certain.is_empty() {
        true if security.is_known() => lines.push("No missing security fix is known".to_owned()),
        true => lines.push(
            "Whether security fixes are missing is not known: `mainstay security watch --once` asks"
                .to_owned(),
        ),
        false => lines.push("Missing security fixes".to_owned()),
    }
    let width = certain.iter().take(SHOWN).map(|missing| missing.id.len()).max().unwrap_or(0);
    for missing in certain.iter().take(SHOWN) {
        let day = |day: Option<jiff::civil::Date>| day.map_or_else(|| "?".to_owned(), |day| day.to_string());
        let fixed: Vec<String> = missing.fixed_in.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "  {:width$}  {:10}  published {}, due {}: {}; fixed in {}",
            missing.id,
            missing.severity.to_string(),
            day(missing.published),
            day(missing.deadline),
            missing.left(),
            if fixed.is_empty() { "?".to_owned() } else { fixed.join(", ") },
        ));
    }
    if certain.len() > SHOWN {
        lines.push(format!("  and {} more: `--json` has all", certain.len() - SHOWN));
    }
    if possible > 0 {
        lines.push(format!(
            "{} not say whether this line of releases is affected, because it gets no fixes any more: `--json` has them",
            finding::counted(possible, "advisory does", "advisories do")
        ));
    }
    if exposure.plugins > 0 {
        lines.push(format!(
            "{} about plugins, whose versions are not looked at: the System Console has them",
            finding::counted(exposure.plugins, "advisory is", "advisories are")
        ));
    }
    if !certain.is_empty() || exposure.unsupported {
        let next = match &exposure.newer {
            Some(newer) if !exposure.unsupported => format!("`mainstay upgrade --to {newer}`"),
            _ => "`mainstay upgrade` brings the extended support release".to_owned(),
        };
        lines.push(format!("\nNext: {next}"));
    }
    lines.join("\n")
}

fn source(source: &KnownSource) -> String {
    let read = match &source.read {
        None => "never read".to_owned(),
        Some(read) => {
            let newest = read.newest.map(|day| format!(", the newest of {day}")).unwrap_or_default();
            let unread = match read.unread {
                0 => String::new(),
                count => format!(", {} cannot be read", finding::counted(count, "row", "rows")),
            };
            format!("read {:.0} from {}{newest}{unread}", read.at, read.source)
        }
    };
    match &source.failed {
        None => read,
        Some(failed) => format!("{read}; the look of {:.0} failed: {}", failed.at, failed.why),
    }
}

fn days_ago(today: jiff::civil::Date, day: jiff::civil::Date) -> String {
    match day.until(today).map(|span| span.get_days()) {
        Ok(0) => "today".to_owned(),
        Ok(1) => "1 day old".to_owned(),
        Ok(days) if days > 1 => format!("{days} days old"),
        _ => "after this machine's day: is its clock right?".to_owned(),
    }
}

fn in_rows(rows: &[(&str, String)]) -> String {
    rows.iter().map(|(name, value)| format!("{name:<10} {value}")).collect::<Vec<_>>().join("\n")
}
