//! `mainstay apps deployer`: what is new in a bucket is deployed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apps::deployer::{self, Deploy, Deployed, Deployer, Environment, Hooks, Metrics, Pass};
use apps::{Bundle, Error, source};
use apps_aws::{Aws, Bundles, Deployment, Flags, Holder, Opened, Options, Settings, Shown, Turn};
use finding::Exit;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::cli::DeployApps;
use crate::commands::{exposed, secret_text, variables};
use crate::printer::Printer;

/// No address of a webhook is longer, in bytes.
const HOOK_LIMIT: u64 = 4096;
/// No file of variables is longer, in bytes.
const SETTINGS_LIMIT: u64 = 64 << 10;

/// Where bundles are deployed to.
struct Cloud {
    aws: Aws,
    holder: Holder,
}

impl Deploy for Cloud {
    async fn deploy(&self, bundle: &Path, _: &str) -> Result<Deployed, Error> {
        let opened = Opened::new(Bundle::open(bundle)?)?;
        let silent = |_: &Shown| {};
        let turn = Turn { holder: &self.holder, take_over: false, only_look: false, watch: &silent };
        let deployment =
            Box::pin(Deployment::look(&self.aws, opened.package(), Options::default(), &turn)).await?;
        if let Some(other) = &deployment.replaces {
            return Err(Error::new(Exit::Refused, format!("the bundle would replace {other}"))
                .hint("if that is wanted, deploy it by hand: `mainstay apps deploy BUNDLE` asks for it"));
        }
        let deployed = Box::pin(deployment.run(&turn)).await?;
        let manifest = &opened.bundle().manifest;
        Ok(Deployed {
            app_id: deployed.app_id,
            version: deployed.version,
            display_name: manifest.display_name.clone(),
            homepage_url: manifest.homepage_url.clone(),
        })
    }
}

