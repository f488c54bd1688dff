//! Mainstay's own program: brought and proven, put in place, and the one before kept.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use plan::{Progress, Step, Undo, Unit};
use release::{Network, Patience};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, blocking, step};
use crate::control::program::{Age, age, version_of};
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::place::machine::make_dir;
use crate::state::program_source::{ProgramKey, ProgramSource, refused};
use crate::world::World;

/// The most bytes of a program: some ten times what it has today.
const LARGEST: u64 = 1 << 30;

/// The program that is about to be put in place.
fn next(layout: &Layout) -> PathBuf {
    layout.programs().join("next")
}

/// The program before the last update.
pub(crate) fn kept(layout: &Layout) -> PathBuf {
    layout.programs().join("previous")
}

/// The program before this run, until it has ended.
fn before(layout: &Layout) -> PathBuf {
    layout.before().join("program")
}

/// Brings a program, proves it, and asks it for its version. Nothing that runs is touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewProgram {
    /// Where it comes from.
    pub source: ProgramSource,
    /// What proves it; `None` for one that is kept, which was proven when it came.
    pub key: Option<ProgramKey>,
    /// The version of the program in place.
    pub over: String,
    /// The version that it must be, where one was asked for.
    pub wanted: Option<String>,
}

impl NewProgram {
    pub(crate) fn step(self) -> Step<Action> {
        let title = match &self.source {
            ProgramSource::Kept => format!("Bring {}", self.source),
            source => format!("Bring {source}, and prove it by its signature"),
        };
        step("new-program", title, Undo::by("Remove it"), 3000, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let layout = &world.layout;
        make_dir(&layout.programs(), 0o700, None)?;
        let to = next(layout);
        let proof = self.bring(world, &to, progress).await?;
        host::disk::set_mode(&to, 0o755)?;
        // Only what is proven runs.
        let version = version_of(&to)
            .await
            .map_err(|why| Error::not_ready(format!("{} cannot run here: {why}", self.source)))?;
        if let Some(wanted) = self.wanted.as_ref().filter(|wanted| **wanted != version) {
            let what = format!("{} is Mainstay {version}, and {wanted} was asked for", self.source);
            return Err(Error::new(Exit::Refused, what));
        }
        if self.source != ProgramSource::Kept && age(&version, &self.over) == Age::Older {
            let what = format!(
                "{} is Mainstay {version}, and the program in place is the newer {}",
                self.source, self.over
            );
            return Err(Error::new(Exit::Refused, what)
                .hint("`mainstay self-update --back` goes back to the program before the last update"));
        }
        Ok(serde_json::json!({ "version": version, "proof": proof }))
    }

    async fn bring(
        &self,
        world: &World,
        to: &Path,
        progress: &Progress,
    ) -> Result<Option<release::Proof>, Error> {
        let copy = |from: PathBuf| {
            let to = to.to_owned();
            blocking(move || {
                let meta = std::fs::metadata(&from).map_err(|error| Error::path("read", &from, &error))?;
                if !meta.is_file() || meta.len() > LARGEST {
                    let what = format!("{} is no program of Mainstay", from.display());
                    return Err(Error::new(Exit::Refused, what));
                }
                Ok(host::disk::copy(&from, &to, None)?)
            })
        };
        let key = self.key.as_ref().map(ProgramKey::read).transpose()?;
        match (&self.source, key) {
            (ProgramSource::Kept, _) => copy(kept(&world.layout)).await.map(|_| None),
            (_, None) => Err(Error::new(Exit::Bug, "no key proves this program")),
            (ProgramSource::File(path), Some(key)) => {
                copy(path.clone()).await?;
                release::prove_beside(path, to, &key).await.map(Some).map_err(|error| refused(&error))
            }
            (ProgramSource::Address(url), Some(key)) => {
                let network = Network::new(&world.variables, Patience::default())
                    .map_err(|error| Error::not_ready(error.to_string()))?;
                let watch = |done: u64, total: Option<u64>| progress.at(done, total, Unit::Bytes);
                release::fetch_signed(url, (to, LARGEST), &key, &network, &watch)
                    .await
                    .map(Some)
                    .map_err(|error| refused(&error))
            }
        }
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let path = next(&world.layout);
        blocking(move || Ok(host::disk::remove_file(&path)?)).await
    }
}

/// Puts the new program in the place of the one that people and systemd start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramFile {
    /// The file.
    pub program: PathBuf,
    /// Which build it is before.
    pub build: String,
}

