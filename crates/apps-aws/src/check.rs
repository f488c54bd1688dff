//! `apps aws test`: whether apps can be deployed to this account and called.

use std::collections::BTreeSet;

use apps::Error;
use finding::{Check, Report, Verdict};

use crate::account::{Account, Found, Names, look};
use crate::aws::Aws;
use crate::policy;
use crate::record::{Record, Release};
use crate::store::Store;
use crate::verify::verify;

/// Checks the account, and one app or none.
///
/// # Errors
/// What AWS answers to a call that every check needs.
pub async fn check(aws: &Aws, names: &Names, app_id: Option<&str>) -> Result<Report, Error> {
    let account = aws.account().await?.to_owned();
    let mut checks = vec![Verdict::passed(format!("account {account} in {}", aws.region)).on("credentials")];
    let there = Box::pin(look(aws, names)).await?;
    checks.extend(things(aws, names, &there));
    if let Some(app_id) = app_id {
        let (_, record) = Store::open(aws, app_id).await?;
        match record {
            Some(record) => checks.extend(app(aws, &record, &there).await?),
            None => checks.push(
                Verdict::failed(
                    format!("no deployment of `{app_id}` is recorded"),
                    "it was never deployed to this bucket",
                    "run `mainstay apps deploy BUNDLE`",
                )
                .on("app"),
            ),
        }
    }
    Ok(Report::new(format!("apps on AWS, bucket {}", aws.bucket), checks))
}

fn things(aws: &Aws, names: &Names, there: &Account) -> Vec<Check> {
    let present = |found: Found, kind: &str, name: &str| match found {
        Found::Absent => Verdict::failed(
            format!("there is no {kind} `{name}`"),
            "it was never made",
            "run `mainstay apps aws init`",
        ),
        _ => Verdict::passed(format!("{kind} `{name}`")),
    };
    let bucket = match (there.bucket, there.public_blocked) {
        (Found::Absent, _) | (_, true) => present(there.bucket, "bucket", &aws.bucket),
        _ => Verdict::noted(
            format!("the bucket `{}` may be made public", aws.bucket),
            "public access is not blocked",
            "run `mainstay apps aws init`, which blocks it",
        ),
    };
    let attached = there.policy.as_ref().is_some_and(|policy| there.group_policies.contains(&policy.arn));
    let is_member = there.group.as_ref().is_some_and(|members| members.contains(&names.user));
    let group = match (&there.group, attached && is_member) {
        (Some(_), true) => Verdict::passed(format!("group `{}`", names.group)),
        (Some(_), false) => Verdict::failed(
            format!("the group `{}` does not let the user call functions", names.group),
            "the user is not in it, or it does not have the invoke policy",
            "run `mainstay apps aws init`",
        ),
        (None, _) => present(Found::Absent, "group", &names.group),
    };
    let policy = if there.policy.is_some() { Found::Others } else { Found::Absent };
    vec![
        bucket.on("bucket"),
        present(there.user, "user", &names.user).on("user"),
        present(policy, "policy", &names.policy).on("policy"),
        group.on("group"),
        present(there.role, "role", &names.role).on("role"),
    ]
}

async fn app(aws: &Aws, record: &Record, there: &Account) -> Result<Vec<Check>, Error> {
    let mut checks = Vec::new();
    for (version, release) in &record.versions {
        checks.push(callable(aws, release, there).await?.on("permission"));
        checks.push(
            match verify(aws, release).await {
                Ok(seen) => Verdict::passed(format!("version {version}: {}; {}", seen.ping, seen.file)),
                Err(error) => {
                    Verdict::failed(error.what, "see what AWS says", error.hint.unwrap_or_default())
                }
            }
            .on("answer"),
        );
    }
    Ok(checks)
}

async fn callable(aws: &Aws, release: &Release, there: &Account) -> Result<Verdict, Error> {
    let mut arns = BTreeSet::new();
    for function in &release.functions {
        arns.insert(aws.function_arn(&function.lambda).await?);
    }
    let missing =
        there.policy.as_ref().map_or_else(Vec::new, |found| policy::missing(&found.document, &arns));
    Ok(match missing.first() {
        None => Verdict::passed(format!(
            "Mattermost may call {}",
            finding::counted(arns.len(), "function", "functions")
        )),
        Some(arn) => Verdict::failed(
            format!("Mattermost may not call `{arn}`"),
            "the invoke policy does not name it",
            "deploy the app again: `mainstay apps deploy BUNDLE`",
        ),
    })
}
