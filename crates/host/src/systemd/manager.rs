//! The service manager of the machine, or of one user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::tool::{Tool, ToolError};
use crate::user::User;

/// How long `systemctl` may take for what does not wait for a service.
const PATIENCE: Duration = Duration::from_secs(30);

/// There while systemd runs the machine.
const BOOTED: &str = "/run/systemd/system";

/// Whose services a manager runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The machine's.
    System,
    /// One user's.
    User,
}

/// A service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    scope: Scope,
    units: PathBuf,
    /// `XDG_RUNTIME_DIR` of the user whose manager it is.
    runtime: Option<PathBuf>,
}

/// How a unit is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// `loaded`, `not-found`, `masked`, ...
    pub load: String,
    /// `active`, `activating`, `inactive`, `failed`, ...
    pub active: String,
    /// `enabled`, `disabled`, `masked`, ...; empty for a file that is not there.
    pub file: String,
    /// The main process; 0 = none.
    pub main_pid: u32,
    /// Whether a file of it has changed since systemd read it.
    pub is_outdated: bool,
}

impl Manager {
    /// The machine's.
    pub fn of_machine() -> Self {
        Self { scope: Scope::System, units: "/etc/systemd/system".into(), runtime: None }
    }

    /// The user's. `variables` is the user's environment.
    pub fn of_user(user: &User, variables: &BTreeMap<String, String>) -> Self {
        let absolute = |name: &str| variables.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let runtime = absolute("XDG_RUNTIME_DIR").unwrap_or_else(|| format!("/run/user/{}", user.uid).into());
        let home = || absolute("HOME").unwrap_or_else(|| user.home.clone()).join(".config");
        let config = absolute("XDG_CONFIG_HOME").unwrap_or_else(home);
        Self { scope: Scope::User, units: config.join("systemd/user"), runtime: Some(runtime) }
    }

    /// The one that starts the services of `user` at boot, wherever it runs: the machine's for root.
    pub fn of(user: &User, variables: &BTreeMap<String, String>) -> Self {
        if user.is_root() { Self::of_machine() } else { Self::of_user(user, variables) }
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        let answers = |runtime: &PathBuf| runtime.join("systemd/private").exists();
        Path::new(BOOTED).is_dir() && self.runtime.as_ref().is_none_or(answers)
    }

    /// Whose services it runs.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Where an administrator's units lie.
    pub fn units(&self) -> &Path {
        &self.units
    }

    /// The command with which a person speaks to it.
    pub fn command(&self) -> &'static str {
        command(self.scope)
    }

    /// Reads all units again.
    ///
    /// # Errors
    /// `systemctl` fails.
    pub async fn reload(&self) -> Result<(), ToolError> {
        self.run(&["daemon-reload"]).await
    }

    /// Has the unit started at boot from now on, or with `false` not.
    ///
    /// # Errors
    /// `systemctl` fails.
    pub async fn enable(&self, unit: &str, at_boot: bool) -> Result<(), ToolError> {
        self.run(&[if at_boot { "enable" } else { "disable" }, "--quiet", unit]).await
    }

    /// Begins to start the unit, whatever became of it before, and does not wait.
    ///
    /// # Errors
    /// `systemctl` fails.
    pub async fn begin(&self, unit: &str) -> Result<(), ToolError> {
        // A unit that is not loaded has nothing to forget.
        let _ = self.run(&["reset-failed", unit]).await;
        self.run(&["start", "--no-block", unit]).await
    }

    /// Stops the unit. With `wait`, until it has stopped.
    ///
    /// # Errors
    /// `systemctl` fails, or the unit takes longer than that.
    pub async fn stop(&self, unit: &str, wait: Option<Duration>) -> Result<(), ToolError> {
        match wait {
            Some(limit) => self.tool(limit).args(["stop", unit]).run().await.map(drop),
            None => self.run(&["stop", "--no-block", unit]).await,
        }
    }

    /// How the unit is.
    ///
    /// # Errors
    /// `systemctl` fails.
    pub async fn show(&self, unit: &str) -> Result<Shown, ToolError> {
        const PROPERTIES: &str = "--property=LoadState,ActiveState,UnitFileState,MainPID,NeedDaemonReload";
        let told = self.tool(PATIENCE).args(["show", PROPERTIES, unit]).run().await?;
        Ok(read(&told.text()))
    }

    async fn run(&self, args: &[&str]) -> Result<(), ToolError> {
        self.tool(PATIENCE).args(args.iter().copied()).run().await.map(drop)
    }

    fn tool(&self, limit: Duration) -> Tool<'static> {
        let tool = Tool::new("systemctl", limit).env("SYSTEMD_COLORS", "0");
        match &self.runtime {
            Some(runtime) => tool.env("XDG_RUNTIME_DIR", runtime).arg("--user"),
            None => tool,
        }
    }
}

fn command(scope: Scope) -> &'static str {
    match scope {
        Scope::System => "systemctl",
        Scope::User => "systemctl --user",
    }
}

/// Whether the user's manager runs without a session of the user, from boot on.
pub fn lingers(user: &User) -> bool {
    Path::new("/var/lib/systemd/linger").join(&user.name).exists()
}

fn read(text: &str) -> Shown {
    let mut shown = Shown::default();
    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match name {
            "LoadState" => shown.load = value.to_owned(),
            "ActiveState" => shown.active = value.to_owned(),
            "UnitFileState" => shown.file = value.to_owned(),
            "MainPID" => shown.main_pid = value.parse().unwrap_or_default(),
            "NeedDaemonReload" => shown.is_outdated = value == "yes",
            _ => {}
        }
    }
    shown
}

impl Shown {
    /// Whether it runs, starts, or is about to be started again.
    pub fn is_up(&self) -> bool {
        !matches!(self.active.as_str(), "" | "inactive" | "failed")
    }

    /// Whether it is started at boot.
    pub fn is_enabled(&self) -> bool {
        self.file == "enabled"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemctl_shows_is_read() {
        let text = "MainPID=412\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=yes\n";
        let shown = read(text);
        assert!(shown.is_up() && shown.is_enabled() && shown.is_outdated);
        assert_eq!((&*shown.load, shown.main_pid), ("loaded", 412));
        let gone = read("MainPID=0\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n");
        assert!(!gone.is_up() && !gone.is_enabled() && !gone.is_outdated);
    }
}
