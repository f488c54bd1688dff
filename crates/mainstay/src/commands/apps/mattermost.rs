//! `mainstay apps install`, `enable`, `disable` and `uninstall`: an app in a Mattermost.

use std::collections::BTreeMap;

use apps::Error;
use apps::mattermost::{Host, Mattermost, Standing, Step, Wish, plan};
use finding::Exit;
use serde_json::json;
use url::Url;

use super::deployment;
use crate::cli::{Common, InstallApp, Server, SwitchApp, UninstallApp};
use crate::commands::{question, secret_text, variables, world};
use crate::printer::Printer;

/// No token is longer, in bytes.
const TOKEN_LIMIT: u64 = 1024;

/// Installs an app, and puts it into the list first where its bundle is named.
pub(super) async fn install(printer: Printer, common: &Common, args: InstallApp) -> Result<Exit, Error> {
    let manifest = match &args.bundle {
        Some(bundle) => Some(Box::new(super::source::manifest(bundle, &args.source).await?)),
        None => None,
    };
    let id = match (&args.id, &manifest) {
        (Some(id), Some(manifest)) if *id != manifest.app_id => {
            return Err(Error::new(
                Exit::Usage,
                format!("the bundle is of {}, not of {id}", manifest.app_id),
            )
            .hint("leave the id out, or name the other bundle"));
        }
        (Some(id), _) => id.clone(),
        (None, Some(manifest)) => manifest.app_id.clone(),
        (None, None) => return Err(Error::new(Exit::Usage, "neither an app nor a bundle is named")),
    };
    let wish = Wish::Install { manifest, deploy_type: args.deploy_type, again: args.again };
    change(printer, common, &args.server, &id, &wish, None).await
}

/// Enables an app, or disables it.
pub(super) async fn switch(
    printer: Printer,
    common: &Common,
    args: SwitchApp,
    wish: Wish,
) -> Result<Exit, Error> {
    change(printer, common, &args.server, &args.id, &wish, None).await
}

/// Removes an app with what it stored in Mattermost.
pub(super) async fn uninstall(printer: Printer, common: &Common, args: UninstallApp) -> Result<Exit, Error> {
    let question = format!("Remove {} from this Mattermost, with everything that it stored there?", args.id);
    let question = (!args.yes).then_some(question);
    change(printer, common, &args.server, &args.id, &Wish::Uninstall, question.as_deref()).await
}

async fn change(
    printer: Printer,
    common: &Common,
    server: &Server,
    id: &str,
    wish: &Wish,
    question: Option<&str>,
) -> Result<Exit, Error> {
    check_id(id)?;
    let access = access(common, server).await?;
    let mattermost = Mattermost::new(&access.url)?;
    // Which state the server is in needs no sign-in.
    let host = mattermost.host().await?;
    host.ready()?;
    let mattermost = match access.who {
        Who::Token(token) => mattermost.with_token(token),
        Who::Administrator(name, password) => mattermost.sign_in(&name, &password).await?,
    };
    let result = steps(printer, server, &mattermost, &host, id, wish, question).await;
    mattermost.sign_out().await;
    result
}

async fn steps(
    printer: Printer,
    server: &Server,
    mattermost: &Mattermost,
    host: &Host,
    id: &str,
    wish: &Wish,
    question: Option<&str>,
) -> Result<Exit, Error> {
    let before = mattermost.standing(id).await?;
    let change = plan(id, wish, &before)?;
    for remark in &change.remarks {
        printer.say(&format!("note: {remark}"));
    }
    let site = mattermost.site().as_str().trim_end_matches('/').to_owned();
    if server.plan {
        printer
            .data(&json!({"site_url": site, "host": host, "app_id": id, "before": before, "plan": change}));
        printer.show(&format!("{site}: {host}"));
        for step in &change.steps {
            printer.show(&format!("  would {step}"));
        }
        if change.steps.is_empty() {
            printer.show("  would change nothing");
        }
        return Ok(Exit::Done);
    }
    let asks = !change.steps.is_empty();
    if let Some(question) = question.filter(|_| asks)
        && !question::agreed(printer, question).map_err(super::from_deploy)?
    {
        printer.show("Nothing has been changed");
        return Ok(Exit::Done);
    }
    for step in &change.steps {
        mattermost.run(id, step).await?;
        printer.say(&format!("✓ {step}"));
    }
    let after = mattermost.standing(id).await?;
    check(id, wish, &change.steps, &after)?;
    printer.data(&json!({
        "type": "app", "site_url": site, "host": host, "app_id": id, "changed": !change.steps.is_empty(), "app": after,
    }));
    printer.show(&format!("{id} is {} on {site}", standing_in_words(&after)));
    Ok(Exit::Done)
}

