//! `backup list`, `show` and `check`: looks at a repository, and changes nothing in it.

use backup::{Manifest, Snapshot};
use serde::Serialize;

use crate::error::Error;
use crate::state::backups::access::{Access, Elsewhere, apart, told};
use crate::world::World;

/// A snapshot in a list.
#[derive(Debug, Clone, Serialize)]
pub struct ListedSnapshot {
    /// Its id, in full.
    pub snapshot: String,
    /// When it was written.
    pub time: jiff::Timestamp,
    /// The host that it was taken on.
    pub host: String,
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that the repository grew by.
    pub added: u64,
    /// Whether it has lost data, as `backup repair` found.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub damaged: bool,
    /// What it says of itself; `None` = Mainstay did not make it.
    pub manifest: Option<Manifest>,
}

/// The snapshots of a repository, oldest first.
#[derive(Debug, Clone, Serialize)]
pub struct ListedBackups {
    /// Where it is.
    pub location: String,
    /// The snapshots that are complete.
    pub snapshots: Vec<ListedSnapshot>,
}

/// Lists the snapshots.
///
/// # Errors
/// There is no repository; the key is another's; the place cannot be reached.
pub async fn list_backups(world: &World, named: &Elsewhere) -> Result<ListedBackups, Error> {
    let (world, named) = (world.clone(), named.clone());
    apart(move || {
        let access = Access::of(&world, &named)?;
        let repository = access.open()?;
        let listed = |snapshot: Snapshot| -> Result<ListedSnapshot, Error> {
            let manifest = match repository.manifest(&snapshot.id) {
                Ok(manifest) => Some(manifest),
                Err(backup::Error::Manifest { .. }) => None,
                Err(error) => return Err(told(error)),
            };
            let Snapshot { id, time, host, files, bytes, added, damaged } = snapshot;
            Ok(ListedSnapshot { snapshot: id, time, host, files, bytes, added, damaged, manifest })
        };
        let snapshots = repository.snapshots().map_err(told)?.into_iter().map(listed);
        Ok(ListedBackups { location: access.location(), snapshots: snapshots.collect::<Result<_, _>>()? })
    })
    .await
}

/// A snapshot and what is in it.
#[derive(Debug, Clone, Serialize)]
pub struct ShownBackup {
    /// Where it is.
    pub location: String,
    /// Its id, in full.
    pub snapshot: String,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Files and bytes of each of its parts, in order.
    pub parts: Vec<ShownPart>,
    /// Every file with its bytes, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<Vec<(String, u64)>>,
}

/// A part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownPart {
    /// Its name.
    pub name: String,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Shows one snapshot. `lists` = with its files.
///
/// # Errors
/// As [`list_backups`]; there is no such snapshot.
pub async fn show_backup(
    world: &World,
    named: &Elsewhere,
    id: &str,
    lists: bool,
) -> Result<ShownBackup, Error> {
    let (world, named, id) = (world.clone(), named.clone(), id.to_owned());
    apart(move || {
        let access = Access::of(&world, &named)?;
        let repository = access.open()?;
        let snapshot = repository.snapshot(&id).map_err(told)?.id;
        let manifest = repository.manifest(&snapshot).map_err(told)?;
        let list = repository.files(&snapshot, "").map_err(told)?;
        let parts = parts(&list);
        let list = lists.then_some(list);
        Ok(ShownBackup { location: access.location(), snapshot, manifest, parts, list })
    })
    .await
}

/// Sums by part: two levels below `deployment`, one elsewhere.
fn parts(list: &[(String, u64)]) -> Vec<ShownPart> {
    let mut parts: Vec<ShownPart> = Vec::new();
    for (path, bytes) in list {
        let levels = if path.starts_with("deployment/") { 2 } else { 1 };
        let name = path.split('/').take(levels).collect::<Vec<_>>().join("/");
        match parts.last_mut().filter(|part| part.name == name) {
            Some(part) => {
                part.files += 1;
                part.bytes += bytes;
            }
            None => parts.push(ShownPart { name, files: 1, bytes: *bytes }),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_shown_by_its_parts() {
        let list = [
            "database/mattermost.db",
            "deployment/config/config.json",
            "deployment/config/x",
            "deployment/secrets.toml",
            "files/a/b",
        ];
        let list: Vec<_> = list.iter().map(|name| ((*name).to_owned(), 2)).collect();
        let found: Vec<_> =
            parts(&list).into_iter().map(|part| (part.name, part.files, part.bytes)).collect();
        let part = |name: &str, files: u64| (name.to_owned(), files, files * 2);
        assert_eq!(
            found,
            [
                part("database", 1),
                part("deployment/config", 2),
                part("deployment/secrets.toml", 1),
                part("files", 1)
            ]
        );
    }
}
