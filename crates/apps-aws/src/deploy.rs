//! `apps deploy`: looks, plans, and runs the plan.

use std::collections::BTreeSet;

use apps::{Error, names};
use finding::{Exit, Finding};
use serde::Serialize;

use crate::attach::absent;
use crate::aws::Aws;
use crate::call::{Call, Shown};
use crate::desired::{Desired, Options};
use crate::failure::{Failure, Kind};
use crate::holder::Holder;
use crate::job::{Job, Operation, Version, policy_of, recover};
use crate::observed::{Observed, Owner, observe, owner, read, refused, tags};
use crate::perform::{Contents, Watch};
use crate::record::{Function, Object, Record, Release};
use crate::store::Store;
use crate::verify::{FOREIGN, Seen, verify};

/// A bundle, ready to be deployed: what it wants, and its bytes.
pub struct Package<'a> {
    /// What it wants.
    pub desired: Desired,
    /// Where its bytes are.
    pub contents: &'a dyn Contents,
}

/// How a command deals with another run of the same app.
pub struct Turn<'a> {
    /// Who runs this.
    pub holder: &'a Holder,
    /// Do not wait for a run that was killed on another machine.
    pub take_over: bool,
    /// Only look: nothing is changed, a run that was killed is not ended.
    pub only_look: bool,
    /// Hears of each call.
    pub watch: &'a Watch<'a>,
}

/// What a deployment is about to do.
pub struct Deployment<'a> {
    job: Job<'a>,
    package: Package<'a>,
    options: Options,
    /// What somebody should know beforehand.
    pub notes: Vec<Finding>,
    /// The app that it replaces, in words, if that is another app of the same id: somebody has to agree to that.
    pub replaces: Option<String>,
}

/// What was deployed.
#[derive(Debug, Clone, Serialize)]
pub struct Deployed {
    /// The app.
    pub app_id: String,
    /// Its version.
    pub version: String,
    /// Its functions' names on Lambda.
    pub functions: Vec<String>,
    /// How many static files it has.
    pub files: usize,
    /// How many calls changed something.
    pub changes: usize,
    /// What was seen at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

impl<'a> Deployment<'a> {
    /// Looks at what is there, and plans. An unfinished run of another version is ended first.
    ///
    /// # Errors
    /// What AWS answers; a name that belongs to somebody else; another run that is alive.
    pub async fn look(
        aws: &'a Aws,
        package: Package<'a>,
        options: Options,
        turn: &Turn<'_>,
    ) -> Result<Self, Error> {
        options.check()?;
        let (app_id, version) = (package.desired.app_id.clone(), package.desired.version.clone());
        let (store, found) = Store::open(aws, &app_id).await?;
        store.refuse_if_running(found.as_ref(), turn.take_over)?;
        let mut notes = Vec::new();
        let mut record = found.unwrap_or_else(|| Record::new(&app_id));
        if let Some(running) = record.running.clone().filter(|running| running.version != version) {
            if turn.only_look {
                let what = format!("{} of version `{}` did not end", running.operation, running.version);
                notes.push(Finding::warning(
                    what,
                    format!("it ran since {}: {}", running.since, running.who),
                    "it is ended first",
                ));
                record.running = None;
            } else {
                record = recover(aws, &store, &record, turn.holder, turn.watch).await?;
            }
        }
        let replaces = record.replaced_by(&package.desired.about, &version);
        let policy = options.policy.clone().unwrap_or_else(|| policy_of(&record, &version));
        let mut observed = observe(aws, Some(record.clone()), &app_id, &version, &policy).await?;
        let foreign = foreign(aws, &package.desired, &record, &observed, options.adopt).await?;
        if !foreign.is_empty() {
            let adopted = adopted(&package.desired, &observed, &foreign).await;
            for lambda in &foreign {
                if let Some(live) = observed.live.get_mut(lambda) {
                    live.adopt = true;
                }
            }
            notes.push(Finding::warning(
                format!(
                    "{} of another tool {} taken over",
                    finding::counted(foreign.len(), "function", "functions"),
                    if foreign.len() == 1 { "is" } else { "are" }
                ),
                "their present code is not in the bucket",
                "this deployment of them cannot be undone",
            ));
            record.versions.insert(version.clone(), adopted);
            observed.record = Some(record.clone());
        }
        let (release, environments) = package.desired.settle(&observed, &options);
        let wanted = Version {
            operation: Operation::Deploy,
            version,
            release: Some(release),
            environments,
            bundle: package.desired.digests(),
        };
        let job = Job::plan(aws, store, record, observed, wanted).await?;
        if !job.plan.is_empty() {
            preflight(&job).await?;
        }
        Ok(Self { job, package, options, notes, replaces })
    }

    /// Whether everything is as the bundle wants it.
    pub fn is_unchanged(&self) -> bool {
        self.job.is_unchanged()
    }

    /// The calls that change something.
    pub fn calls(&self) -> Vec<Shown> {
        if self.is_unchanged() { Vec::new() } else { self.job.shown() }
    }

