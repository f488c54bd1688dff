//! What a Mattermost server can do with apps: one of four states, decided from what it answered.

use std::fmt;

use finding::{Exit, Finding};
use reqwest::StatusCode;
use serde::Serialize;
use serde_json::Value;
use version::Version;

use crate::Error;

/// The id of Mattermost's Apps plugin.
pub const PLUGIN: &str = "com.mattermost.apps";

/// The oldest server that the plugin's last version (1.2.2) runs on.
const OLDEST: (u32, u32) = (7, 7);

/// What a server can do with apps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Host {
    /// The plugin is not there, or not active.
    Absent {
        /// The server's version, where it says one.
        server: Option<String>,
        /// Whether the server runs plugins at all, as far as can be seen.
        runs_plugins: bool,
    },
    /// The server has apps switched off, whatever is installed.
    FlagOff {
        /// The server's version, where it says one.
        server: Option<String>,
    },
    /// The server is older than the plugin allows.
    TooOld {
        /// The server's version.
        server: String,
    },
    /// The plugin answers.
    Ready {
        /// The server's version, where it says one.
        server: Option<String>,
        /// The plugin's version.
        plugin: String,
    },
}

/// What a server answered.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// `GET /api/v4/config/client`.
    pub(super) config: Value,
    /// The status of the plugin's `POST /ping`.
    pub(super) status: StatusCode,
    /// The version in that answer.
    pub(super) plugin: Option<String>,
}

/// Which state that is. A plugin that answers is ready, whatever else the server says.
pub(super) fn decide(seen: &Seen) -> Host {
    let text = |key: &str| seen.config.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let server = text("Version").map(str::to_owned);
    if let (StatusCode::OK, Some(plugin)) = (seen.status, &seen.plugin) {
        return Host::Ready { server, plugin: plugin.clone() };
    }
    let series = server.as_deref().and_then(|version| version.parse::<Version>().ok());
    let is_old = series.is_some_and(|version| (version.major, version.minor) < OLDEST);
    if let (true, Some(server)) = (is_old, &server) {
        return Host::TooOld { server: server.clone() };
    }
    if text("FeatureFlagAppsEnabled") == Some("false") {
        return Host::FlagOff { server };
    }
    Host::Absent { server, runs_plugins: text("PluginsEnabled") != Some("false") }
}

impl Host {
    /// What is wrong, why, and what to do; `None` = apps can be installed.
    pub fn finding(&self) -> Option<Finding> {
        Some(match self {
            Self::Ready { .. } => return None,
            Self::TooOld { server } => Finding::error(
                format!("this Mattermost ({server}) is too old for apps"),
                format!("the Apps plugin needs Mattermost {}.{} or newer", OLDEST.0, OLDEST.1),
                "upgrade Mattermost; an app can be deployed and called without it (`mainstay apps deploy`, `mainstay apps call`)",
            ),
            Self::FlagOff { .. } => Finding::error(
                "this Mattermost has apps switched off",
                "its feature flag AppsEnabled is off, as in every Mattermost since 10: with it off, the server keeps the Apps plugin from running",
                "set MM_FEATUREFLAGS_AppsEnabled=true in the environment of the Mattermost server and restart it; then install the plugin \
                 com.mattermost.apps, which is no longer part of Mattermost",
            ),
            Self::Absent { runs_plugins: true, .. } => Finding::error(
                "this Mattermost has no Apps plugin that runs",
                format!("the plugin {PLUGIN} is not installed, not enabled, or does not start"),
                "upload it in the System Console (Plugins, Management) and enable it: it needs PluginSettings.Enable, \
                 ServiceSettings.EnableOAuthServiceProvider and ServiceSettings.EnableBotAccountCreation",
            ),
            Self::Absent { runs_plugins: false, .. } => Finding::error(
                "this server runs no plugins, so it has no Apps plugin",
                "PluginSettings.Enable is false, or it is the built-in server of Mainstay, which has no plugins",
                "switch plugins on, or use Mattermost's own server (`mainstay up --release FILE`); an app runs without it with `mainstay apps run`",
            ),
        })
    }

    /// That apps cannot be installed here; nothing where they can.
    ///
    /// # Errors
    /// The state is not [`Self::Ready`].
    pub fn ready(&self) -> Result<(), Error> {
        match self.finding() {
            None => Ok(()),
            Some(finding) => Err(Error::new(Exit::NotReady, format!("{}: {}", finding.what, finding.cause))
                .hint(finding.fix.clone())),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { .. } => f.write_str("absent"),
            Self::FlagOff { .. } => f.write_str("switched off"),
            Self::TooOld { .. } => f.write_str("too old"),
            Self::Ready { plugin, .. } => write!(f, "ready, plugin {plugin}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(config: Value, status: u16, plugin: Option<&str>) -> Host {
        let status = StatusCode::from_u16(status).expect("a status");
        decide(&Seen { config, status, plugin: plugin.map(str::to_owned) })
    }

    #[test]
    fn the_four_states_are_told_apart() {
        let new = |flag: &str| json!({"Version": "10.11.0", "FeatureFlagAppsEnabled": flag});
        assert_eq!(
            state(new("true"), 200, Some("1.2.2")),
            Host::Ready { server: Some("10.11.0".to_owned()), plugin: "1.2.2".to_owned() }
        );
        assert!(matches!(state(new("false"), 404, None), Host::FlagOff { .. }));
        assert!(matches!(state(new("true"), 404, None), Host::Absent { runs_plugins: true, .. }));
        let without = json!({"Version": "10.11.0", "PluginsEnabled": "false"});
        assert!(matches!(state(without, 404, None), Host::Absent { runs_plugins: false, .. }));
        // Too old counts before everything that an upgrade would change anyway.
        let old = json!({"Version": "7.6.1", "FeatureFlagAppsEnabled": "false"});
        assert_eq!(state(old, 404, None), Host::TooOld { server: "7.6.1".to_owned() });
        assert!(matches!(state(json!({"Version": "7.7.0"}), 404, None), Host::Absent { .. }));
        // Something else has the path.
        assert!(matches!(state(json!({}), 200, None), Host::Absent { server: None, .. }));
    }

    #[test]
    fn each_state_says_what_to_do() {
        let states = [
            Host::Absent { server: None, runs_plugins: true },
            Host::Absent { server: None, runs_plugins: false },
            Host::FlagOff { server: None },
            Host::TooOld { server: "5.0.0".to_owned() },
        ];
        let mut said = std::collections::BTreeSet::new();
        for state in &states {
            let error = state.ready().expect_err("not ready");
            assert_eq!(error.exit, Exit::NotReady);
            assert!(said.insert(error.hint.expect("a hint")));
        }
    }
}
