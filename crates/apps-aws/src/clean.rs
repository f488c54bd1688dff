//! `apps aws clean`: removes what `apps aws init` made.

use apps::Error;
use finding::{Exit, Finding};

use crate::account::{Found, Names, logging_policy, look};
use crate::aws::Aws;
use crate::call::Shown;
use crate::failure::{Failure, Kind, optional};
use crate::init::keys;
use crate::lease;
use crate::list::listed;
use crate::observed::list;
use crate::perform::Watch;

/// A thing to remove, in the order in which AWS lets them go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Remove {
    FromGroup,
    AccessKey(String),
    User,
    DetachFromGroup(String),
    Group,
    PolicyVersion(String, String),
    Policy(String),
    DetachFromRole(String),
    Role,
    Bucket,
}

/// What is to be removed, and what stays.
pub struct Clean<'a> {
    aws: &'a Aws,
    names: Names,
    steps: Vec<Remove>,
    /// What stays, and why.
    pub stays: Vec<Finding>,
}

impl<'a> Clean<'a> {
    /// Looks at what is there. Without `untagged`, what another tool made stays.
    ///
    /// # Errors
    /// What AWS answers; apps that are deployed.
    pub async fn look(aws: &'a Aws, names: Names, untagged: bool) -> Result<Self, Error> {
        let there = Box::pin(look(aws, &names)).await?;
        let mut clean = Self { aws, names, steps: Vec::new(), stays: Vec::new() };
        let mut objects = 0;
        if there.bucket != Found::Absent {
            let apps = listed(aws).await?;
            if let Some(app) = apps.first() {
                let rest = match apps.len() {
                    1 => "is deployed".to_owned(),
                    count => format!("and {} more versions of apps are deployed", count - 1),
                };
                return Err(Error::new(Exit::Refused, format!("`{}` {} {rest}", app.app_id, app.version))
                    .hint(finding::hint!(
                        "remove what is deployed first: `mainstay apps undeploy {}`",
                        app.app_id
                    )));
            }
            // What a run that was killed left of its lease is not counted.
            objects = list(aws, "").await?.keys().filter(|key| !key.starts_with(lease::PREFIX)).count();
        }
        let names = clean.names.clone();
        let may = |found: Found| found == Found::Ours || (untagged && found == Found::Others);
        let policy_arn = there.policy.as_ref().map(|policy| policy.arn.clone());
        let members = there.group.clone().unwrap_or_default();
        if members.contains(&names.user) && (may(there.user) || may(there.policy_made)) {
            clean.steps.push(Remove::FromGroup);
        }
        clean.user(there.user, may(there.user)).await?;
        let others: Vec<&String> = members.iter().filter(|member| **member != names.user).collect();
        let strange: Vec<&String> =
            there.group_policies.iter().filter(|arn| Some(*arn) != policy_arn.as_ref()).collect();
        // Groups carry no tags: it is ours if it holds nothing but what is ours.
        if there.group.is_some() {
            if !others.is_empty() || !strange.is_empty() {
                clean.stay("group", &names.group, "it has other members or policies");
            } else if may(there.policy_made) || (there.policy.is_none() && may(there.user)) || untagged {
                clean.steps.extend(there.group_policies.iter().cloned().map(Remove::DetachFromGroup));
                clean.steps.push(Remove::Group);
            } else {
                clean.stay(
                    "group",
                    &names.group,
                    "its user and policy were not made by `mainstay apps aws init`",
                );
            }
        }
        if let Some(arn) = policy_arn {
            clean.policy(&arn, may(there.policy_made)).await?;
        }
        if there.role != Found::Absent && !may(there.role) {
            clean.stay("role", &names.role, "`mainstay apps aws init` did not make it");
        } else if there.role_policies.iter().any(|arn| *arn != logging_policy(&aws.region)) {
            clean.stay("role", &names.role, "it has other policies");
        } else if there.role != Found::Absent {
            clean.steps.extend(there.role_policies.iter().cloned().map(Remove::DetachFromRole));
            clean.steps.push(Remove::Role);
        }
        match there.bucket {
            Found::Absent => {}
            Found::Others => clean.stay("bucket", &aws.bucket, "`mainstay apps aws init` did not make it"),
            Found::Ours if objects > 0 => {
                clean.stay(
                    "bucket",
                    &aws.bucket,
                    &format!("it holds {}", finding::counted(objects, "object", "objects")),
                );
            }
            Found::Ours => clean.steps.push(Remove::Bucket),
        }
        Ok(clean)
    }

    async fn user(&mut self, found: Found, may: bool) -> Result<(), Failure> {
        let (aws, user) = (self.aws, self.names.user.clone());
        if found == Found::Absent {
            return Ok(());
        }
        let groups = optional(
            "iam:ListGroupsForUser",
            &user,
            aws.iam.list_groups_for_user().user_name(&user).send().await,
        )?;
        let elsewhere = groups
            .iter()
            .flat_map(|found| found.groups())
            .any(|group| group.group_name() != self.names.group);
        let attached = aws.iam.list_attached_user_policies().user_name(&user).send().await;
        let attached = optional("iam:ListAttachedUserPolicies", &user, attached)?;
        let has_policies = attached.iter().any(|found| !found.attached_policies().is_empty());
        match (may, elsewhere || has_policies) {
            (false, _) => self.stay("user", &user, "`mainstay apps aws init` did not make it"),
            (true, true) => self.stay("user", &user, "it is in other groups or has policies of its own"),
            (true, false) => {
                self.steps.extend(keys(aws, &user).await?.into_iter().map(Remove::AccessKey));
                self.steps.push(Remove::User);
            }
        }
        Ok(())
    }