impl ProgramFile {
    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Put that program in the place of {}", self.program.display());
        step("program", title, Undo::by("Put the program back"), 200, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, layout) = (self.clone(), world.layout.clone());
        blocking(move || {
            // Killed after the replacement, the step has nothing left to do.
            if this.is_in_place()? {
                make_dir(&layout.before(), 0o700, None)?;
                host::disk::copy(&this.program, &before(&layout), None)?;
                let meta = std::fs::metadata(&this.program)
                    .map_err(|error| Error::path("read", &this.program, &error))?;
                host::disk::copy(&next(&layout), &this.program, Some((meta.uid(), meta.gid())))?;
            }
            Ok(Value::Null)
        })
        .await
    }

    /// Whether the program of before is there.
    fn is_in_place(&self) -> Result<bool, Error> {
        match host::build::id(&self.program) {
            Ok(build) => Ok(build == self.build),
            Err(error) => Err(Error::path("read", &self.program, &error)),
        }
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (this, layout) = (self.clone(), world.layout.clone());
        blocking(move || this.put_back(&layout)).await
    }

    /// Puts the program of before back, where another one is in its place.
    pub(super) fn put_back(&self, layout: &Layout) -> Result<(), Error> {
        let before = before(layout);
        if self.is_in_place().unwrap_or(false) || !before.exists() {
            return Ok(());
        }
        let meta = std::fs::metadata(&self.program).ok();
        host::disk::copy(&before, &self.program, meta.map(|meta| (meta.uid(), meta.gid())))?;
        Ok(())
    }
}

/// Keeps the program of before, for the way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptProgram {}

impl KeptProgram {
    pub(crate) fn step(self) -> Step<Action> {
        step("keep-program", "Keep the program of before, for the way back", Undo::Nothing, 100, self)
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let layout = world.layout.clone();
        blocking(move || {
            let before = before(&layout);
            if before.exists() {
                host::disk::copy(&before, &kept(&layout), None)?;
            }
            host::disk::remove_file(&next(&layout))?;
            Ok(Value::Null)
        })
        .await
    }

    #[allow(clippy::unused_async, reason = "every action has the same shape")]
    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        // It is the last step: nothing after it can fail.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_put_in_place_once_and_put_back_from_anywhere() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path().join("chat"));
        let program = dir.path().join("mainstay");
        let read = || std::fs::read_to_string(&program).expect("a program");
        for made in [layout.programs(), layout.before()] {
            std::fs::create_dir_all(made).expect("a directory");
        }
        std::fs::write(&program, "old").expect("written");
        std::fs::write(next(&layout), "new").expect("written");
        let build = host::build::id(&program).expect("a build");
        let world = World::new(layout.clone(), program.clone(), "0.1.0", [].into());
        let step = ProgramFile { program: program.clone(), build };
        // A kill may lie behind the first one.
        for _ in 0..2 {
            step.apply(&world, &Progress::silent()).await.expect("put in place");
            assert_eq!(read(), "new");
        }
        for _ in 0..2 {
            step.undo(&world, None).await.expect("put back");
            assert_eq!(read(), "old");
        }
        step.apply(&world, &Progress::silent()).await.expect("put in place");
        KeptProgram {}.apply(&world, &Progress::silent()).await.expect("kept");
        assert_eq!(std::fs::read_to_string(kept(&layout)).expect("kept"), "old");
        assert!(!next(&layout).exists());
    }
}
