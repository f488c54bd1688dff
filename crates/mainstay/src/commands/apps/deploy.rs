//! `mainstay apps deploy`, `rollback`, `undeploy` and `list`.

use std::collections::BTreeMap;

use apps::source::Fetched;
use apps::{Bundle, Error, Manifest};
use apps_aws::{Deployment, Holder, Opened, Options, Step};
use finding::{Exit, Finding};
use secrecy::SecretString;
use serde_json::json;

use super::{cloud, say, source};
use crate::cli::{DeployApp, ListApps, RollbackApp, UndeployApp};
use crate::commands::secret_text;
use crate::printer::Printer;

/// No file of variables is longer, in bytes: Lambda allows 4 kB of them.
const ENV_LIMIT: u64 = 64 << 10;

pub(super) async fn deploy(printer: Printer, args: &DeployApp) -> Result<Exit, Error> {
    only_local(args)?;
    let options = options(args)?;
    let fetched = source::bring(&args.bundle, &args.source, &cloud::flags(&args.cloud)).await?;
    let opened = Bundle::open(&fetched.path).and_then(Opened::new).map_err(|error| fetched.explain(error))?;
    say(printer, &fetched.named(&opened.bundle().warnings));
    let (settings, aws) = cloud::connect(&args.cloud).await?;
    let (holder, watch) = (Holder::this_process(), cloud::said(printer));
    let turn = cloud::turn(&args.cloud, &holder, args.change.plan, &watch);
    let deployment = Box::pin(Deployment::look(&aws, opened.package(), options, &turn)).await?;
    say(printer, &deployment.notes);
    if let Some(other) = &deployment.replaces {
        let question = format!("Replace {other}? Calls of it go to the new one");
        if args.change.plan {
            printer.say(&format!("note: this replaces {other}"));
        } else if !args.change.yes && !cloud::agreed(printer, &question)? {
            printer.say("Nothing was changed");
            return Ok(Exit::Done);
        }
    }
    if args.change.plan {
        cloud::show(printer, &settings, &deployment.calls());
        return Ok(Exit::Done);
    }
    let unchanged = deployment.is_unchanged();
    let deployed = Box::pin(deployment.run(&turn)).await?;
    printer.data(&deployed);
    let (id, version) = (&deployed.app_id, &deployed.version);
    let what = if unchanged { "is deployed already, unchanged" } else { "is deployed" };
    let mut text = format!(
        "{id} {version} {what}; functions: {}; static files: {}",
        deployed.functions.len(),
        deployed.files
    );
    if let Some(seen) = &deployed.seen {
        text.push_str(&format!("\nchecked: {}; {} reads back", seen.ping, seen.file));
    }
    text.push_str(&format!("\n{}", installation(&args.bundle, &fetched, &opened.bundle().manifest)));
    printer.show(&text);
    Ok(Exit::Done)
}

/// How the app gets into a Mattermost. A server that does not list the app yet wants its bundle.
fn installation(named: &str, fetched: &Fetched, manifest: &Manifest) -> String {
    // What may not be shown, such as the query of a signed URL, is left for the reader to type.
    let bundle = if fetched.from == named { named } else { "BUNDLE" };
    let kind = match manifest.deploy_types()[..] {
        [_] => "",
        _ => " --deploy-type aws_lambda",
    };
    format!("Install it in Mattermost with `mainstay apps install --bundle {bundle}{kind}`")
}

/// Refuses what means something on this machine alone.
fn only_local(args: &DeployApp) -> Result<(), Error> {
    let address = &args.address;
    let given = [
        ("--listen", address.listen.is_some()),
        ("--from", !address.from.is_empty()),
        ("--root-url", address.root_url.is_some()),
        ("--concurrency", address.concurrency.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => Err(Error::new(Exit::Usage, format!("`{flag}` is for apps on this machine"))
            .hint("say `--to local` as well, or leave it out")),
        None => Ok(()),
    }
}

/// The variables of functions: of the file, and over them those of the flags.
pub(super) fn environment(args: &DeployApp) -> Result<BTreeMap<String, SecretString>, Error> {
    let file = match &args.env_file {
        None => String::new(),
        Some(file) => secret_text(file, ENV_LIMIT, "file of variables").map_err(|error| Error {
            exit: error.exit,
            what: error.what,
            hint: error.hint.map(Into::into),
            findings: Vec::new(),
        })?,
    };
    let (mut environment, mut findings) = (BTreeMap::new(), Vec::new());
    let name_of_file = args.env_file.as_ref().map(|file| match file.as_os_str().as_encoded_bytes() {
        b"-" => "stdin".to_owned(),
        _ => file.display().to_string(),
    });
    let lines = file.lines().enumerate().map(|(index, line)| {
        (format!("{}:{}", name_of_file.as_deref().unwrap_or_default(), index + 1), line.trim())
    });
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    for (place, pair) in lines.chain(args.env.iter().map(|pair| ("--env".to_owned(), pair.as_str()))) {
        // A line without a name may be a secret: it is not repeated.
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let what = format!("{place}: a variable has no `=`, or nothing before it");
            findings.push(Finding::error(what, "its name is missing", "write NAME=VALUE"));
            continue;
        };
        if place == "--env" && holds_another(value) {
            let what =
                format!("--env: the value of `{}` looks like further variables", finding::one_line(name, 80));
            findings.push(Finding::error(
                what,
                "after a comma a name and `=` follow",
                "say `--env` for each variable; a value with commas can stand in the file of `--env-file`",
            ));
            continue;
        }
        if let Err(why) = apps_aws::variable(name) {
            let what = format!("{place}: the variable `{}`", finding::one_line(name, 80));
            findings.push(Finding::error(what, why, "choose another name, which the app reads"));
        }
        environment.insert(name.to_owned(), SecretString::from(value));
    }
    match findings.is_empty() {
        true => Ok(environment),
        false => Err(Error::new(Exit::Usage, "functions cannot have these variables").findings(findings)),
    }
}

