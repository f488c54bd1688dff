//! `mainstay database`

use deploy::{DatabaseStatus, Error, Reached, World};
use serde_json::json;

use crate::cli::Database;
use crate::printer::Printer;
use finding::Exit;

pub(super) async fn run(printer: Printer, world: &World, command: Database) -> Result<Exit, Error> {
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
    }
    Ok(Exit::Done)
}

fn text(status: &DatabaseStatus) -> String {
    let mut rows = vec![("Address", status.address.clone())];
    rows.extend(status.origins.iter().map(|(name, origin)| ("Said by", format!("{name}: {origin}"))));
    rows.push(("For", format!("Mattermost {}", status.release)));
    match &status.reached {
        None => {
            let size = status.file_bytes.map(|bytes| format!("{} KB", bytes.div_ceil(1024)));
            rows.push(("File", size.unwrap_or_else(|| "not made yet; `mainstay up` does it".to_owned())));
        }
        Some(reached) => rows.extend(answered(reached)),
    }
    rows.iter().map(|(name, value)| format!("{name:<10} {value}")).collect::<Vec<_>>().join("\n")
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
    rows.extend(reached.warnings.iter().map(|warning| ("Warning", warning.clone())));
    rows
}
