//! The deployment program's acceptance test as a program: two users, a team, a post, a reply, a picture, through the public
//! URL, against any Mattermost from 5.37 to 12.
//!
//! **Promises.** A check is ok only if its effect was seen by the other user: the picture is downloaded byte for byte, the post
//! arrives over the other user's websocket. A broken deployment is never an `Err`, but a failed check with a likely cause and a
//! fix. The test removes what it creates, also after a failure or a cancellation,
//! looks whether it is gone, and fails naming what stays. No password
//! or token is in a report, an event or a log line. Everything that is read is limited in time and size.
//!
//! **Refuses.** To create the first account of a deployment: it would become the system administrator and then be deactivated.
//! To follow redirects: a browser's websocket does not. To use this machine's web proxy.
//!
//! **Rejected.** A websocket client with its own TLS: the upgrade uses the same HTTP client as the REST calls, so that both use
//! the same name, trusted certificates and route. Looking only for the red bar on the page: web clients since version 11 do not
//! show it. Trusting the page for posts: it shows a post before the server has stored it.

mod answer;
mod attachment;
mod authority;
mod browser;
mod checks;
mod clean_up;
mod diagnosis;
mod left;
mod log;
mod made;
mod outside;
mod person;
mod picture;
mod posting;
mod refusal;
mod report;
mod secret;
mod site;
mod socket;
mod standing;
mod symptom;
mod target;
mod walk;
mod wire;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::left::Thing;
use crate::log::{Kind, Log, Stop};
use crate::made::Made;
use crate::site::Site;
use crate::symptom::Fault;

pub use crate::report::{Check, Outcome, Report};
pub use crate::secret::Secret;
pub use crate::target::{Admin, Browser, Target};

/// Runs the test. `events` gets each check when it ends. A cancellation ends the test early: the remaining checks are skipped,
/// and the clean-up still runs, for at most twice the time limit of a request.
pub async fn run(target: &Target, events: impl FnMut(&Check) + Send, cancel: CancellationToken) -> Report {
    let started_at = Timestamp::now();
    let log = Log::new(target.url.clone(), events);
    let mut made = Made::new(target);
    let mut plan: Vec<&'static Kind> = checks::REST.to_vec();
    if matches!(target.admin, Admin::None) {
        // The test's own users are the strangers.
        plan.retain(|kind| ![checks::ADMINISTRATOR, checks::STRANGER].contains(kind));
    }
    if target.idle.is_none() {
        plan.retain(|kind| *kind != checks::IDLE);
    }
    if target.browser.is_some() {
        plan.extend(checks::BROWSER_TEST);
    }
    match Site::new(target) {
        Ok(site) => {
            let walk = Box::pin(walk::walk(&site, target, &mut made, &log));
            let mut end = cancel.run_until_cancelled(walk).await.unwrap_or(Ok(()));
            if end.is_ok() && !cancel.is_cancelled() {
                end = Box::pin(test_in_browser(target, &site, &mut made, &log, &cancel)).await;
            }
            let why = match end {
                _ if cancel.is_cancelled() => "cancelled".to_owned(),
                Err(stop) => stop.why(),
                Ok(()) => "not reached".to_owned(),
            };
            for kind in plan.iter().filter(|kind| !log.has(kind)) {
                log.skip(kind, why.clone());
            }
            clean_up(target, &site, &mut made, &log).await;
        }
        Err(symptom) => {
            let fault = Fault { during: "the URL".to_owned(), symptom };
            let _ = log.check::<()>(checks::REACHABLE, async { Err(fault) }).await;
        }
    }
    plan.push(checks::CLEAN_UP);
    let mut report = Report {
        format: Report::FORMAT,
        url: site::trimmed(&target.url),
        via: target.via.map(|via| via.to_string()),
        started_at,
        finished_at: Timestamp::now(),
        server_version: made.version,
        build_number: made.build,
        edition: made.edition.map(str::to_owned),
        passed: false,
        unchecked: Vec::new(),
        checks: log.finish(&plan),
    };
    report.passed = report.passed();
    report.unchecked = unchecked(target, &report.checks);
    report
}

/// What a test of this target says nothing about.
fn unchecked(target: &Target, checks: &[Check]) -> Vec<String> {
    let mut unchecked = Vec::new();
    let is_local = |host: &url::Host<&str>| match host {
        url::Host::Domain(name) => *name == "localhost",
        url::Host::Ipv4(ip) => ip.is_loopback(),
        url::Host::Ipv6(ip) => ip.is_loopback(),
    };
    if let (Some(via), Some(host)) = (target.via, target.url.host().filter(|host| !is_local(host))) {
        let tls = if target.url.scheme() == "https" { " and TLS" } else { "" };
        unchecked
            .push(format!("the name {host}{tls}: {via} was reached, not {}", site::trimmed(&target.url)));
    }
    unchecked.extend(checks.iter().filter_map(|check| match &check.outcome {
        Outcome::Off { why } => Some(format!("{}: {why}", check.title)),
        _ => None,
    }));
    unchecked
}

/// The test in a browser, if the target asks for it.
async fn test_in_browser(
    target: &Target,
    site: &Site,
    made: &mut Made,
    log: &Log<'_>,
    cancel: &CancellationToken,
) -> Result<(), Stop> {
    let (Some(options), Some(group), Some(sign_up)) = (&target.browser, &mut made.in_browser, &made.sign_up)
    else {
        return Ok(());
    };
    for person in [&group.first, &group.second] {
        left::remember(target.left.as_deref(), &Thing::Account(person.name.clone()));
    }
    // Its team is called as its first account.
    left::remember(target.left.as_deref(), &Thing::Team(group.first.name.clone()));
    let admin = made.admin.as_ref().map(|admin| &admin.authority);
    browser::walk(&browser::Context { site, target, options, sign_up, admin }, group, log, cancel).await
}

async fn clean_up(target: &Target, site: &Site, made: &mut Made, log: &Log<'_>) {
    if !made.used() {
        log.skip(checks::CLEAN_UP, "nothing was created");
        return;
    }
    let work = async {
        let mut stays = Vec::new();
        if target.keep {
            made.keep(site, log).await;
            left::forget(target.left.as_deref());
        } else {
            let limit = target.timeout * 2;
            stays = tokio::time::timeout(limit, made.clear(site)).await.unwrap_or_else(|_| {
                vec![format!("whatever the server did not remove within {} s", limit.as_secs())]
            });
            if stays.is_empty() {
                left::forget(target.left.as_deref());
            }
        }
        outside::take_back(site, target, made).await.unwrap_or_else(|fault| stays.push(fault.to_string()));
        match stays.is_empty() {
            true => Ok(()),
            false => Err(Fault { during: "clean-up".to_owned(), symptom: symptom::Symptom::Stays(stays) }),
        }
    };
    let _ = log.check(checks::CLEAN_UP, work).await;
}
