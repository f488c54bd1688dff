//! What is on AWS: functions, objects, the invoke policy, the record. Reading calls only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use apps::{Error, names};
use aws_sdk_s3::types::EncodingType;
use finding::Exit;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use serde_json::Value;

use crate::aws::Aws;
use crate::clock::Date;
use crate::failure::{Failure, Kind};
use crate::record::Record;
use crate::{digest, policy};

/// The tags of a function of ours.
pub(crate) const TAG_APP: &str = "mainstay:app";
pub(crate) const TAG_VERSION: &str = "mainstay:version";
pub(crate) const TAG_FUNCTION: &str = "mainstay:function";

/// A function as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live {
    pub(crate) sha256: String,
    pub(crate) handler: String,
    pub(crate) runtime: String,
    pub(crate) timeout: i32,
    pub(crate) memory: i32,
    pub(crate) architecture: String,
    /// The role's name.
    pub(crate) role: String,
    pub(crate) environment: BTreeMap<String, SecretString>,
    /// Another tool deployed it, and it is to be taken over.
    pub(crate) adopt: bool,
}

/// What is on AWS, of one version of one app.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    pub(crate) record: Option<Record>,
    /// All functions of the account and region, by their names.
    pub(crate) live: BTreeMap<String, Live>,
    /// The version's static files and manifest: what S3 calls their content.
    pub(crate) etags: BTreeMap<String, String>,
    /// The functions that the invoke policy names.
    pub(crate) allowed: BTreeSet<String>,
    /// Whether there is an invoke policy.
    pub(crate) has_policy: bool,
}

impl Observed {
    pub(crate) fn etag(&self, key: &str) -> Option<&String> {
        self.etags.get(key)
    }

    pub(crate) fn may_call(&self, lambda: &str) -> bool {
        self.allowed.contains(lambda)
    }

    /// The function of this name in the manifest, in the version that was deployed last.
    pub(crate) fn predecessor(&self, name: &str) -> Option<&Live> {
        let record = self.record.as_ref()?;
        let release = record.versions.get(record.current.as_ref()?)?;
        let function = release.functions.iter().find(|function| function.name == name)?;
        self.live.get(&function.lambda)
    }
}

/// Looks at a version of an app. `policy` is the invoke policy's name.
pub(crate) async fn observe(
    aws: &Aws,
    record: Option<Record>,
    app_id: &str,
    version: &str,
    policy: &str,
) -> Result<Observed, Failure> {
    let manifest = names::manifest_key(app_id, version);
    let prefix = names::static_prefix(app_id, version);
    let (live, files, head) = tokio::try_join!(functions(aws), list(aws, &prefix), head(aws, &manifest))?;
    let document = document(aws, policy).await?;
    let mut etags = files;
    etags.extend(head.map(|etag| (manifest, etag)));
    let (mut allowed, has_policy) = (BTreeSet::new(), document.is_some());
    if let Some(found) = document {
        let owned = record.iter().flat_map(|record| record.owned(version));
        let recorded =
            owned.flat_map(|release| release.functions.iter().map(|function| function.lambda.clone()));
        // A function that is gone may still be named.
        for name in live.keys().cloned().chain(recorded) {
            let arn = aws.function_arn(&name).await?;
            if policy::missing(&found.document, &[arn].into()).is_empty() {
                allowed.insert(name);
            }
        }
    }
    Ok(Observed { record, live, etags, allowed, has_policy })
}

/// All functions of the region.
pub(crate) async fn functions(aws: &Aws) -> Result<BTreeMap<String, Live>, Failure> {
    let mut live = BTreeMap::new();
    let mut pages = aws.lambda.list_functions().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Failure::new("lambda:ListFunctions", "", &error))?;
        for f in page.functions() {
            let variables = f.environment().and_then(|environment| environment.variables());
            let variables =
                variables.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone().into()));
            let architecture =
                f.architectures().first().map_or("x86_64", |architecture| architecture.as_str());
            let role = f.role().unwrap_or_default();
            let function = Live {
                sha256: digest::from_lambda(f.code_sha256().unwrap_or_default()),
                handler: f.handler().unwrap_or_default().to_owned(),
                runtime: f.runtime().map(|runtime| runtime.as_str().to_owned()).unwrap_or_default(),
                timeout: f.timeout().unwrap_or_default(),
                memory: f.memory_size().unwrap_or_default(),
                architecture: architecture.to_owned(),
                role: role.rsplit('/').next().unwrap_or_default().to_owned(),
                environment: variables.collect(),
                adopt: false,
            };
            if let Some(account) = f.function_arn().and_then(|arn| arn.split(':').nth(4)) {
                aws.know_account(account);
            }
            live.insert(f.function_name().unwrap_or_default().to_owned(), function);
        }
    }
    Ok(live)
}

