//! `mainstay backup`

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backup::Store;
use deploy::{
    BackupWork, CheckBackups, CreateBackup, CreateKey, Elsewhere, Error, Objects, PruneBackups,
    PrunedBackups, Taken, World,
};
use finding::Exit;
use indicatif::DecimalBytes;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::{self, Backup};
use crate::printer::Printer;
use crate::terminal::Bar;

/// How long a call to object storage may go without an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens object storage. Its credentials are looked for at the first call.
pub(super) fn object_storage(objects: &Objects) -> Result<Arc<dyn Store>, Error> {
    let Objects { bucket, prefix, endpoint, region, path_style, credentials } = objects.clone();
    let place =
        backup_s3::Place { bucket, prefix, endpoint, region, path_style, credentials, patience: PATIENCE };
    let bucket = backup_s3::Bucket::new(place).map_err(|error| Error::not_ready(error.to_string()))?;
    Ok(Arc::new(bucket))
}

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
        Backup::Check(args) => check(printer, world, args, cancel).await,
        Backup::Drill(args) => super::drill::run(printer, world, &args, cancel).await,
        Backup::Prune(args) => prune(printer, world, &args, cancel).await,
        Backup::Repair(args) => super::repair::run(printer, world, &args, cancel).await,
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
        Backup::Key(cli::BackupKey::Export { file }) => export(printer, world, file.as_deref()),
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
    printer.show(&text(&created.taken));
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

fn text(taken: &Taken) -> String {
    let Taken { snapshot, location, files, bytes, added, snapshots, ms, missing, .. } = taken;
    let nth = if *snapshots == 1 { "the first".to_owned() } else { format!("one of {snapshots}") };
    let mut text = format!(
        "\nSnapshot {} in {location}, {nth}\n  {} and the database, {}; {} of that were new; {:.1} s",
        &snapshot[..8],
        finding::counted(*files, "file", "files"),
        DecimalBytes(*bytes),
        DecimalBytes(*added),
        *ms as f64 / 1000.0
    );
    if let Some(why) = &taken.without_files {
        text.push_str(&format!("\nwarning: no uploaded files are in it: {why}"));
    }
    if *missing > 0 {
        text.push_str(&format!(
            "\nwarning: {} that the database knows {} not on the disk, and so not in it: `mainstay backup check` names them; an earlier snapshot \
             may have them",
            finding::counted(*missing, "uploaded file", "uploaded files"),
            if *missing == 1 { "is" } else { "are" },
        ));
    }
    text
}

/// The key, once: where somebody sits in front of it and nothing keeps what is printed.
fn show_new_key(printer: Printer, world: &World, file: &Path) -> Result<(), Error> {
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
            None if one.damaged => (String::new(), String::new()),
            None => ("not Mainstay's".to_owned(), String::new()),
        };
        let why = match (one.damaged, &*why) {
            (false, _) => why,
            (true, "") => "has lost data".to_owned(),
            (true, why) => format!("has lost data; {why}"),
        };
        let taken = one.manifest.as_ref().map_or(one.time, |manifest| manifest.taken);
        format!(
            "{}  {}  {:>10}  {release:<22} {why}",
            &one.snapshot[..8],
            finding::moment(taken),
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
        ("Taken", format!("{}, by {}", finding::moment(manifest.taken), manifest.made_by)),
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

/// How far a check has come, for a bar, and whether it is to end.
struct Amount {
    done: AtomicU64,
    total: AtomicU64,
    cancel: CancellationToken,
}

impl backup::Watch for Amount {
    fn bytes(&self, done: u64, total: Option<u64>) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total.unwrap_or(done), Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

async fn check(
    printer: Printer,
    world: &World,
    args: cli::BackupCheck,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let files = match (args.files, args.no_files) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let check = CheckBackups { named: args.named.into(), read_data: args.read_data, files };
    let amount = Arc::new(Amount { done: AtomicU64::new(0), total: AtomicU64::new(0), cancel });
    let watch: Arc<dyn backup::Watch> = Arc::clone(&amount) as _;
    let mut bar = Bar::new(printer);
    bar.begin("Check the repository");
    let mut work = std::pin::pin!(deploy::check_backups(world, &check, watch));
    let checked = loop {
        match tokio::time::timeout(Bar::INTERVAL, &mut work).await {
            Ok(checked) => break checked,
            Err(_) => bar.bytes(amount.done.load(Ordering::Relaxed), amount.total.load(Ordering::Relaxed)),
        }
    };
    bar.end(checked.as_ref().is_ok_and(|checked| checked.failure().is_none()));
    let checked = checked?;
    let mut data = serde_json::to_value(&checked).unwrap_or_default();
    data["sound"] = checked.failure().is_none().into();
    printer.data(&data);
    let mut lines = vec![format!(
        "{}: {}, {}, {} of them read",
        checked.location,
        finding::counted(checked.snapshots, "snapshot", "snapshots"),
        finding::counted(checked.packs, "pack", "packs"),
        checked.packs_read
    )];
    lines.extend(checked.damage.iter().map(|damage| format!("  ✗ {damage}")));
    lines.extend(checked.waste.iter().map(|waste| format!("  note: {waste}")));
    if let Some(files) = &checked.files {
        let id = checked.compared.as_deref().and_then(|id| id.get(..8)).unwrap_or_default();
        lines.push(format!(
            "Snapshot {id}: {} in the database, {} missing; {} missing; {} that no row knows",
            finding::counted(files.rows, "file", "files"),
            files.missing,
            finding::counted(files.missing_previews, "thumbnail or preview", "thumbnails and previews"),
            finding::counted(files.unknown, "file", "files")
        ));
        lines.extend(files.list.iter().map(|line| format!("  {line}")));
    }
    printer.show(&lines.join("\n"));
    match checked.failure() {
        None => Ok(Exit::Done),
        Some(what) => Err(Error::new(Exit::NotVerified, what)
            .hint(match checked.damage.is_empty() {
                true => "make a new backup now, with `mainstay backup create`; an earlier snapshot may have what is missing",
                false => "`mainstay backup repair` makes the repository fit for new snapshots, and names those that have lost data; then \
                          `mainstay backup create` reads again what the disk still has",
            })),
    }
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
    format!(
        "{} removed, {} kept; {} freed{later}",
        finding::counted(pruned.removed.len(), "snapshot", "snapshots"),
        pruned.kept.len(),
        DecimalBytes(pruned.freed)
    )
}

fn export(printer: Printer, world: &World, file: Option<&Path>) -> Result<Exit, Error> {
    let key = deploy::backup_key(world)?;
    match file {
        None => {
            printer.data(&json!({"key": key.reveal()}));
            printer.show(key.reveal());
        }
        Some(path) => {
            deploy::refuse_own_place(world, path)?;
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
