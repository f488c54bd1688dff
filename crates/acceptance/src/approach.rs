//! What can be seen before anybody has an account: the server, its settings, its websocket, its door.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::DATE;
use serde_json::Value;
use tokio::join;
use url::Url;

use crate::answer::one_line;
use crate::diagnosis::trimmed;
use crate::log::{Log, Stop};
use crate::person::{Login, log_in};
use crate::plan;
use crate::site::{Reply, Site};
use crate::socket;
use crate::stage::{Door, Stage};
use crate::symptom::{Fault, Part, Symptom};
use crate::target::Admin;
use crate::wire::{ClientConfig, Ping, User};

/// An Origin that no deployment has: `.invalid` is reserved.
const FOREIGN: &str = "https://elsewhere.invalid";
/// Where the test's people claim to have their mail: a domain without mailboxes.
const DOMAIN: &str = "example.com";
/// More than this between the two clocks is worth a note.
const SKEW: Duration = Duration::from_secs(30);

/// What was found.
pub(crate) struct Ground {
    /// The settings that everybody may see.
    pub config: ClientConfig,
    /// Whether a websocket opens at all.
    pub websockets: Result<(), Stop>,
    pub door: Door,
}

/// Looks at the deployment from outside, and lets the administrator in if there is one.
pub(crate) async fn approach(
    site: &Site,
    admin: &Admin,
    stage: &mut Stage,
    log: &Log<'_>,
) -> Result<Ground, Stop> {
    log.check(plan::REACHABLE, reachable(site, log)).await?;
    let (_, config, websockets) = join!(
        log.check(plan::HEALTHY, healthy(site, log)),
        log.check(plan::CLIENT_CONFIG, client_config(site)),
        websocket_opens(site, log),
    );
    let config = config?;
    stage.learn(&config);
    if let Some(configured) = config.get("SiteURL") {
        site_url(site, configured, log).await;
    }
    let door = log_in_administrator(site, admin, &config, stage, log).await?;
    stage.door = Some(door.clone());
    Ok(Ground { config, websockets, door })
}

async fn reachable(site: &Site, log: &Log<'_>) -> Result<(), Fault> {
    let (reply, during) = site.get("system/ping").reply().await?;
    let fault = |symptom| Fault { during, symptom };
    if let Some(skew) = skew(&reply).filter(|skew| *skew > SKEW) {
        let text = format!(
            "the server's clock and this machine's differ by {} s: sign-in through other services and second factors may fail (compare both with timedatectl)",
            skew.as_secs()
        );
        log.note(plan::REACHABLE, text);
    }
    let ping: Ping = reply.json().map_err(fault)?;
    if ping.status.is_empty() {
        let found = "a ping without a status".to_owned();
        return Err(Fault {
            during: "GET /api/v4/system/ping".to_owned(),
            symptom: Symptom::NotApi { found },
        });
    }
    Ok(())
}

/// How far the server's clock, as its answer tells, is from ours. The Date header counts whole seconds.
fn skew(reply: &Reply) -> Option<Duration> {
    let date = reply.headers.get(DATE)?.to_str().ok()?;
    let theirs = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(Timestamp::now().duration_since(theirs).unsigned_abs())
}

async fn healthy(site: &Site, log: &Log<'_>) -> Result<(), Fault> {
    let (reply, during) = site.get("system/ping?get_server_status=true").reply().await?;
    // An unwell server answers 500, with its reasons in the body.
    let ping: Ping = match serde_json::from_slice(&reply.body) {
        Ok(ping) => ping,
        Err(_) => reply.json().map_err(|symptom| Fault { during: during.clone(), symptom })?,
    };
    let parts = [
        (Part::Database, ping.database_status.as_deref()),
        (Part::FileStore, ping.filestore_status.as_deref()),
        (Part::Server, Some(ping.status.as_str())),
    ];
    for (part, status) in parts {
        match status {
            Some("OK") => {}
            None => log.note(plan::HEALTHY, format!("this version does not tell how {part} is")),
            Some(status) => {
                let status = one_line(status);
                return Err(Fault { during, symptom: Symptom::Unhealthy { part, status } });
            }
        }
    }
    Ok(())
}