/// All objects with a prefix: what S3 calls their content, by key.
pub(crate) async fn list(aws: &Aws, prefix: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut objects = BTreeMap::new();
    let asked = aws.s3.list_objects_v2().bucket(&aws.bucket).prefix(prefix);
    let mut pages = asked.encoding_type(EncodingType::Url).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Failure::new("s3:ListBucket", &aws.bucket, &error))?;
        for object in page.contents() {
            let etag = object.e_tag().unwrap_or_default().to_owned();
            objects.insert(key_of(object.key().unwrap_or_default(), page.encoding_type()), etag);
        }
    }
    Ok(objects)
}

/// A key of a listing, decoded where S3 says that it is encoded. XML cannot carry every character that a key may have, so listings are asked
/// for in the encoding of forms, in which `+` is a space.
pub(crate) fn key_of(listed: &str, encoding: Option<&EncodingType>) -> String {
    match encoding {
        Some(EncodingType::Url) => {
            percent_decode_str(&listed.replace('+', " ")).decode_utf8_lossy().into_owned()
        }
        _ => listed.to_owned(),
    }
}

/// What S3 calls the content of an object, if it is there.
async fn head(aws: &Aws, key: &str) -> Result<Option<String>, Failure> {
    match aws.s3.head_object().bucket(&aws.bucket).key(key).send().await {
        Ok(head) => Ok(Some(head.e_tag().unwrap_or_default().to_owned())),
        Err(error) => match Failure::new("s3:GetObject", aws.at(key), &error) {
            failure if failure.is(&Kind::Missing) => Ok(None),
            failure => Err(failure),
        },
    }
}

/// A small object, as it was read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) bytes: Vec<u8>,
    /// What S3 calls this content.
    pub(crate) etag: String,
    /// How long ago it was written, by the bucket's clock, where it has one.
    pub(crate) age: Option<Duration>,
}

/// An object's bytes and what S3 calls them, if it is there.
pub(crate) async fn read(aws: &Aws, key: &str) -> Result<Option<(Vec<u8>, String)>, Failure> {
    Ok(read_aged(aws, key).await?.map(|found| (found.bytes, found.etag)))
}

/// An object and its age, if it is there.
pub(crate) async fn read_aged(aws: &Aws, key: &str) -> Result<Option<Found>, Failure> {
    let date = Date::default();
    let asked = aws.s3.get_object().bucket(&aws.bucket).key(key).customize().interceptor(date.clone());
    let found = match asked.send().await {
        Ok(found) => found,
        Err(error) => {
            return match Failure::new("s3:GetObject", aws.at(key), &error) {
                failure if failure.is(&Kind::Missing) => Ok(None),
                failure => Err(failure),
            };
        }
    };
    let age = date.age(found.last_modified());
    let etag = found.e_tag().unwrap_or_default().to_owned();
    let bytes = found.body.collect().await.map_err(|error| Failure {
        action: "s3:GetObject",
        on: aws.at(key),
        kind: Kind::Unreached,
        message: finding::one_line(&error.to_string(), 300),
    })?;
    Ok(Some(Found { bytes: bytes.to_vec(), etag, age }))
}

/// The invoke policy as it is.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) arn: String,
    /// The default version, such as `v3`.
    pub(crate) version: String,
    pub(crate) document: Value,
}

/// The policy of this name; it is looked for where `apps aws init` makes it, and then in the whole list.
pub(crate) async fn document(aws: &Aws, name: &str) -> Result<Option<Document>, Failure> {
    let arn = aws.iam_arn("policy", name).await?;
    let found = match aws.iam.get_policy().policy_arn(&arn).send().await {
        Ok(found) => found.policy().and_then(|policy| Some((arn, policy.default_version_id()?.to_owned()))),
        Err(error) => match Failure::new("iam:GetPolicy", &arn, &error) {
            failure if failure.is(&Kind::Missing) => match listed(aws, name).await {
                // Whoever deploys need not see the whole list: then a policy below another path counts as absent.
                Err(failure) if failure.is(&Kind::Denied) => None,
                found => found?,
            },
            failure => return Err(failure),
        },
    };
    let Some((arn, version)) = found else { return Ok(None) };
    let document = version_document(aws, &arn, &version).await?;
    Ok(Some(Document { arn, version, document }))
}

