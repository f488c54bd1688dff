//! What has to be asked of Mattermost so that an app is listed, installed, enabled, disabled or gone; decided from what it knows.

use std::fmt;
use std::net::IpAddr;

use finding::Exit;
use serde::Serialize;
use serde_json::{Value, json};
use url::{Host, Url};

use super::standing::{SECTIONS, Standing};
use crate::{DeployType, Error, Manifest};

/// What is to become of an app.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// Installed and enabled.
    Install {
        /// Put into the server's list first.
        manifest: Option<Box<Manifest>>,
        /// How it is deployed; without it, the only way.
        deploy_type: Option<String>,
        /// Also if this version is installed. It changes the addresses of its webhooks.
        again: bool,
    },
    /// Enabled.
    Enable,
    /// Disabled; nothing is lost.
    Disable,
    /// Gone, with what it stored in Mattermost.
    Uninstall,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Puts the app into the server's list.
    List {
        /// Which version.
        version: String,
        /// The way of deploying it that becomes available.
        deploy_type: String,
        /// The manifest.
        #[serde(skip)]
        manifest: Value,
    },
    /// Installs it.
    Install {
        /// How it is deployed.
        deploy_type: String,
    },
    /// Enables it.
    Enable,
    /// Disables it.
    Disable,
    /// Removes it.
    Uninstall,
}

/// The calls, and what somebody should know before them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Change {
    /// In this order. None: everything is as it should be.
    pub steps: Vec<Step>,
    /// What somebody should know.
    pub remarks: Vec<String>,
}

impl Step {
    /// The path and the body of the call.
    pub(super) fn call(&self, app_id: &str) -> (&'static str, Value) {
        let id = json!({"app_id": app_id});
        match self {
            Self::List { deploy_type, manifest, .. } => {
                let mut body = manifest.clone();
                body["add_deploys"] = json!([deploy_type]);
                ("update-app-listing", body)
            }
            Self::Install { deploy_type } => {
                ("install-app", json!({"app_id": app_id, "deploy_type": deploy_type}))
            }
            Self::Enable => ("enable-app", id),
            Self::Disable => ("disable-app", id),
            Self::Uninstall => ("uninstall-app", id),
        }
    }
}

/// As after "Mattermost did not".
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List { version, deploy_type, .. } if version.is_empty() => {
                write!(f, "list the app, deployed as {deploy_type}")
            }
            Self::List { version, deploy_type, .. } => {
                write!(f, "list the app in version {version}, deployed as {deploy_type}")
            }
            Self::Install { deploy_type } => write!(f, "install the app, deployed as {deploy_type}"),
            Self::Enable => f.write_str("enable the app"),
            Self::Disable => f.write_str("disable the app"),
            Self::Uninstall => f.write_str("uninstall the app"),
        }
    }
}

/// What leads from what the server knows to what is wished.
///
/// # Errors
/// It cannot be done, or it is not said which way of deploying the app is meant.
pub fn plan(app_id: &str, wish: &Wish, standing: &Standing) -> Result<Change, Error> {
    let not_installed = || {
        Error::new(Exit::Refused, format!("the app {app_id} is not installed on this Mattermost"))
            .hint(finding::hint!("install it: `mainstay apps install {}`", app_id))
    };
    let steps = match (wish, &standing.installed) {
        (Wish::Install { manifest, deploy_type, again }, _) => {
            return install(app_id, manifest.as_deref(), deploy_type.as_deref(), *again, standing);
        }
        (Wish::Enable | Wish::Disable, None) => return Err(not_installed()),
        (Wish::Enable, Some(installed)) if !installed.enabled => vec![Step::Enable],
        (Wish::Disable, Some(installed)) if installed.enabled => vec![Step::Disable],
        (Wish::Uninstall, Some(_)) => vec![Step::Uninstall],
        (Wish::Enable | Wish::Disable | Wish::Uninstall, _) => Vec::new(),
    };
    Ok(Change { steps, remarks: Vec::new() })
}

