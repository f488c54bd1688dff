//! `mainstay backup`

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use deploy::{
    BackupWork, CreateBackup, CreateKey, CreatedBackup, Elsewhere, Error, PruneBackups, PrunedBackups, World,
};
use finding::Exit;
use indicatif::DecimalBytes;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::{self, Backup};
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    command: Backup,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    match command {
        Backup::Create(args) => create(printer, world, args, cancel).await,
        Backup::List(named) => list(printer, world, &named.into()).await,
        Backup::Show(args) => show(printer, world, args).await,
        Backup::Prune(args) => prune(printer, world, &args, cancel).await,
        Backup::Key(cli::BackupKey::Create { change }) => {
            let created = super::change(printer, world, &CreateKey, &change, None, cancel).await?;
            let Some(created) = created else { return Ok(Exit::Done) };
            printer.data(&created);
            printer.show(&match created.new {
                true => format!(
                    "The key of the backups is {}; {}",
                    created.file.display(),
                    deploy::WITHOUT_THE_KEY
                ),
                false => format!("The key of the backups is {}, as before", created.file.display()),
            });
            Ok(Exit::Done)
        }
        Backup::Key(cli::BackupKey::Export { file }) => export(printer, world, file),
    }
}

async fn create(
    printer: Printer,
    world: &World,
    args: cli::BackupCreate,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let operation = CreateBackup {
        why: args.change.why.clone(),
        with_release: args.with_release,
        takes_over: args.take_over_lock,
        has_key: args.i_have_the_key,
        new_repository: args.new_repository,
    };
    let created = super::change(printer, world, &operation, &args.change, None, cancel.clone()).await;
    if let Err(error) = &created
        && !args.change.plan
    {
        deploy::failed_backup(world, BackupWork::Backup, error);
    }
    let Some(created) = created? else { return Ok(Exit::Done) };
    let mut data = serde_json::to_value(&created).unwrap_or_default();
    printer.show(&text(&created));
    if let Some(file) = &created.new_key {
        show_new_key(printer, world, file)?;
    }
    if created.thins_out {
        let operation =
            PruneBackups { only_if_needed: true, takes_over: args.take_over_lock, ..PruneBackups::default() };
        let change = cli::Change { inject_failure: Vec::new(), inject_kill: Vec::new(), ..args.change };
        let pruned = super::change(printer, world, &operation, &change, None, cancel).await;
        if pruned.is_err() {
            printer.data(&data);
        }
        if let Some(pruned) = pruned? {
            data["pruned"] = json!(pruned);
            if !pruned.removed.is_empty() {
                printer.show(&thinned(&pruned));
            }
        }
    }
    printer.data(&data);
    Ok(Exit::Done)
}

fn text(created: &CreatedBackup) -> String {
    let CreatedBackup { snapshot, location, files, bytes, added, snapshots, ms, .. } = created;
    let nth = if *snapshots == 1 { "the first".to_owned() } else { format!("one of {snapshots}") };
    let mut text = format!(
        "\nSnapshot {} in {location}, {nth}\n  {files} files and the database, {}; {} of that were new; {:.1} s",
        &snapshot[..8],
        DecimalBytes(*bytes),
        DecimalBytes(*added),
        *ms as f64 / 1000.0
    );
    if let Some(why) = &created.without_files {
        text.push_str(&format!("\nwarning: no uploaded files are in it: {why}"));
    }
    text
}

/// The key, once: where somebody sits in front of it and nothing keeps what is printed.
fn show_new_key(printer: Printer, world: &World, file: &std::path::Path) -> Result<(), Error> {
    let mut text = format!("\nIts key is new: {}. ", file.display());
    if !printer.json && std::io::stdout().is_terminal() {
        text = format!(
            "\nIts key is new, {}, and shown this once:\n\n  {}\n\n",
            file.display(),
            deploy::backup_key(world)?.reveal()
        );
    }
    text.push_str("Without the key nobody restores: `mainstay backup key export FILE` writes a copy, to be kept where this machine's disk is not");
    printer.show(&text);
    Ok(())
}