/// A policy below another path than `/`.
async fn listed(aws: &Aws, name: &str) -> Result<Option<(String, String)>, Failure> {
    let mut pages =
        aws.iam.list_policies().scope(aws_sdk_iam::types::PolicyScopeType::Local).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Failure::new("iam:ListPolicies", name, &error))?;
        if let Some(policy) = page.policies().iter().find(|policy| policy.policy_name() == Some(name)) {
            return Ok(policy.arn().map(str::to_owned).zip(policy.default_version_id().map(str::to_owned)));
        }
    }
    Ok(None)
}

/// The document of one version of a policy.
pub(crate) async fn version_document(aws: &Aws, arn: &str, version: &str) -> Result<Value, Failure> {
    let found = aws.iam.get_policy_version().policy_arn(arn).version_id(version).send().await;
    let found = found.map_err(|error| Failure::new("iam:GetPolicyVersion", arn, &error))?;
    let text = found.policy_version().and_then(|version| version.document()).unwrap_or_default();
    // `+` is itself.
    serde_json::from_str(&percent_decode_str(text).decode_utf8_lossy()).map_err(|error| Failure {
        action: "iam:GetPolicyVersion",
        on: arn.to_owned(),
        kind: Kind::Invalid,
        message: format!("its document is no JSON: {error}"),
    })
}

/// The tags of a function.
pub(crate) async fn tags(aws: &Aws, lambda: &str) -> Result<BTreeMap<String, String>, Failure> {
    let found = aws.lambda.get_function().function_name(lambda).send().await;
    let found = found.map_err(|error| Failure::new("lambda:GetFunction", lambda, &error))?;
    Ok(found.tags().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Whose function it is, by its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    Us,
    /// Another tool made it: it has no tag of ours.
    Untagged,
    /// Another app, or another function of this one.
    Other(String),
}

pub(crate) fn owner(tags: &BTreeMap<String, String>, app_id: &str, version: &str, function: &str) -> Owner {
    let tag = |name: &str| tags.get(name).map_or("", String::as_str);
    match (tag(TAG_APP), tag(TAG_VERSION), tag(TAG_FUNCTION)) {
        ("", _, _) => Owner::Untagged,
        (app, of, name) if (app, of, name) == (app_id, version, function) => Owner::Us,
        (app, of, name) => Owner::Other(format!("function `{name}` of `{app}` {of}")),
    }
}

pub(crate) fn refused(lambda: &str, owner: &Owner) -> Option<Error> {
    match owner {
        Owner::Us => None,
        Owner::Untagged => Some(
            Error::new(Exit::Refused, format!("the function `{lambda}` exists, and Mainstay did not deploy it"))
                .hint("if another tool deployed this app, `--adopt` takes its functions and files over; otherwise change the app's id or version"),
        ),
        Owner::Other(whose) => Some(
            Error::new(Exit::Refused, format!("the name `{lambda}` belongs to {whose}"))
                .hint("AWS has one name for both: change the app's id or version, or the function's name"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_listing_are_decoded_where_s3_encoded_them() {
        let url = EncodingType::Url;
        assert_eq!(key_of("a+b%2Bc%20d/%1B%0A%C3%A9.zip", Some(&url)), "a b+c d/\u{1b}\n\u{e9}.zip");
        assert_eq!(key_of("a+b%20.zip", None), "a+b%20.zip");
    }

    #[test]
    fn a_function_belongs_to_whom_its_tags_name() {
        let tags = |app: &str| {
            [(TAG_APP, app), (TAG_VERSION, "1"), (TAG_FUNCTION, "f")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        };
        assert_eq!(owner(&tags("a"), "a", "1", "f"), Owner::Us);
        assert_eq!(owner(&BTreeMap::new(), "a", "1", "f"), Owner::Untagged);
        assert_eq!(owner(&tags("b"), "a", "1", "f"), Owner::Other("function `f` of `b` 1".into()));
        assert!(refused("x", &Owner::Us).is_none());
    }
}
