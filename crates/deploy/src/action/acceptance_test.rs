//! The acceptance test, as the last step of a plan.

use std::net::SocketAddr;

use acceptance::{Admin, Check, Report, Secret, Target};
use plan::{Progress, Step, Undo};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Action, step, verifier_login};
use crate::control::protocol::ServerStatus;
use crate::error::{Error, Exit};
use crate::place::layout::Layout;
use crate::state::config_file;
use crate::state::desired::{Desired, reachable};
use crate::state::report::keep;
use crate::world::World;

/// Runs the acceptance test through the edge, speaking as the site URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptanceTest {
    /// The address people type.
    pub site_url: Url,
    /// Where the edge is reached from here. The public name may not point at this machine yet: `mainstay verify` tests that.
    pub edge: SocketAddr,
}

impl AcceptanceTest {
    /// Of what is wanted, through its edge.
    pub(crate) fn of(desired: &Desired) -> Self {
        Self { site_url: desired.site_url.clone(), edge: reachable(desired.listen) }
    }

    pub(crate) fn step(self) -> Step<Action> {
        let title = format!("Test it as {}", self.site_url.as_str().trim_end_matches('/'));
        step("acceptance", title, Undo::Nothing, 1500, self)
    }

    pub(crate) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let target = target(&self.site_url, Some(self.edge), world)?;
        let progress = progress.clone();
        let before = server(world).await?;
        let report = run(target, &world.layout, move |check| progress.say(check.title)).await?;
        let failure = first_failure(&report);
        let after = match server(world).await {
            Err(_) if failure.is_some() => None,
            after => after?,
        };
        // What the test saw is its consequence. The test can pass all the same: the edge waits for a server that is started again.
        if let Some(end) = end_meanwhile(before.as_ref(), after.as_ref()) {
            let seen = failure.map(|failure| format!("; the test saw: {failure}")).unwrap_or_default();
            let what = format!("{} is not verified: {end}{seen}", report.url);
            return Err(Error::new(Exit::NotVerified, what).hint("`mainstay logs server` shows what it said"));
        }
        match failure {
            None => Ok(json!({ "checks": report.checks.len(), "unchecked": report.unchecked })),
            Some(failed) => {
                Err(Error::new(Exit::NotVerified, format!("{} is not verified: {failed}", report.url))
                    .hint(format!("the whole report is {}", world.layout.failed_report().display())))
            }
        }
    }

    #[allow(clippy::unused_async, reason = "every action has the same shape")]
    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        // The test cleans up after itself.
        Ok(())
    }
}

/// The target that a deployment is, with its own administrator.
pub(crate) fn target(url: &Url, via: Option<SocketAddr>, world: &World) -> Result<Target, Error> {
    let password = world.secrets()?.verifier_password;
    let password = password.expose_secret();
    let socket = crate::local::socket(&world.layout)?.filter(|socket| socket.exists());
    let admin = match socket {
        Some(socket) => Admin::Local(socket),
        // A release before 5.24, or a server that an earlier Mainstay started.
        None => {
            Admin::Login { name: verifier_login(&world.layout)?.to_owned(), secret: Secret::new(password) }
        }
    };
    // Only a container's server may be without a site URL; whether it is, the server itself says.
    Ok(Target {
        via,
        admin,
        password: Some(Secret::new(standing_password(password))),
        marker: Some(world.layout.tokens_marker()),
        left: Some(world.layout.left_by_test()),
        pass: std::fs::read_to_string(world.layout.pass()).ok().map(Secret::new),
        any_address: world.layout.place().may_lack_site_url(),
        any_origin: is_open_to_any_origin(world),
        ..Target::new(url.clone())
    })
}

/// The standing accounts' password: 64 characters, which the rules of every server allow.
pub(crate) fn standing_password(password: &str) -> String {
    password.chars().cycle().take(64).collect()
}

