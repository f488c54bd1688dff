//! The snapshot that a deployment is made of again: fetched while the server still runs, exchanged for what is there while it is stopped.

use plan::Step;

use super::{Part, Stage, View};
use crate::action::{Action, Exchange, SnapshotFiles, SnapshotRelease, SnapshotSettings};

pub(super) struct Restored;

impl Part for Restored {
    fn name(&self) -> &'static str {
        "snapshot"
    }

    fn steps(&self, stage: Stage, view: &View<'_>) -> Vec<Step<Action>> {
        let Some(restoring) = &view.settled.restoring else { return Vec::new() };
        let into = restoring.into.clone();
        match stage {
            Stage::Fetch => {
                let (repository, key_file) =
                    (restoring.from.repository.clone(), restoring.from.key_file.clone());
                let (snapshot, folders) = (restoring.snapshot.clone(), restoring.folders.clone());
                let (bytes, passing) = (restoring.bytes, restoring.passing);
                vec![SnapshotFiles { repository, key_file, snapshot, folders, bytes, passing }.step()]
            }
            Stage::Prepare if restoring.wanted.is_some() || restoring.secrets => {
                let settings = SnapshotSettings {
                    wanted: restoring.wanted.is_some(),
                    text: restoring.wanted.as_ref().and_then(|placed| placed.text.clone()),
                    secrets: restoring.secrets,
                    replaces_secrets: restoring.replaces.secrets,
                    into,
                };
                let release = restoring.release_tree.then(|| restoring.release.clone());
                let release = release.filter(|release| !view.observed.release.installed.contains(release));
                let release = release.map(|release| SnapshotRelease { release }.step());
                [settings.step()].into_iter().chain(release).collect()
            }
            Stage::Change => {
                let exchange = Exchange {
                    user: view.settled.desired.user.clone(),
                    into,
                    files: restoring.files,
                    apps: restoring.apps,
                    sqlite: restoring.is_sqlite(),
                    config: restoring.config.is_some(),
                    replaces_config: restoring.replaces.config,
                    memory: restoring.memory.is_some(),
                    replaces_memory: restoring.replaces.memory,
                    passing: restoring.passing,
                };
                vec![exchange.step()]
            }
            _ => Vec::new(),
        }
    }
}
