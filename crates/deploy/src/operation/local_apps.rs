//! The apps that are deployed to this machine: which, how each is, and what is wrong with those that do not work.

use std::time::Duration;

use jiff::Timestamp;
use plan::{Holder, Lock};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::record::{Unfinished, unfinished};
use crate::control::protocol::{AppStatus, Status};
use crate::error::Error;
use crate::place::layout::Layout;
use crate::state::apps::{self, Deployed};
use crate::world::World;

/// How long an app may take to give its manifest to whoever looks.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long `up` waits for apps that it has just started. The edge is open by then.
const START: Duration = Duration::from_secs(5);

/// The time between two looks at apps that are starting.
const LOOK: Duration = Duration::from_millis(100);

/// An app that ended as often as this keeps ending, if the last time was a short while ago.
const OFTEN: u64 = 3;

/// That short while, in ms: after running this long an app counts as started for good.
const SHORT_WHILE: i64 = 60_000;

/// The apps of this machine.
#[derive(Debug, Clone, Serialize)]
pub struct LocalApps {
    /// Those that are deployed.
    pub apps: Vec<LocalApp>,
    /// Those that run and are not recorded: a deployment of them has not ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unrecorded: Vec<AppStatus>,
    /// Records that cannot be read, in words.
    pub unreadable: Vec<String>,
    /// The operation that changes the deployment right now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<Holder>,
    /// The run that was interrupted: what runs may not be what is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Unfinished>,
}

/// A deployed app and how it is.
#[derive(Debug, Clone, Serialize)]
pub struct LocalApp {
    /// The version that shall run.
    #[serde(flatten)]
    pub deployed: Deployed,
    /// How it is; `None` = it does not run.
    pub running: Option<AppStatus>,
    /// Earlier versions, newest first.
    pub earlier: Vec<String>,
    /// What is wrong with it, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// An app that does not work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppTrouble {
    /// The app.
    pub app_id: String,
    /// Its version.
    pub version: String,
    /// What is wrong, in words.
    pub what: String,
}

impl std::fmt::Display for AppTrouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { app_id, version, what } = self;
        write!(f, "the app {app_id} {version} {what}")
    }
}

/// The apps that are deployed to this machine.
///
/// # Errors
/// The agent does not answer; the journal cannot be read.
pub async fn local_apps(world: &World) -> Result<LocalApps, Error> {
    let layout = &world.layout;
    let status = world.agent.status().await?;
    let busy = Lock::present_holder(&layout.lock()).unwrap_or_default();
    // While an operation runs, its run is not finished either.
    let unfinished = if busy.is_some() { None } else { unfinished(layout).await? };
    let apps::Apps { current, unreadable } = apps::deployed(layout);
    let is_recorded = |app: &&AppStatus| current.iter().any(|one| one.spec.app_id == app.spec.app_id);
    let running = status.iter().flat_map(Status::apps);
    let unrecorded = running.filter(|app| !is_recorded(app)).cloned().collect();
    let mut found = Vec::new();
    for deployed in current {
        let id = &deployed.spec.app_id;
        let earlier = apps::versions(layout, id).unwrap_or_default().into_iter().skip(1);
        let earlier = earlier.map(|one| one.spec.version).collect();
        let running = status.as_ref().and_then(|status| status.app(id)).cloned();
        let trouble = match &status {
            Some(_) => trouble(layout, &deployed, running.as_ref()).await,
            None => None,
        };
        found.push(LocalApp { running, earlier, trouble, deployed });
    }
    Ok(LocalApps { apps: found, unrecorded, unreadable, busy, unfinished })
}

/// The ids of the apps that are deployed to this machine.
pub fn deployed_apps(world: &World) -> Vec<String> {
    apps::deployed(&world.layout).current.into_iter().map(|deployed| deployed.spec.app_id).collect()
}

/// The deployed apps that do not work, of a deployment whose agent says this.
pub(super) async fn in_trouble(layout: &Layout, agent: &Status) -> Vec<AppTrouble> {
    let mut found = Vec::new();
    for deployed in apps::deployed(layout).current {
        let running = agent.app(&deployed.spec.app_id);
        if let Some(what) = trouble(layout, &deployed, running).await {
            let (app_id, version) = (deployed.spec.app_id, deployed.spec.version);
            found.push(AppTrouble { app_id, version, what });
        }
    }
    found
}

/// The same, after apps were started: those that are starting are waited for, for a short time.
///
/// # Errors
/// The agent does not answer.
pub(super) async fn in_trouble_after_start(world: &World) -> Result<Vec<AppTrouble>, Error> {
    let deadline = Instant::now() + START;
    loop {
        let Some(status) = world.agent.status().await? else { return Ok(Vec::new()) };
        let is_starting = |app: &AppStatus| {
            app.last_exit.is_none() && !app.pid.is_some_and(|pid| is_ready(&world.layout, app, pid))
        };
        if !status.apps().any(is_starting) || Instant::now() > deadline {
            return Ok(in_trouble(&world.layout, &status).await);
        }
        sleep(LOOK).await;
    }
}

