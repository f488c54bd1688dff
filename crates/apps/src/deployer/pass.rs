//! One look at the bucket: what is new is deployed, marked and told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::choice::{is_bundle, next_try};
use super::environment::Environment;
use super::lease::{Failure, Holder, Lease, RENEWED, remembered};
use super::notice::{Hooks, Notice};
use super::{Bucket, Deploy, Deployed, Object};
use crate::Error;
use finding::Exit;

/// How many objects are asked for their tags at once.
const AT_ONCE: usize = 8;

/// An instance of the deployer.
#[derive(Debug)]
pub struct Deployer {
    environment: Environment,
    prefix: String,
    hooks: Hooks,
    /// The most bytes of a bundle.
    most: u64,
    /// Where downloads lie.
    scratch: PathBuf,
    holder: Holder,
    /// The content that is known to be deployed, by key: it is not asked for its tags again.
    known: BTreeMap<String, String>,
}

/// What a look at the bucket has done.
#[derive(Debug, Default, Serialize)]
pub struct Pass {
    /// How many bundles there are.
    pub found: usize,
    /// What was deployed.
    pub deployed: Vec<Done>,
    /// What failed now.
    pub failed: Vec<Failed>,
    /// What failed before, and is tried again later.
    pub waiting: Vec<Waiting>,
    /// What would be deployed, in a plan.
    pub due: Vec<String>,
    /// Why notifications were not taken; they are sent again.
    pub unsaid: Vec<String>,
}

/// A bundle that was deployed.
#[derive(Debug, Serialize)]
pub struct Done {
    /// Its key.
    pub key: String,
    /// The app.
    #[serde(flatten)]
    pub app: Deployed,
}

/// A bundle that failed.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// Its key.
    pub key: String,
    /// What the command would have ended with.
    pub exit_code: u8,
    /// Why.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
    /// When it is tried again.
    pub again: Option<Timestamp>,
}

/// A bundle that failed before.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// Its key.
    pub key: String,
    /// Why it failed.
    pub what: String,
    /// When it is tried again.
    pub again: Timestamp,
}

/// What there is to do.
struct Found {
    all: usize,
    due: Vec<Object>,
    waiting: Vec<Waiting>,
}

impl Deployer {
    /// An instance for this environment, which looks at keys that begin with `prefix`.
    pub fn new(environment: Environment, prefix: String, hooks: Hooks, most: u64, scratch: PathBuf) -> Self {
        let holder = Holder::this_process();
        Self { environment, prefix, hooks, most, scratch, holder, known: BTreeMap::new() }
    }

    /// What would be deployed. Nothing is changed, and no lease is taken.
    ///
    /// # Errors
    /// The bucket cannot be read.
    pub async fn plan(&mut self, bucket: &impl Bucket, now: Timestamp) -> Result<Pass, Error> {
        let failed = remembered(bucket, &self.environment).await?.failed;
        let found = self.look(bucket, &failed, now).await?;
        let due = found.due.into_iter().map(|object| object.key).collect();
        Ok(Pass { found: found.all, due, waiting: found.waiting, ..Pass::default() })
    }

    /// Deploys what is new. `heard` is called for each bundle, as soon as it is done or has failed.
    ///
    /// # Errors
    /// Another instance works, the bucket cannot be used, or the lease was lost. A bundle that fails is no error.
    pub async fn pass(
        &mut self,
        bucket: &impl Bucket,
        deploy: &impl Deploy,
        cancel: &CancellationToken,
        mut heard: impl FnMut(&Result<Done, Failed>) + Send,
    ) -> Result<Pass, Error> {
        let lease = Mutex::new(Lease::take(bucket, &self.environment, &self.holder.clone()).await?);
        let work = self.work(bucket, deploy, &lease, cancel, &mut heard);
        let result = tokio::select! {
            result = work => result,
            lost = renewed(&lease, bucket) => Err(lost),
        };
        lease.into_inner().give_back(bucket).await;
        result
    }

