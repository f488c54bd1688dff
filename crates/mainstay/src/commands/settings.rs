//! `mainstay settings`

use deploy::{Error, InForce, Rotate, World};
use finding::{Exit, Report};
use release::{Edition, ReleaseId};
use settings::{Reason, Reconciled, Resolved};
use tokio_util::sync::CancellationToken;
use version::{Version, VersionError};

use crate::cli::{Change, For, Secrets, Settings};
use crate::printer::Printer;

pub(super) async fn run(
    printer: Printer,
    world: &World,
    command: Settings,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    // What is checked, or sent somewhere, must be this deployment's own.
    if matches!(
        command,
        Settings::Check(For { version: None })
            | Settings::Diff
            | Settings::TestMail { .. }
            | Settings::TestGitlab
            | Settings::TestHttps
    ) {
        deploy::refuse_gone_settings(&world.layout).await?;
    }
    match command {
        Settings::List(version) => {
            let (resolved, deployed) = with_deployment(world, &version)?;
            list(printer, &resolved, deployed.as_ref());
        }
        Settings::Explain { name, version } => {
            let (resolved, deployed) = with_deployment(world, &version)?;
            return explain(printer, &name, &resolved, deployed.as_ref());
        }
        Settings::Check(version) => {
            let other = release(world, &version)?;
            check(printer, world, &deploy::check_settings(world, other.as_ref())?);
        }
        Settings::Render(version) => render(printer, &resolved(world, &version)?),
        Settings::Schema(version) => {
            let schema = settings::schema(resolved(world, &version)?.version());
            printer.document(&schema);
        }
        Settings::Diff => diff(printer, world)?,
        Settings::TestMail { address } => return test_mail(printer, world, &address).await,
        Settings::TestGitlab => {
            let gitlab = InForce::read(world)?.gitlab()?;
            return Ok(show(
                printer,
                &Report::new(&gitlab.auth_endpoint, services::gitlab::check(&gitlab).await),
            ));
        }
        Settings::TestHttps => {
            let in_force = InForce::read(world)?;
            let probe = deploy::Probe::enter(world).await?;
            let front = in_force.front(probe.as_ref());
            let report = match &front {
                Ok(front) => Some(Report::new(&front.public_url, services::front::check(front).await)),
                Err(_) => None,
            };
            if let Some(probe) = probe {
                probe.leave().await?;
            }
            front?;
            return Ok(report.map_or(Exit::Bug, |report| show(printer, &report)));
        }
        Settings::Secrets(Secrets::Rotate { names, change }) => {
            rotate(printer, world, names, &change, cancel).await?;
        }
    }
    Ok(Exit::Done)
}

async fn rotate(
    printer: Printer,
    world: &World,
    names: Vec<String>,
    change: &Change,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let broken = deploy::broken_by(&names)?;
    let lines: Vec<String> =
        broken.iter().map(|broken| format!("{}: {}", broken.name, broken.breaks)).collect();
    if !change.plan {
        printer.say(&lines.join("\n"));
    }
    let question = Some("These stop working. Go on?");
    if let Some(names) = super::change(printer, world, &Rotate { names }, change, question, cancel).await? {
        printer.data(&serde_json::json!({ "rotated": names }));
        printer.show(&format!("\nRotated {}", names.join(", ")));
    }
    Ok(())
}

/// The settings for a version: the one that is asked for, the installed one, or the built-in server's.
fn resolved(world: &World, version: &For) -> Result<Resolved, Error> {
    let release = match release(world, version)? {
        Some(release) => release,
        None => deploy::present_release(&world.layout),
    };
    deploy::settings_of(world, &deploy::wanted_file(&world.layout)?, &release)
}

/// The release that is asked for: VERSION-EDITION, or a version, whose last number may be left out. Without an edition it is the
/// one that `mainstay.toml` names, or one that does everything that its version knows.
fn release(world: &World, version: &For) -> Result<Option<ReleaseId>, Error> {
    let Some(text) = &version.version else { return Ok(None) };
    if let Ok(release) = text.parse() {
        return Ok(Some(release));
    }
    let full = if text.matches('.').count() == 1 { format!("{text}.0") } else { text.clone() };
    let version: Version =
        full.parse().map_err(|error: VersionError| Error::new(Exit::Usage, error.to_string()))?;
    let wanted = deploy::wanted_file(&world.layout)?;
    let named = wanted.get("edition").and_then(|edition| edition.parse().ok());
    let edition = match named {
        _ if version.build.is_some() => Edition::Builtin,
        Some(Edition::Builtin) | None => Edition::Enterprise,
        Some(edition) => edition,
    };
    Ok(Some(ReleaseId { version, edition }))
}