/// Whether this process of an app has said where it answers.
fn is_ready(layout: &Layout, app: &AppStatus, pid: u32) -> bool {
    let dir = ::apps::runtime::AppDir::new(&layout.apps(), &app.spec.app_id);
    ::apps::serve::Running::read(&dir).is_some_and(|running| running.pid == pid)
}

/// What is wrong with an app, in words.
async fn trouble(layout: &Layout, deployed: &Deployed, running: Option<&AppStatus>) -> Option<String> {
    let answer = match running.and_then(|app| Some((app, app.pid?))) {
        Some((app, pid)) if is_ready(layout, app, pid) => {
            let dir = ::apps::runtime::AppDir::new(&layout.apps(), &app.spec.app_id);
            let running = ::apps::serve::Running::read(&dir)?;
            running.check_manifest(&app.spec.app_id, &app.spec.version, PATIENCE).await.err()
        }
        _ => None,
    };
    judged(deployed, running, answer.map(|error| error.what), Timestamp::now().as_millisecond())
}

/// The same, from what was seen. `answer`: what was wrong with its answer. `now`: in ms since the epoch.
fn judged(
    deployed: &Deployed,
    running: Option<&AppStatus>,
    answer: Option<String>,
    now: i64,
) -> Option<String> {
    let Some(app) = running else { return Some("does not run; `mainstay up` starts it".to_owned()) };
    let id = &app.spec.app_id;
    let why = format!("`mainstay apps logs {id}` has why");
    let times = finding::counted(app.restarts, "restart", "restarts");
    match (&app.last_exit, &app.last_restart) {
        (Some(exit), _) => Some(format!("does not run: it {exit}, {times}; {why}")),
        (None, Some(last)) if app.restarts >= OFTEN && now - last.at < SHORT_WHILE => {
            Some(format!("keeps ending: it {}, {times}; {why}", last.why))
        }
        _ if app.spec != deployed.spec => Some(format!(
            "does not run as it is deployed: version {} runs; `mainstay up` runs what is deployed",
            app.spec.version
        )),
        _ => {
            answer.map(|answer| format!("does not answer: {answer}; `mainstay restart {}`", app.spec.part()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::LastRestart;

    fn deployed() -> Deployed {
        let golden = include_str!("../../tests/golden/app-deployed-1.json");
        let record: serde_json::Value = serde_json::from_str(golden).expect("JSON");
        serde_json::from_value(record["versions"][0].clone()).expect("a version")
    }

    fn running() -> AppStatus {
        AppStatus { spec: deployed().spec, pid: Some(7), restarts: 0, last_exit: None, last_restart: None }
    }

    fn judge(running: Option<&AppStatus>, answer: Option<&str>) -> Option<String> {
        judged(&deployed(), running, answer.map(str::to_owned), 100_000)
    }

    #[test]
    fn an_app_that_works_is_in_no_trouble() {
        let restarted = |at, restarts| AppStatus {
            restarts,
            last_restart: Some(LastRestart { at, why: "was killed by signal 9".into() }),
            ..running()
        };
        let starting = AppStatus { pid: None, ..running() };
        for fine in [running(), restarted(99_000, 1), restarted(1_000, 50), starting] {
            assert_eq!(judge(Some(&fine), None), None, "{fine:?}");
        }
        let often = judge(Some(&restarted(99_000, 3)), None).expect("trouble");
        assert!(often.starts_with("keeps ending: it was killed by signal 9, 3 restarts"), "{often}");
    }

    #[test]
    fn an_app_that_does_not_work_says_why_and_what_to_do() {
        let ended =
            AppStatus { pid: None, restarts: 1, last_exit: Some("exited with code 4".into()), ..running() };
        let ended = judge(Some(&ended), None).expect("trouble");
        assert!(
            ended.starts_with("does not run: it exited with code 4, 1 restart; `mainstay apps logs"),
            "{ended}"
        );
        let gone = judge(None, None).expect("trouble");
        assert!(gone.contains("`mainstay up` starts it"), "{gone}");
        let silent = judge(Some(&running()), Some("timed out")).expect("trouble");
        assert!(silent.starts_with("does not answer: timed out; `mainstay restart app:"), "{silent}");
        let mut other = running();
        other.spec.version = "9.9.9".into();
        let other = judge(Some(&other), None).expect("trouble");
        assert!(other.contains("version 9.9.9 runs"), "{other}");
    }
}