async fn client_config(site: &Site) -> Result<ClientConfig, Fault> {
    let (reply, during) = site.get("config/client?format=old").reply().await?;
    let fault = |symptom| Fault { during: during.clone(), symptom };
    let config: ClientConfig = reply.json().map_err(fault)?;
    let found = reply.content_type();
    if found != "application/json" {
        return Err(fault(Symptom::ContentType { found }));
    }
    if config.get("Version").is_none() {
        let found = "client settings without a Version".to_owned();
        return Err(fault(Symptom::NotApi { found }));
    }
    Ok(config)
}

async fn websocket_opens(site: &Site, log: &Log<'_>) -> Result<(), Stop> {
    let opens = log.check(plan::WEBSOCKET_UPGRADE, socket::opens(site)).await;
    match opens {
        Ok(()) => {
            let _ = log.check(plan::FOREIGN_ORIGIN, socket::refuses(site, FOREIGN)).await;
        }
        Err(stop) => log.skip(plan::FOREIGN_ORIGIN, stop.why()),
    }
    opens
}

pub(crate) async fn site_url(site: &Site, configured: &str, log: &Log<'_>) {
    if configured.is_empty() && site.any_address {
        log.ok(plan::SITE_URL, "it has none, as it is meant: mails cannot carry links".to_owned());
        return;
    }
    let _ = log.check(plan::SITE_URL, same_url(site, configured)).await;
}

async fn same_url(site: &Site, configured: &str) -> Result<(), Fault> {
    let reached = trimmed(&site.url);
    let same = Url::parse(configured).is_ok_and(|configured| trimmed(&configured) == reached);
    if same {
        return Ok(());
    }
    let configured = one_line(configured);
    Err(Fault { during: "the client settings".to_owned(), symptom: Symptom::SiteUrl { configured, reached } })
}

async fn log_in_administrator(
    site: &Site,
    admin: &Admin,
    config: &ClientConfig,
    stage: &mut Stage,
    log: &Log<'_>,
) -> Result<Door, Stop> {
    let closed = ["EnableOpenServer", "EnableSignUpWithEmail", "EnableUserCreation"]
        .iter()
        .any(|key| config.switch(key) == Some(false));
    let by_email = config.switch("EnableSignInWithUsername") == Some(false);
    let mut door = Door { sponsored: closed, domain: DOMAIN.to_owned(), by_email };
    if matches!(admin, Admin::None) {
        return Ok(door);
    }
    let work = async {
        match admin {
            Admin::Token(token) => stage.admin_token(token.clone()),
            Admin::Login { name, secret } => {
                stage.admin_session(log_in(site, Login::Name(name), secret).await?.1);
            }
            Admin::None => {}
        }
        let Some(admin) = &stage.admin else { return Ok(()) };
        let me: User = site.get("users/me").by(&admin.token).json().await?;
        if !me.roles.split_whitespace().any(|role| role == "system_admin") {
            let symptom = Symptom::NotAdministrator { roles: one_line(&me.roles) };
            return Err(Fault { during: "GET /api/v4/users/me".to_owned(), symptom });
        }
        let settings: Value = match site.get("config").by(&admin.token).json().await {
            Ok(settings) => settings,
            // A server without the route, or an administrator who may not read them: the usual rules are assumed.
            Err(Fault { symptom: Symptom::Answer(answer), .. }) if matches!(answer.status, 403 | 501) => {
                Value::Null
            }
            Err(fault) => return Err(fault),
        };
        let verify = settings["EmailSettings"]["RequireEmailVerification"] == true;
        door.sponsored |= verify;
        let domains = settings["TeamSettings"]["RestrictCreationToDomains"].as_str().unwrap_or_default();
        if let Some(domain) = first_domain(domains) {
            domain.clone_into(&mut door.domain);
        }
        Ok(())
    };
    log.check(plan::ADMINISTRATOR, work).await?;
    Ok(door)
}

/// The first of the allowed mail domains; they stand between spaces, commas and at signs.
fn first_domain(list: &str) -> Option<&str> {
    list.split([' ', ',', '@']).map(str::trim).find(|domain| !domain.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_domain_is_found_in_every_way_of_writing() {
        for list in ["corp.example, other.example", "@corp.example", " corp.example other.example"] {
            assert_eq!(first_domain(list), Some("corp.example"), "{list}");
        }
        assert_eq!(first_domain(" , "), None);
    }
}
