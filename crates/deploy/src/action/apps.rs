//! Apps that the agent runs: their files, their processes, and what is written down of them.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plan::{Progress, Step, Undo};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::removal::rename;
use super::{Action, blocking, step};
use crate::control::app::{AppSpec, BUNDLE, ENVIRONMENT, part_of};
use crate::control::protocol::{Ask, PartSpec};
use crate::error::{Error, Exit};
use crate::place::machine::make_dir;
use crate::state::apps::{self, Deployed};
use crate::world::World;

/// How long the agent may take to start or stop an app: calls that are under way end, then its processes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an app may take to unpack its bundle and to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// The time between two looks whether it answers.
const LOOK: Duration = Duration::from_millis(50);

/// Brings the files of a version into the app's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFiles {
    /// The app.
    pub app_id: String,
    /// Names the directory that they are brought into.
    pub key: String,
    /// The directory that has them: the bundle, and the functions' variables. The variables may be secrets, so they are not in the plan.
    pub source: PathBuf,
    /// Whether nothing is there of the app before. Then the undo leaves nothing but what the app printed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_new: bool,
}

impl AppFiles {
    pub(crate) fn step(self) -> Step<Action> {
        step(
            "app-files",
            format!("Copy the bundle of {}", self.app_id),
            Undo::by("Remove the copy"),
            50,
            self,
        )
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || this.copy(&world)).await.map(|()| Value::Null)
    }

    /// A directory of the final name has every file.
    fn copy(&self, world: &World) -> Result<(), Error> {
        let place = self.place(world);
        if place.is_dir() {
            return Ok(());
        }
        let app = world.layout.apps().join(&self.app_id);
        // The users of its functions pass through these directories.
        let made = DirBuilder::new().recursive(true).mode(0o711).create(&app);
        made.map_err(|error| Error::path("make", &app, &error))?;
        make_dir(&world.layout.app_versions(&self.app_id), 0o700, None)?;
        host::disk::remove_tree(&world.layout.failed_apps().join(&self.app_id))?;
        // What it prints before it has its directory is not lost.
        make_dir(&app.join("logs"), 0o750, None)?;
        let part = self.part(world);
        host::disk::remove_tree(&part)?;
        make_dir(&part, 0o700, None)?;
        for name in [BUNDLE, ENVIRONMENT] {
            let from = self.source.join(name);
            if name == BUNDLE || from.exists() {
                copy(&from, &part.join(name))?;
            }
        }
        rename(&part, &place)
    }

    /// What the record names was there before.
    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || {
            host::disk::remove_tree(&this.part(&world))?;
            let versions = apps::versions(&world.layout, &this.app_id)?;
            if !versions.iter().any(|version| version.spec.key == this.key) {
                host::disk::remove_tree(&this.place(&world))?;
            }
            if versions.is_empty() {
                // Only where it is empty.
                let _ = std::fs::remove_dir(world.layout.app_versions(&this.app_id));
                if this.is_new {
                    this.leave(&world)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes the app's directory; what it printed is kept where `apps logs` looks.
    fn leave(&self, world: &World) -> Result<(), Error> {
        // Somebody runs it by hand.
        if ::apps::runtime::AppDir::new(&world.layout.apps(), &self.app_id).is_taken() {
            return Ok(());
        }
        let (app, kept) =
            (world.layout.apps().join(&self.app_id), world.layout.failed_apps().join(&self.app_id));
        let logs = app.join("logs");
        if logs.is_dir() {
            host::disk::remove_tree(&kept)?;
            make_dir(&world.layout.failed_apps(), 0o700, None)?;
            make_dir(&kept, 0o700, None)?;
            rename(&logs, &kept.join("logs"))?;
        }
        host::disk::remove_tree(&app)?;
        // Only where it was the only one.
        let _ = std::fs::remove_dir(world.layout.apps());
        Ok(())
    }

    fn place(&self, world: &World) -> PathBuf {
        world.layout.app_versions(&self.app_id).join(&self.key)
    }

    /// Where the files stand until all are there.
    fn part(&self, world: &World) -> PathBuf {
        world.layout.app_versions(&self.app_id).join(format!(".{}", self.key))
    }
}

/// A copy that its owner alone reads.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut source = std::fs::File::open(from).map_err(|error| Error::path("read", from, &error))?;
    let target = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut target = target.map_err(|error| Error::path("write", to, &error))?;
    std::io::copy(&mut source, &mut target)
        .and_then(|_| target.sync_all())
        .map_err(|error| Error::path("write", to, &error))
}

/// Changes which apps the agent runs. Apps that are neither in `apps` nor in `before` are left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apps {
    /// The apps that shall run.
    pub apps: Vec<AppSpec>,
    /// Those among them, or instead of them, that run before.
    pub before: Vec<AppSpec>,
    /// Whether the step waits until they answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
}

/// How it is seen that an app answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Whether it has to answer a call of `/ping`, besides its manifest.
    pub ping: bool,
}