fn install(
    app_id: &str,
    manifest: Option<&Manifest>,
    deploy_type: Option<&str>,
    again: bool,
    standing: &Standing,
) -> Result<Change, Error> {
    let (version, types) = match (manifest, &standing.listed) {
        (Some(manifest), _) => {
            let types = manifest.deploy_types().into_iter().map(|kind| kind.as_str().to_owned());
            (manifest.version.clone(), types.collect())
        }
        (None, Some(listed)) => (listed.version.clone(), listed.deploy_types.clone()),
        (None, None) => {
            return Err(Error::new(
                Exit::Refused,
                format!("this Mattermost does not list the app {app_id}, so it cannot install it"),
            )
            .hint("name its bundle: `mainstay apps install --bundle BUNDLE` lists it first"));
        }
    };
    let deploy_type = chosen(app_id, deploy_type, &types)?;
    let mut remarks = Vec::new();
    if let Some(manifest) = manifest {
        check_http(manifest, &deploy_type, &mut remarks)?;
    }
    let mut steps = Vec::new();
    if let Some(manifest) = manifest {
        let manifest = serde_json::to_value(manifest)
            .map_err(|error| Error::new(Exit::Bug, format!("the manifest cannot be written: {error}")))?;
        let listed = standing.listed.as_ref().map(|listed| &listed.manifest);
        if !listed.is_some_and(|listed| says(listed, &manifest, &deploy_type)) {
            steps.push(Step::List { version: version.clone(), deploy_type: deploy_type.clone(), manifest });
        }
    }
    match &standing.installed {
        Some(installed) if installed.version == version && installed.deploy_type == deploy_type && !again => {
            if !installed.enabled {
                steps.push(Step::Enable);
            } else if steps.is_empty() {
                remarks
                    .push(format!("{app_id} is installed in this version; `--again` installs it once more"));
            }
        }
        installed => {
            if installed.is_some() {
                remarks.push(
                    "installing an app again gives its webhooks a new secret: addresses handed out before stop working".to_owned(),
                );
            }
            steps.push(Step::Install { deploy_type });
        }
    }
    Ok(Change { steps, remarks })
}

/// Whether the listed manifest says everything that this one says, with this way of deploying the app.
fn says(listed: &Value, manifest: &Value, deploy_type: &str) -> bool {
    let other = |key: &str| SECTIONS.contains(&key) && key != deploy_type;
    let fields = manifest.as_object().into_iter().flatten();
    fields.filter(|(key, _)| !other(key)).all(|(key, value)| listed.get(key) == Some(value))
}

/// The way of deploying the app that is meant.
fn chosen(app_id: &str, wanted: Option<&str>, types: &[String]) -> Result<String, Error> {
    let all = types.join(", ");
    match (wanted, types) {
        (Some(wanted), _) if types.iter().any(|kind| kind == wanted) => Ok(wanted.to_owned()),
        (Some(wanted), _) => {
            Err(Error::new(Exit::Usage, format!("the app {app_id} cannot be deployed as `{wanted}`")).hint(
                if types.is_empty() {
                    "its manifest has no section that says how it is deployed".to_owned()
                } else {
                    format!("allowed: {all}")
                },
            ))
        }
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(Error::new(
            Exit::Refused,
            format!("this Mattermost lists the app {app_id} without a way of deploying it"),
        )
        .hint("list it again with its bundle: `mainstay apps install --bundle BUNDLE`")),
        (None, _) => {
            Err(Error::new(Exit::Usage, format!("the app {app_id} can be deployed in more than one way"))
                .hint(format!("say which one with `--deploy-type`: {all}")))
        }
    }
}

/// What an app of HTTP needs that this interface cannot give it.
fn check_http(manifest: &Manifest, deploy_type: &str, remarks: &mut Vec<String>) -> Result<(), Error> {
    let Some(http) = manifest.http.as_ref().filter(|_| deploy_type == DeployType::Http.as_str()) else {
        return Ok(());
    };
    if http.use_jwt {
        return Err(Error::new(
            Exit::Refused,
            format!(
                "the app {} wants signed calls (`use_jwt`), whose secret Mattermost takes in a dialog only",
                manifest.app_id
            ),
        )
        .hint(format!(
            "type in Mattermost: /apps install http {}/manifest.json, and give the secret there",
            http.root_url.trim_end_matches('/')
        )));
    }
    if Url::parse(&http.root_url).is_ok_and(|url| is_private(&url)) {
        remarks.push(format!(
            "{} is on a private network: Mattermost calls it only if ServiceSettings.AllowedUntrustedInternalConnections has it",
            http.root_url
        ));
    }
    Ok(())
}