    /// Runs the plan, and verifies.
    ///
    /// # Errors
    /// Whatever stopped it; what was deployed before is deployed again then.
    pub async fn run(self, turn: &Turn<'_>) -> Result<Deployed, Error> {
        let is_unchanged = self.is_unchanged();
        let changes = self.calls().len();
        let Self { job, package, options, .. } = self;
        let (app_id, version) = (package.desired.app_id.clone(), job.wanted.version.clone());
        let describe = |release: &Release, seen| Deployed {
            app_id: app_id.clone(),
            version: version.clone(),
            functions: release.functions.iter().map(|function| function.lambda.clone()).collect(),
            files: release.objects.len(),
            changes,
            seen,
        };
        if is_unchanged {
            let release = job.record.versions.get(&version).cloned().unwrap_or_default();
            let seen = if options.skip_verify { None } else { Some(verify(job.aws, &release).await?) };
            return Ok(describe(&release, seen));
        }
        let all = WithManifest { desired: &package.desired, bundle: package.contents };
        let ran = Box::pin(job.run(Some(&all), turn.holder, options.skip_verify, turn.watch)).await?;
        let release = ran.record.versions.get(&version).cloned().unwrap_or_default();
        Ok(describe(&release, ran.seen))
    }
}

/// What would stop the deployment half-way: no role, no policy.
async fn preflight(job: &Job<'_>) -> Result<(), Error> {
    let aws = job.aws;
    if let Some(release) = job.wanted.release.as_ref().filter(|_| !job.observed.has_policy) {
        return Err(absent(&release.policy));
    }
    let calls = job.plan.stages().flat_map(|stage| &stage.calls);
    let roles: BTreeSet<&str> = calls
        .filter_map(|call| match call {
            Call::Create(function) | Call::Update(function, _) => Some(function.role.as_str()),
            _ => None,
        })
        .collect();
    for role in roles {
        let found = aws.iam.get_role().role_name(role).send().await;
        if let Err(error) = found {
            let failure = Failure::new("iam:GetRole", role, &error);
            let is_missing = failure.is(&Kind::Missing);
            let error = Error::from(failure);
            return Err(match is_missing {
                true => Error::new(error.exit, format!("there is no role `{role}`, which functions run as"))
                    .hint("run `mainstay apps aws init`, or name another with `--role`"),
                false => error,
            });
        }
    }
    Ok(())
}

/// The bundle's bytes, and the manifest as it is written.
struct WithManifest<'a> {
    desired: &'a Desired,
    bundle: &'a dyn Contents,
}

impl Contents for WithManifest<'_> {
    fn read(&self, sha256: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.desired.manifest_sha256() == sha256 {
            true => Ok(Some(self.desired.manifest_bytes.clone())),
            false => self.bundle.read(sha256),
        }
    }
}

/// The functions that another tool deployed and that are taken over.
///
/// # Errors
/// A function, or the manifest, belongs to another app; or to another tool, and nobody said to take it over.
async fn foreign(
    aws: &Aws,
    desired: &Desired,
    record: &Record,
    observed: &Observed,
    adopt: bool,
) -> Result<Vec<String>, Error> {
    let owned: BTreeSet<String> = record
        .owned(&desired.version)
        .iter()
        .flat_map(|release| release.functions.iter().map(|function| function.lambda.clone()))
        .collect();
    let (mut foreign, mut ours) = (Vec::new(), !owned.is_empty());
    for function in desired.functions() {
        if owned.contains(&function.lambda) || !observed.live.contains_key(&function.lambda) {
            continue;
        }
        let tags = tags(aws, &function.lambda).await?;
        let owner = owner(&tags, &desired.app_id, &desired.version, &function.name);
        ours |= owner == Owner::Us;
        match refused(&function.lambda, &owner) {
            None => {}
            Some(_) if owner == Owner::Untagged && adopt => foreign.push(function.lambda.clone()),
            Some(error) => return Err(error),
        }
    }
    let key = names::manifest_key(&desired.app_id, &desired.version);
    if !ours && observed.etag(&key).is_some() {
        let (bytes, _) = read(aws, &key).await?.unwrap_or_default();
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let (app, version) =
            (manifest["app_id"].as_str().unwrap_or("?"), manifest["version"].as_str().unwrap_or_default());
        if (app, version) != (&desired.app_id, &desired.version) {
            return Err(Error::new(
                Exit::Refused,
                format!("`{}` is the manifest of `{app}` {version}", aws.at(&key)),
            )
            .hint("S3 has one name for both: change this app's id or version"));
        }
        if !adopt {
            return Err(Error::new(
                Exit::Refused,
                format!("another tool deployed `{app}` {version} to `{}`", aws.bucket),
            )
            .hint("`--adopt` takes its functions and files over"));
        }
    }
    Ok(foreign)
}

/// What another tool deployed, as far as it can be seen.
async fn adopted(desired: &Desired, observed: &Observed, foreign: &[String]) -> Release {
    let object = |key: &str, etag: &str| Object {
        key: key.to_owned(),
        sha256: format!("{FOREIGN}{}", etag.trim_matches('"')),
        size: 0,
        etag: etag.to_owned(),
    };
    let manifest = names::manifest_key(&desired.app_id, &desired.version);
    let functions =
        desired.functions().iter().filter(|function| foreign.contains(&function.lambda)).filter_map(
            |function| {
                let live = observed.live.get(&function.lambda)?;
                Some(Function {
                    sha256: live.sha256.clone(),
                    handler: live.handler.clone(),
                    runtime: live.runtime.clone(),
                    timeout: live.timeout,
                    memory: live.memory,
                    architecture: live.architecture.clone(),
                    role: live.role.clone(),
                    ..function.clone()
                })
            },
        );
    let objects =
        observed.etags.iter().filter(|(key, _)| **key != manifest).map(|(key, etag)| object(key, etag));
    Release {
        functions: functions.collect(),
        objects: objects.collect(),
        manifest: object(&manifest, observed.etag(&manifest).map_or("", String::as_str)),
        ..Release::default()
    }
}
