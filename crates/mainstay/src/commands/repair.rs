//! `mainstay backup repair`

use deploy::{Error, LostSnapshot, Mended, RepairBackups, RepairedBackups, World};
use finding::{Exit, counted, moment};
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: &cli::BackupRepair,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let operation =
        RepairBackups { reads_all: args.read_all, forgets: args.forget, takes_over: args.take_over_lock };
    let repaired = super::change(printer, world, &operation, &args.change, None, cancel).await?;
    if let Some(repaired) = repaired {
        printer.data(&repaired);
        printer.show(&summary(&repaired, args.read_all));
    }
    Ok(Exit::Done)
}

fn summary(repaired: &RepairedBackups, has_read_all: bool) -> String {
    let RepairedBackups { location, changed, mended } = repaired;
    if !changed {
        let rest = match has_read_all {
            true => "",
            false => "; `mainstay backup repair --read-all` reads all packs, too",
        };
        return format!("Nothing is missing in {location}: nothing was repaired{rest}");
    }
    let Mended { missing, set_aside, lost, whole, removed } = mended;
    let mut lines = vec![
        format!("\n{location} takes new snapshots again"),
        String::new(),
        format!("  Gone         {}", counted(missing.len(), "pack", "packs")),
        format!("  Damaged      {}", counted(set_aside.len(), "file", "files")),
        format!("  Snapshots    {whole} whole, {} have lost data", lost.len()),
    ];
    if !set_aside.is_empty() {
        lines[3].push_str(", now below `damaged` in the repository");
    }
    lines.extend(lost.iter().map(|one| line(one, removed)));
    if !removed.is_empty() {
        lines.push(format!("  Removed      {}", counted(removed.len(), "snapshot", "snapshots")));
    }
    if missing.is_empty() && set_aside.is_empty() && lost.is_empty() {
        return lines.join("\n");
    }
    lines.push(String::new());
    lines.push("Make a backup now, with `mainstay backup create`: it reads again whatever the repository has lost and the disk still has".to_owned());
    lines.join("\n")
}

fn line(lost: &LostSnapshot, removed: &[String]) -> String {
    let LostSnapshot { was, snapshot, taken, files, left } = lost;
    let was = was.get(..8).unwrap_or(was);
    let of = format!("    {was} of {}", moment(*taken));
    match snapshot {
        Some(id) if removed.contains(id) => format!("{of}: removed"),
        Some(id) => format!(
            "{of}: {left} of {} are left, as snapshot {}",
            counted(*files, "file", "files"),
            id.get(..8).unwrap_or(id)
        ),
        None => format!("{of}: nothing is left of it"),
    }
}
