//! `apps aws init`: makes what an account needs, and nothing that is there.

use apps::Error;
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, PublicAccessBlockConfiguration, Tag as BucketTag,
    Tagging,
};
use finding::Exit;
use secrecy::SecretString;

use crate::account::{
    Account, Found, KEYS_BEFORE, MADE_BY, NO_KEYS, Names, logging_policy, look, tag, trust,
};
use crate::aws::Aws;
use crate::call::Shown;
use crate::failure::{Failure, Kind, made, optional};
use crate::perform::Watch;
use crate::policy;
use crate::settings::partition;

/// A thing to make, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    Bucket,
    TagBucket,
    BlockPublic,
    User,
    Policy,
    Group,
    AttachToGroup,
    AddUser,
    Role,
    AttachToRole,
    RemoveLostKeys,
    AccessKey,
}

/// What is to be made.
pub struct Init<'a> {
    aws: &'a Aws,
    names: Names,
    steps: Vec<Make>,
    /// Keys that a run made which was killed before it handed them over: nobody has their secrets.
    lost: Vec<String>,
}

/// The keys of the user that calls functions. The secret is shown by AWS once.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

impl<'a> Init<'a> {
    /// Looks at what is there.
    ///
    /// # Errors
    /// What AWS answers; a bucket of another account; two access keys already.
    pub async fn look(aws: &'a Aws, names: Names, access_key: bool) -> Result<Self, Error> {
        let there = Box::pin(look(aws, &names)).await?;
        let lost = match &there.keys_before {
            Some(before) => lost(aws, &names.user, before).await?,
            None => Vec::new(),
        };
        let has_two = || async { Ok::<_, Failure>(keys(aws, &names.user).await?.len() >= 2 + lost.len()) };
        if access_key && there.user != Found::Absent && has_two().await? {
            return Err(Error::new(
                Exit::Refused,
                format!("the user `{}` has two access keys, and AWS allows no third", names.user),
            )
            .hint(format!(
                "delete one that is not used: aws iam delete-access-key --user-name {} --access-key-id ID",
                names.user
            )));
        }
        let mut steps = steps(aws, &names, &there, access_key).await?;
        if !lost.is_empty() {
            let before_key = steps.len() - usize::from(access_key);
            steps.insert(before_key, Make::RemoveLostKeys);
        }
        Ok(Self { aws, names, steps, lost })
    }

    /// The calls.
    pub fn calls(&self) -> Vec<Shown> {
        self.steps.iter().map(|step| self.shown(*step)).collect()
    }

    /// Makes what is missing.
    ///
    /// # Errors
    /// What AWS answers; the next run continues.
    pub async fn run(self, watch: &Watch<'_>) -> Result<Option<AccessKey>, Error> {
        let mut key = None;
        for step in &self.steps {
            match step {
                Make::AccessKey => key = Some(self.access_key().await?),
                Make::RemoveLostKeys => self.remove_lost().await?,
                step => Box::pin(self.make(*step)).await?,
            }
            watch(&self.shown(*step));
        }
        Ok(key)
    }

    fn shown(&self, step: Make) -> Shown {
        let (bucket, names) = (&self.aws.bucket, &self.names);
        match step {
            Make::Bucket => Shown::new("s3:CreateBucket", bucket, format!("in {}", self.aws.region)),
            Make::TagBucket => Shown::new("s3:PutBucketTagging", bucket, "made by Mainstay"),
            Make::BlockPublic => {
                Shown::new("s3:PutBucketPublicAccessBlock", bucket, "nothing in it is public")
            }
            Make::User => {
                Shown::new("iam:CreateUser", &names.user, "Mattermost calls functions as this user")
            }
            Make::Policy => {
                Shown::new("iam:CreatePolicy", &names.policy, "manifests and static files may be read")
            }
            Make::Group => Shown::new("iam:CreateGroup", &names.group, ""),
            Make::AttachToGroup => Shown::new("iam:AttachGroupPolicy", &names.group, &names.policy),
            Make::AddUser => Shown::new("iam:AddUserToGroup", &names.group, &names.user),
            Make::Role => Shown::new("iam:CreateRole", &names.role, "functions run as this role"),
            Make::AttachToRole => {
                Shown::new("iam:AttachRolePolicy", &names.role, "functions may write their log")
            }
            Make::RemoveLostKeys => Shown::new(
                "iam:DeleteAccessKey",
                &names.user,
                format!("{}: a run that was killed made it, and nobody has its secret", self.lost.join(", ")),
            ),
            Make::AccessKey => Shown::new("iam:CreateAccessKey", &names.user, "its secret is shown once"),
        }
    }

