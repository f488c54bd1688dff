//! `apps list`: what is deployed to a bucket, by Mainstay or by another tool.

use apps::Error;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use crate::aws::Aws;
use crate::observed::{list, read};
use crate::record::PREFIX;
use crate::store::parse;

/// A version of an app that is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The app.
    pub app_id: String,
    /// Its version.
    pub version: String,
    /// Whether it was deployed last.
    pub current: bool,
    /// When; unknown where another tool deployed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<String>,
    /// How many functions it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions: Option<usize>,
    /// How many static files it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<usize>,
    /// What is not as it should be: a run that did not end, another tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Everything that is deployed, by app and version.
///
/// # Errors
/// What AWS answers.
pub async fn listed(aws: &Aws) -> Result<Vec<Listed>, Error> {
    let (records, manifests) = tokio::try_join!(list(aws, PREFIX), list(aws, "manifests/"))?;
    let is_record = |key: &&String| key.ends_with(".json") && !key[PREFIX.len()..].contains('/');
    let keys: Vec<String> = records.keys().filter(is_record).cloned().collect();
    let read_one = |key: String| async move {
        let found = read(aws, &key).await?;
        found.map(|(bytes, _)| parse(&aws.at(&key), &bytes)).transpose()
    };
    let records: Vec<_> = futures_util::stream::iter(keys).map(read_one).buffered(8).try_collect().await?;
    let mut rows = Vec::new();
    let mut known = Vec::new();
    for record in records.into_iter().flatten() {
        let unfinished = |version: &str| {
            let running = record.running.as_ref().filter(|running| running.version == version)?;
            Some(format!("{} since {} has not ended: {}", running.operation, running.since, running.who))
        };
        for (version, release) in &record.versions {
            known.push(release.manifest.key.clone());
            rows.push(Listed {
                app_id: record.app_id.clone(),
                version: version.clone(),
                current: record.current.as_ref() == Some(version),
                deployed_at: Some(release.deployed_at.clone()),
                functions: Some(release.functions.len()),
                files: Some(release.objects.len()),
                note: unfinished(version),
            });
        }
        let running =
            record.running.as_ref().filter(|running| !record.versions.contains_key(&running.version));
        if let Some(running) = running {
            known.push(apps::names::manifest_key(&record.app_id, &running.version));
            rows.push(bare(&record.app_id, &running.version, unfinished(&running.version)));
        }
    }
    let foreign: Vec<String> =
        manifests.into_keys().filter(|key| key.ends_with(".json") && !known.contains(key)).collect();
    let read_one = |key: String| async move { read(aws, &key).await };
    let foreign: Vec<_> = futures_util::stream::iter(foreign).map(read_one).buffered(8).try_collect().await?;
    for (bytes, _) in foreign.into_iter().flatten() {
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = |name: &str| manifest[name].as_str().unwrap_or_default().to_owned();
        rows.push(bare(&text("app_id"), &text("version"), Some("deployed by another tool".to_owned())));
    }
    rows.sort_by(|one, other| (&one.app_id, &one.version).cmp(&(&other.app_id, &other.version)));
    Ok(rows)
}

fn bare(app_id: &str, version: &str, note: Option<String>) -> Listed {
    let (app_id, version) = (app_id.to_owned(), version.to_owned());
    Listed { app_id, version, current: false, deployed_at: None, functions: None, files: None, note }
}