    async fn policy(&mut self, arn: &str, may: bool) -> Result<(), Failure> {
        let (iam, name) = (&self.aws.iam, self.names.policy.clone());
        if !may {
            self.stay("policy", &name, "`mainstay apps aws init` did not make it");
            return Ok(());
        }
        let used = optional(
            "iam:ListEntitiesForPolicy",
            arn,
            iam.list_entities_for_policy().policy_arn(arn).send().await,
        )?;
        let elsewhere = used.is_some_and(|used| {
            let groups =
                used.policy_groups().iter().any(|group| group.group_name() != Some(&self.names.group));
            groups || !used.policy_users().is_empty() || !used.policy_roles().is_empty()
        });
        if elsewhere {
            self.stay("policy", &name, "others use it as well");
            return Ok(());
        }
        let versions =
            optional("iam:ListPolicyVersions", arn, iam.list_policy_versions().policy_arn(arn).send().await)?;
        for version in
            versions.iter().flat_map(|found| found.versions()).filter(|version| !version.is_default_version())
        {
            let id = version.version_id().unwrap_or_default().to_owned();
            self.steps.push(Remove::PolicyVersion(arn.to_owned(), id));
        }
        self.steps.push(Remove::Policy(arn.to_owned()));
        Ok(())
    }

    fn stay(&mut self, kind: &str, name: &str, why: &str) {
        let fix = if why.contains("did not make it") && kind != "bucket" {
            "`--untagged` removes it as well"
        } else {
            "remove it in AWS's console if nobody needs it"
        };
        self.stays.push(Finding::warning(format!("the {kind} `{name}` stays"), why, fix));
    }

    /// The calls.
    pub fn calls(&self) -> Vec<Shown> {
        self.steps.iter().map(|step| self.shown(step)).collect()
    }

    /// Removes it.
    ///
    /// # Errors
    /// What AWS answers; the next run continues.
    pub async fn run(self, watch: &Watch<'_>) -> Result<(), Error> {
        for step in &self.steps {
            Box::pin(self.remove(step)).await?;
            watch(&self.shown(step));
        }
        Ok(())
    }

    fn shown(&self, step: &Remove) -> Shown {
        let names = &self.names;
        match step {
            Remove::FromGroup => Shown::new("iam:RemoveUserFromGroup", &names.group, &names.user),
            Remove::AccessKey(id) => Shown::new("iam:DeleteAccessKey", &names.user, id),
            Remove::User => Shown::new("iam:DeleteUser", &names.user, ""),
            Remove::DetachFromGroup(arn) => Shown::new("iam:DetachGroupPolicy", &names.group, arn),
            Remove::Group => Shown::new("iam:DeleteGroup", &names.group, ""),
            Remove::PolicyVersion(_, version) => {
                Shown::new("iam:DeletePolicyVersion", &names.policy, version)
            }
            Remove::Policy(_) => Shown::new("iam:DeletePolicy", &names.policy, ""),
            Remove::DetachFromRole(arn) => Shown::new("iam:DetachRolePolicy", &names.role, arn),
            Remove::Role => Shown::new("iam:DeleteRole", &names.role, ""),
            Remove::Bucket => Shown::new("s3:DeleteBucket", &self.aws.bucket, "it is empty"),
        }
    }

    async fn remove(&self, step: &Remove) -> Result<(), Failure> {
        let (iam, Names { user, group, role, policy }) = (&self.aws.iam, &self.names);
        match step {
            Remove::FromGroup => {
                let remove = iam.remove_user_from_group().group_name(group).user_name(user);
                optional("iam:RemoveUserFromGroup", group, remove.send().await)?;
            }
            Remove::AccessKey(id) => {
                let delete = iam.delete_access_key().user_name(user).access_key_id(id);
                optional("iam:DeleteAccessKey", user, delete.send().await)?;
            }
            Remove::User => {
                optional("iam:DeleteUser", user, iam.delete_user().user_name(user).send().await)?;
            }
            Remove::DetachFromGroup(arn) => {
                let detach = iam.detach_group_policy().group_name(group).policy_arn(arn);
                optional("iam:DetachGroupPolicy", group, detach.send().await)?;
            }
            Remove::Group => {
                optional("iam:DeleteGroup", group, iam.delete_group().group_name(group).send().await)?;
            }
            Remove::PolicyVersion(arn, version) => {
                let delete = iam.delete_policy_version().policy_arn(arn).version_id(version);
                optional("iam:DeletePolicyVersion", policy, delete.send().await)?;
            }
            Remove::Policy(arn) => {
                optional("iam:DeletePolicy", policy, iam.delete_policy().policy_arn(arn).send().await)?;
            }
            Remove::DetachFromRole(arn) => {
                let detach = iam.detach_role_policy().role_name(role).policy_arn(arn);
                optional("iam:DetachRolePolicy", role, detach.send().await)?;
            }
            Remove::Role => {
                optional("iam:DeleteRole", role, iam.delete_role().role_name(role).send().await)?;
            }
            Remove::Bucket => {
                match list(self.aws, lease::PREFIX).await {
                    Ok(left) => {
                        for key in left.keys() {
                            let delete = self.aws.s3.delete_object().bucket(&self.aws.bucket).key(key);
                            optional("s3:DeleteObject", key, delete.send().await)?;
                        }
                    }
                    Err(failure) if failure.is(&Kind::NoBucket) => {}
                    Err(failure) => return Err(failure),
                }
                let delete = self.aws.s3.delete_bucket().bucket(&self.aws.bucket).send().await;
                match optional("s3:DeleteBucket", &self.aws.bucket, delete) {
                    Ok(_) => {}
                    Err(failure) if failure.is(&Kind::NoBucket) => {}
                    Err(failure) => return Err(failure),
                }
            }
        }
        Ok(())
    }
}
