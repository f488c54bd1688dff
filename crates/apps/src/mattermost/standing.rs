//! What a Mattermost server knows of an app.

use serde::Serialize;
use serde_json::Value;

/// What a Mattermost server knows of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// In the list of apps that can be installed.
    pub listed: Option<Listed>,
    /// Installed.
    pub installed: Option<Installed>,
}

/// An app that can be installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its version.
    pub version: String,
    /// How it can be deployed: `aws_lambda`, `http`, `open_faas`, `plugin`.
    pub deploy_types: Vec<String>,
    /// Its manifest.
    #[serde(skip)]
    pub(super) manifest: Value,
}

/// An installed app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Its version.
    pub version: String,
    /// How it is deployed.
    pub deploy_type: String,
    /// Whether people can use it.
    pub enabled: bool,
}

/// The sections of a manifest that say how an app is deployed.
pub(super) const SECTIONS: [&str; 4] = ["aws_lambda", "http", "open_faas", "plugin"];

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The app in the answer of `GET /marketplace`.
pub(super) fn listed(app_id: &str, answer: &Value) -> Option<Listed> {
    let manifests = answer.as_array()?.iter().filter_map(|entry| entry.get("manifest"));
    let mut ours = manifests.filter(|manifest| text(manifest, "app_id") == app_id);
    let manifest = ours.next()?;
    let types =
        SECTIONS.iter().filter(|section| manifest.get(**section).is_some_and(|value| !value.is_null()));
    Some(Listed {
        version: text(manifest, "version"),
        deploy_types: types.map(|section| (*section).to_owned()).collect(),
        manifest: manifest.clone(),
    })
}

/// The app in the answer of `GET /apps/ID`, which also has secrets: nothing else of it is kept.
pub(super) fn installed(answer: &Value) -> Option<Installed> {
    answer.get("app_id")?;
    Some(Installed {
        version: text(answer, "version"),
        deploy_type: text(answer, "deploy_type"),
        enabled: !answer.get("disabled").and_then(Value::as_bool).unwrap_or(false),
    })
}
