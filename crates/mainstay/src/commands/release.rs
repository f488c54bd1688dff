//! `mainstay release`

use std::path::PathBuf;

use deploy::{Error, Prune, Pruned, World};
use release::{Cache, Catalogue, Channel, Edition, Held};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{question, release_fetch, release_path, release_verify};
use crate::cli::{self, Common};
use crate::printer::Printer;
use finding::Exit;

pub(super) fn run(printer: Printer, common: &Common, command: cli::Release) -> Result<Exit, Error> {
    if !matches!(command, cli::Release::PackBuiltin { .. }) {
        super::world(common)?.check_cache()?;
    }
    match command {
        cli::Release::Lines => Ok(lines(printer, &Catalogue::known(&Cache::at(super::world(common)?.cache)))),
        cli::Release::Path(args) => release_path::run(printer, common, &args),
        cli::Release::PackBuiltin { output } => pack(printer, output),
        cli::Release::List => list(printer, &super::world(common)?),
        command => {
            super::trace(common);
            let world = super::world(common)?;
            super::runtime()?.block_on(async {
                let cancel = super::interrupted()?;
                match command {
                    cli::Release::Fetch(args) => {
                        Box::pin(release_fetch::run(printer, &world, args, cancel)).await
                    }
                    cli::Release::Verify(args) => Box::pin(release_verify::run(printer, &world, args)).await,
                    cli::Release::Prune(args) => prune(printer, &world, &args, cancel).await,
                    cli::Release::Refresh(args) => refresh(printer, &world, args).await,
                    _ => Err(Error::new(Exit::Bug, "a command without a runtime got one")),
                }
            })
        }
    }
}

/// What is unpacked, what is in the cache, what can be had.
fn list(printer: Printer, world: &World) -> Result<Exit, Error> {
    let layout = &world.layout;
    let current = release::current(&layout.current());
    let installed = release::installed(&layout.releases())?;
    let cache = Cache::at(&world.cache);
    let held = cache.held()?;
    if installed.is_empty() {
        printer.show(&format!("No release is unpacked in {}", layout.releases().display()));
    }
    for id in installed {
        let active = current.as_ref() == Some(&id);
        printer.data(&json!({"release": id.to_string(), "active": active}));
        printer.show(&format!("{} {id}", if active { "*" } else { " " }));
    }
    if !held.is_empty() {
        printer.show(&format!("\nIn the cache, {}", cache.root().display()));
    }
    for Held { release, path, bytes } in held {
        printer.data(&json!({"release": release.to_string(), "cached": path, "bytes": bytes}));
        printer.show(&format!("  {:<20} {} MB", release.to_string(), bytes.div_ceil(1_000_000)));
    }
    let catalogue = Catalogue::known(&cache);
    let today = jiff::Zoned::now().date();
    printer.show("\nTo be had with `mainstay release fetch`");
    for (name, channel) in [("esr", Channel::Extended), ("latest", Channel::Latest)] {
        let Some(offer) = catalogue.find(&channel, Edition::Team, today) else { continue };
        printer.data(&json!({
            "channel": name, "version": offer.version, "ends": offer.ends, "as_of": catalogue.date,
        }));
        let ends = offer.ends.map(|day| format!(", supported until {day}")).unwrap_or_default();
        printer.show(&format!("  {name:<8} {}{ends}", offer.version));
    }
    printer.show(&format!("As of {}; `mainstay release refresh` asks for newer ones", catalogue.date));
    Ok(Exit::Done)
}

async fn prune(
    printer: Printer,
    world: &World,
    args: &cli::ReleasePrune,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    if args.cache && !world.layout.current().exists() {
        return empty(printer, world, &args.change);
    }
    let operation = Prune { keep: args.keep, gives_up_rollback: args.give_up_rollback };
    let question = match args.give_up_rollback {
        true => "Delete them for good? There is no `mainstay rollback` after that",
        false => "Delete these releases for good?",
    };
    let pruned = super::change(printer, world, &operation, &args.change, Some(question), cancel).await?;
    let Some(Pruned { mut removed, kept, given_up }) = pruned else { return Ok(Exit::Done) };
    removed.extend(given_up.iter().map(|release| format!("what was kept of {release} for rollback")));
    if args.cache {
        let cache = Cache::at(&world.cache);
        for held in cache.held()?.into_iter().filter(|held| !kept.contains(&held.release.to_string())) {
            cache.remove(&held.path)?;
            removed.push(held.path.display().to_string());
        }
    }
    printer.data(&json!({"removed": removed, "kept": kept}));
    printer.show(&match removed.is_empty() {
        true => format!("Nothing to delete: {} is kept", kept.join(", ")),
        false => format!("Deleted {}; {} is kept", removed.join(", "), kept.join(", ")),
    });
    Ok(Exit::Done)
}

/// Empties the cache, where no deployment needs anything of it.
fn empty(printer: Printer, world: &World, change: &cli::Change) -> Result<Exit, Error> {
    let cache = Cache::at(&world.cache);
    let held = cache.held()?;
    let removed: Vec<String> = held.iter().map(|held| held.path.display().to_string()).collect();
    if change.plan {
        printer.data(&json!({"plan": {"cache": removed}}));
        printer.show(&match removed.is_empty() {
            true => format!("Nothing to delete in the cache, {}", cache.root().display()),
            false => format!("Delete for good, from the cache: {}", removed.join(", ")),
        });
        return Ok(Exit::Done);
    }
    if !removed.is_empty() && !change.yes && !question::agreed(printer, "Delete these releases for good?")? {
        printer.show("Nothing has been changed");
        return Ok(Exit::Done);
    }
    held.iter().try_for_each(|held| cache.remove(&held.path))?;
    printer.data(&json!({"removed": removed, "kept": []}));
    printer.show(&match removed.is_empty() {
        true => format!("Nothing to delete in the cache, {}", cache.root().display()),
        false => format!("Deleted {}", removed.join(", ")),
    });
    Ok(Exit::Done)
}

async fn refresh(printer: Printer, world: &World, args: cli::ReleaseRefresh) -> Result<Exit, Error> {
    let cache = Cache::at(&world.cache);
    let known = Catalogue::known(&cache);
    let archive = args.archive.unwrap_or_else(|| known.archive.clone());
    let lifecycle = args.lifecycle.unwrap_or_else(|| known.lifecycle.clone());
    let today = jiff::Zoned::now().date();
    let network = release_fetch::network(world)?;
    let asked = release::refresh(known.clone(), &archive, &lifecycle, &network, today).await;
    let newer = asked.map_err(|error| {
        let exit = if matches!(error, release::RefreshError::Changed { .. }) {
            Exit::Refused
        } else {
            Exit::NotReady
        };
        Error::new(exit, error.to_string()).hint(format!(
            "the catalogue of {} is used on; a release can always be named by its whole version",
            known.date
        ))
    })?;
    if !args.plan {
        newer.keep(&cache)?;
    }
    Ok(lines(printer, &newer))
}

/// The release lines of the catalogue, the newest first.
fn lines(printer: Printer, catalogue: &Catalogue) -> Exit {
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
