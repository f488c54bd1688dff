//! The deployment program's acceptance test, run by a program: two people, a team, a post, a reply, a picture,
//! through the public URL, against any Mattermost from 5.37 to 12.
//!
//! **Promises.** A check is ok only if its effect was seen from the other side: the picture comes back byte for
//! byte, the post arrives over the other user's websocket. A bad deployment is never an `Err` but a failed check with
//! a likely cause and a fix. What the test makes, it takes away again, after a failure or a cancellation too; what
//! it may not take away it names. No password or token is in a report, an event or a log line. Time and size of
//! everything read are limited.
//!
//! **Refuses.** To make the first account of a deployment: it would become the system administrator and then be
//! thrown away. To follow redirects: a browser's websocket would not. To go through this machine's own web proxy.
//!
//! **Rejected.** A websocket client with its own TLS: the upgrade runs over the same HTTP client as the REST calls, so
//! that both see one name, one trust store, one route. Looking only at the page for the red bar: web clients since
//! version 11 do not show it. Trusting the page for posts: it shows a post before the server has it.

mod answer;
mod approach;
mod browser;
mod diagnosis;
mod log;
mod person;
mod picture;
mod plan;
mod refusal;
mod report;
mod secret;
mod site;
mod socket;
mod stage;
mod symptom;
mod target;
mod walk;
mod wire;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::log::{Kind, Log, Stop};
use crate::site::Site;
use crate::stage::Stage;

pub use crate::answer::Answer;
pub use crate::diagnosis::{Diagnosis, diagnosis};
pub use crate::report::{Check, Outcome, Report};
pub use crate::secret::Secret;
pub use crate::symptom::{Fault, Part, Symptom, Tls};
pub use crate::target::{Admin, Browser, Target};

/// Runs the test. Each check is shown to `events` as it ends. Cancellation ends the test early: what was not
/// tested is skipped, and the clean-up still runs, for twice the request limit at most.
pub async fn run(target: &Target, events: impl FnMut(&Check) + Send, cancel: CancellationToken) -> Report {
    let started_at = Timestamp::now();
    let log = Log::new(target.url.clone(), events);
    let mut stage = Stage::new(target.browser.is_some());
    let mut plan: Vec<&'static Kind> = plan::REST.to_vec();
    if matches!(target.admin, Admin::None) {
        plan.retain(|kind| *kind != plan::ADMINISTRATOR);
    }
    if target.browser.is_some() {
        plan.extend(plan::BROWSER_WALK);
    }
    match Site::new(target) {
        Ok(site) => {
            let walk = Box::pin(walk::walk(&site, &target.admin, &mut stage, &log));
            let mut end = cancel.run_until_cancelled(walk).await.unwrap_or(Ok(()));
            if end.is_ok() && !cancel.is_cancelled() {
                end = Box::pin(look(target, &site, &mut stage, &log, &cancel)).await;
            }
            let why = match end {
                _ if cancel.is_cancelled() => "cancelled".to_owned(),
                Err(stop) => stop.why(),
                Ok(()) => "not reached".to_owned(),
            };
            for kind in plan.iter().filter(|kind| !log.has(kind)) {
                log.skip(kind, why.clone());
            }
            clean_up(target, &site, &mut stage, &log).await;
        }
        Err(symptom) => {
            let fault = Fault { during: "the URL".to_owned(), symptom };
            let _ = log.check::<()>(plan::REACHABLE, async { Err(fault) }).await;
        }
    }
    plan.push(plan::CLEAN_UP);
    let mut report = Report {
        url: diagnosis::trimmed(&target.url),
        via: target.via.map(|via| via.to_string()),
        started_at,
        finished_at: Timestamp::now(),
        server_version: stage.version,
        build_number: stage.build,
        edition: stage.edition.map(str::to_owned),
        passed: false,
        checks: log.finish(&plan),
    };
    report.passed = report.passed();
    report
}

/// The walk through the web client, if it is wished for.
async fn look(
    target: &Target,
    site: &Site,
    stage: &mut Stage,
    log: &Log<'_>,
    cancel: &CancellationToken,
) -> Result<(), Stop> {
    let (Some(wish), Some(cast), Some(door)) = (&target.browser, &mut stage.on_page, &stage.door) else {
        return Ok(());
    };
    let sponsor = stage.admin.as_ref().map(|admin| &admin.token);
    browser::walk(&browser::Scene { site, target, wish, door, sponsor }, cast, log, cancel).await
}

async fn clean_up(target: &Target, site: &Site, stage: &mut Stage, log: &Log<'_>) {
    if !stage.used() {
        log.skip(plan::CLEAN_UP, "nothing was made");
        return;
    }
    let work = async {
        if target.keep {
            stage.keep(site, log).await;
        } else {
            let limit = target.timeout * 2;
            if tokio::time::timeout(limit, stage.clear(site, log)).await.is_err() {
                log.note(plan::CLEAN_UP, "the server took too long: some of it stays");
            }
        }
        Ok(())
    };
    let _ = log.check(plan::CLEAN_UP, work).await;
}
