//! The deploy record: what of an app is deployed, what was before, and what a run that has not ended wants.
//!
//! It stands in the bucket under `mainstay/apps/ID.json`. It outlives every version of Mainstay: fields are only ever added, each
//! with a default. It holds no value of an environment variable.

use std::collections::{BTreeMap, BTreeSet};

use apps::About;
use serde::{Deserialize, Serialize};

/// The format that this version writes.
pub const FORMAT: u32 = 1;

/// Where records begin, in the bucket.
pub const PREFIX: &str = "mainstay/apps/";

/// What is known of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// The app.
    pub app_id: String,
    /// The version that was deployed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// What is deployed, by version.
    #[serde(default)]
    pub versions: BTreeMap<String, Release>,
    /// What `rollback` goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// A run that has not ended, or was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
}

/// A version as it is deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// When, in RFC 3339.
    pub deployed_at: String,
    /// Its functions.
    pub functions: Vec<Function>,
    /// Its static files.
    pub objects: Vec<Object>,
    /// Its manifest.
    pub manifest: Object,
    /// The invoke policy that names its functions.
    #[serde(default)]
    pub policy: String,
    /// Whose app it is; `None` = an earlier Mainstay wrote the record, or another tool deployed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
}

/// A function as it is deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name in the manifest.
    pub name: String,
    /// It answers calls whose path begins with this.
    #[serde(default)]
    pub path: String,
    /// Its name on Lambda.
    pub lambda: String,
    /// SHA-256 of its archive, in hexadecimal.
    pub sha256: String,
    /// Bytes of its archive.
    pub size: u64,
    /// What the runtime calls.
    pub handler: String,
    /// AWS's identifier.
    pub runtime: String,
    /// Seconds.
    pub timeout: i32,
    /// Megabytes.
    pub memory: i32,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// The name of its execution role.
    pub role: String,
}

/// An object in the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its bytes.
    pub size: u64,
    /// What S3 calls this content; empty until it was written.
    #[serde(default)]
    pub etag: String,
}

/// What stood where the last deployment wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The version that was deployed.
    pub version: String,
    /// What was deployed of this version until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// The version that was current until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
}

/// A run that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// `deploy`, `undeploy` or `rollback`.
    pub operation: String,
    /// The version that it changes.
    pub version: String,
    /// What it wants of this version; nothing where it removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Release>,
    /// Everything that earlier runs, which did not end either, may have left.
    #[serde(default)]
    pub leftovers: Vec<Release>,
    /// The process: see `Holder`.
    pub holder: String,
    /// The user and the machine, for whoever has to wait.
    pub who: String,
    /// Since when, in RFC 3339.
    pub since: String,
    /// Until when the run counts as alive, in seconds since 1970; 0 where it has ended.
    pub until: i64,
}

impl Record {
    /// The record of an app of which nothing is deployed.
    pub fn new(app_id: &str) -> Self {
        Self { format: FORMAT, app_id: app_id.to_owned(), ..Self::default() }
    }

    /// The app that a deployment of `version` would replace, in words, if it is another app than `about` that has the same id.
    pub(crate) fn replaced_by(&self, about: &About, version: &str) -> Option<String> {
        let replaced = [Some(version), self.current.as_deref()];
        replaced.into_iter().flatten().find_map(|old| {
            let release = self.versions.get(old)?;
            release.about.as_ref()?.replaced_by(about, [old, version])
        })
    }

    /// Its key.
    pub fn key(app_id: &str) -> String {
        format!("{PREFIX}{app_id}.json")
    }

    /// The key under which bytes are kept for a rollback: archives of functions, and files that were replaced.
    pub fn kept_key(app_id: &str, sha256: &str) -> String {
        format!("{PREFIX}{app_id}/kept/{sha256}")
    }

    /// Whether nothing is known any more.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.running.is_none()
    }

    /// Everything of a version that may be there: what is recorded, and what runs that did not end may have made.
    pub fn owned(&self, version: &str) -> Vec<&Release> {
        let running = self.running.iter().filter(|running| running.version == version);
        let unfinished = running.flat_map(|run| run.target.iter().chain(&run.leftovers));
        self.versions.get(version).into_iter().chain(unfinished).collect()
    }

    /// The SHA-256 of everything that must be kept: to undo the next deployment, and to roll back the last.
    pub fn kept(&self) -> BTreeSet<String> {
        let mut kept = BTreeSet::new();
        for release in self.versions.values() {
            kept.extend(codes(release));
        }
        let mut displaced = |version: &str, release: &Release| {
            kept.extend(codes(release));
            let now = self.versions.get(version);
            kept.extend(
                all_objects(release)
                    .filter(|object| now.is_none_or(|now| !holds(now, object)))
                    .map(|object| object.sha256.clone()),
            );
        };
        if let Some(Before { version, release: Some(release), .. }) = &self.before {
            displaced(version, release);
        }
        if let Some(running) = &self.running {
            let was = self.versions.get(&running.version);
            for release in running.target.iter().chain(&running.leftovers).chain(was) {
                kept.extend(codes(release));
                kept.extend(all_objects(release).map(|object| object.sha256.clone()));
            }
        }
        kept
    }
}

/// Its static files and its manifest.
pub(crate) fn all_objects(release: &Release) -> impl Iterator<Item = &Object> {
    release.objects.iter().chain([&release.manifest])
}

fn codes(release: &Release) -> impl Iterator<Item = String> + '_ {
    release.functions.iter().map(|function| function.sha256.clone())
}

/// Whether the object's content stands at its key in this release.
fn holds(release: &Release, object: &Object) -> bool {
    all_objects(release).any(|other| other.key == object.key && other.sha256 == object.sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_first_format_is_read_and_written_as_it_was() {
        let text = include_str!("../tests/golden/record-1.json");
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string_pretty(&record).unwrap(), text.trim_end());
        let kept: Vec<String> = record.kept().into_iter().collect();
        assert_eq!(
            kept,
            ["c0de", "c0de0", "f11e0"],
            "the codes, and the file that the last deployment replaced"
        );
    }
}
