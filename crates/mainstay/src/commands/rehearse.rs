//! `mainstay upgrade --rehearse`

use deploy::{Consent, Error, Rehearse, Rehearsed, SchemaDifference, Upgrade, World};
use finding::Exit;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::caller;
use crate::cli;
use crate::printer::Printer;
use crate::terminal;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    upgrade: Upgrade,
    change: &cli::Change,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    // The copy is made of a snapshot; the deployment needs none.
    let operation = Rehearse { upgrade: Upgrade { without_snapshot: true, ..upgrade } };
    if change.plan {
        super::change(printer, world, &operation, change, None, cancel).await?;
        return Ok(Exit::Done);
    }
    let mut reader = terminal::reader(printer);
    let caller = caller(change, &mut *reader, Consent::Given, cancel)?;
    match Box::pin(deploy::rehearse(world, &operation, caller)).await? {
        Some(rehearsed) => {
            printer.data(&rehearsed);
            printer.show(&summary(&rehearsed));
        }
        None => {
            printer.data(&json!({ "rehearsed": false }));
            printer.show("There is nothing newer to rehearse");
        }
    }
    Ok(Exit::Done)
}

/// How many changes of the schema are named of each kind.
const NAMED: usize = 6;

fn summary(rehearsed: &Rehearsed) -> String {
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1000.0);
    let snapshot = rehearsed.snapshot.get(..8).unwrap_or(&rehearsed.snapshot);
    let mut rows = vec![
        ("Copy", format!("snapshot {snapshot} of {:.0}", rehearsed.taken)),
        ("Migration", seconds(rehearsed.migration_ms)),
        ("Longest lock", lock(rehearsed)),
        ("Start", seconds(rehearsed.start_ms)),
        ("Test", format!("passed, {} checks", rehearsed.checks)),
    ];
    rows.extend(rehearsed.compared.iter().map(|line| ("Data", line.clone())));
    rows.extend(schema(&rehearsed.schema).into_iter().map(|line| ("Schema", line)));
    rows.extend(rehearsed.notices.iter().map(|line| ("Settings", line.clone())));
    rows.extend(rehearsed.plugins.iter().map(|plugin| ("Plugins", format!("{}: {}", plugin.id, plugin.why))));
    if let Some(ms) = rehearsed.predicted_ms {
        rows.push(("People wait", format!("for about {} in the upgrade", seconds(ms))));
    }
    let mut lines = vec![
        format!("\nRehearsed: {} migrates a copy of the data, starts on it and is verified", rehearsed.to),
        String::new(),
    ];
    let mut last = "";
    for (name, text) in rows {
        lines.push(format!("  {:<13} {text}", if name == last { "" } else { name }));
        last = name;
    }
    lines.extend([String::new(), "The copy is removed. Next: `mainstay upgrade`".to_owned()]);
    lines.join("\n")
}

fn lock(rehearsed: &Rehearsed) -> String {
    match (&rehearsed.longest_lock, rehearsed.locks_watched) {
        (Some(held), _) => {
            format!("{:.1} s on table {} ({})", held.ms as f64 / 1000.0, held.table, held.mode)
        }
        (None, true) => "none was seen".to_owned(),
        (None, false) => "not known: only PostgreSQL says it".to_owned(),
    }
}

/// The changes of the schema, a line a kind.
fn schema(found: &SchemaDifference) -> Vec<String> {
    let changed = |list: &[deploy::ChangedShape]| list.iter().map(|changed| changed.name.clone()).collect();
    let kinds: [(&str, Vec<String>); 8] = [
        ("new tables", found.tables_added.clone()),
        ("tables removed", found.tables_removed.clone()),
        ("new columns", found.columns_added.clone()),
        ("columns removed", found.columns_removed.clone()),
        ("columns with another type", changed(&found.columns_changed)),
        ("new indexes", found.indexes_added.clone()),
        ("indexes removed", found.indexes_removed.clone()),
        ("indexes that changed", changed(&found.indexes_changed)),
    ];
    let lines = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    let lines: Vec<String> = lines
        .map(|(kind, names)| {
            let more = names.len().saturating_sub(NAMED);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            format!("{kind}: {}{more}", names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "))
        })
        .collect();
    if lines.is_empty() { vec!["as before".to_owned()] } else { lines }
}
