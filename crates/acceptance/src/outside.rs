//! The checks that need no account: the server, its settings, its websocket; and the administrator's login.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::DATE;
use serde_json::{Value, json};
use tokio::join;
use url::Url;

use crate::answer::one_line;
use crate::authority::Authority;
use crate::checks;
use crate::log::{Log, Stop};
use crate::made::{Made, SignUp};
use crate::person::{Login, log_in};
use crate::site::{Reply, Site, trimmed};
use crate::socket;
use crate::symptom::{Fault, Part, Symptom};
use crate::target::{Admin, Target};
use crate::wire::{ClientConfig, Ping, User};

/// An Origin that no deployment has: `.invalid` is reserved.
const FOREIGN: &str = "https://elsewhere.invalid";
/// The mail domain of the test's users: it is reserved, so that no mail reaches anybody.
const DOMAIN: &str = "acceptance.invalid";
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
    target: &Target,
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
    let sign_up = log_in_administrator(site, target, &config, made, log).await?;
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
        Ok(()) if site.any_origin => {
            log.off(checks::FOREIGN_ORIGIN, "ServiceSettings.AllowCorsFrom is `*`: the page of any site may");
        }
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
    target: &Target,
    config: &ClientConfig,
    made: &mut Made,
    log: &Log<'_>,
) -> Result<SignUp, Stop> {
    let closed = ["EnableOpenServer", "EnableSignUpWithEmail", "EnableUserCreation"]
        .iter()
        .any(|key| config.switch(key) == Some(false));
    let by_email = config.switch("EnableSignInWithUsername") == Some(false);
    let by_password = ["EnableSignInWithEmail", "EnableSignInWithUsername"]
        .iter()
        .any(|key| config.switch(key) != Some(false));
    let mut sign_up = SignUp {
        by_admin: closed,
        domain: DOMAIN.to_owned(),
        by_email,
        restricts_domains: false,
        long_passwords: false,
        by_password,
    };
    let admin = &target.admin;
    if matches!(admin, Admin::None) {
        return Ok(sign_up);
    }
    let work = async {
        match admin {
            Admin::Local(socket) => {
                let local = Authority::local(socket, site);
                made.act_as(
                    local.map_err(|symptom| Fault { during: "the local channel".to_owned(), symptom })?,
                );
            }
            Admin::Token(token) => made.act_as(Authority::Session(token.clone())),
            Admin::Login { name, secret } => {
                made.admin_session(log_in(site, Login::Name(name), secret).await?.1);
            }
            Admin::None => {}
        }
        let Some(admin) = made.authority().cloned() else { return Ok(()) };
        if !admin.is_local() {
            let me: User = admin.get(site, "users/me").json().await?;
            if !me.roles.split_whitespace().any(|role| role == "system_admin") {
                let symptom = Symptom::NotAdministrator { roles: one_line(&me.roles) };
                return Err(Fault { during: "GET /api/v4/users/me".to_owned(), symptom });
            }
        }
        let settings: Value = match admin.get(site, "config").json().await {
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
            sign_up.restricts_domains = true;
        }
        if settings["PasswordSettings"]["MinimumLength"].as_u64().is_some_and(|least| least > 64) {
            made.lengthen_passwords();
            sign_up.long_passwords = true;
        }
        if admin.is_local() {
            let allowed = settings["ServiceSettings"]["EnableUserAccessTokens"] == true;
            let was_killed = is_marked(target);
            if was_killed {
                allow_tokens(site, &admin, target, false).await?;
            }
            if !sign_up.by_password && (!allowed || was_killed) {
                allow_tokens(site, &admin, target, true).await?;
            }
        }
        Ok(())
    };
    log.check(checks::ADMINISTRATOR, work).await?;
    Ok(sign_up)
}

/// Whether a test has switched access tokens on and not off again: this one, or one that was killed.
fn is_marked(target: &Target) -> bool {
    target.marker.as_ref().is_some_and(|marker| marker.exists())
}

/// Switches access tokens on or off. The marker is there before they are on, and until they are off.
async fn allow_tokens(site: &Site, admin: &Authority, target: &Target, allow: bool) -> Result<(), Fault> {
    let machine = |error: std::io::Error| Fault {
        during: "marking that access tokens are switched on".to_owned(),
        symptom: Symptom::Machine(error.to_string()),
    };
    // Without a marker a kill would leave them on.
    let Some(marker) = &target.marker else { return Ok(()) };
    if allow {
        std::fs::write(marker, "ServiceSettings.EnableUserAccessTokens\n").map_err(machine)?;
    }
    let patch = json!({ "ServiceSettings": { "EnableUserAccessTokens": allow } });
    admin.put(site, "config/patch").body(&patch).done().await?;
    if !allow {
        std::fs::remove_file(marker).map_err(machine)?;
    }
    Ok(())
}

/// Takes back what was switched on for the test.
pub(crate) async fn take_back(site: &Site, target: &Target, made: &Made) -> Result<(), Fault> {
    match made.authority() {
        Some(admin) if admin.is_local() && is_marked(target) => {
            allow_tokens(site, admin, target, false).await
        }
        _ => Ok(()),
    }
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