    async fn work(
        &mut self,
        bucket: &impl Bucket,
        deploy: &impl Deploy,
        lease: &Mutex<Lease>,
        cancel: &CancellationToken,
        heard: &mut (impl FnMut(&Result<Done, Failed>) + Send),
    ) -> Result<Pass, Error> {
        let mut pass = Pass { unsaid: self.say(lease, bucket).await?, ..Pass::default() };
        let failed = lease.lock().await.record.failed.clone();
        let found = self.look(bucket, &failed, Timestamp::now()).await?;
        (pass.found, pass.waiting) = (found.all, found.waiting);
        for object in found.due {
            if cancel.is_cancelled() {
                break;
            }
            let outcome = tokio::select! {
                outcome = self.one(bucket, deploy, &object) => outcome,
                // The deployment stops half-way; the next instance ends it.
                () = cancel.cancelled() => break,
            };
            let outcome = self.keep(bucket, lease, &object, outcome).await?;
            pass.unsaid.extend(self.say(lease, bucket).await?);
            heard(&outcome);
            match outcome {
                Ok(done) => pass.deployed.push(done),
                Err(failed) => pass.failed.push(failed),
            }
        }
        Ok(pass)
    }

    /// Every bundle of the bucket, and which of them are to be deployed, the oldest first.
    async fn look(
        &mut self,
        bucket: &impl Bucket,
        failed: &BTreeMap<String, Failure>,
        now: Timestamp,
    ) -> Result<Found, Error> {
        let (mut bundles, mut next) = (Vec::new(), None);
        loop {
            let page = bucket.list(&self.prefix, next.as_deref()).await?;
            bundles.extend(page.objects.into_iter().filter(|object| is_bundle(&object.key)));
            match page.next {
                Some(more) if next.as_ref() != Some(&more) => next = Some(more),
                _ => break,
            }
        }
        let all = bundles.len();
        bundles.retain(|object| self.known.get(&object.key) != Some(&object.etag));
        let asked = futures_util::stream::iter(bundles).map(|object| async {
            let tags = bucket.tags(&object.key).await;
            (object, tags)
        });
        let mut asked = asked.buffer_unordered(AT_ONCE);
        let (mut due, mut waiting) = (Vec::new(), Vec::new());
        while let Some((object, tags)) = asked.next().await {
            let Some(tags) = tags? else { continue };
            let failure = failed.get(&object.key);
            if self.environment.is_deployed(&tags, &object.etag) {
                self.known.insert(object.key, object.etag);
                continue;
            }
            match (next_try(&object, failure), failure) {
                (Some(again), Some(failure)) if again > now => {
                    waiting.push(Waiting { key: object.key, what: failure.what.clone(), again });
                }
                _ => due.push(object),
            }
        }
        due.sort_by(|one, other| (one.modified, &one.key).cmp(&(other.modified, &other.key)));
        waiting.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(Found { all, due, waiting })
    }

    /// Deploys one bundle and marks it.
    async fn one(
        &self,
        bucket: &impl Bucket,
        deploy: &impl Deploy,
        object: &Object,
    ) -> Result<Deployed, Error> {
        let dir = tempfile::Builder::new().prefix("mainstay-bundle-").tempdir_in(&self.scratch).map_err(
            |error| {
                let what = format!("cannot make a directory in {}: {error}", self.scratch.display());
                Error::new(Exit::NotReady, what)
            },
        )?;
        let name = Path::new(&object.key).file_name().unwrap_or_else(|| "bundle.zip".as_ref());
        let file = dir.path().join(name);
        // Whether there is room for the mark is known before anything is deployed.
        let tags = bucket.tags(&object.key).await?.unwrap_or_default();
        self.environment.mark(tags, &object.etag).ok_or_else(|| {
            Error::new(Exit::Refused, "the object has so many tags that there is no room for two more")
                .hint("an object of S3 may have 10 tags: remove some")
        })?;
        bucket.download(object, &file, self.most).await?;
        let from = format!("s3://{}/{}", bucket.name(), object.key);
        deploy.deploy(&file, &from).await.map_err(|error| error.naming(&file, &from))
    }