/// Whether config.json allows the pages of every site.
fn is_open_to_any_origin(world: &World) -> bool {
    let config = config_file::read(&world.layout.config()).unwrap_or_default();
    let origins = config["ServiceSettings"]["AllowCorsFrom"].as_str().unwrap_or_default();
    origins.split_whitespace().any(|origin| origin == "*")
}

/// Runs the test as a step of a plan, and keeps its report.
async fn run(
    target: Target,
    layout: &Layout,
    events: impl FnMut(&Check) + Send + 'static,
) -> Result<Report, Error> {
    // A step is cancelled by dropping it. In a task of its own the test still takes its accounts and its team away then.
    let cancel = CancellationToken::new();
    let _dropped = cancel.clone().drop_guard();
    let test = tokio::spawn(async move { acceptance::run(&target, events, cancel).await });
    let report = test.await.map_err(|error| Error::new(Exit::Bug, error.to_string()))?;
    keep(&report, layout)?;
    Ok(report)
}

/// How the agent's server is; `None` where there is none.
async fn server(world: &World) -> Result<Option<ServerStatus>, Error> {
    Ok(world.agent.status().await?.and_then(|status| status.server().cloned()))
}

/// Says that the server which was tested is not the one that runs after the test.
fn end_meanwhile(before: Option<&ServerStatus>, after: Option<&ServerStatus>) -> Option<String> {
    let (before, after) = (before?, after?);
    let how = match (&after.last_restart, &after.last_exit) {
        (Some(last), _) if after.restarts != before.restarts => Some(last.why.clone()),
        (_, Some(exit)) => Some(exit.clone()),
        _ => None,
    };
    // An agent that has just taken over does not know the process yet.
    let is_another = before.pid.zip(after.pid).is_some_and(|(before, after)| before != after);
    let how = how.or_else(|| is_another.then(|| "was restarted".to_owned()))?;
    Some(format!("while it was tested, the server {how}"))
}

/// The first failure of a report in one sentence, if it did not pass.
fn first_failure(report: &Report) -> Option<String> {
    if report.passed() {
        return None;
    }
    let failed = report.checks.iter().find_map(|check| match &check.outcome {
        acceptance::Outcome::Failed(f) => Some(format!("{}: {} ({})", check.title, f.what, f.cause)),
        _ => None,
    });
    Some(failed.unwrap_or_else(|| "the test did not come to its end".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pid: Option<u32>, restarts: u64) -> ServerStatus {
        let spec = json!({"release": "/srv/chat/releases/11.6.0-team", "user": "mainstay", "listen": "127.0.0.1:18065", "overrides": {}});
        let why = json!({"at": 1, "why": "was killed by signal 9"});
        let last = (restarts > 0).then_some(why);
        serde_json::from_value(
            json!({"spec": spec, "pid": pid, "restarts": restarts, "last_exit": null, "last_restart": last}),
        )
        .expect("a status")
    }

    #[test]
    fn a_server_that_ended_meanwhile_is_told_from_one_that_was_handed_over() {
        let end = |before: &ServerStatus, after: &ServerStatus| end_meanwhile(Some(before), Some(after));
        assert_eq!(end(&seen(Some(5), 0), &seen(Some(5), 0)), None);
        assert_eq!(end(&seen(Some(5), 1), &seen(Some(5), 1)), None, "it had ended before");
        assert_eq!(end(&seen(None, 0), &seen(Some(5), 0)), None, "its agent has just taken over");
        let killed = end(&seen(Some(5), 0), &seen(Some(6), 1)).expect("it has ended");
        assert_eq!(killed, "while it was tested, the server was killed by signal 9");
        assert!(end(&seen(Some(5), 0), &seen(Some(6), 0)).is_some_and(|said| said.contains("restarted")));
        let ended = ServerStatus { last_exit: Some("ended with code 3".to_owned()), ..seen(None, 0) };
        assert!(end(&seen(Some(5), 0), &ended).is_some_and(|said| said.ends_with("ended with code 3")));
        assert_eq!(end_meanwhile(None, Some(&ended)), None);
    }
}
