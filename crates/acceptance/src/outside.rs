//! The checks that need no account: the server, its settings, its websocket; and the administrator's login.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::DATE;
use serde_json::Value;
use tokio::join;
use url::Url;

use crate::answer::one_line;
use crate::checks;
use crate::log::{Log, Stop};
use crate::made::{Made, SignUp};
use crate::person::{Login, log_in};
use crate::site::{Reply, Site, trimmed};
use crate::socket;
use crate::symptom::{Fault, Part, Symptom};
use crate::target::Admin;
use crate::wire::{ClientConfig, Ping, User};

/// An Origin that no deployment has: `.invalid` is reserved.
const FOREIGN: &str = "https://elsewhere.invalid";
/// The mail domain of the test's users: one without mailboxes.
const DOMAIN: &str = "example.com";
/// A larger difference between the two clocks gets a note.
const SKEW: Duration = Duration::from_secs(30);

/// What these checks found.
pub(crate) struct Outside {
    /// The settings that can be read without a login.
    pub config: ClientConfig,
    /// Whether a websocket opens.
    pub websockets: Result<(), Stop>,
    pub sign_up: SignUp,
}

/// Checks the deployment without an account, and logs the administrator in if there is one.
pub(crate) async fn check_outside(
    site: &Site,
    admin: &Admin,
    made: &mut Made,
    log: &Log<'_>,
) -> Result<Outside, Stop> {
    log.check(checks::REACHABLE, reachable(site, log)).await?;
    let (_, config, websockets) = join!(
        log.check(checks::HEALTHY, healthy(site, log)),
        log.check(checks::CLIENT_CONFIG, client_config(site)),
        websocket_opens(site, log),
    );
    let config = config?;
    made.read_versions(&config);
    if let Some(configured) = config.get("SiteURL") {
        site_url(site, configured, log).await;
    }
    let sign_up = log_in_administrator(site, admin, &config, made, log).await?;
    made.sign_up = Some(sign_up.clone());
    Ok(Outside { config, websockets, sign_up })
}

async fn reachable(site: &Site, log: &Log<'_>) -> Result<(), Fault> {
    let (reply, during) = site.get("system/ping").reply().await?;
    let fault = |symptom| Fault { during, symptom };
    if let Some(skew) = skew(&reply).filter(|skew| *skew > SKEW) {
        let text = format!(
            "the server's clock and this machine's differ by {} s: sign-in through other services and second factors may fail (check both with timedatectl)",
            skew.as_secs()
        );
        log.note(checks::REACHABLE, text);
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

/// The difference between the server's clock and this machine's. The Date header counts whole seconds.
fn skew(reply: &Reply) -> Option<Duration> {
    let date = reply.headers.get(DATE)?.to_str().ok()?;
    let theirs = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(Timestamp::now().duration_since(theirs).unsigned_abs())
}

async fn healthy(site: &Site, log: &Log<'_>) -> Result<(), Fault> {
    let (reply, during) = site.get("system/ping?get_server_status=true").reply().await?;
    // A server that is not healthy answers 500, with the reasons in the body.
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
            None => log.note(checks::HEALTHY, format!("this version does not report whether {part} works")),
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
    let opens = log.check(checks::WEBSOCKET_UPGRADE, socket::accepts_own_origin(site)).await;
    match opens {
        Ok(()) => {
            let _ = log.check(checks::FOREIGN_ORIGIN, socket::refuses_origin(site, FOREIGN)).await;
        }
        Err(stop) => log.skip(checks::FOREIGN_ORIGIN, stop.why()),
    }
    opens
}

pub(crate) async fn site_url(site: &Site, configured: &str, log: &Log<'_>) {
    if configured.is_empty() && site.any_address {
        log.ok(checks::SITE_URL, "no SiteURL is set, as intended: mails cannot contain links".to_owned());
        return;
    }
    let _ = log.check(checks::SITE_URL, same_url(site, configured)).await;
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
    made: &mut Made,
    log: &Log<'_>,
) -> Result<SignUp, Stop> {
    let closed = ["EnableOpenServer", "EnableSignUpWithEmail", "EnableUserCreation"]
        .iter()
        .any(|key| config.switch(key) == Some(false));
    let by_email = config.switch("EnableSignInWithUsername") == Some(false);
    let mut sign_up = SignUp { by_admin: closed, domain: DOMAIN.to_owned(), by_email };
    if matches!(admin, Admin::None) {
        return Ok(sign_up);
    }
    let work = async {
        match admin {
            Admin::Token(token) => made.admin_token(token.clone()),
            Admin::Login { name, secret } => {
                made.admin_session(log_in(site, Login::Name(name), secret).await?.1);
            }
            Admin::None => {}
        }
        let Some(admin) = &made.admin else { return Ok(()) };
        let me: User = site.get("users/me").by(&admin.token).json().await?;
        if !me.roles.split_whitespace().any(|role| role == "system_admin") {
            let symptom = Symptom::NotAdministrator { roles: one_line(&me.roles) };
            return Err(Fault { during: "GET /api/v4/users/me".to_owned(), symptom });
        }
        let settings: Value = match site.get("config").by(&admin.token).json().await {
            Ok(settings) => settings,
            // The server lacks the route, or the administrator may not read them: the default rules are assumed.
            Err(Fault { symptom: Symptom::Answer(answer), .. }) if matches!(answer.status, 403 | 501) => {
                Value::Null
            }
            Err(fault) => return Err(fault),
        };
        let verify = settings["EmailSettings"]["RequireEmailVerification"] == true;
        sign_up.by_admin |= verify;
        let domains = settings["TeamSettings"]["RestrictCreationToDomains"].as_str().unwrap_or_default();
        if let Some(domain) = first_domain(domains) {
            domain.clone_into(&mut sign_up.domain);
        }
        Ok(())
    };
    log.check(checks::ADMINISTRATOR, work).await?;
    Ok(sign_up)
}

/// The first of the allowed mail domains, which are separated by spaces, commas and at signs.
fn first_domain(list: &str) -> Option<&str> {
    list.split([' ', ',', '@']).map(str::trim).find(|domain| !domain.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_domain_is_found_with_every_separator() {
        for list in ["corp.example, other.example", "@corp.example", " corp.example other.example"] {
            assert_eq!(first_domain(list), Some("corp.example"), "{list}");
        }
        assert_eq!(first_domain(" , "), None);
    }
}
