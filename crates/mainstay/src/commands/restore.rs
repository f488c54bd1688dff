//! `mainstay restore`

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use backup::Watch;
use deploy::{Creation, Elsewhere, Error, Extracted, Only, Request, Restore, Restored, Scratch, World};
use finding::Exit;
use tokio_util::sync::CancellationToken;

use super::flags;
use crate::cli;
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: cli::Restore,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let from = Elsewhere { repository: absolute(args.repository)?, key_file: absolute_path(args.key_file)? };
    if let Some(into) = args.into {
        let only = Only::read(&args.only)?;
        let into = std::path::absolute(&into).map_err(|error| Error::path("find", into, &error))?;
        let watch = Arc::new(Cancelled(cancel));
        let extracted = deploy::extract(world, from, args.snapshot, only, into, watch).await?;
        printer.data(&extracted);
        printer.show(&written(&extracted));
        return Ok(Exit::Done);
    }
    let request = Request {
        flags: flags([
            ("listen", args.listen.map(|listen| listen.to_string())),
            ("site_url", args.site_url),
            ("user", args.user),
            ("boot", args.no_boot.then(|| "false".to_owned())),
            ("database", args.database),
            ("edition", args.edition.map(|edition| edition.to_string())),
        ]),
        origin: args.release.map(|path| release::Origin::File { path }),
        creation: args.create_database.map(|file| file.map_or(Creation::Variable, Creation::File)),
        install_packages: args.install_packages,
        ..Request::default()
    };
    let scratch = args.scratch.then_some(Scratch);
    let operation = Restore { snapshot: args.snapshot, from, request, scratch, may_lose: args.may_lose };
    let dir = world.layout.root().display();
    let question = format!(
        "This replaces the data of the deployment in {dir} by the snapshot's; what is there now is kept. Go on?"
    );
    let is_new = !world.layout.wanted().exists();
    let question = (!is_new).then_some(question.as_str());
    let began = Instant::now();
    let Some(restored) = super::change(printer, world, &operation, &args.change, question, cancel).await?
    else {
        return Ok(Exit::Done);
    };
    printer.data(&restored);
    for difference in &restored.differences {
        printer.say(&format!("note: mainstay.toml stayed as it is: {difference}"));
    }
    for warning in &restored.warnings {
        printer.say(&format!("warning: {warning}"));
    }
    printer.show(&summary(&restored, began.elapsed().as_secs_f64()));
    Ok(Exit::Done)
}

/// The same repository from wherever a later command goes on.
fn absolute(repository: Option<String>) -> Result<Option<String>, Error> {
    let Some(text) = repository.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.contains("://") {
        return Ok(Some(text));
    }
    let path = std::path::absolute(&text).map_err(|error| Error::path("find", text, &error))?;
    Ok(Some(path.to_string_lossy().into_owned()))
}

fn absolute_path(path: Option<std::path::PathBuf>) -> Result<Option<std::path::PathBuf>, Error> {
    path.map(|path| std::path::absolute(&path).map_err(|error| Error::path("find", path, &error))).transpose()
}

/// Ends the work at Ctrl-C.
struct Cancelled(CancellationToken);

impl Watch for Cancelled {
    fn bytes(&self, _: u64, _: Option<u64>) {}

    fn cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

fn written(extracted: &Extracted) -> String {
    const SHOWN: usize = 20;
    let Extracted { files, bytes, snapshot, .. } = extracted;
    let shown = files.iter().take(SHOWN).map(|file| format!("  {}", file.display()));
    let more = files.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!("  and {more} more"));
    let headline = format!(
        "Wrote {} of snapshot {}, {bytes} bytes:",
        counted(files.len() as u64, "file"),
        short(snapshot)
    );
    std::iter::once(headline).chain(shown).chain(more).collect::<Vec<_>>().join("\n")
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn summary(restored: &Restored, seconds: f64) -> String {
    let headline = match restored.resumed {
        true => "\nThe restore that was interrupted is finished, and verified".to_owned(),
        false => format!("\nRestored and verified, in {seconds:.1} s"),
    };
    let (rows, files) = (counted(restored.rows, "row"), counted(restored.files, "file"));
    let mut lines = vec![
        headline,
        String::new(),
        format!(
            "  Snapshot       {} of {}: {rows}, {files}",
            short(&restored.snapshot),
            finding::moment(restored.taken)
        ),
        format!("  Address        {}", restored.url),
        format!("  Directory      {}", restored.dir.display()),
        format!("  Release        {}", restored.release),
    ];
    if restored.release != restored.written_by {
        lines.push(format!("  Migrated from  {}", restored.written_by));
    }
    let remove = |path: &Path| format!("`rm -r {}`", finding::hint!("{}", path.display()));
    if let Some(path) = &restored.set_aside {
        lines.push(String::new());
        lines.push(format!(
            "What was here before is in {} until you remove it: {}",
            path.display(),
            remove(path)
        ));
    }
    if let Some(schema) = &restored.schema_set_aside {
        let (kind, drop) = match restored.engine.as_str() {
            "mysql" => ("database", format!("-e 'drop database {schema}'")),
            _ => ("schema", format!("-c 'drop schema {schema} cascade'")),
        };
        lines.push(format!(
            "Its tables are in the {kind} {schema} until you remove it: `mainstay shell database -- {drop}`"
        ));
    }
    lines.join("\n")
}
