//! `mainstay database`

use deploy::{DatabaseStatus, Error, Reached, UpgradeDatabase, World};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::database_move;
use crate::cli::Database;
use crate::log_line::printable;
use crate::printer::Printer;
use finding::Exit;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    command: Database,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    match command {
        Database::Status => {
            let status = deploy::database_status(world).await?;
            printer.data(&status);
            printer.show(&text(&status));
        }
        Database::Sql => {
            let sql = deploy::sql_script(world)?;
            printer.data(&json!({ "sql": sql }));
            printer.show(sql.trim_end());
        }
        Database::Move(args) => return database_move::run(printer, world, args, cancel).await,
        Database::Upgrade { to, rebuild, change } => {
            let operation = UpgradeDatabase { to, rebuild };
            return database_move::upgrade(printer, world, &operation, &change, cancel).await;
        }
        Database::Prune { change } => return database_move::prune(printer, world, &change, cancel).await,
    }
    Ok(Exit::Done)
}

fn text(status: &DatabaseStatus) -> String {
    let mut rows = vec![("Address", status.address.clone())];
    rows.extend(status.origins.iter().map(|(name, origin)| ("Said by", format!("{name}: {origin}"))));
    rows.push(("For", format!("Mattermost {}", status.release)));
    if let Some(managed) = &status.managed {
        let process = managed.pid.map_or("not running".to_owned(), |pid| format!("process {pid}"));
        let (major, bin, restarts) = (managed.major, managed.bin.display(), managed.restarts);
        rows.push((
            "Run by",
            format!(
                "Mainstay: PostgreSQL {major} of {bin}, {process}, {}",
                finding::counted(restarts, "restart", "restarts")
            ),
        ));
        rows.push(("Data", managed.data.display().to_string()));
    }
    match &status.reached {
        None => {
            let size = status.file_bytes.map(|bytes| format!("{} KB", bytes.div_ceil(1024)));
            rows.push(("File", size.unwrap_or_else(|| "not made yet; `mainstay up` does it".to_owned())));
        }
        Some(reached) => rows.extend(answered(reached)),
    }
    rows.iter().map(|(name, value)| format!("{name:<10} {value}")).collect::<Vec<_>>().join("\n")
}

/// Its size, its connections, what is slow and what takes room in vain.
fn busy(reached: &Reached) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    rows.extend(reached.bytes.map(|bytes| ("Size", format!("{} MB", bytes.div_ceil(1_000_000)))));
    rows.extend(reached.connections.map(|now| ("In use", format!("{now} connections"))));
    for dead in &reached.dead_rows {
        let rows_dead = format!("{}: {} dead rows beside {} live ones", dead.table, dead.dead, dead.live);
        rows.push(("Bloat", rows_dead));
    }
    match &reached.slowest {
        None if reached.bytes.is_some() => {
            rows.push(("Slowest", "not known: pg_stat_statements is not switched on there".to_owned()));
        }
        Some(slowest) if slowest.is_empty() => rows.push(("Slowest", "no statement has run yet".to_owned())),
        Some(slowest) => rows.extend(slowest.iter().map(|slow| {
            let (total, mean) = (slow.total_ms, slow.mean_ms);
            (
                "Slowest",
                format!(
                    "{total:.0} ms in {} calls, {mean:.2} ms each: {}",
                    slow.calls,
                    printable(&slow.text)
                ),
            )
        })),
        None => {}
    }
    rows.extend(reached.next.iter().map(|need| {
        let met = if need.met { "this one will do" } else { "upgrade PostgreSQL before it" };
        ("Next", format!("Mattermost {} needs PostgreSQL {} or later: {met}", need.release, need.postgres))
    }));
    rows
}

fn answered(reached: &Reached) -> Vec<(&'static str, String)> {
    let minimum = reached.minimum.as_ref().map(|minimum| format!(" (needed: {minimum} or later)"));
    let server = format!("{} {}{}", reached.product, reached.version, minimum.unwrap_or_default());
    let schema = match (reached.schema, &reached.mattermost_version, reached.migration) {
        (false, ..) => "none yet; `mainstay up` makes it".to_owned(),
        (true, _, Some(migration)) => format!("Mattermost's, up to migration {migration}"),
        (true, Some(version), None) => format!("Mattermost's, of {version}"),
        (true, None, None) => "Mattermost's".to_owned(),
    };
    let mut rows = vec![
        ("Server", server),
        ("Tables", schema),
        ("TLS", if reached.tls { "yes" } else { "no" }.to_owned()),
        ("Encoding", format!("{}, sorted by {}", reached.encoding, reached.collation)),
        ("Limit", format!("{} connections", reached.max_connections)),
        ("Answered", format!("in {} ms", reached.latency_ms)),
    ];
    rows.extend(busy(reached));
    rows.extend(reached.warnings.iter().map(|warning| ("Warning", warning.clone())));
    rows
}
