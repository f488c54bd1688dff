//! Calls an app that answers by HTTP, as Mattermost does.

use std::time::Duration;

use finding::{Exit, one_line};
use serde::{Deserialize, Serialize};

use super::token::{HEADER, Secret};
use crate::Error;
use crate::runtime::{AppDir, PAYLOAD_MAX};

/// Where an app runs: what `running.json` says in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The process that runs it.
    pub pid: u32,
    /// Where it answers, without `/` at the end.
    pub url: String,
    /// The app's version.
    pub version: String,
    /// The file with the secret; none where it answers everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<std::path::PathBuf>,
}

impl Running {
    /// Writes it where callers look.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, dir: &AppDir) -> Result<(), Error> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        host::disk::atomic_write(&dir.running(), &text, 0o644, None)
            .map_err(|error| Error::new(Exit::NotReady, error.to_string()))
    }

    /// Where the app of this directory runs, if it does.
    pub fn read(dir: &AppDir) -> Option<Self> {
        let running: Self = serde_json::from_slice(&std::fs::read(dir.running()).ok()?).ok()?;
        dir.is_taken().then_some(running)
    }

    /// Whether it answers with the manifest of this version. It may take `limit`.
    ///
    /// # Errors
    /// It does not.
    pub async fn check_manifest(&self, app_id: &str, version: &str, limit: Duration) -> Result<(), Error> {
        let failed = |why: String| {
            let what = format!("{}/manifest.json is not the manifest of {app_id} {version}: {why}", self.url);
            Error::new(Exit::NotVerified, what)
        };
        let client = reqwest::Client::builder().no_proxy().timeout(limit).build();
        let client = client.map_err(|error| Error::new(Exit::NotReady, error.to_string()))?;
        let answer = client.get(format!("{}/manifest.json", self.url)).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| failed(error.without_url().to_string()))?;
        let bytes = answer.bytes().await.map_err(|error| failed(error.without_url().to_string()))?;
        let said: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
        if said["app_id"] == app_id && said["version"].as_str().unwrap_or_default() == version {
            return Ok(());
        }
        Err(failed(format!("it names {} {}", said["app_id"], said["version"])))
    }

    /// Calls it. A call may take `limit`.
    ///
    /// # Errors
    /// It does not answer, or with another status than 200.
    pub async fn call(&self, path: &str, body: String, limit: Duration) -> Result<Vec<u8>, Error> {
        let not_ready = |why: String| Error::new(Exit::NotReady, why);
        let failed = |why: String| Error::new(Exit::NotVerified, why);
        let client = reqwest::Client::builder().no_proxy().timeout(limit).build();
        let client = client.map_err(|error| not_ready(error.to_string()))?;
        let mut request =
            client.post(format!("{}{path}", self.url)).header("Content-Type", "application/json");
        if let Some(file) = &self.secret_file {
            let text = std::fs::read_to_string(file).map_err(|error| {
                not_ready(format!("cannot read the app's secret {}: {error}", file.display()))
            })?;
            let secret =
                Secret::new(&text).ok_or_else(|| not_ready(format!("{} holds no secret", file.display())))?;
            let token = secret.sign(jiff::Timestamp::now().as_second() + 60);
            request = request.header(HEADER, format!("Bearer {token}"));
        }
        let mut answer = request.body(body).send().await.map_err(|error| {
            let why =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            not_ready(format!("the app at {} does not answer: {why}", self.url))
        })?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| failed(error.to_string()))? {
            bytes.extend_from_slice(&part);
            if bytes.len() > PAYLOAD_MAX {
                return Err(failed("the answer is larger than 6 MiB".into()));
            }
        }
        if status.as_u16() != 200 {
            let said = one_line(&String::from_utf8_lossy(&bytes), 500);
            return Err(failed(format!("the call of {path} failed with status {}: {said}", status.as_u16())));
        }
        Ok(bytes)
    }
}
