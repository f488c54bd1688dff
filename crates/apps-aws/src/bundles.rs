//! Bundles in S3: objects that are read, and the bucket that the cloud deployer looks at.

use std::io::Write as _;
use std::path::Path;

use apps::Error;
use apps::deployer::{Bucket, Object, Page, Shared, Tags};
use apps::source::ReadObject;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{EncodingType, Tag, Tagging};
use finding::Exit;
use tokio::sync::OnceCell;

use crate::aws::Aws;
use crate::clock::{Date, timestamp};
use crate::failure::{Failure, Kind};
use crate::observed::key_of;
use crate::settings::Settings;

/// The most bytes of a small object that instances share.
const SHARED: i64 = 4 << 20;

/// The failure for whoever named the bucket: `mainstay apps aws init` makes another one, that of the apps.
fn told(failure: Failure) -> Error {
    let is_absent = failure.is(&Kind::NoBucket);
    let error = failure.into_error();
    if is_absent {
        error.hint("check the bucket's name; bundles are read from a bucket that exists")
    } else {
        error
    }
}

/// Reads objects of S3 with these settings. Nothing is connected until the first object is asked for.
#[derive(Debug)]
pub struct Objects {
    settings: Settings,
    aws: OnceCell<Aws>,
}

impl Objects {
    /// With these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, aws: OnceCell::new() }
    }
}

impl ReadObject for Objects {
    async fn read_object(&self, bucket: &str, key: &str, into: &Path, most: u64) -> Result<(), Error> {
        let aws = self.aws.get_or_try_init(|| Aws::new(&self.settings)).await?;
        download(&aws.s3, (bucket, key), None, into, most).await
    }
}

/// The bucket that bundles are put into.
#[derive(Debug)]
pub struct Bundles {
    s3: Client,
    bucket: String,
}

impl Bundles {
    /// The bucket, with these settings. Their own bucket is the one of the apps, and may be another one.
    ///
    /// # Errors
    /// No region is known.
    pub async fn new(settings: &Settings, bucket: &str) -> Result<Self, Error> {
        Ok(Self { s3: Aws::new(settings).await?.s3, bucket: bucket.to_owned() })
    }

    fn at(&self, key: &str) -> String {
        format!("{}/{key}", self.bucket)
    }
}

impl Bucket for Bundles {
    fn name(&self) -> &str {
        &self.bucket
    }

    async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, Error> {
        let asked = self.s3.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let asked = asked.encoding_type(EncodingType::Url).set_continuation_token(next.map(str::to_owned));
        let found = asked.send().await;
        let found = found.map_err(|error| told(Failure::new("s3:ListBucket", &self.bucket, &error)))?;
        let object = |object: &aws_sdk_s3::types::Object| {
            Some(Object {
                key: key_of(object.key()?, found.encoding_type()),
                etag: object.e_tag().unwrap_or_default().to_owned(),
                size: u64::try_from(object.size().unwrap_or_default()).unwrap_or_default(),
                modified: object.last_modified().and_then(timestamp).unwrap_or_default(),
            })
        };
        let next = found.next_continuation_token().map(str::to_owned);
        Ok(Page { objects: found.contents().iter().filter_map(object).collect(), next })
    }

    async fn tags(&self, key: &str) -> Result<Option<Tags>, Error> {
        let found = match self.s3.get_object_tagging().bucket(&self.bucket).key(key).send().await {
            Ok(found) => found,
            Err(error) => {
                return match Failure::new("s3:GetObjectTagging", self.at(key), &error) {
                    failure if failure.is(&Kind::Missing) => Ok(None),
                    failure => Err(told(failure)),
                };
            }
        };
        let tags = found.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
        Ok(Some(tags.collect()))
    }

    async fn set_tags(&self, key: &str, tags: &Tags) -> Result<(), Error> {
        let wrong = |error: aws_sdk_s3::error::BuildError| {
            Error::new(Exit::Bug, format!("the tags of {} cannot be sent: {error}", self.at(key)))
        };
        let tags = tags.iter().map(|(name, value)| Tag::builder().key(name).value(value).build());
        let tags = tags.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build().map_err(wrong)?;
        let answer = self.s3.put_object_tagging().bucket(&self.bucket).key(key).tagging(tagging).send().await;
        answer.map_err(|error| told(Failure::new("s3:PutObjectTagging", self.at(key), &error)))?;
        Ok(())
    }

