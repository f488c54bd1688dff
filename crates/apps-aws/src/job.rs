//! Brings one version of an app to what is wanted: the one mechanism behind deploy, undeploy, rollback and recovery.

use std::collections::{BTreeMap, BTreeSet};

use apps::Error;
use finding::Exit;
use jiff::Timestamp;

use crate::aws::Aws;
use crate::call::{Call, Shown};
use crate::desired::Environments;
use crate::holder::Holder;
use crate::observed::{Observed, list, observe};
use crate::perform::{Contents, Performer, Watch, delete_objects};
use crate::plan::{Plan, Wanted, plan};
use crate::record::{Before, PREFIX, Record, Release, Running};
use crate::store::{LEASE, Store};
use crate::verify::{Seen, may_call, verify};

/// What a run does with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Deploy,
    Undeploy,
    Rollback,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Undeploy => "undeploy",
            Self::Rollback => "rollback",
        }
    }
}

/// What is wanted of one version of an app.
pub(crate) struct Version {
    pub(crate) operation: Operation,
    pub(crate) version: String,
    /// What it shall be; none: it goes.
    pub(crate) release: Option<Release>,
    pub(crate) environments: Environments,
    /// The SHA-256 of everything that the bundle has.
    pub(crate) bundle: BTreeSet<String>,
}

impl Version {
    fn parts(&self) -> Wanted<'_> {
        let Self { version, release, environments, bundle, .. } = self;
        Wanted { version, release: release.as_ref(), environments, bundle }
    }
}

/// What is to be done with one version of an app, and what was seen when it was decided.
pub(crate) struct Job<'a> {
    pub(crate) aws: &'a Aws,
    pub(crate) store: Store<'a>,
    /// The record as it was read; a release that another tool deployed stands in it as well.
    pub(crate) record: Record,
    pub(crate) wanted: Version,
    pub(crate) observed: Observed,
    pub(crate) kept: BTreeSet<String>,
    pub(crate) plan: Plan,
}

/// What a run has done.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) record: Record,
    pub(crate) seen: Option<Seen>,
}

impl<'a> Job<'a> {
    /// Plans it. What is kept of an app is listed only where something is to be done.
    ///
    /// # Errors
    /// What AWS answers; what is to be restored is not kept.
    pub(crate) async fn plan(
        aws: &'a Aws,
        store: Store<'a>,
        record: Record,
        observed: Observed,
        wanted: Version,
    ) -> Result<Self, Error> {
        let planned = plan(&record, &observed, None, &wanted.parts())?;
        let mut job = Self { aws, store, record, wanted, observed, kept: BTreeSet::new(), plan: planned };
        if !job.is_unchanged() {
            job.kept = Self::kept(aws, &job.record.app_id).await?;
            job.plan = plan(&job.record, &job.observed, Some(&job.kept), &job.wanted.parts())?;
        }
        Ok(job)
    }

    /// Whether it is a deployment of what is deployed already.
    pub(crate) fn is_unchanged(&self) -> bool {
        let Self { record, wanted, .. } = self;
        wanted.operation == Operation::Deploy
            && self.plan.is_empty()
            && record.running.is_none()
            && record.versions.contains_key(&wanted.version)
    }

    /// The SHA-256 of everything that is kept of an app.
    pub(crate) async fn kept(aws: &Aws, app_id: &str) -> Result<BTreeSet<String>, Error> {
        let prefix = format!("{PREFIX}{app_id}/kept/");
        let listed = list(aws, &prefix).await?;
        Ok(listed.into_keys().filter_map(|key| key.strip_prefix(&prefix).map(str::to_owned)).collect())
    }

