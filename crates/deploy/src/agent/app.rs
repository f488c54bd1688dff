//! A supervised app: a process of this very program that serves the app's bundle.

use std::path::Path;

use crate::control::app::{AppSpec, BUNDLE};
use crate::control::protocol::AppStatus;
use crate::error::Error;
use crate::place::layout::Layout;

use super::running::{Condition, Running};

/// The name of the app's own lines among those of its functions.
const SPEAKER: &str = "serve";

impl Running<AppSpec> {
    pub(super) fn status(&self) -> AppStatus {
        let Condition { pid, restarts, last_exit, last_restart } = self.condition();
        AppStatus { spec: self.spec.clone(), pid, restarts, last_exit, last_restart }
    }
}

/// Whether the app can be started.
///
/// # Errors
/// Its bundle is not there.
pub(super) fn check(layout: &Layout, spec: &AppSpec) -> Result<(), Error> {
    let bundle = spec.files(layout).join(BUNDLE);
    if bundle.is_file() {
        return Ok(());
    }
    Err(Error::not_ready(format!("{} is gone", bundle.display()))
        .hint(format!("deploy {} again: `mainstay apps deploy BUNDLE --to local`", spec.app_id)))
}

/// How the app is started by the `mainstay` in `program`.
pub(super) fn command(layout: &Layout, program: &Path, spec: &AppSpec) -> host::Command {
    let dir = layout.apps().join(&spec.app_id);
    let log = host::Log::at(dir.join("logs").join(format!("{SPEAKER}.log"))).of_speaker(SPEAKER);
    host::Command {
        program: program.to_owned(),
        args: spec.arguments(layout).into_iter().map(Into::into).collect(),
        env: std::collections::BTreeMap::new(),
        cwd: "/".into(),
        user: None,
        log,
        pid_file: Some(layout.run().join(format!("app-{}.pid", spec.app_id))),
        shim: host::Shim::this_program(),
        stop: host::StopSignal::default(),
    }
}

/// How patient the agent is with an app.
pub(super) fn policy(layout: &Layout) -> host::Policy {
    let usual = host::Policy::default();
    host::Policy { grace: layout.place().grace().unwrap_or(usual.grace), ..usual }
}