/// Whether a URL names an address that is not on the internet. Names are not looked up.
pub fn is_private(url: &Url) -> bool {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(name)) => return name == "localhost" || !name.contains('.'),
        None => return false,
    };
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::standing::{Installed, Listed};
    use super::*;
    use crate::Http;

    fn listed(types: &[&str]) -> Standing {
        let deploy_types = types.iter().map(|kind| (*kind).to_owned()).collect();
        Standing {
            listed: Some(Listed { version: "1.0.0".to_owned(), deploy_types, ..Listed::default() }),
            installed: None,
        }
    }

    fn installed(version: &str, enabled: bool) -> Standing {
        let deploy_type = "http".to_owned();
        let installed = Some(Installed { version: version.to_owned(), deploy_type, enabled });
        Standing { installed, ..listed(&["http"]) }
    }

    fn manifest(use_jwt: bool) -> Manifest {
        Manifest {
            app_id: "com.example.app".to_owned(),
            version: "1.0.0".to_owned(),
            http: Some(Http { root_url: "http://127.0.0.1:4000".to_owned(), use_jwt }),
            ..Manifest::default()
        }
    }

    fn wish(manifest: Option<Manifest>, deploy_type: Option<&str>, again: bool) -> Wish {
        Wish::Install { manifest: manifest.map(Box::new), deploy_type: deploy_type.map(str::to_owned), again }
    }

    fn said(wish: &Wish, standing: &Standing) -> String {
        match plan("com.example.app", wish, standing) {
            Ok(change) => change.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Err(error) => format!("{}: {}", error.exit, error.what),
        }
    }

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let http = "install the app, deployed as http";
        let list = "list the app in version 1.0.0, deployed as http";
        let none = Standing::default();
        assert_eq!(said(&wish(None, None, false), &listed(&["http"])), http);
        assert_eq!(said(&wish(None, None, false), &installed("1.0.0", true)), "");
        assert_eq!(said(&wish(None, None, false), &installed("1.0.0", false)), "enable the app");
        assert_eq!(said(&wish(None, None, true), &installed("1.0.0", true)), http);
        assert_eq!(said(&wish(None, None, false), &installed("0.9.0", true)), http);
        assert_eq!(said(&wish(Some(manifest(false)), None, false), &none), format!("{list}; {http}"));
        assert_eq!(said(&wish(Some(manifest(false)), None, false), &installed("1.0.0", true)), list);
        assert_eq!(said(&Wish::Enable, &installed("1.0.0", true)), "");
        assert_eq!(said(&Wish::Enable, &installed("1.0.0", false)), "enable the app");
        assert_eq!(said(&Wish::Disable, &installed("1.0.0", true)), "disable the app");
        assert_eq!(said(&Wish::Uninstall, &installed("1.0.0", true)), "uninstall the app");
        assert_eq!(said(&Wish::Uninstall, &none), "");
    }

    #[test]
    fn what_cannot_be_done_is_refused_before_anything_is() {
        let none = Standing::default();
        let two = listed(&["aws_lambda", "http"]);
        assert_eq!(
            said(&wish(None, None, false), &none),
            "refused: this Mattermost does not list the app com.example.app, so it cannot install it"
        );
        assert_eq!(
            said(&wish(None, None, false), &two),
            "usage: the app com.example.app can be deployed in more than one way"
        );
        assert_eq!(
            said(&wish(None, Some("aws_lambda"), false), &two),
            "install the app, deployed as aws_lambda"
        );
        assert_eq!(
            said(&wish(None, Some("plugin"), false), &two),
            "usage: the app com.example.app cannot be deployed as `plugin`"
        );
        assert!(
            said(&wish(Some(manifest(true)), None, false), &none)
                .starts_with("refused: the app com.example.app wants signed")
        );
        assert_eq!(
            said(&Wish::Enable, &none),
            "refused: the app com.example.app is not installed on this Mattermost"
        );
    }

    #[test]
    fn what_somebody_should_know_is_said() {
        let remarks = |wish: &Wish, standing: &Standing| {
            plan("com.example.app", wish, standing).expect("a plan").remarks.join("\n")
        };
        let private = remarks(&wish(Some(manifest(false)), None, false), &Standing::default());
        assert!(private.contains("AllowedUntrustedInternalConnections"), "{private}");
        let again = remarks(&wish(None, None, true), &installed("1.0.0", true));
        assert!(again.contains("webhooks a new secret"), "{again}");
    }

    #[test]
    fn the_calls_are_those_of_the_plugin() {
        let change = plan("com.example.app", &wish(Some(manifest(false)), None, false), &Standing::default())
            .expect("a plan");
        let calls: Vec<_> = change.steps.iter().map(|step| step.call("com.example.app")).collect();
        assert_eq!(calls[0].0, "update-app-listing");
        assert_eq!(calls[0].1["add_deploys"], json!(["http"]));
        assert_eq!(calls[0].1["app_id"], "com.example.app");
        assert_eq!(calls[1], ("install-app", json!({"app_id": "com.example.app", "deploy_type": "http"})));
    }
}