    /// The calls, as `--plan` shows them: those of the record among them.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let record = |detail: &str| Shown::new("s3:PutObject", Record::key(&self.record.app_id), detail);
        let mut shown = vec![record("the record: what is about to be done")];
        shown.extend(self.plan.before.iter().flat_map(|stage| stage.calls.iter().flat_map(Call::shown)));
        shown.extend(self.plan.after.iter().flat_map(|stage| stage.calls.iter().flat_map(Call::shown)));
        if self.wanted.operation == Operation::Rollback {
            shown.push(record("the record: from here on a run that is killed is completed"));
        }
        shown.push(record("the record: what was done"));
        shown
    }

    /// Runs the plan. A deployment or rollback that fails is undone.
    ///
    /// # Errors
    /// Whatever stopped it, and whether it was undone.
    pub(crate) async fn run(
        self,
        contents: Option<&dyn Contents>,
        holder: &Holder,
        skip_verify: bool,
        watch: &Watch<'_>,
    ) -> Result<Ran, Error> {
        let mut started = self.record.clone();
        let earlier = started.running.take().filter(|running| running.version == self.wanted.version);
        let leftovers =
            earlier.into_iter().flat_map(|run| run.target.into_iter().chain(run.leftovers)).collect();
        started.running = Some(Running {
            operation: self.wanted.operation.name().to_owned(),
            version: self.wanted.version.clone(),
            target: self.wanted.release.clone(),
            leftovers,
            holder: holder.id.clone(),
            who: holder.who.clone(),
            since: format!("{:.0}", Timestamp::now()),
            until: Timestamp::now().as_second() + LEASE,
        });
        self.store.write(started.clone()).await?;
        tokio::select! {
            done = Box::pin(self.work(&started, contents, skip_verify, watch)) => done,
            failure = self.store.keep_alive() => Err(failure.into()),
        }
    }

    async fn work(
        &self,
        started: &Record,
        contents: Option<&dyn Contents>,
        skip_verify: bool,
        watch: &Watch<'_>,
    ) -> Result<Ran, Error> {
        let id = (self.record.app_id.as_str(), self.wanted.version.as_str());
        let holder = holder_of(started);
        let performer = Performer::new(self.aws, id, contents, &self.wanted.environments, holder, watch);
        let mut seen = None;
        let forward = async {
            performer.stages(&self.plan.before).await?;
            if let Some(release) = self.wanted.release.as_ref().filter(|_| !skip_verify) {
                seen = Some(verify(self.aws, release).await?);
                may_call(self.aws, release).await?;
            }
            Ok(())
        };
        if let Err(error) = Box::pin(forward).await {
            return match self.wanted.operation {
                Operation::Undeploy => Err(self.stopped(started, error).await),
                Operation::Deploy | Operation::Rollback => Err(self.undo(started, error, watch).await),
            };
        }
        let known: Vec<&Release> = started.owned(&self.wanted.version);
        let target = self.wanted.release.clone().map(|release| performer.sealed(release, &known));
        let record = finished(&self.record, self.wanted.operation, &self.wanted.version, target);
        let tidy = async {
            performer.stages(&self.plan.after).await?;
            let stored =
                self.plan.before.iter().flat_map(|stage| &stage.calls).filter_map(stored).collect::<Vec<_>>();
            let kept = self.kept.iter().cloned().chain(stored).collect();
            if self.wanted.operation == Operation::Rollback {
                // What went back is not kept for a return. From here on a run that was killed is completed, not undone.
                let decided = Record { running: started.running.clone(), ..record.clone() };
                self.store.write(decided).await?;
            }
            forget(self.aws, &record, &kept).await?;
            self.store.write(record.clone()).await?;
            Ok(())
        };
        match Box::pin(tidy).await {
            Ok(()) => Ok(Ran { record, seen }),
            Err(error) => Err(self.stopped(started, error).await),
        }
    }

    /// The version becomes what it was before this run.
    async fn undo(&self, started: &Record, error: Error, watch: &Watch<'_>) -> Error {
        if error.exit == Exit::Busy {
            return self.stopped(started, error).await;
        }
        let environments =
            self.observed.live.iter().map(|(name, live)| (name.clone(), live.environment.clone())).collect();
        let was = self.record.versions.get(&self.wanted.version);
        match Box::pin(restore(
            self.aws,
            started,
            (&self.wanted.version, was),
            &environments,
            holder_of(started),
            watch,
        ))
        .await
        {
            Ok(()) => {}
            Err(undo) => {
                let stopped = self.stopped(started, error).await;
                return Error {
                    what: format!("{}; undoing it failed, too: {}", stopped.what, undo.what),
                    ..stopped
                };
            }
        }
        let record = Record { running: None, ..self.record.clone() };
        match self.store.write(record).await {
            Ok(()) => Error { exit: Exit::Undone, what: format!("{}. {}", error.what, undone(was)), ..error },
            Err(failure) => {
                let undo = Error::from(failure);
                let stopped = self.stopped(started, error).await;
                Error {
                    what: format!(
                        "{}; it was undone, but the record could not be written: {}",
                        stopped.what, undo.what
                    ),
                    ..stopped
                }
            }
        }
    }

    /// The record says that this run has ended, and the next continues from it.
    async fn stopped(&self, started: &Record, error: Error) -> Error {
        let mut record = started.clone();
        if let Some(running) = &mut record.running {
            running.until = 0;
            running.holder.clear();
        }
        // If this fails as well, the record still says what the run wanted, and its time runs out.
        let _ = self.store.write(record).await;
        let hint = "remove the cause, then run the same command again: it continues from the deploy record"
            .to_owned();
        let hint = error.hint.map_or_else(|| hint.clone(), |first| format!("{first}; {hint}"));
        let exit = if error.exit == Exit::Busy { Exit::Busy } else { Exit::NeedsYou };
        Error { exit, hint: Some(hint), ..Error::new(exit, error.what).findings(error.findings) }
    }
}

/// What an undone run has left.
fn undone(was: Option<&Release>) -> &'static str {
    match was {
        Some(_) => "What was deployed before is deployed again",
        None => "Nothing of this version was deployed before, and nothing of it is left",
    }
}