pub(super) async fn run(
    printer: Printer,
    args: DeployApps,
    cancel: CancellationToken,
) -> Result<Exit, Error> {
    let variables = with_settings(variables(), args.settings.as_deref())?;
    let said = |name: &str| {
        variables.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    let bucket = args.bucket.clone().or_else(|| said("AppsBundleBucketName")).ok_or_else(|| {
        Error::new(Exit::Usage, "the bucket that bundles are put into is not named")
            .hint("name it: `mainstay apps deployer --bucket BUCKET`")
    })?;
    let environment = match (args.environment.clone(), said("Environment")) {
        (Some(environment), _) => environment,
        (None, Some(name)) => name.parse::<Environment>().map_err(|allowed| {
            Error::new(Exit::Settings, format!("the variable Environment is `{}`", name.escape_debug()))
                .hint(allowed)
        })?,
        (None, None) => "production".parse().map_err(|why| Error::new(Exit::Bug, why))?,
    };
    let secrets = [
        (&args.settings, "variables"),
        (&args.notifications_hook, "address of a webhook"),
        (&args.alerts_hook, "address of a webhook"),
    ];
    for (file, what) in secrets {
        if let Some(warning) = file.as_deref().and_then(|file| exposed(file, what)) {
            printer.say(&format!("warning: {warning}"));
        }
    }
    let hooks = Hooks {
        notifications: hook(args.notifications_hook.as_deref(), said("MattermostNotificationsHook"))?,
        alerts: hook(args.alerts_hook.as_deref(), said("MattermostAlertsHook"))?,
    };
    hooks.check().map_err(|why| Error::new(Exit::Settings, why))?;
    let apps_bucket = args.apps_bucket.clone();
    let apps_bucket =
        apps_bucket.or_else(|| said("StaticBucket").filter(|_| said("MM_APPS_S3_BUCKET").is_none()));
    let flags = Flags { region: args.region.clone(), bucket: apps_bucket, ..Flags::default() };
    let settings = Settings::read(&flags, &variables)?;
    let bundles = Bundles::new(&settings, &bucket).await?;
    let mut deployer =
        Deployer::new(environment.clone(), args.prefix.clone(), hooks, source::LARGEST, std::env::temp_dir());
    if args.plan {
        let pass = deployer.plan(&bundles, Timestamp::now()).await?;
        show(printer, &pass, &bucket, true);
        return Ok(Exit::Done);
    }
    let cloud = Cloud { aws: Aws::new(&settings).await?, holder: Holder::this_process() };
    let metrics = Arc::new(Metrics::default());
    if let Some(address) = args.metrics {
        let address =
            deployer::serve(Arc::clone(&metrics), address, cancel.clone().cancelled_owned()).await?;
        printer.say(&format!("Prometheus finds the numbers at http://{address}/metrics"));
    }
    loop {
        let started = Instant::now();
        let pass = Box::pin(deployer.pass(&bundles, &cloud, &cancel, |outcome| hear(printer, outcome))).await;
        metrics.count(&pass, started.elapsed(), Timestamp::now());
        let Some(every) = args.every else { return ended(printer, &pass?, &bucket) };
        match pass {
            Ok(pass) => show(printer, &pass, &bucket, false),
            // What somebody has to correct first does not change by waiting.
            Err(error) if matches!(error.exit, Exit::Settings | Exit::Usage | Exit::NeedsYou) => {
                return Err(error);
            }
            Err(error) => printer.say(&format!("error: {}", error.what)),
        }
        let left = every.saturating_sub(started.elapsed()).max(Duration::from_secs(1));
        tokio::select! {
            () = tokio::time::sleep(left) => {}
            () = cancel.cancelled() => return Ok(Exit::Done),
        }
    }
}

/// A bundle that failed is a failure of the command, also while its next try is waited for.
fn ended(printer: Printer, pass: &Pass, bucket: &str) -> Result<Exit, Error> {
    show(printer, pass, bucket, false);
    let Some(first) = pass.failed.first() else {
        let Some(first) = pass.waiting.first() else { return Ok(Exit::Done) };
        let what = format!("{} failed before, and is tried again later", first.key);
        return Err(Error::new(Exit::NotReady, what)
            .hint("correct the bundle and put it into the bucket again: it is then tried at once"));
    };
    let exit = Exit::from_code(first.exit_code).unwrap_or(Exit::NotReady);
    let what = format!("{} not deployed", finding::counted(pass.failed.len(), "bundle was", "bundles were"));
    Err(Error::new(exit, what)
        .hint("correct the bundle and put it into the bucket again: it is then tried at once"))
}

fn hear(printer: Printer, outcome: &Result<deployer::Done, deployer::Failed>) {
    match outcome {
        Ok(done) => {
            printer.say(&format!("✓ {}: {} {} is deployed", done.key, done.app.app_id, done.app.version));
        }
        Err(failed) => {
            let hint = failed.hint.as_deref().map_or_else(String::new, |hint| format!("\n    {hint}"));
            printer.say(&format!("✗ {}: {}{hint}", failed.key, failed.what));
        }
    }
}

fn show(printer: Printer, pass: &Pass, bucket: &str, is_plan: bool) {
    printer.data(pass);
    let mut lines = Vec::new();
    if is_plan {
        lines.extend(pass.due.iter().map(|key| format!("would deploy {key}")));
    }
    let waits = |waiting: &deployer::Waiting| {
        format!(
            "{} failed, and is tried again after {}: {}",
            waiting.key,
            waiting.again.strftime("%Y-%m-%d %H:%M UTC"),
            waiting.what
        )
    };
    lines.extend(pass.waiting.iter().map(waits));
    for why in &pass.unsaid {
        printer.say(&format!("warning: a notification is sent again later: {why}"));
    }
    let new = if is_plan { pass.due.len() } else { pass.deployed.len() };
    let what = if is_plan { "to deploy" } else { "deployed" };
    lines.push(format!(
        "s3://{bucket}: {}, {new} {what}, {} failed",
        finding::counted(pass.found, "bundle", "bundles"),
        pass.failed.len() + pass.waiting.len()
    ));
    printer.show(&lines.join("\n"));
}

fn hook(file: Option<&Path>, variable: Option<String>) -> Result<Option<SecretString>, Error> {
    match file {
        Some(file) => {
            let address =
                secret_text(file, HOOK_LIMIT, "address of a webhook").map_err(super::from_deploy)?;
            Ok(Some(address.into()))
        }
        None => Ok(variable.map(Into::into)),
    }
}

/// The environment with the variables of a file before it.
fn with_settings(
    mut variables: BTreeMap<String, String>,
    file: Option<&Path>,
) -> Result<BTreeMap<String, String>, Error> {
    let Some(file) = file else { return Ok(variables) };
    let text = secret_text(file, SETTINGS_LIMIT, "variables").map_err(super::from_deploy)?;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // A line without a name may be a secret: it is not repeated.
        let (name, value) =
            line.split_once('=').filter(|(name, _)| !name.trim().is_empty()).ok_or_else(|| {
                Error::new(Exit::Settings, format!("{}:{}: no variable", file.display(), number + 1))
                    .hint("write NAME=VALUE in each line; a line that begins with `#` is a comment")
            })?;
        let value = value.trim();
        let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        variables.insert(name.trim().to_owned(), bare.unwrap_or(value).to_owned());
    }
    Ok(variables)
}
