//! Writes a new version of the invoke policy.
//!
//! All apps share it, and IAM has no conditional write: the run holds a lease while it changes the policy, and reads it again
//! afterwards. Other tools know nothing of the lease. Versions are numbered, though: if the number that a write gets does not follow
//! the one that was read, somebody else wrote between, and the same change is made again on top of what they wrote.

use std::collections::BTreeSet;
use std::time::Duration;

use apps::Error;
use finding::Exit;
use serde_json::Value;
use tokio::time::sleep;

use crate::aws::Aws;
use crate::failure::{Failure, Kind};
use crate::lease::Lease;
use crate::observed::{Document, document, functions, version_document};
use crate::policy::{self, LIMIT, TooLong, VERSIONS};

/// How often another writer may come between.
const ATTEMPTS: usize = 5;
/// How often the policy is read again until IAM shows what was written.
const LOOKS: u32 = 5;

/// Which functions a change adds and removes, as ARNs.
struct Wish {
    add: BTreeSet<String>,
    remove: BTreeSet<String>,
}

/// Adds and removes functions, named as on Lambda. `run` is the app and the process that holds the lease.
pub(crate) async fn policy(
    aws: &Aws,
    name: &str,
    add: &[String],
    remove: &[String],
    (app_id, holder): (&str, &str),
) -> Result<(), Error> {
    let wish = Wish { add: arns(aws, add).await?, remove: arns(aws, remove).await? };
    let mut lease = Lease::take(aws, name, app_id, holder).await?;
    let done = Box::pin(write(aws, name, &wish, &mut lease)).await;
    lease.give_back().await;
    done
}