/// Brings a version back to a release, from what is kept.
async fn restore(
    aws: &Aws,
    record: &Record,
    (version, release): (&str, Option<&Release>),
    environments: &Environments,
    holder: &str,
    watch: &Watch<'_>,
) -> Result<(), Error> {
    let policy = policy_of(record, version);
    let observed = observe(aws, Some(record.clone()), &record.app_id, version, &policy).await?;
    let kept = Job::kept(aws, &record.app_id).await?;
    let wanted = Wanted { version, release, environments, bundle: &BTreeSet::new() };
    let back = plan(record, &observed, Some(&kept), &wanted)?;
    let performer = Performer::new(aws, (&record.app_id, version), None, environments, holder, watch);
    performer.stages(&back.before).await?;
    performer.stages(&back.after).await?;
    let after = Record { running: None, ..record.clone() };
    forget(aws, &after, &kept).await
}

/// Ends what a run began that was killed: a removal is completed, everything else undone.
///
/// # Errors
/// A call failed; the next run tries again.
pub(crate) async fn recover(
    aws: &Aws,
    store: &Store<'_>,
    record: &Record,
    holder: &Holder,
    watch: &Watch<'_>,
) -> Result<Record, Error> {
    let Some(running) = &record.running else { return Ok(record.clone()) };
    let version = running.version.as_str();
    let forward = running.target.is_none();
    let was = record.versions.get(version).filter(|_| !forward);
    Box::pin(restore(aws, record, (version, was), &Environments::new(), &holder.id, watch)).await?;
    let operation = if running.operation == Operation::Rollback.name() {
        Operation::Rollback
    } else {
        Operation::Undeploy
    };
    let base = Record { running: None, ..record.clone() };
    let recovered = if forward { finished(&base, operation, version, None) } else { base };
    store.write(recovered.clone()).await?;
    Ok(recovered)
}

/// The process that runs what the record says is under way.
fn holder_of(record: &Record) -> &str {
    record.running.as_ref().map_or("", |running| running.holder.as_str())
}

/// The invoke policy of a version: what its release says.
pub(crate) fn policy_of(record: &Record, version: &str) -> String {
    let named =
        record.owned(version).into_iter().map(|release| release.policy.clone()).find(|name| !name.is_empty());
    named.unwrap_or_else(|| crate::desired::POLICY.to_owned())
}

/// The record after a run.
fn finished(record: &Record, operation: Operation, version: &str, target: Option<Release>) -> Record {
    let mut after = Record { running: None, ..record.clone() };
    let was = after.versions.remove(version);
    if let Some(release) = target {
        let release = Release { deployed_at: Timestamp::now().to_string(), ..release };
        after.versions.insert(version.to_owned(), release);
    }
    match operation {
        Operation::Deploy => {
            after.before =
                Some(Before { version: version.to_owned(), release: was, current: record.current.clone() });
            after.current = Some(version.to_owned());
        }
        Operation::Rollback => {
            let current = after.before.take().and_then(|before| before.current);
            after.current = current
                .filter(|version| after.versions.contains_key(version))
                .or_else(|| newest(&after.versions));
        }
        Operation::Undeploy => {
            after.before = after.before.filter(|before| before.version != version);
            if after.current.as_deref() == Some(version) {
                after.current = newest(&after.versions);
            }
        }
    }
    after
}

/// The version that was deployed last.
fn newest(versions: &BTreeMap<String, Release>) -> Option<String> {
    let last = versions.iter().max_by(|(_, one), (_, other)| one.deployed_at.cmp(&other.deployed_at));
    last.map(|(version, _)| version.clone())
}

/// What a call adds to what is kept.
fn stored(call: &Call) -> Option<String> {
    match call {
        Call::Keep(object) => Some(object.sha256.clone()),
        Call::StoreCode { sha256, .. } => Some(sha256.clone()),
        _ => None,
    }
}

/// Removes what is kept and no longer needed.
async fn forget(aws: &Aws, record: &Record, kept: &BTreeSet<String>) -> Result<(), Error> {
    let needed = record.kept();
    let keys: Vec<String> =
        kept.difference(&needed).map(|sha256| Record::kept_key(&record.app_id, sha256)).collect();
    for keys in keys.chunks(1_000) {
        delete_objects(aws, keys).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(at: &str) -> Release {
        Release { deployed_at: at.into(), ..Release::default() }
    }

    #[test]
    fn a_record_knows_what_was_before_and_forgets_what_went() {
        let first = finished(&Record::new("a"), Operation::Deploy, "1", Some(release("")));
        assert_eq!(first.before, Some(Before { version: "1".into(), release: None, current: None }));
        let second = finished(&first, Operation::Deploy, "2", Some(release("")));
        assert_eq!((second.current.as_deref(), second.versions.len()), (Some("2"), 2));
        let back = finished(&second, Operation::Rollback, "2", None);
        assert_eq!((back.current.as_deref(), &back.before, back.versions.len()), (Some("1"), &None, 1));
        let gone = finished(&second, Operation::Undeploy, "2", None);
        assert_eq!((gone.current.as_deref(), &gone.before), (Some("1"), &None));
        assert!(finished(&back, Operation::Undeploy, "1", None).is_empty());
    }
}