async fn list(printer: Printer, world: &World, named: &Elsewhere) -> Result<Exit, Error> {
    let listed = deploy::list_backups(world, named).await?;
    printer.data(&listed);
    let line = |one: &deploy::ListedSnapshot| {
        let (release, why) = match &one.manifest {
            Some(manifest) => (manifest.release.id.clone(), manifest.why.clone()),
            None => ("not Mainstay's".to_owned(), String::new()),
        };
        let taken = one.manifest.as_ref().map_or(one.time, |manifest| manifest.taken);
        format!(
            "{}  {taken:.0}  {:>10}  {release:<22} {why}",
            &one.snapshot[..8],
            DecimalBytes(one.bytes).to_string()
        )
    };
    printer.show(&match &listed.snapshots[..] {
        [] => format!("There is no snapshot in {}", listed.location),
        snapshots => snapshots.iter().map(line).collect::<Vec<_>>().join("\n"),
    });
    Ok(Exit::Done)
}

async fn show(printer: Printer, world: &World, args: cli::BackupShow) -> Result<Exit, Error> {
    let shown = deploy::show_backup(world, &args.named.into(), &args.snapshot, args.files).await?;
    printer.data(&shown);
    let manifest = &shown.manifest;
    let database = &manifest.database;
    let total: u64 = database.rows.values().sum();
    let mut rows = vec![
        ("Snapshot", shown.snapshot.clone()),
        ("In", shown.location.clone()),
        ("Taken", format!("{:.0}, by {}", manifest.taken, manifest.made_by)),
        ("Why", manifest.why.clone()),
        ("Of", format!("{} ({})", manifest.directory, manifest.deployment)),
        ("Release", manifest.release.id.clone()),
        (
            "Database",
            format!(
                "{} {}, {total} rows in {} tables",
                database.engine,
                database.server,
                database.rows.len()
            ),
        ),
    ];
    rows.extend(database.migration.map(|number| ("", format!("schema of migration {number}"))));
    let files = match &manifest.without_files {
        Some(why) => format!("none: {why}"),
        None => format!("{} besides the database, {}", manifest.files, DecimalBytes(manifest.bytes)),
    };
    rows.push(("Files", files));
    for part in &shown.parts {
        rows.push((
            "",
            format!("{:<32} {:>6} files {:>10}", part.name, part.files, DecimalBytes(part.bytes).to_string()),
        ));
    }
    let mut lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name:<10} {value}")).collect();
    let files = shown.list.iter().flatten();
    lines.extend(files.map(|(name, bytes)| format!("{bytes:>12}  {name}")));
    printer.show(&lines.join("\n"));
    Ok(Exit::Done)
}

async fn prune(
    printer: Printer,
    world: &World,
    args: &cli::BackupPrune,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let keep = backup::Keep {
        last: args.keep_last,
        daily: args.keep_daily,
        weekly: args.keep_weekly,
        monthly: args.keep_monthly,
        yearly: args.keep_yearly,
    };
    let operation = PruneBackups {
        keep: (!keep.is_empty()).then_some(keep),
        at_once: args.at_once,
        only_if_needed: false,
        takes_over: args.take_over_lock,
    };
    let pruned = super::change(printer, world, &operation, &args.change, None, cancel).await?;
    let Some(pruned) = pruned else { return Ok(Exit::Done) };
    printer.data(&pruned);
    printer.show(&thinned(&pruned));
    Ok(Exit::Done)
}

fn thinned(pruned: &PrunedBackups) -> String {
    let later = match pruned.later {
        0 => String::new(),
        bytes => format!(
            "; {} more are freed by a later `mainstay backup prune`, a day from now at the earliest",
            DecimalBytes(bytes)
        ),
    };
    let snapshots =
        |count: usize| if count == 1 { "1 snapshot".to_owned() } else { format!("{count} snapshots") };
    format!(
        "{} removed, {} kept; {} freed{later}",
        snapshots(pruned.removed.len()),
        pruned.kept.len(),
        DecimalBytes(pruned.freed)
    )
}

fn export(printer: Printer, world: &World, file: Option<PathBuf>) -> Result<Exit, Error> {
    let key = deploy::backup_key(world)?;
    match &file {
        None => {
            printer.data(&json!({"key": key.reveal()}));
            printer.show(key.reveal());
        }
        Some(path) => {
            let fail = |error: std::io::Error| Error::path("write", path, &error);
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            let mut out = made.map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    Error::new(Exit::Refused, format!("{} is there already", path.display()))
                        .hint("name a file that does not exist yet")
                }
                _ => fail(error),
            })?;
            writeln!(out, "{}", key.reveal()).and_then(|()| out.sync_all()).map_err(fail)?;
            printer.data(&json!({"file": path}));
            printer.show(&format!(
                "The key of the backups is in {}; {}",
                path.display(),
                deploy::WITHOUT_THE_KEY
            ));
        }
    }
    deploy::key_exported(world)?;
    Ok(Exit::Done)
}