async fn write(aws: &Aws, name: &str, wish: &Wish, lease: &mut Lease<'_>) -> Result<(), Error> {
    // What somebody wrote between our reading and our writing, and our version replaced.
    let mut lost: Option<Value> = None;
    for _ in 0..ATTEMPTS {
        let Some(found) = document(aws, name).await? else {
            // Nothing is to be called any more: there is nothing to take away.
            return if wish.add.is_empty() { Ok(()) } else { Err(absent(name)) };
        };
        let base = lost.as_ref().unwrap_or(&found.document);
        let changed = match changed(aws, name, base, wish).await? {
            Some(changed) => changed,
            None if lost.is_none() => return Ok(()),
            None => base.clone(),
        };
        let known = versions(aws, &found).await?;
        if known.default != found.version {
            continue;
        }
        if known.count >= VERSIONS {
            delete_version(aws, &found.arn, &known.oldest).await?;
        }
        lease.renew().await?;
        let create = aws.iam.create_policy_version().policy_arn(&found.arn).set_as_default(true);
        let version = match create.policy_document(changed.to_string()).send().await {
            Ok(made) => made.policy_version().and_then(|version| version.version_id()).map(str::to_owned),
            Err(error) => {
                let failure = Failure::new("iam:CreatePolicyVersion", &found.arn, &error);
                // The answer may be lost and the effect there; a call that was made twice may have found no room.
                match failure.kind {
                    Kind::Denied | Kind::Invalid | Kind::Credentials | Kind::Expired => {
                        return Err(failure.into());
                    }
                    Kind::Full => continue,
                    _ => {}
                }
                match document(aws, name).await {
                    Ok(Some(now)) if says(&now.document, wish) && lost.is_none() => return Ok(()),
                    _ => return Err(failure.into()),
                }
            }
        };
        let version = version.unwrap_or_default();
        if number(&version) != number(&known.newest) + 1 {
            // Another writer's version lies between. Unless it is our own: a call whose answer was lost was made twice.
            let between = format!("v{}", number(&version).saturating_sub(1));
            match version_document(aws, &found.arn, &between).await {
                Ok(document) if document == changed => {}
                Ok(document) => {
                    lost = Some(document);
                    continue;
                }
                Err(failure) if failure.is(&Kind::Missing) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        lost = None;
        if shows(aws, name, number(&version), wish).await? {
            return Ok(());
        }
    }
    Err(Error::new(Exit::Busy, format!("the policy `{name}` is changed by another tool all the time"))
        .hint("wait until its deployments end, then run the command again"))
}

/// The document with the change, if it does not say so yet.
async fn changed(aws: &Aws, name: &str, base: &Value, wish: &Wish) -> Result<Option<Value>, Error> {
    let document = |changed: Option<policy::Changed>| changed.map(|changed| changed.document);
    if let Ok(changed) = policy::change(base, &wish.add, &wish.remove, |_| false) {
        return Ok(document(changed));
    }
    // No room: functions that are gone are removed. Other runs make functions meanwhile, so it is asked now which there are.
    let (live, prefix) = (functions(aws).await?, aws.function_arn("").await?);
    let is_gone = |arn: &str| {
        let name = arn.strip_prefix(&prefix);
        name.is_some_and(|name| !name.contains(['*', '?', ':']) && !live.contains_key(name))
    };
    match policy::change(base, &wish.add, &wish.remove, is_gone) {
        Ok(changed) => Ok(document(changed)),
        Err(TooLong { characters }) => Err(too_long(name, characters)),
    }
}

/// Whether the document says what is wished.
fn says(document: &Value, wish: &Wish) -> bool {
    matches!(policy::change(document, &wish.add, &wish.remove, |_| false), Ok(None))
}

/// Whether the policy says what was written as this version. IAM may show an earlier version for a while.
async fn shows(aws: &Aws, name: &str, version: u64, wish: &Wish) -> Result<bool, Error> {
    for look in 1..=LOOKS {
        let Some(found) = document(aws, name).await? else { return Ok(false) };
        if says(&found.document, wish) {
            return Ok(true);
        }
        if number(&found.version) >= version {
            return Ok(false);
        }
        sleep(Duration::from_millis(300) * look).await;
    }
    // It was written on top of the newest version: it will be shown.
    Ok(true)
}

/// The versions of a policy that there are.
struct Known {
    newest: String,
    default: String,
    /// The oldest that is not the default.
    oldest: String,
    count: usize,
}

async fn versions(aws: &Aws, found: &Document) -> Result<Known, Failure> {
    let listed = aws.iam.list_policy_versions().policy_arn(&found.arn).send().await;
    let listed = listed.map_err(|error| Failure::new("iam:ListPolicyVersions", &found.arn, &error))?;
    let mut ids: Vec<(u64, String, bool)> = listed
        .versions()
        .iter()
        .filter_map(|version| {
            Some((
                number(version.version_id()?),
                version.version_id()?.to_owned(),
                version.is_default_version(),
            ))
        })
        .collect();
    ids.sort();
    Ok(Known {
        newest: ids.last().map(|(_, id, _)| id.clone()).unwrap_or_default(),
        default: ids.iter().find(|(_, _, default)| *default).map(|(_, id, _)| id.clone()).unwrap_or_default(),
        oldest: ids.iter().find(|(_, _, default)| !default).map(|(_, id, _)| id.clone()).unwrap_or_default(),
        count: ids.len(),
    })
}

async fn delete_version(aws: &Aws, arn: &str, version: &str) -> Result<(), Failure> {
    match aws.iam.delete_policy_version().policy_arn(arn).version_id(version).send().await {
        Ok(_) => Ok(()),
        Err(error) => match Failure::new("iam:DeletePolicyVersion", arn, &error) {
            failure if failure.is(&Kind::Missing) => Ok(()),
            failure => Err(failure),
        },
    }
}

/// 3 of `v3`.
fn number(version: &str) -> u64 {
    version.trim_start_matches('v').parse().unwrap_or_default()
}

async fn arns(aws: &Aws, names: &[String]) -> Result<BTreeSet<String>, Failure> {
    let mut arns = BTreeSet::new();
    for name in names {
        arns.insert(aws.function_arn(name).await?);
    }
    Ok(arns)
}

pub(crate) fn absent(name: &str) -> Error {
    Error::new(Exit::NotReady, format!("there is no policy `{name}`, which lets Mattermost call functions"))
        .hint("run `mainstay apps aws init`, or name another with `--policy`")
}

fn too_long(name: &str, characters: usize) -> Error {
    Error::new(Exit::Refused, format!("the policy `{name}` would have {characters} characters, and AWS allows {LIMIT}"))
        .hint("undeploy versions that are no longer used (`mainstay apps list`), or deploy this app with a policy of its own: `--policy NAME`")
}
