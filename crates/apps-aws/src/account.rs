//! What an account needs before apps can be deployed to it, and what of it is there.

use aws_sdk_iam::types::Tag;
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::desired::{POLICY, ROLE};
use crate::failure::{Failure, Kind, optional};
use crate::observed::{Document, document};
use crate::settings::partition;

/// What things are called; the defaults are those of Mattermost's own tool.
#[derive(Debug, Clone)]
pub struct Names {
    /// The user that Mattermost's server calls functions as.
    pub user: String,
    /// Its group.
    pub group: String,
    /// The policy of the group.
    pub policy: String,
    /// The role that functions run as.
    pub role: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            user: "mattermost-apps-invoke".to_owned(),
            group: "mattermost-apps-invoke-group".to_owned(),
            policy: POLICY.to_owned(),
            role: ROLE.to_owned(),
        }
    }
}

/// The tag of what `apps aws init` made.
pub(crate) const MADE_BY: (&str, &str) = ("mainstay:made-by", "apps aws init");

pub(crate) fn tag() -> Result<Tag, Failure> {
    Tag::builder().key(MADE_BY.0).value(MADE_BY.1).build().map_err(|error| Failure {
        action: "iam:TagUser",
        on: String::new(),
        kind: Kind::Invalid,
        message: error.to_string(),
    })
}

pub(crate) fn is_ours(tags: &[Tag]) -> bool {
    tags.iter().any(|tag| (tag.key(), tag.value()) == MADE_BY)
}

/// Who may run as the execution role: Lambda.
pub(crate) fn trust(region: &str) -> Value {
    let suffix =
        if partition(region) == "aws-cn" { "lambda.amazonaws.com.cn" } else { "lambda.amazonaws.com" };
    // Lambda's principal has the same name in China; the regional one is accepted as well.
    let principals =
        if suffix.ends_with(".cn") { json!(["lambda.amazonaws.com", suffix]) } else { json!(suffix) };
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": { "Service": principals }, "Action": "sts:AssumeRole" }],
    })
}

/// AWS's own policy that lets functions write their log.
pub(crate) fn logging_policy(region: &str) -> String {
    format!("arn:{}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole", partition(region))
}

/// A thing, and whether `apps aws init` made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Absent,
    Ours,
    Others,
}

impl Found {
    pub(crate) fn of(tags: Option<&[Tag]>) -> Self {
        match tags {
            None => Self::Absent,
            Some(tags) if is_ours(tags) => Self::Ours,
            Some(_) => Self::Others,
        }
    }
}

/// What is there.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) bucket: Found,
    pub(crate) public_blocked: bool,
    pub(crate) user: Found,
    /// The access keys that the user had before a run made one whose end is not known; None where no such run is on record.
    pub(crate) keys_before: Option<Vec<String>>,
    pub(crate) policy: Option<Document>,
    pub(crate) policy_made: Found,
    /// The members of the group, if it exists.
    pub(crate) group: Option<Vec<String>>,
    /// The ARNs of the group's policies.
    pub(crate) group_policies: Vec<String>,
    pub(crate) role: Found,
    pub(crate) role_policies: Vec<String>,
}

pub(crate) async fn look(aws: &Aws, names: &Names) -> Result<Account, Failure> {
    let (bucket, user, policy, group, role) = tokio::try_join!(
        bucket(aws),
        user(aws, &names.user),
        document(aws, &names.policy),
        group(aws, &names.group),
        role(aws, &names.role)
    )?;
    let policy_made = match &policy {
        None => Found::Absent,
        Some(found) => {
            let listed = aws.iam.list_policy_tags().policy_arn(&found.arn).send().await;
            let listed = optional("iam:ListPolicyTags", &found.arn, listed)?;
            Found::of(listed.as_ref().map(|listed| listed.tags()))
        }
    };
    let (bucket, public_blocked) = bucket;
    let (group, group_policies) = group;
    let (user, keys_before) = user;
    let (role, role_policies) = role;
    Ok(Account {
        bucket,
        public_blocked,
        user,
        keys_before,
        policy,
        policy_made,
        group,
        group_policies,
        role,
        role_policies,
    })
}

