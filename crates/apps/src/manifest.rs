//! `manifest.json`: what an app is, wants, and how it is deployed.

use serde::Serialize;
use serde_json::{Map, Value};

/// A manifest. It serializes as Mattermost's plugin writes it: fields in this order, empty ones left out, `_`-names but for the
/// first.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Manifest {
    /// The version of the plugin that saved it; a bundle's own manifest has none.
    #[serde(rename = "SchemaVersion", skip_serializing_if = "String::is_empty")]
    pub schema_version: String,
    /// 3 to 32 bytes of ASCII letters, digits, `-`, `_` and `.`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_id: String,
    /// At most 10 bytes of the same characters; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// An absolute URL, http or https.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub homepage_url: String,
    /// What people see.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// Free text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// A path below `static/`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub icon: String,
    /// Where the app's bindings come from; without it, `/bindings`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bindings: Option<Call>,
    /// Called when the app is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_install: Option<Call>,
    /// Called when its version changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_version_changed: Option<Call>,
    /// Called before it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_uninstall: Option<Call>,
    /// Called when it is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_enable: Option<Call>,
    /// Called when it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_disable: Option<Call>,
    /// Answers the URL where a user connects an account elsewhere; without it, `/oauth2/connect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get_oauth2_connect_url: Option<Call>,
    /// Called when that account is connected; without it, `/oauth2/complete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_oauth2_complete: Option<Call>,
    /// Called for webhooks; without it, `/webhook`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_remote_webhook: Option<Call>,
    /// What the app may do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requested_permissions: Vec<String>,
    /// How webhooks prove themselves: `secret` (also when empty) or `none`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remote_webhook_auth_type: String,
    /// Where in the clients it may add something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requested_locations: Vec<String>,
    /// Deployed to AWS Lambda and S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_lambda: Option<AwsLambda>,
    /// Answers by HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// Deployed to OpenFaaS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_faas: Option<OpenFaas>,
    /// Lives in a plugin of Mattermost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Plugin>,
}

/// A call that Mattermost makes: `"/path"`, or an object.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Call {
    /// The path, with `/` in front.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What Mattermost adds to the call: a level (`id`, `summary`, `all`, also with `+` in front) by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub expand: Map<String, Value>,
    /// Any JSON, given back as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
}

/// Functions on AWS Lambda.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AwsLambda {
    /// At least one.
    pub functions: Vec<Function>,
}

/// A function on AWS Lambda. No field is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Function {
    /// It answers calls whose path begins with this, unless another function's path is longer.
    pub path: String,
    /// Its name, and that of its archive in the bundle without `.zip` or `.jar`.
    pub name: String,
    /// What the runtime calls.
    pub handler: String,
    /// AWS's identifier, such as `provided.al2023`.
    pub runtime: String,
}

/// An app that answers by HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Http {
    /// Where it is: an absolute URL, http or https, without a query.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub root_url: String,
    /// Whether Mattermost signs its calls.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub use_jwt: bool,
}

/// Functions on OpenFaaS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OpenFaas {
    /// At least one.
    pub functions: Vec<OpenFaasFunction>,
}

/// A function on OpenFaaS. No field is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OpenFaasFunction {
    /// It answers calls whose path begins with this.
    pub path: String,
    /// Its name.
    pub name: String,
}

/// An app that lives in a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plugin {
    /// The plugin's id.
    pub plugin_id: String,
}

/// How an app can be deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeployType {
    /// AWS Lambda and S3.
    AwsLambda,
    /// HTTP.
    Http,
    /// OpenFaaS.
    OpenFaas,
    /// A plugin.
    Plugin,
}

impl DeployType {
    /// As in a manifest and in requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwsLambda => "aws_lambda",
            Self::Http => "http",
            Self::OpenFaas => "open_faas",
            Self::Plugin => "plugin",
        }
    }
}

impl Manifest {
    /// How this app can be deployed.
    pub fn deploy_types(&self) -> Vec<DeployType> {
        [
            self.aws_lambda.as_ref().map(|_| DeployType::AwsLambda),
            self.http.as_ref().map(|_| DeployType::Http),
            self.open_faas.as_ref().map(|_| DeployType::OpenFaas),
            self.plugin.as_ref().map(|_| DeployType::Plugin),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