impl Apps {
    pub(crate) fn step(self) -> Step<Action> {
        let names = |apps: &[AppSpec]| {
            apps.iter().map(|app| format!("{} {}", app.app_id, app.version)).collect::<Vec<_>>().join(", ")
        };
        let back = || match self.before.is_empty() {
            true => Undo::by("Stop it"),
            false => Undo::by(format!("Run {} again", names(&self.before))),
        };
        match self.apps.is_empty() {
            true => {
                let title = format!("Stop {}", names(&self.before));
                step("stop-apps", title, back(), 500, self)
            }
            false => {
                let title = format!("Run {}", names(&self.apps));
                step("apps", title, back(), 500, self)
            }
        }
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        change(world, &self.before, &self.apps).await?;
        if let Some(check) = self.check {
            for app in &self.apps {
                wait(world, app, check).await?;
            }
        }
        Ok(Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        // Without an agent nothing runs, and `up` starts what is deployed.
        if world.agent.status().await?.is_none() {
            return Ok(());
        }
        change(world, &self.apps, &self.before).await?;
        // Whether it answered before is not known: what cannot be brought back by this undo does not make it fail.
        for app in self.before.iter().filter(|_| self.check.is_some()) {
            if let Err(error) = wait(world, app, Check { ping: false }).await {
                tracing::warn!(%error, app = app.app_id, "the version before runs again and does not answer");
            }
        }
        Ok(())
    }
}

/// Stops those of `from` that are not in `to`, and runs `to`.
async fn change(world: &World, from: &[AppSpec], to: &[AppSpec]) -> Result<(), Error> {
    let stays = |app: &AppSpec| to.iter().any(|one| one.app_id == app.app_id);
    for app in from.iter().filter(|app| !stays(app)) {
        // Without an agent it does not run.
        if world.agent.status().await?.is_some() {
            world.agent.ask(&Ask::stop(&app.part()), PATIENCE).await?;
        }
    }
    for app in to {
        let ask = Ask::Start { part: app.part(), spec: PartSpec::App(app.clone()) };
        world.agent.ask(&ask, PATIENCE).await?;
    }
    Ok(())
}

/// Waits until the app answers.
async fn wait(world: &World, spec: &AppSpec, check: Check) -> Result<(), Error> {
    let dir = ::apps::runtime::AppDir::new(&world.layout.apps(), &spec.app_id);
    let deadline = Instant::now() + ANSWER;
    let log = || format!("what it printed: `mainstay apps logs {}`", spec.app_id);
    let running = loop {
        let status = world.agent.status().await?;
        let app = status.as_ref().and_then(|status| status.app(&spec.app_id));
        let app = app.ok_or_else(|| Error::not_ready(format!("{} was stopped", spec.app_id)))?;
        if let Some(exit) = &app.last_exit {
            let what = format!("{} {} {exit}{}", spec.app_id, spec.version, last_words(world, spec).await);
            return Err(Error::new(Exit::NotVerified, what).hint(log()));
        }
        let running = ::apps::serve::Running::read(&dir);
        if let Some(running) = running.filter(|running| Some(running.pid) == app.pid) {
            break running;
        }
        if Instant::now() > deadline {
            let what =
                format!("{} {} does not answer after {} s", spec.app_id, spec.version, ANSWER.as_secs());
            return Err(Error::new(Exit::NotVerified, what).hint(log()));
        }
        sleep(LOOK).await;
    };
    let failed = |error: ::apps::Error| {
        let what = format!("{} {} does not work: {}", spec.app_id, spec.version, error.what);
        Error::new(Exit::NotVerified, what).hint(error.hint.unwrap_or_else(log))
    };
    let limit = Duration::from_secs(spec.timeout) + Duration::from_secs(15);
    running.check_manifest(&spec.app_id, &spec.version, limit).await.map_err(failed)?;
    if check.ping {
        let body = ::apps::event::call_body("/ping", None);
        running.call("/ping", body, limit).await.map_err(failed)?;
    }
    Ok(())
}

/// Why an app's own process ended, in brackets, if it said so. Its log may come a moment later.
async fn last_words(world: &World, spec: &AppSpec) -> String {
    let path = world.layout.apps().join(&spec.app_id).join("logs/serve.log");
    for _ in 0..10 {
        let lines = host::tail(&path, 20).unwrap_or_default();
        let said = lines.iter().rev().find_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["text"].as_str()?.strip_prefix("error: ").map(str::to_owned)
        });
        if let Some(words) = said {
            return format!(" ({words})");
        }
        sleep(LOOK).await;
    }
    String::new()
}

/// Writes down what is deployed of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRecord {
    /// The app.
    pub app_id: String,
    /// Its versions, newest first.
    pub versions: Vec<Deployed>,
    /// Those before.
    pub before: Vec<Deployed>,
}

impl AppRecord {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Write down what is deployed of {}", self.app_id);
        step("app-record", title, Undo::by("Write it as before"), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        apps::write(&world.layout.app_record(&self.app_id), &self.versions).map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        apps::write(&world.layout.app_record(&self.app_id), &self.before)
    }
}

/// Moves everything of an app aside, to be deleted after the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRemoval {
    /// The app.
    pub app_id: String,
}

impl AppRemoval {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!(
            "Move the bundles, secret and logs of {} aside, to be deleted for good after this plan",
            self.app_id
        );
        step("app-removal", title, Undo::by("Move them back"), 10, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (from, to) = self.places(world);
        if ::apps::runtime::AppDir::new(&world.layout.apps(), &self.app_id).is_taken() {
            let what = format!("another process runs {} in {}", self.app_id, from.display());
            return Err(
                Error::new(Exit::Busy, what).hint("stop that `mainstay apps run` or `apps serve` first")
            );
        }
        make_dir(&world.layout.unneeded(), 0o700, None)?;
        if to.exists() {
            // A kill came after the move.
            return Ok(Value::Null);
        }
        rename(&from, &to).map(|()| Value::Null)
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (from, to) = self.places(world);
        rename(&to, &from)
    }

    fn places(&self, world: &World) -> (PathBuf, PathBuf) {
        let from = world.layout.apps().join(&self.app_id);
        (from, world.layout.unneeded().join(part_of(&self.app_id)))
    }
}