async fn bucket(aws: &Aws) -> Result<(Found, bool), Failure> {
    let name = &aws.bucket;
    let head = aws.s3.head_bucket().bucket(name).send().await;
    match optional("s3:ListBucket", name, head) {
        Ok(Some(_)) => {}
        Ok(None) => return Ok((Found::Absent, false)),
        Err(failure) => return Err(why_closed(aws).await.unwrap_or(failure)),
    }
    let tags = optional("s3:GetBucketTagging", name, aws.s3.get_bucket_tagging().bucket(name).send().await)?;
    let ours = tags.is_some_and(|tags| tags.tag_set().iter().any(|tag| (tag.key(), tag.value()) == MADE_BY));
    let blocked = aws.s3.get_public_access_block().bucket(name).send().await;
    let blocked = optional("s3:GetBucketPublicAccessBlock", name, blocked)?;
    let blocked = blocked.and_then(|found| found.public_access_block_configuration).is_some_and(|block| {
        [
            block.block_public_acls,
            block.ignore_public_acls,
            block.block_public_policy,
            block.restrict_public_buckets,
        ]
        .iter()
        .all(|flag| *flag == Some(true))
    });
    Ok((if ours { Found::Ours } else { Found::Others }, blocked))
}

/// Why the bucket was not shown: an answer to HEAD has a status and no text, an answer to GET says more.
async fn why_closed(aws: &Aws) -> Option<Failure> {
    let asked = aws.s3.list_objects_v2().bucket(&aws.bucket).max_keys(1).send().await;
    match Failure::new("s3:ListBucket", &aws.bucket, &asked.err()?) {
        failure if failure.is(&Kind::Denied) => Some(Failure { kind: Kind::Closed, ..failure }),
        failure => Some(failure),
    }
}

async fn user(aws: &Aws, name: &str) -> Result<(Found, Option<Vec<String>>), Failure> {
    let found = optional("iam:GetUser", name, aws.iam.get_user().user_name(name).send().await)?;
    let tags = found.as_ref().map(|found| found.user().map(|user| user.tags()).unwrap_or_default());
    let before = tags.unwrap_or_default().iter().find(|tag| tag.key() == KEYS_BEFORE);
    let before =
        before.map(|tag| tag.value().split('+').filter(|id| *id != NO_KEYS).map(str::to_owned).collect());
    Ok((Found::of(tags), before))
}

/// The tag of a user for whom an access key is being made: the ids of the keys before, separated by `+`.
pub(crate) const KEYS_BEFORE: &str = "mainstay-keys-before";

/// What stands in that tag where there were none.
pub(crate) const NO_KEYS: &str = "none";

async fn group(aws: &Aws, name: &str) -> Result<(Option<Vec<String>>, Vec<String>), Failure> {
    let Some(found) = optional("iam:GetGroup", name, aws.iam.get_group().group_name(name).send().await)?
    else {
        return Ok((None, Vec::new()));
    };
    let members = found.users().iter().map(|user| user.user_name().to_owned()).collect();
    let listed = aws.iam.list_attached_group_policies().group_name(name).send().await;
    let listed = optional("iam:ListAttachedGroupPolicies", name, listed)?;
    let arns = listed.iter().flat_map(|listed| listed.attached_policies());
    Ok((Some(members), arns.filter_map(|policy| policy.policy_arn().map(str::to_owned)).collect()))
}

async fn role(aws: &Aws, name: &str) -> Result<(Found, Vec<String>), Failure> {
    let found = optional("iam:GetRole", name, aws.iam.get_role().role_name(name).send().await)?;
    let Some(found) = found else { return Ok((Found::Absent, Vec::new())) };
    let found = Found::of(Some(found.role().map(|role| role.tags()).unwrap_or_default()));
    let listed = aws.iam.list_attached_role_policies().role_name(name).send().await;
    let listed = optional("iam:ListAttachedRolePolicies", name, listed)?;
    let arns = listed.iter().flat_map(|listed| listed.attached_policies());
    Ok((found, arns.filter_map(|policy| policy.policy_arn().map(str::to_owned)).collect()))
}
