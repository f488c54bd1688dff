//! A directory of files, and deeds that change it: not atomic on purpose, and safe to run again.

use plan::{Action, Failure, Progress, Unit};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio_util::sync::CancellationToken;

/// Where the victim is to die or to be cancelled, counted in calls of [`Fate::tick`].
#[derive(Clone, Default)]
pub(crate) struct Fate {
    pub(crate) kill_at: Option<u32>,
    pub(crate) cancel_at: Option<u32>,
    pub(crate) cancel: CancellationToken,
    count: Arc<AtomicU32>,
}

impl Fate {
    pub(crate) fn new(kill_at: Option<u32>, cancel_at: Option<u32>) -> Self {
        Self { kill_at, cancel_at, ..Self::default() }
    }

    /// One moment at which a run may be stopped.
    pub(crate) fn tick(&self) {
        let now = Some(self.count.fetch_add(1, Ordering::SeqCst));
        if now == self.kill_at {
            kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
        }
        if now == self.cancel_at {
            self.cancel.cancel();
        }
    }
}

pub(crate) struct World {
    files: PathBuf,
    attic: PathBuf,
    /// Whether an undo that balks has been helped.
    healed: bool,
    fate: Fate,
}

impl World {
    /// The world in `root`: the files, and an attic for what steps take away.
    pub(crate) fn open(root: &Path, healed: bool, fate: Fate) -> Self {
        Self { files: root.join("files"), attic: root.join("attic"), healed, fate }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    /// Lets a kill or a cancellation in.
    async fn pause(&self) {
        self.fate.tick();
        tokio::task::yield_now().await;
    }

    /// Writes in two halves.
    async fn put(&self, name: &str, text: &str) -> io::Result<()> {
        fs::write(self.file(name), &text[..text.len() / 2])?;
        self.pause().await;
        fs::write(self.file(name), text)
    }

    /// Keeps a copy of a file in the attic, once.
    async fn save(&self, name: &str, key: &str) -> io::Result<String> {
        let (kept, draft) = (self.attic.join(key), self.attic.join(format!("{key}.draft")));
        if !kept.exists() {
            fs::copy(self.file(name), &draft)?;
            self.pause().await;
            fs::rename(draft, &kept)?;
        }
        fs::read_to_string(kept)
    }

    async fn restore(&self, name: &str, key: &str) -> io::Result<()> {
        let kept = self.attic.join(key);
        if kept.exists() {
            self.put(name, &fs::read_to_string(&kept)?).await?;
            self.pause().await;
            fs::remove_file(kept)?;
        }
        Ok(())
    }
}

/// A deed and the key of its step, under which the attic keeps what it takes away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) key: String,
    pub(crate) deed: Deed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Deed {
    Create {
        file: String,
        text: String,
    },
    Overwrite {
        file: String,
        text: String,
    },
    Append {
        file: String,
        text: String,
    },
    Remove {
        file: String,
    },
    Rename {
        from: String,
        to: String,
    },
    /// Does nothing; its undo fails until the world is healed.
    Balk,
    /// Does nothing and has nothing to undo.
    Look,
    /// Writes half of something, then fails.
    Spoil {
        file: String,
    },
}

impl Action for Work {
    type World = World;

    async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Failure> {
        progress.at(1, 2, Unit::Items);
        world.pause().await;
        self.change(world).await.map_err(|error| Failure::because("the change failed", &error))?;
        world.pause().await;
        match self.deed {
            Deed::Spoil { .. } => Err(Failure::new("spoilt")),
            _ => Ok(json!(self.key)),
        }
    }

    async fn undo(&self, world: &World, output: Option<&Value>, _: &Progress) -> Result<(), Failure> {
        if output.is_some_and(|output| *output != self.key) {
            return Err(Failure::new(format!("{output:?} is the output of another step")));
        }
        if matches!(self.deed, Deed::Balk) && !world.healed {
            return Err(Failure::new("balked"));
        }
        world.pause().await;
        self.unchange(world).await.map_err(|error| Failure::because("the undo failed", &error))?;
        world.pause().await;
        Ok(())
    }
}

impl Work {
    async fn change(&self, world: &World) -> io::Result<()> {
        match &self.deed {
            Deed::Create { file, text } => world.put(file, text).await,
            Deed::Overwrite { file, text } => {
                world.save(file, &self.key).await?;
                world.put(file, text).await
            }
            Deed::Append { file, text } => {
                let old = world.save(file, &self.key).await?;
                world.put(file, &(old + text)).await
            }
            Deed::Remove { file } => {
                world.save(file, &self.key).await?;
                world.pause().await;
                absent_is_fine(fs::remove_file(world.file(file)))
            }
            Deed::Rename { from, to } => {
                let between = world.attic.join(&self.key);
                absent_is_fine(fs::rename(world.file(from), &between))?;
                world.pause().await;
                absent_is_fine(fs::rename(between, world.file(to)))
            }
            Deed::Spoil { file } => {
                world.save(file, &self.key).await?;
                world.put(file, "spoilt").await
            }
            Deed::Balk | Deed::Look => Ok(()),
        }
    }

    async fn unchange(&self, world: &World) -> io::Result<()> {
        match &self.deed {
            Deed::Create { file, .. } => absent_is_fine(fs::remove_file(world.file(file))),
            Deed::Overwrite { file, .. }
            | Deed::Append { file, .. }
            | Deed::Remove { file }
            | Deed::Spoil { file } => world.restore(file, &self.key).await,
            Deed::Rename { from, to } => {
                let between = world.attic.join(&self.key);
                absent_is_fine(fs::rename(world.file(to), &between))?;
                world.pause().await;
                absent_is_fine(fs::rename(between, world.file(from)))
            }
            Deed::Balk | Deed::Look => Ok(()),
        }
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