/// Whether the server now says what was wished.
fn check(id: &str, wish: &Wish, steps: &[Step], after: &Standing) -> Result<(), Error> {
    let as_wished = match (wish, &after.installed) {
        (Wish::Install { .. } | Wish::Enable, Some(installed)) => installed.enabled,
        (Wish::Disable, Some(installed)) => !installed.enabled,
        (Wish::Uninstall, None) => true,
        _ => false,
    };
    if as_wished {
        return Ok(());
    }
    let what = match steps.is_empty() {
        true => format!("{id} is {}", standing_in_words(after)),
        false => format!("Mattermost took every call, but {id} is {}", standing_in_words(after)),
    };
    Err(Error::new(Exit::NotVerified, what).hint("the server's log says more: `mainstay logs server`"))
}

fn standing_in_words(standing: &Standing) -> String {
    match &standing.installed {
        Some(app) => {
            let state = if app.enabled { "installed and enabled" } else { "installed and disabled" };
            let version =
                if app.version.is_empty() { String::new() } else { format!(" in version {}", app.version) };
            format!("{state}{version}, deployed as {}", app.deploy_type)
        }
        None => "not installed".to_owned(),
    }
}

/// An id goes into a path.
fn check_id(id: &str) -> Result<(), Error> {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if (3..=32).contains(&id.len()) && id.chars().all(letter) && id.chars().any(|letter| letter != '.') {
        return Ok(());
    }
    Err(Error::new(Exit::Usage, format!("`{}` is not the id of an app", id.escape_debug()))
        .hint("allowed: 3 to 32 letters, digits, `-`, `_` and `.`; a bundle is named with `--bundle`"))
}

struct Access {
    url: Url,
    who: Who,
}

enum Who {
    Token(secrecy::SecretString),
    Administrator(String, secrecy::SecretString),
}

/// Which server, and how to get in.
async fn access(common: &Common, server: &Server) -> Result<Access, Error> {
    let variables = variables();
    let token = match &server.token {
        Some(path) => Some(secret_text(path, TOKEN_LIMIT, "token").map_err(super::from_deploy)?),
        None => said(&variables, "MM_ADMIN_TOKEN"),
    };
    let named = match (&server.url, &token, said(&variables, "MM_SERVICESETTINGS_SITEURL")) {
        (Some(url), ..) => Some(url.clone()),
        (None, Some(_), Some(url)) if server.token.is_none() => Some(Url::parse(&url).map_err(|error| {
            Error::new(Exit::Settings, format!("MM_SERVICESETTINGS_SITEURL is not a URL: {error}"))
        })?),
        _ => None,
    };
    match (named, token) {
        (Some(url), Some(token)) => Ok(Access { url, who: Who::Token(token.into()) }),
        (Some(url), None) => Err(Error::new(Exit::Usage, format!("who administers {url} is not said")).hint(
            "name a file with a system administrator's access token (`--token FILE`), or set MM_ADMIN_TOKEN",
        )),
        (None, token) => {
            let site = deployment::site(&world(common).map_err(super::from_deploy)?).await?;
            let who = match token {
                Some(token) => Who::Token(token.into()),
                None => Who::Administrator(site.administrator, site.password),
            };
            Ok(Access { url: site.url, who })
        }
    }
}

fn said(variables: &BTreeMap<String, String>, name: &str) -> Option<String> {
    variables.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
