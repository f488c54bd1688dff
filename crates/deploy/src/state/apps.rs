//! What is deployed of apps that run on this machine: `apps/ID/deployed.json`, format 1, a golden file.

use std::path::Path;

use ::apps::About;
use serde::{Deserialize, Serialize};

use ::apps::is_app_id;

use crate::control::app::AppSpec;
use crate::error::{Error, Exit};
use crate::place::layout::{FILE_LIMIT, Layout};

/// The version of the file.
const FORMAT: u32 = 1;

/// How many versions of an app are kept: the one that runs and those that a rollback goes back to.
pub(crate) const KEPT: usize = 3;

/// A version of an app that was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// What runs, and how.
    #[serde(flatten)]
    pub spec: AppSpec,
    /// The SHA-256 of the bundle.
    pub sha256: String,
    /// When it was deployed, in ms since the epoch.
    pub at: i64,
    /// Whose app it is; `None` = an earlier Mainstay wrote the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    format: u32,
    /// Newest first.
    versions: Vec<Deployed>,
}

/// The deployed versions of an app, newest first: the first is the one that runs. None where it is not deployed.
///
/// # Errors
/// The record cannot be read, or another version of Mainstay wrote it.
pub(crate) fn versions(layout: &Layout, app_id: &str) -> Result<Vec<Deployed>, Error> {
    let path = layout.app_record(app_id);
    if !is_app_id(app_id) || !path.exists() {
        return Ok(Vec::new());
    }
    let text = host::disk::read_guarded(&path, FILE_LIMIT)?.bytes;
    let wrong = |why: String| {
        Error::new(Exit::NotReady, format!("{}: {why}", path.display()))
            .hint(format!("put it back from a backup, or deploy {app_id} again after `mainstay apps undeploy {app_id} --to local`"))
    };
    let record: Record =
        serde_json::from_slice(&text).map_err(|error| wrong(format!("it is damaged ({error})")))?;
    if record.format != FORMAT {
        return Err(wrong(format!("it has format {}, and this Mainstay reads {FORMAT}", record.format)));
    }
    match record.versions.iter().all(|one| one.spec.app_id == app_id) {
        true => Ok(record.versions),
        false => Err(wrong(format!("it is not about {app_id}"))),
    }
}

/// Writes the versions of an app; with none, the record goes.
///
/// # Errors
/// The disk.
pub(crate) fn write(path: &Path, versions: &[Deployed]) -> Result<(), Error> {
    if versions.is_empty() {
        return Ok(host::disk::remove_file(path)?);
    }
    let record = Record { format: FORMAT, versions: versions.to_vec() };
    let text = serde_json::to_vec_pretty(&record).unwrap_or_default();
    Ok(host::disk::atomic_write(path, &text, 0o600, None)?)
}

/// The apps of a deployment: what is deployed of each, and what cannot be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Apps {
    /// The version of each app that shall run.
    pub current: Vec<Deployed>,
    /// Records that cannot be read, in words.
    pub unreadable: Vec<String>,
}

/// Looks what is deployed. What cannot be read does not keep the rest from running.
pub(crate) fn deployed(layout: &Layout) -> Apps {
    let mut apps = Apps::default();
    let entries = std::fs::read_dir(layout.apps()).into_iter().flatten().flatten();
    let mut ids: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    ids.sort();
    for id in ids {
        match versions(layout, &id) {
            Ok(versions) => apps.current.extend(versions.into_iter().next()),
            Err(error) => apps.unreadable.push(error.what),
        }
    }
    apps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden file is never edited: a newer program reads what an older one wrote.
    #[test]
    fn the_first_format_is_read_for_ever() {
        let golden = include_str!("../../tests/golden/app-deployed-1.json");
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        let path = layout.app_record("com.example.hello");
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(&path, golden).expect("written");
        let versions = versions(&layout, "com.example.hello").expect("it is read");
        assert_eq!(versions.len(), 2);
        write(&path, &versions).expect("written");
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(json(&std::fs::read_to_string(&path).expect("read")), json(golden));
        write(&path, &[]).expect("removed");
        assert!(!path.exists());
    }

    #[test]
    fn a_damaged_record_is_told_and_hides_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(dir.path());
        let golden = include_str!("../../tests/golden/app-deployed-1.json");
        for (id, text) in [("com.example.hello", golden), ("com.example.other", "{")] {
            let path = layout.app_record(id);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(&path, text).expect("written");
        }
        let apps = deployed(&layout);
        assert_eq!((apps.current.len(), apps.unreadable.len()), (1, 1));
        assert!(apps.unreadable[0].contains("it is damaged"), "{:?}", apps.unreadable);
    }
}