/// The same, with what the deployment has, where they are about its own version.
fn with_deployment(world: &World, version: &For) -> Result<(Resolved, Option<Reconciled>), Error> {
    let resolved = resolved(world, version)?;
    Ok(match deploy::deployed_settings(world)? {
        Some((of_deployment, deployed)) if of_deployment.version() == resolved.version() => {
            (of_deployment, Some(deployed))
        }
        _ => (resolved, None),
    })
}

fn list(printer: Printer, resolved: &Resolved, deployed: Option<&Reconciled>) {
    let entries = settings::list(resolved, deployed);
    printer.data(&entries);
    let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    for entry in entries {
        let value = match (entry.in_force, entry.held) {
            (Some(in_force), _) => in_force.to_string(),
            (None, Some(held)) => format!("{} ({})", settings::in_text(&held.value), held.origin),
            (None, None) => "-".to_owned(),
        };
        let told = entry.server.map_or_else(String::new, |told| format!("  [{told}]"));
        printer.show(&format!("{:<width$}  {value}{told}", entry.name));
    }
}

fn explain(
    printer: Printer,
    name: &str,
    resolved: &Resolved,
    deployed: Option<&Reconciled>,
) -> Result<Exit, Error> {
    let explanation =
        settings::explain(name, resolved, deployed).map_err(|problem| Error::new(Exit::Usage, problem))?;
    printer.data(&explanation);
    printer.show(&explanation.to_string());
    Ok(Exit::Done)
}

fn check(printer: Printer, world: &World, resolved: &Resolved) {
    let warnings = deploy::warnings(&world.layout);
    printer.data(&serde_json::json!({
        "version": resolved.version().to_string(),
        "notices": resolved.notices(),
        "warnings": warnings,
    }));
    for warning in &warnings {
        printer.show(&format!("warning: {warning}"));
    }
    for line in settings::in_lines(resolved.notices()) {
        printer.show(&line);
    }
    printer.show(&format!("The settings are right for Mattermost {}", resolved.version()));
}

fn render(printer: Printer, resolved: &Resolved) {
    let shipped = serde_json::Value::Object(serde_json::Map::new());
    let mut config = settings::render(resolved, &shipped);
    settings::mask(&mut config);
    printer.document(&config);
}

fn diff(printer: Printer, world: &World) -> Result<(), Error> {
    let Some((_, deployed)) = deploy::deployed_settings(world)? else {
        let config = world.layout.config();
        let is = if config.exists() { "says nothing: it is empty" } else { "does not exist" };
        return Err(Error::not_ready(format!("{} {is}", config.display()))
            .hint("install a deployment with `mainstay up`, or name its directory with `--dir`"));
    };
    let drifts = deployed.drift();
    printer.data(&drifts);
    if drifts.iter().all(|drift| !drift.changes()) {
        printer.show("config.json says what is declared");
    }
    for drift in drifts {
        let side = |value: &Option<String>| value.as_deref().map_or("nothing", settings::in_text).to_owned();
        let (now, next, path) = (side(&drift.on_disk), side(&drift.rendered), &drift.path);
        printer.show(&match drift.reason {
            Reason::KeptFromConsole => format!("{path}: stays {now} ({})", drift.reason),
            _ => {
                format!("{path}: config.json says {now}, `mainstay up` makes it {next} ({})", drift.because())
            }
        });
    }
    Ok(())
}

async fn test_mail(printer: Printer, world: &World, address: &str) -> Result<Exit, Error> {
    let in_force = InForce::read(world)?;
    let server = in_force.mail_server()?;
    match services::mail::send_test(&server, address, &in_force.site_name()).await {
        Ok(dialogue) => {
            let lines: Vec<String> = dialogue.lines.iter().map(ToString::to_string).collect();
            printer.data(&serde_json::json!({ "sent": true, "dialogue": lines }));
            printer
                .show(&format!("{dialogue}\n{}:{} took the message for {address}", server.host, server.port));
            Ok(Exit::Done)
        }
        Err(failure) => {
            let finding = failure.finding();
            printer.data(&serde_json::json!({ "sent": false, "failure": finding }));
            printer.show(&format!("{}", failure.dialogue));
            let error = Error::new(Exit::NotVerified, format!("{}: {}", finding.what, finding.cause));
            Err(error.hint(finding.fix))
        }
    }
}

/// Shows the checks; not verified when one failed.
fn show(printer: Printer, report: &Report) -> Exit {
    printer.data(&report.checks);
    printer.show(&report.to_string());
    if report.passed() { Exit::Done } else { Exit::NotVerified }
}