    async fn download(&self, object: &Object, into: &Path, most: u64) -> Result<(), Error> {
        download(&self.s3, (&self.bucket, &object.key), Some(&object.etag), into, most).await
    }

    async fn read_shared(&self, key: &str) -> Result<Option<Shared>, Error> {
        let date = Date::default();
        let asked = self.s3.get_object().bucket(&self.bucket).key(key).customize().interceptor(date.clone());
        let found = match asked.send().await {
            Ok(found) => found,
            Err(error) => {
                return match Failure::new("s3:GetObject", self.at(key), &error) {
                    failure if failure.is(&Kind::Missing) => Ok(None),
                    failure => Err(told(failure)),
                };
            }
        };
        if found.content_length().is_some_and(|length| length > SHARED) {
            return Err(Error::new(Exit::NeedsYou, format!("the record {} is too large", self.at(key)))
                .hint("delete the object: bundles that failed are then tried again at once"));
        }
        // A bucket that does not say what time it is: nobody's lease is over then.
        let age = date.age(found.last_modified()).unwrap_or_default();
        let etag = found.e_tag().unwrap_or_default().to_owned();
        let bytes = found.body.collect().await.map_err(|error| broken(&self.at(key), &error))?.to_vec();
        Ok(Some(Shared { bytes, etag, age }))
    }

    async fn write_shared(
        &self,
        key: &str,
        bytes: Vec<u8>,
        expected: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let put = self.s3.put_object().bucket(&self.bucket).key(key).content_type("application/json");
        let put = match expected {
            Some(etag) => put.if_match(etag),
            None => put.if_none_match("*"),
        };
        match put.body(ByteStream::from(bytes)).send().await {
            Ok(written) => Ok(Some(written.e_tag().unwrap_or_default().to_owned())),
            Err(error) => match Failure::new("s3:PutObject", self.at(key), &error) {
                // It was removed meanwhile, or somebody else wrote it.
                failure if failure.is(&Kind::Changed) || failure.is(&Kind::Missing) => Ok(None),
                failure => Err(told(failure)),
            },
        }
    }
}

/// Writes an object into a new file.
async fn download(
    s3: &Client,
    (bucket, key): (&str, &str),
    etag: Option<&str>,
    into: &Path,
    most: u64,
) -> Result<(), Error> {
    let at = format!("{bucket}/{key}");
    let asked = s3.get_object().bucket(bucket).key(key).set_if_match(etag.map(str::to_owned));
    let found = asked.send().await.map_err(|error| match Failure::new("s3:GetObject", &at, &error) {
        failure if failure.is(&Kind::Missing) => {
            Error::new(Exit::NotReady, format!("there is no object s3://{at}"))
                .hint("check the bucket and the key; keys are case-sensitive")
        }
        failure if failure.is(&Kind::Changed) => {
            Error::new(Exit::NotReady, format!("s3://{at} was replaced while it was looked at"))
                .hint("run the command again")
        }
        failure => told(failure),
    })?;
    let too_large = || {
        Error::new(
            Exit::Refused,
            format!("s3://{at} is larger than {most} bytes, the most that a bundle may have"),
        )
        .hint("check that it is the bundle of an app")
    };
    if found.content_length().is_some_and(|length| u64::try_from(length).unwrap_or_default() > most) {
        return Err(too_large());
    }
    let failed = |error: std::io::Error| {
        Error::new(Exit::NotReady, format!("cannot write {}: {error}", into.display()))
    };
    let mut file = std::fs::File::create_new(into).map_err(failed)?;
    let (mut body, mut count) = (found.body, 0);
    while let Some(part) = body.try_next().await.map_err(|error| broken(&at, &error))? {
        count += part.len() as u64;
        if count > most {
            return Err(too_large());
        }
        file.write_all(&part).map_err(failed)?;
    }
    Ok(())
}

fn broken(at: &str, error: &dyn std::fmt::Display) -> Error {
    let why = finding::one_line(&error.to_string(), 300);
    Error::new(Exit::NotReady, format!("s3://{at} did not come whole: {why}")).hint("run the command again")
}
