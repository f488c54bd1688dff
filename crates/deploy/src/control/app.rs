//! An app that the agent runs: a process of `mainstay apps serve`, which runs the app's functions.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ::apps::is_app_id;
use serde::{Deserialize, Serialize};

use crate::place::layout::Layout;

/// What the parts are called that are apps, before the app's id. No other part has a colon in its name.
const PREFIX: &str = "app:";

/// Which app to run, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSpec {
    /// The app's id.
    pub app_id: String,
    /// The version of the bundle.
    pub version: String,
    /// Names the directory with its bundle: see [`AppSpec::files`].
    pub key: String,
    /// Where it answers.
    pub listen: SocketAddr,
    /// Who may connect besides this machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<IpAddr>,
    /// Where Mattermost reaches it; `None` = at `listen`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_url: Option<String>,
    /// MiB of memory that each process of a function may use, with everything that it starts.
    pub memory: u64,
    /// Seconds that a call may take.
    pub timeout: u64,
    /// How many calls a function answers at a time.
    pub concurrency: u32,
}

impl AppSpec {
    /// The name of the app's part.
    pub fn part(&self) -> String {
        part_of(&self.app_id)
    }

    /// The directory with its bundle, and its variables if it has any.
    pub(crate) fn files(&self, layout: &Layout) -> PathBuf {
        layout.app_versions(&self.app_id).join(&self.key)
    }

    /// The arguments of the `mainstay` that runs it.
    pub(crate) fn arguments(&self, layout: &Layout) -> Vec<String> {
        let files = self.files(layout);
        let path = |name: &str| files.join(name).display().to_string();
        let mut words = ["apps", "serve"].map(str::to_owned).to_vec();
        words.push(path(BUNDLE));
        words.extend(["--dir".to_owned(), layout.root().display().to_string()]);
        words.extend(["--listen".to_owned(), self.listen.to_string()]);
        words.extend(self.from.iter().flat_map(|from| ["--from".to_owned(), from.to_string()]));
        words.extend(self.root_url.iter().flat_map(|url| ["--root-url".to_owned(), url.clone()]));
        if files.join(ENVIRONMENT).exists() {
            words.extend(["--env-file".to_owned(), path(ENVIRONMENT)]);
        }
        let numbers = [
            ("--memory", self.memory),
            ("--timeout", self.timeout),
            ("--concurrency", self.concurrency.into()),
        ];
        words.extend(numbers.iter().flat_map(|(flag, number)| [(*flag).to_owned(), number.to_string()]));
        words
    }
}

/// The bundle, in the directory of a deployed version.
pub(crate) const BUNDLE: &str = "bundle.zip";

/// The variables of its functions, beside it.
pub(crate) const ENVIRONMENT: &str = "environment";

/// The name of an app's part.
pub(crate) fn part_of(app_id: &str) -> String {
    format!("{PREFIX}{app_id}")
}

/// The id of the app that a part of this name is.
pub(crate) fn app_of(part: &str) -> Option<&str> {
    part.strip_prefix(PREFIX).filter(|id| is_app_id(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_an_app_has_the_app_s_id_and_no_path() {
        assert_eq!(app_of(&part_of("com.example.app")), Some("com.example.app"));
        for wrong in ["server", "app:", "app:..", "app:...", "app:a/b", "app:ab"] {
            assert_eq!(app_of(wrong), None, "{wrong}");
        }
    }
}