/// Whether a value goes on as other tools write several variables: `1,B=2`.
fn holds_another(value: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    value.split(',').skip(1).filter_map(|part| part.split_once('=')).any(|(name, _)| is_name(name.trim()))
}

fn options(args: &DeployApp) -> Result<Options, Error> {
    let environment = environment(args)?;
    Ok(Options {
        timeout: args.timeout,
        memory: args.memory,
        architecture: args.architecture.clone(),
        environment,
        unset: args.unset_env.clone(),
        role: args.role.clone(),
        policy: args.policy.clone(),
        adopt: args.adopt,
        skip_verify: args.skip_verify,
    })
}

pub(super) async fn rollback(printer: Printer, args: &RollbackApp) -> Result<Exit, Error> {
    let (settings, aws) = cloud::connect(&args.cloud).await?;
    let (holder, watch) = (Holder::this_process(), cloud::said(printer));
    let turn = cloud::turn(&args.cloud, &holder, args.change.plan, &watch);
    let step = Box::pin(Step::rollback(&aws, &args.id, &turn)).await?;
    if args.change.plan {
        cloud::show(printer, &settings, &step.calls());
        return Ok(Exit::Done);
    }
    if step.removes_all() && !args.change.yes {
        let question = format!(
            "There was nothing of {} before version {}: taking it back removes the app from AWS. Remove it?",
            args.id,
            step.version()
        );
        if !cloud::agreed(printer, &question)? {
            printer.say("Nothing was changed");
            return Ok(Exit::Done);
        }
    }
    let done = Box::pin(step.run(&turn)).await?;
    printer.data(&done);
    let now = done
        .current
        .as_ref()
        .map_or("nothing of it is deployed".to_owned(), |version| format!("{version} is deployed"));
    printer.show(&format!("The last deployment of {} ({}) is taken back: {now}", done.app_id, done.version));
    Ok(Exit::Done)
}

pub(super) async fn undeploy(printer: Printer, args: &UndeployApp) -> Result<Exit, Error> {
    let (settings, aws) = cloud::connect(&args.cloud).await?;
    let versions = apps_aws::versions(&aws, &args.id, args.version.as_deref()).await?;
    if versions.is_empty() {
        let version = args.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
        printer.data(&json!({ "app_id": args.id, "version": args.version, "changes": 0 }));
        printer.show(&format!(
            "Nothing of {}{version} is deployed to the bucket {}: it was removed already, or never deployed there",
            args.id, settings.bucket
        ));
        return Ok(Exit::Done);
    }
    let (holder, watch) = (Holder::this_process(), cloud::said(printer));
    let turn = cloud::turn(&args.cloud, &holder, args.change.plan, &watch);
    if args.change.plan {
        let mut calls = Vec::new();
        for version in &versions {
            calls.extend(Box::pin(Step::undeploy(&aws, &args.id, version, &turn)).await?.calls());
        }
        cloud::show(printer, &settings, &calls);
        return Ok(Exit::Done);
    }
    let question = format!(
        "Remove {} {} from AWS: its functions, static files and manifest?",
        args.id,
        versions.join(", ")
    );
    if !args.change.yes && !cloud::agreed(printer, &question)? {
        printer.say("Nothing was changed");
        return Ok(Exit::Done);
    }
    for version in &versions {
        let step = Box::pin(Step::undeploy(&aws, &args.id, version, &turn)).await?;
        let done = Box::pin(step.run(&turn)).await?;
        printer.data(&done);
        printer.show(&format!("{} {version} is removed", args.id));
    }
    Ok(Exit::Done)
}

pub(super) async fn list(printer: Printer, args: &ListApps) -> Result<Exit, Error> {
    let (_, aws) = cloud::connect(&args.cloud).await?;
    let rows = apps_aws::listed(&aws).await?;
    printer.data(&json!({ "apps": rows }));
    let width = rows.iter().map(|row| row.app_id.len()).max().unwrap_or_default();
    let line = |row: &apps_aws::Listed| {
        let count = |number: Option<usize>| number.map_or("?".to_owned(), |number| number.to_string());
        let mark = if row.current { "current" } else { "" };
        let at = row.deployed_at.as_deref().and_then(|at| at.get(..16)).unwrap_or_default();
        let note = row.note.as_deref().unwrap_or_default();
        let counts = format!("functions: {}, files: {}", count(row.functions), count(row.files));
        format!("{:<width$}  {:<10}  {mark:<7}  {at:<16}  {counts}  {note}", row.app_id, row.version)
            .trim_end()
            .to_owned()
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    printer.show(&if lines.is_empty() {
        "No app is deployed to this bucket".to_owned()
    } else {
        lines.join("\n")
    });
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::holds_another;

    #[test]
    fn several_variables_in_one_are_seen() {
        for several in ["1,B=2", "1, B=2", ",_x=", "a=b,C=d"] {
            assert!(holds_another(several), "{several}");
        }
        for one in ["1", "a,b,c", "https://e.org/?a=1&b=2", "a=b", "x,1=2", "x,=y", "base64==,"] {
            assert!(!holds_another(one), "{one}");
        }
    }
}
