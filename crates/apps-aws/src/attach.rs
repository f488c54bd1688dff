//! Writes a new version of the invoke policy.
//!
//! IAM has no conditional write. Versions are numbered, though: if the number that a write gets does not follow the one that was
//! read, somebody else wrote between, and the same change is made again on top of what they wrote.

use std::collections::{BTreeMap, BTreeSet};

use apps::Error;
use finding::Exit;

use crate::aws::Aws;
use crate::failure::{Failure, Kind};
use crate::observed::{Document, Live, document, version_document};
use crate::policy::{self, LIMIT, TooLong, VERSIONS};

/// How often another writer may come between.
const ATTEMPTS: usize = 5;

/// Adds and removes functions, named as on Lambda. `live` are all functions that exist.
pub(crate) async fn policy(
    aws: &Aws,
    name: &str,
    add: &[String],
    remove: &[String],
    live: &BTreeMap<String, Live>,
) -> Result<(), Error> {
    let Some(mut found) = document(aws, name).await? else {
        // Nothing is to be called any more: there is nothing to take away.
        return if add.is_empty() { Ok(()) } else { Err(absent(name)) };
    };
    let (add, remove) = (arns(aws, add).await?, arns(aws, remove).await?);
    let prefix = aws.function_arn("").await?;
    let is_gone = |arn: &str| {
        let name = arn.strip_prefix(&prefix);
        name.is_some_and(|name| !name.contains(['*', '?', ':']) && !live.contains_key(name))
            && !add.contains(arn)
    };
    for attempt in 0..ATTEMPTS {
        let changed = match policy::change(&found.document, &add, &remove, is_gone) {
            Ok(Some(changed)) => changed.document,
            Ok(None) if attempt == 0 => return Ok(()),
            // What another writer wrote says it already, but what we wrote since replaced it.
            Ok(None) => found.document.clone(),
            Err(TooLong { characters }) => return Err(too_long(name, characters)),
        };
        let Known { newest, oldest, count } = versions(aws, &found).await?;
        if count >= VERSIONS {
            delete_version(aws, &found.arn, &oldest).await?;
        }
        let create = aws.iam.create_policy_version().policy_arn(&found.arn).set_as_default(true);
        let made = create.policy_document(changed.to_string()).send().await;
        let made = made.map_err(|error| Failure::new("iam:CreatePolicyVersion", &found.arn, &error))?;
        let version =
            made.policy_version().and_then(|version| version.version_id()).unwrap_or_default().to_owned();
        let expected = number(&newest) + 1;
        if number(&version) == expected {
            return Ok(());
        }
        // Another writer's version lies between: its document is the base of the next attempt. Unless it is our own: a call whose
        // answer was lost was made twice.
        let between = format!("v{}", number(&version).saturating_sub(1));
        found.document = match version_document(aws, &found.arn, &between).await {
            Ok(document) if document == changed => return Ok(()),
            Ok(document) => document,
            Err(failure) if failure.is(&Kind::Missing) => changed,
            Err(failure) => return Err(failure.into()),
        };
        found.version = version;
    }
    Err(Error::new(Exit::Busy, format!("the policy `{name}` is changed by others all the time"))
        .hint("wait until their deployments end, then run the command again"))
}

/// The versions of a policy that there are.
struct Known {
    newest: String,
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