    /// Remembers how it ended; what was deployed is marked.
    async fn keep(
        &mut self,
        bucket: &impl Bucket,
        lease: &Mutex<Lease>,
        object: &Object,
        outcome: Result<Deployed, Error>,
    ) -> Result<Result<Done, Failed>, Error> {
        let mut notice = Notice {
            bundle: object.key.clone(),
            environment: self.environment.to_string(),
            app: None,
            failure: None,
        };
        let mut lease = lease.lock().await;
        let outcome = match outcome {
            Ok(app) => {
                notice.app = Some(app.clone());
                // The notice first: a kill before the mark says it twice, a kill after it would not say it at all.
                lease.record.notices.push(notice.clone());
                let failed = lease.record.failed.remove(&object.key);
                lease.write(bucket).await?;
                match self.mark(bucket, object).await {
                    Ok(()) => {
                        self.known.insert(object.key.clone(), object.etag.clone());
                        return Ok(Ok(Done { key: object.key.clone(), app }));
                    }
                    Err(error) => {
                        lease.record.notices.pop();
                        if let Some(failed) = failed {
                            lease.record.failed.insert(object.key.clone(), failed);
                        }
                        error
                    }
                }
            }
            Err(error) => error,
        };
        let before = lease.record.failed.get(&object.key).filter(|before| before.etag == object.etag);
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let what = outcome.what.clone();
        let failure =
            Failure { etag: object.etag.clone(), failures, last: Timestamp::now(), what: what.clone() };
        let again = next_try(object, Some(&failure));
        lease.record.failed.insert(object.key.clone(), failure);
        notice.failure = Some(what.clone());
        lease.record.notices.push(notice);
        lease.write(bucket).await?;
        let Error { exit, hint, .. } = outcome;
        Ok(Err(Failed { key: object.key.clone(), exit_code: exit.code(), what, hint, again }))
    }

    async fn mark(&self, bucket: &impl Bucket, object: &Object) -> Result<(), Error> {
        let Some(tags) = bucket.tags(&object.key).await? else { return Ok(()) };
        let marked = self.environment.mark(tags, &object.etag).ok_or_else(|| {
            Error::new(
                Exit::Refused,
                "it is deployed, but the object has got so many tags that there is no room to mark it",
            )
            .hint("an object of S3 may have 10 tags: remove some")
        })?;
        bucket.set_tags(&object.key, &marked).await
    }

    /// Says what has not been said. Why a webhook did not take it.
    async fn say(&self, lease: &Mutex<Lease>, bucket: &impl Bucket) -> Result<Vec<String>, Error> {
        let notices = lease.lock().await.record.notices.clone();
        if notices.is_empty() {
            return Ok(Vec::new());
        }
        let (mut unsaid, mut left) = (Vec::new(), Vec::new());
        for notice in notices {
            // A webhook that did not take one is not asked for the others as well.
            let heard = if unsaid.is_empty() { self.hooks.say(&notice).await } else { Err(String::new()) };
            if let Err(why) = heard {
                unsaid.push(why);
                left.push(notice);
            }
        }
        unsaid.retain(|why| !why.is_empty());
        let mut lease = lease.lock().await;
        lease.record.notices = left;
        lease.write(bucket).await?;
        Ok(unsaid)
    }
}

/// Renews the lease; ends when it is lost.
async fn renewed(lease: &Mutex<Lease>, bucket: &impl Bucket) -> Error {
    loop {
        tokio::time::sleep(RENEWED).await;
        if let Err(error) = lease.lock().await.renew(bucket).await {
            return error;
        }
    }
}
