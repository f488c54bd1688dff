//! `apps undeploy` and `apps rollback`.

use std::collections::BTreeSet;

use apps::Error;
use apps::names::app_of_manifest_key;
use finding::Exit;

use crate::aws::Aws;
use crate::call::Shown;
use crate::deploy::Turn;
use crate::desired::Environments;
use crate::job::{Job, Operation, Ran, Version, policy_of, recover};
use crate::observed::{list, observe};
use crate::record::{Record, Release};
use crate::store::Store;
use crate::verify::Seen;

/// One version that goes, or goes back.
pub struct Step<'a> {
    job: Job<'a>,
}

/// What a step has done.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Done {
    /// The app.
    pub app_id: String,
    /// The version that was removed or went back.
    pub version: String,
    /// The version that is current now.
    pub current: Option<String>,
    /// What was seen at the end, where something is deployed still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

/// The versions that an undeployment removes: the one that was named, or all. None: nothing of them is there, or no longer.
///
/// # Errors
/// Another tool deployed the app.
pub async fn versions(aws: &Aws, app_id: &str, version: Option<&str>) -> Result<Vec<String>, Error> {
    let (_, record) = Store::open(aws, app_id).await?;
    let Some(record) = record else {
        let manifests = list(aws, &format!("manifests/{app_id}_")).await?;
        let is_there = manifests
            .keys()
            .filter_map(|key| app_of_manifest_key(key))
            .any(|(app, of)| app == app_id && version.is_none_or(|version| version == of));
        return if is_there { Err(unknown(aws, app_id)) } else { Ok(Vec::new()) };
    };
    let running = record.running.iter().map(|running| &running.version);
    let known: BTreeSet<&String> = record.versions.keys().chain(running).collect();
    Ok(known.into_iter().filter(|known| version.is_none_or(|version| version == *known)).cloned().collect())
}

impl<'a> Step<'a> {
    /// Looks what of a version is there, and plans its removal.
    ///
    /// # Errors
    /// What AWS answers; another run that is alive.
    pub async fn undeploy(aws: &'a Aws, app_id: &str, version: &str, turn: &Turn<'_>) -> Result<Self, Error> {
        let (store, mut record) = opened(aws, app_id, turn).await?;
        let other = record.running.as_ref().is_some_and(|running| running.version != version);
        if other && !turn.only_look {
            record = recover(aws, &store, &record, turn.holder, turn.watch).await?;
        }
        Self::plan(aws, store, record, Operation::Undeploy, version.to_owned(), None).await
    }

    /// Plans how the last deployment is taken back.
    ///
    /// # Errors
    /// There is nothing to go back to.
    pub async fn rollback(aws: &'a Aws, app_id: &str, turn: &Turn<'_>) -> Result<Self, Error> {
        let (store, mut record) = opened(aws, app_id, turn).await?;
        if record.running.is_some() && !turn.only_look {
            record = recover(aws, &store, &record, turn.holder, turn.watch).await?;
        }
        let Some(before) = record.before.clone() else {
            return Err(Error::new(
                Exit::Refused,
                format!("`{app_id}` has nothing to go back to: one deployment can be taken back, once"),
            )
            .hint("deploy the bundle that you want: `mainstay apps deploy BUNDLE`"));
        };
        Self::plan(aws, store, record, Operation::Rollback, before.version, before.release).await
    }

    async fn plan(
        aws: &'a Aws,
        store: Store<'a>,
        record: Record,
        operation: Operation,
        version: String,
        target: Option<Release>,
    ) -> Result<Self, Error> {
        let policy = policy_of(&record, &version);
        let observed = observe(aws, Some(record.clone()), &record.app_id, &version, &policy).await?;
        let wanted = Version {
            operation,
            version,
            release: target,
            // What the operator has set in the meantime stays.
            environments: Environments::new(),
            bundle: BTreeSet::new(),
        };
        Ok(Self { job: Job::plan(aws, store, record, observed, wanted).await? })
    }

    /// The version.
    pub fn version(&self) -> &str {
        &self.job.wanted.version
    }

    /// Whether nothing of the app is left afterwards.
    pub fn removes_all(&self) -> bool {
        let Job { record, wanted, .. } = &self.job;
        wanted.release.is_none() && record.versions.keys().all(|known| *known == wanted.version)
    }

    /// The calls that change something.
    pub fn calls(&self) -> Vec<Shown> {
        self.job.shown()
    }

    /// Runs the plan.
    ///
    /// # Errors
    /// Whatever stopped it.
    pub async fn run(self, turn: &Turn<'_>) -> Result<Done, Error> {
        let (app_id, version) = (self.job.record.app_id.clone(), self.job.wanted.version.clone());
        let Ran { record, seen } = Box::pin(self.job.run(None, turn.holder, false, turn.watch)).await?;
        Ok(Done { app_id, version, current: record.current, seen })
    }
}

async fn opened<'a>(aws: &'a Aws, app_id: &str, turn: &Turn<'_>) -> Result<(Store<'a>, Record), Error> {
    let (store, record) = Store::open(aws, app_id).await?;
    store.refuse_if_running(record.as_ref(), turn.take_over)?;
    record.map(|record| (store, record)).ok_or_else(|| unknown(aws, app_id))
}

fn unknown(aws: &Aws, app_id: &str) -> Error {
    Error::new(Exit::Refused, format!("no deployment of `{app_id}` is recorded in the bucket `{}`", aws.bucket))
        .hint("`mainstay apps list` says what is deployed; what another tool deployed is taken over by `mainstay apps deploy BUNDLE --adopt`")
}