    async fn make(&self, step: Make) -> Result<(), Failure> {
        let (aws, names) = (self.aws, &self.names);
        let (iam, s3, bucket) = (&aws.iam, &aws.s3, &aws.bucket);
        let action = match step {
            Make::Bucket => return create_bucket(aws).await,
            Make::TagBucket => {
                let tag = BucketTag::builder()
                    .key(MADE_BY.0)
                    .value(MADE_BY.1)
                    .build()
                    .map_err(|error| invalid(bucket, &error))?;
                let tagging =
                    Tagging::builder().tag_set(tag).build().map_err(|error| invalid(bucket, &error))?;
                return made(
                    "s3:PutBucketTagging",
                    bucket,
                    s3.put_bucket_tagging().bucket(bucket).tagging(tagging).send().await,
                );
            }
            Make::BlockPublic => {
                let block = PublicAccessBlockConfiguration::builder()
                    .block_public_acls(true)
                    .ignore_public_acls(true)
                    .block_public_policy(true)
                    .restrict_public_buckets(true)
                    .build();
                let put =
                    s3.put_public_access_block().bucket(bucket).public_access_block_configuration(block);
                return made("s3:PutBucketPublicAccessBlock", bucket, put.send().await);
            }
            Make::User => {
                return made(
                    "iam:CreateUser",
                    &names.user,
                    iam.create_user().user_name(&names.user).tags(tag()?).send().await,
                );
            }
            Make::Policy => {
                let document = policy::initial(partition(&aws.region), bucket).to_string();
                let create =
                    iam.create_policy().policy_name(&names.policy).policy_document(document).tags(tag()?);
                return made("iam:CreatePolicy", &names.policy, create.send().await);
            }
            Make::Group => {
                return made(
                    "iam:CreateGroup",
                    &names.group,
                    iam.create_group().group_name(&names.group).send().await,
                );
            }
            Make::Role => {
                let create = iam.create_role().role_name(&names.role).tags(tag()?);
                let create = create.assume_role_policy_document(trust(&aws.region).to_string());
                return made("iam:CreateRole", &names.role, create.send().await);
            }
            Make::AttachToGroup => "iam:AttachGroupPolicy",
            Make::AddUser => "iam:AddUserToGroup",
            Make::AttachToRole => "iam:AttachRolePolicy",
            Make::AccessKey | Make::RemoveLostKeys => return Ok(()),
        };
        match step {
            Make::AttachToGroup => {
                let arn = policy_arn(aws, &names.policy).await?;
                made(
                    action,
                    &names.group,
                    iam.attach_group_policy().group_name(&names.group).policy_arn(arn).send().await,
                )
            }
            Make::AddUser => {
                let add = iam.add_user_to_group().group_name(&names.group).user_name(&names.user);
                made(action, &names.group, add.send().await)
            }
            _ => {
                let attach =
                    iam.attach_role_policy().role_name(&names.role).policy_arn(logging_policy(&aws.region));
                made(action, &names.role, attach.send().await)
            }
        }
    }

    /// Makes a key. If the answer is lost, its secret is lost as well: the key is removed.
    async fn access_key(&self) -> Result<AccessKey, Error> {
        let (aws, user) = (self.aws, &self.names.user);
        let before = keys(aws, user).await?;
        // Whoever comes after a kill knows by it which keys were not there.
        self.remember(&before).await?;
        let once =
            aws_sdk_iam::config::Builder::new().retry_config(aws_config::retry::RetryConfig::disabled());
        let answer =
            aws.iam.create_access_key().user_name(user).customize().config_override(once).send().await;
        match answer {
            Ok(made) => {
                let key = made
                    .access_key()
                    .ok_or_else(|| Error::new(Exit::Bug, "AWS made a key and did not say which"))?;
                Ok(AccessKey {
                    id: key.access_key_id().to_owned(),
                    secret: key.secret_access_key().to_owned().into(),
                })
            }
            Err(error) => {
                let failure = Failure::new("iam:CreateAccessKey", user, &error);
                for id in keys(aws, user).await?.into_iter().filter(|id| !before.contains(id)) {
                    let delete = aws.iam.delete_access_key().user_name(user).access_key_id(&id);
                    optional("iam:DeleteAccessKey", user, delete.send().await)?;
                }
                forget(aws, user).await?;
                Err(failure.into())
            }
        }
    }

