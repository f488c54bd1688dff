//! Another build of a release that is there, under the same name.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use plan::{Progress, Step, Undo};
use release::{Origin, ReleaseId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::unpacking::unpack;
use super::{Action, blocking, step};
use crate::error::Error;
use crate::place::layout::Layout;
use crate::place::machine::make_dir;
use crate::world::World;

/// Puts a release in the place of the one that has its name and another content. No server runs from that meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// Which release both are.
    pub release: ReleaseId,
    /// Which build the new one is.
    pub build: String,
    /// Where the new one comes from.
    pub origin: Origin,
}

impl Replacement {
    pub(crate) fn step(self) -> Step<Action> {
        let title = match &self.origin {
            Origin::Builtin => format!("Replace {} by the build of this program", self.release),
            origin => format!("Replace {} by the build in {origin}", self.release),
        };
        step("replacement", title, Undo::by("Put the other build back"), 300, self)
    }

    fn root(&self, layout: &Layout) -> PathBuf {
        layout.releases().join(self.release.to_string())
    }

    pub(super) async fn apply(&self, world: &World, _: &Progress) -> Result<Value, Error> {
        let (this, world) = (self.clone(), world.clone());
        blocking(move || {
            let (root, before) = (this.root(&world.layout), kept(&world.layout));
            if before.symlink_metadata().is_err() {
                make_dir(&world.layout.before(), 0o700, None)?;
                relocate(&root, &before)?;
            }
            // What is unpacked gets its name when it is whole: one that is there was brought by this step before a kill.
            unpack(&this.release, &this.origin, &world).map(|()| Value::Null)
        })
        .await
    }

    pub(super) async fn undo(&self, world: &World, _: Option<&Value>) -> Result<(), Error> {
        let (root, before) = (self.root(&world.layout), kept(&world.layout));
        blocking(move || {
            if before.symlink_metadata().is_err() {
                return Ok(());
            }
            host::disk::remove_tree(&root)?;
            relocate(&before, &root)
        })
        .await
    }
}

/// Where the other build is kept until the run is done.
fn kept(layout: &Layout) -> PathBuf {
    layout.before().join("release")
}

/// Moves a release, which is read-only, to another directory: its own entry `..` changes with that.
fn relocate(from: &Path, to: &Path) -> Result<(), Error> {
    let mode = |path: &Path, mode| {
        set_permissions(path, Permissions::from_mode(mode))
            .map_err(|error| Error::path("change", path, &error))
    };
    mode(from, 0o755)?;
    std::fs::rename(from, to).map_err(|error| Error::path("move", from, &error))?;
    mode(to, 0o555)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_undo_brings_the_other_build_back_wherever_it_was_killed() {
        let dir = tempfile::tempdir().expect("a directory");
        let world = World::new(Layout::new(dir.path()), "/nowhere/mainstay".into(), "0.1.0", [].into());
        let action = Replacement {
            release: release::builtin(),
            build: "fedcba98".to_owned(),
            origin: Origin::File { path: "/nowhere/file.tar".into() },
        };
        let root = action.root(&world.layout);
        std::fs::create_dir_all(&root).expect("a release");
        std::fs::write(root.join("which"), "old").expect("written");
        set_permissions(&root, Permissions::from_mode(0o555)).expect("read-only");
        let which = || std::fs::read_to_string(root.join("which")).ok();
        action.undo(&world, None).await.expect("nothing was done");
        assert_eq!(which().as_deref(), Some("old"));
        // The new one cannot be unpacked: by then the old one is out of the way.
        action.apply(&world, &Progress::silent()).await.expect_err("there is no such file");
        assert_eq!(which(), None);
        action.undo(&world, None).await.expect("undone");
        assert_eq!(which().as_deref(), Some("old"));
        action.apply(&world, &Progress::silent()).await.expect_err("again");
        // Killed after the new one came.
        std::fs::create_dir_all(&root).expect("a release");
        std::fs::write(root.join("which"), "new").expect("written");
        action.apply(&world, &Progress::silent()).await.expect("nothing is left to do");
        assert_eq!(which().as_deref(), Some("new"));
        action.undo(&world, None).await.expect("undone");
        action.undo(&world, None).await.expect("undone again");
        assert_eq!(which().as_deref(), Some("old"));
        assert_eq!(root.metadata().expect("a release").permissions().mode() & 0o777, 0o555);
    }
}
