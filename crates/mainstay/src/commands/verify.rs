//! `mainstay verify`

use std::path::Path;
use std::time::Duration;

use acceptance::{Browser, Check, Outcome, Secret};
use deploy::{Error, Verification, World};
use tokio_util::sync::CancellationToken;

use super::secret_text;
use crate::cli;
use crate::printer::Printer;
use finding::Exit;

/// No token is longer, in bytes.
const TOKEN_LIMIT: u64 = 1024;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    args: cli::Verify,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let screenshots = args.screenshots.unwrap_or_else(|| "mainstay-screenshots".into());
    let what = Verification {
        url: args.url,
        via: args.via,
        admin_token: args.admin_token.as_deref().map(token).transpose()?,
        keep: args.keep,
        idle: args.idle.map(Duration::from_secs),
        browser: args.browser.then_some(Browser { chromium: None, screenshots }),
    };
    let report = deploy::verify(world, &what, |check| printer.show(&line(check)), cancel).await?;
    printer.data(&report);
    if let Some(path) = &args.report {
        deploy::write_report(&report, path)?;
        printer.say(&format!("The report is in {}", path.display()));
    }
    if report.passed() {
        let passed = report.checks.iter().filter(|check| check.outcome == Outcome::Ok).count();
        printer.show(&format!("\n{} is verified: {passed} checks passed", report.url));
        for unchecked in &report.unchecked {
            printer.show(&format!("  not tested: {unchecked}"));
        }
        return Ok(Exit::Done);
    }
    printer.show(&format!("\n{} is not verified", report.url));
    Ok(Exit::NotVerified)
}

/// The token comes from a file: an argument would be seen by everybody on the machine.
fn token(path: &Path) -> Result<Secret, Error> {
    secret_text(path, TOKEN_LIMIT, "token").map(Secret::new)
}

fn line(check: &Check) -> String {
    let mut text = match &check.outcome {
        Outcome::Ok => format!("  ✓ {} ({} ms)", check.title, check.ms),
        Outcome::Skipped { why } => format!("  - {}: skipped, {why}", check.title),
        Outcome::Off { why } => format!("  - {}: not tested, {why}", check.title),
        Outcome::Failed(finding) => {
            format!("  ✗ {} ({} ms)\n{}", check.title, check.ms, finding.lines("      "))
        }
    };
    for note in &check.notes {
        text.push_str(&format!("\n      note   {note}"));
    }
    text
}
