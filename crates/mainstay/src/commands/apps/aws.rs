//! `mainstay apps aws`: what an account needs.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use apps::Error;
use apps_aws::{AccessKey, Clean, Init, Names};
use finding::Exit;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{cloud, say};
use crate::cli::{AccountNames, AwsAccount};
use crate::printer::Printer;

pub(super) async fn run(printer: Printer, command: AwsAccount) -> Result<Exit, Error> {
    match command {
        AwsAccount::Init { cloud, names, plan, create_access_key, key_file, create: _ } => {
            let (settings, aws) = cloud::connect(&cloud).await?;
            let names = self::names(names);
            let init = Box::pin(Init::look(&aws, names.clone(), create_access_key)).await;
            let init = init.map_err(again)?;
            if plan {
                cloud::show(printer, &settings, &init.calls());
                return Ok(Exit::Done);
            }
            // Before the key exists: a secret that cannot be written would be lost.
            let file = key_file.as_deref().map(new_file).transpose()?;
            let changes = init.calls().len();
            let key = Box::pin(init.run(&cloud::said(printer))).await.map_err(again)?;
            printer.data(&json!({ "changes": changes, "access_key_id": key.as_ref().map(|key| &key.id) }));
            let ready = format!(
                "The account is ready for apps: {} changed something",
                finding::counted(changes, "call", "calls")
            );
            printer.show(&if changes == 0 {
                "The account is ready for apps; nothing was missing".to_owned()
            } else {
                ready
            });
            if let Some(key) = key {
                hand_over(printer, &key, file.zip(key_file.as_deref()))?;
                apps_aws::handed_over(&aws, &names).await?;
            }
            Ok(Exit::Done)
        }
        AwsAccount::Test { id, cloud, names } => {
            let (_, aws) = cloud::connect(&cloud).await?;
            let report = Box::pin(apps_aws::check(&aws, &self::names(names), id.as_deref())).await?;
            printer.data(&report);
            printer.show(&report.to_string());
            Ok(report.exit())
        }
        AwsAccount::Clean { cloud, names, untagged, plan, yes } => {
            let (settings, aws) = cloud::connect(&cloud).await?;
            let clean = Box::pin(Clean::look(&aws, self::names(names), untagged)).await?;
            say(printer, &clean.stays);
            let calls = clean.calls();
            if plan {
                cloud::show(printer, &settings, &calls);
                return Ok(Exit::Done);
            }
            if calls.is_empty() {
                printer.data(&json!({ "changes": 0 }));
                printer.show("There is nothing to remove");
                return Ok(Exit::Done);
            }
            if !yes {
                calls.iter().for_each(|call| printer.say(&call.to_string()));
                if !cloud::agreed(printer, "Remove all of this from the AWS account?")? {
                    printer.say("Nothing was changed");
                    return Ok(Exit::Done);
                }
            }
            Box::pin(clean.run(&cloud::said(printer))).await?;
            printer.data(&json!({ "changes": calls.len() }));
            printer.show("What `mainstay apps aws init` made is removed");
            Ok(Exit::Done)
        }
    }
}

fn names(said: AccountNames) -> Names {
    let default = Names::default();
    Names {
        user: said.user.unwrap_or(default.user),
        group: said.group.unwrap_or(default.group),
        policy: said.policy.unwrap_or(default.policy),
        role: said.role.unwrap_or(default.role),
    }
}

/// A new file, or the empty one that an earlier run of this command has left.
fn new_file(path: &Path) -> Result<File, Error> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let refused = match made {
        Ok(file) => return Ok(file),
        Err(error) => error,
    };
    let is_empty = |found: &Metadata| found.is_file() && found.len() == 0 && found.mode() & 0o077 == 0;
    if std::fs::symlink_metadata(path).is_ok_and(|found| is_empty(&found))
        && let Ok(file) = OpenOptions::new().write(true).open(path)
        && file.metadata().is_ok_and(|found| is_empty(&found))
    {
        return Ok(file);
    }
    Err(Error::new(
        Exit::NotReady,
        format!("cannot make {}: {}", path.display(), finding::disk::reason(&refused)),
    )
    .hint("name a file that does not exist, in a directory that you may write to"))
}

/// What helps here is never the command that has just failed.
fn again(error: Error) -> Error {
    let hint = match error.hint {
        Some(hint) if !hint.contains("apps aws init") => hint,
        _ => "remove the cause, then run the same command again: it makes what is still missing".to_owned(),
    };
    Error { hint: Some(hint), ..error }
}

/// Writes the key to its file, or shows it.
fn hand_over(printer: Printer, key: &AccessKey, file: Option<(File, &Path)>) -> Result<(), Error> {
    let secret = key.secret.expose_secret();
    let lines = format!("MM_APPS_AWS_ACCESS_KEY={}\nMM_APPS_AWS_SECRET_KEY={secret}\n", key.id);
    let Some((mut file, path)) = file else {
        printer.data(&json!({ "access_key_id": key.id, "secret_access_key": secret }));
        printer.show(&format!(
            "Mattermost's server needs these two variables; the secret is shown this once:\n{lines}"
        ));
        return Ok(());
    };
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        Error::new(
            Exit::NeedsYou,
            format!(
                "the access key {} was made, but cannot be written to {}: {error}",
                key.id,
                path.display()
            ),
        )
        .hint("delete the key in AWS's console, then run the command again")
    })?;
    printer.show(&format!(
        "The access key {} is in {}: set both variables for Mattermost's server",
        key.id,
        path.display()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_file_of_a_run_that_failed_is_taken_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.env");
        drop(new_file(&path).unwrap());
        new_file(&path).unwrap().write_all(b"KEY=1").unwrap();
        assert_eq!(new_file(&path).unwrap_err().exit, Exit::NotReady);
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        File::create(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(new_file(&link).is_err(), "a link may lead anywhere");
    }

    #[test]
    fn a_hint_is_not_the_command_that_failed() {
        let error = Error::new(Exit::NotReady, "no bucket").hint("run `mainstay apps aws init`");
        assert!(!again(error).hint.unwrap().contains("init"));
        assert_eq!(again(Error::new(Exit::NotReady, "x").hint("wait")).hint.unwrap(), "wait");
    }
}