    async fn remember(&self, before: &[String]) -> Result<(), Failure> {
        let user = &self.names.user;
        let value = if before.is_empty() { NO_KEYS.to_owned() } else { before.join("+") };
        let tag = aws_sdk_iam::types::Tag::builder().key(KEYS_BEFORE).value(value).build();
        let tag = tag.map_err(|error| Failure {
            action: "iam:TagUser",
            on: user.clone(),
            kind: Kind::Invalid,
            message: error.to_string(),
        })?;
        made("iam:TagUser", user, self.aws.iam.tag_user().user_name(user).tags(tag).send().await)
    }

    async fn remove_lost(&self) -> Result<(), Failure> {
        let (aws, user) = (self.aws, &self.names.user);
        for id in &self.lost {
            let delete = aws.iam.delete_access_key().user_name(user).access_key_id(id);
            optional("iam:DeleteAccessKey", user, delete.send().await)?;
        }
        forget(aws, user).await
    }
}

/// Says that the access key that was made is in its owner's hands.
///
/// # Errors
/// What AWS answers; a later run would take the key for lost, unless it was used.
pub async fn handed_over(aws: &Aws, names: &Names) -> Result<(), Error> {
    forget(aws, &names.user).await.map_err(Into::into)
}

async fn forget(aws: &Aws, user: &str) -> Result<(), Failure> {
    let untag = aws.iam.untag_user().user_name(user).tag_keys(KEYS_BEFORE).send().await;
    optional("iam:UntagUser", user, untag).map(drop)
}

/// The keys of a user that are not among these and were never used.
async fn lost(aws: &Aws, user: &str, before: &[String]) -> Result<Vec<String>, Failure> {
    let mut lost = Vec::new();
    for id in keys(aws, user).await?.into_iter().filter(|id| !before.contains(id)) {
        let used = aws.iam.get_access_key_last_used().access_key_id(&id).send().await;
        let used = optional("iam:GetAccessKeyLastUsed", user, used)?;
        let was_used =
            used.and_then(|used| used.access_key_last_used).is_some_and(|used| used.last_used_date.is_some());
        if !was_used {
            lost.push(id);
        }
    }
    Ok(lost)
}

/// The ids of a user's access keys.
pub(crate) async fn keys(aws: &Aws, user: &str) -> Result<Vec<String>, Failure> {
    let listed =
        optional("iam:ListAccessKeys", user, aws.iam.list_access_keys().user_name(user).send().await)?;
    let keys = listed.iter().flat_map(|listed| listed.access_key_metadata());
    Ok(keys.filter_map(|key| key.access_key_id().map(str::to_owned)).collect())
}

async fn policy_arn(aws: &Aws, name: &str) -> Result<String, Failure> {
    match crate::observed::document(aws, name).await? {
        Some(found) => Ok(found.arn),
        None => aws.iam_arn("policy", name).await,
    }
}

async fn steps(aws: &Aws, names: &Names, there: &Account, access_key: bool) -> Result<Vec<Make>, Failure> {
    let arn = match &there.policy {
        Some(found) => found.arn.clone(),
        None => aws.iam_arn("policy", &names.policy).await?,
    };
    let is_member = there.group.as_ref().is_some_and(|members| members.contains(&names.user));
    let logs = there.role_policies.contains(&logging_policy(&aws.region));
    let wanted = [
        (Make::Bucket, there.bucket == Found::Absent),
        (Make::TagBucket, there.bucket == Found::Absent),
        (Make::BlockPublic, !there.public_blocked),
        (Make::User, there.user == Found::Absent),
        (Make::Policy, there.policy.is_none()),
        (Make::Group, there.group.is_none()),
        (Make::AttachToGroup, !there.group_policies.contains(&arn)),
        (Make::AddUser, !is_member),
        (Make::Role, there.role == Found::Absent),
        (Make::AttachToRole, !logs),
        (Make::AccessKey, access_key),
    ];
    Ok(wanted.into_iter().filter(|(_, needed)| *needed).map(|(make, _)| make).collect())
}

async fn create_bucket(aws: &Aws) -> Result<(), Failure> {
    let mut create = aws.s3.create_bucket().bucket(&aws.bucket);
    // The oldest region is the one that may not be named.
    if aws.region != "us-east-1" {
        let place = BucketLocationConstraint::from(aws.region.as_str());
        create = create.create_bucket_configuration(
            CreateBucketConfiguration::builder().location_constraint(place).build(),
        );
    }
    made("s3:CreateBucket", &aws.bucket, create.send().await)
}

fn invalid(on: &str, error: &impl std::fmt::Display) -> Failure {
    Failure {
        action: "s3:PutBucketTagging",
        on: on.to_owned(),
        kind: Kind::Invalid,
        message: error.to_string(),
    }
}
