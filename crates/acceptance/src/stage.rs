//! What the test has made, and how it is taken away again.

use serde_json::json;

use crate::Secret;
use crate::log::Log;
use crate::person::Person;
use crate::plan;
use crate::site::Site;
use crate::symptom::Fault;
use crate::wire::{ClientConfig, Team};

/// Everything that exists because of this run, and what was learnt about the server.
#[derive(Debug)]
pub(crate) struct Stage {
    pub first: Person,
    pub second: Person,
    pub team: Option<TeamMade>,
    pub admin: Option<AdminSession>,
    pub version: Option<String>,
    pub build: Option<String>,
    pub edition: Option<&'static str>,
}

/// A team whose making was asked for: it may exist, even if no answer came.
#[derive(Debug)]
pub(crate) struct TeamMade {
    pub name: String,
    pub id: Option<String>,
}

#[derive(Debug)]
pub(crate) struct AdminSession {
    pub token: Secret,
    /// We logged in, so we log out.
    ours: bool,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            first: Person::new("first"),
            second: Person::new("second"),
            team: None,
            admin: None,
            version: None,
            build: None,
            edition: None,
        }
    }

    pub(crate) fn learn(&mut self, config: &ClientConfig) {
        let text = |key| config.get(key).map(crate::answer::one_line);
        self.version = text("Version");
        self.build = text("BuildNumber");
        self.edition = config
            .switch("BuildEnterpriseReady")
            .map(|enterprise| if enterprise { "enterprise" } else { "team" });
    }

    pub(crate) fn admin_token(&mut self, token: Secret) {
        self.admin = Some(AdminSession { token, ours: false });
    }

    pub(crate) fn admin_session(&mut self, token: Secret) {
        self.admin = Some(AdminSession { token, ours: true });
    }

    /// Whether anything may have been made.
    pub(crate) fn used(&self) -> bool {
        self.first.attempted || self.second.attempted || self.admin.is_some()
    }

    /// Says what stays, and ends the sessions.
    pub(crate) async fn keep(&self, site: &Site, log: &Log<'_>) {
        let team = self.team.as_ref().map(|team| format!(", team `{}`", team.name)).unwrap_or_default();
        let names = [&self.first, &self.second].map(|person| format!("`{}`", person.name));
        log.note(plan::CLEAN_UP, format!("kept: accounts {}{team}", names.join(" and ")));
        for person in [&self.first, &self.second] {
            if let Some(token) = &person.token {
                let _ = site.post("users/logout").by(token).done().await;
            }
        }
        self.log_out_admin(site).await;
    }

    /// Takes everything away that this run has made: the team is archived, the accounts are deactivated, the
    /// sessions end. What cannot be taken away is named in a note.
    pub(crate) async fn clear(&mut self, site: &Site, log: &Log<'_>) {
        for person in [&mut self.first, &mut self.second] {
            // The answer to its sign-up or login may have been lost. If it does not exist, nothing is left to do.
            if person.attempted && person.token.is_none() {
                let _ = person.log_in(site).await;
            }
        }
        let admin = self.admin.as_ref().map(|admin| &admin.token);
        if let Some(team) = &self.team
            && let Err(fault) = archive(site, team, &self.first, admin).await
        {
            log.note(plan::CLEAN_UP, format!("the team `{}` stays: {fault}", team.name));
        }
        tokio::join!(self.first.leave(site, admin, log), self.second.leave(site, admin, log),);
        self.log_out_admin(site).await;
    }

    async fn log_out_admin(&self, site: &Site) {
        if let Some(admin) = self.admin.as_ref().filter(|admin| admin.ours) {
            let _ = site.post("users/logout").by(&admin.token).done().await;
        }
    }
}

async fn archive(site: &Site, team: &TeamMade, owner: &Person, admin: Option<&Secret>) -> Result<(), Fault> {
    let token = match admin {
        Some(token) => token,
        None => owner.token()?,
    };
    let id = match &team.id {
        Some(id) => id.clone(),
        // The answer to its making was lost; if it does not exist, nothing is left to do.
        None => match site.get(&format!("teams/name/{}", team.name)).by(token).json::<Team>().await {
            Ok(team) => team.id,
            Err(_) => return Ok(()),
        },
    };
    site.delete(&format!("teams/{id}")).by(token).done().await
}

impl Person {
    async fn leave(&self, site: &Site, admin: Option<&Secret>, log: &Log<'_>) {
        let Some(id) = &self.id else { return };
        let Some(token) = admin.or(self.token.as_ref()) else { return };
        let inactive = json!({ "active": false });
        let gone = site.put(&format!("users/{id}/active")).by(token).body(&inactive).done().await;
        if let Err(fault) = gone {
            let why = if admin.is_some() {
                fault.to_string()
            } else {
                "users may not deactivate themselves here; do it in the System Console, or give --admin-token next time".to_owned()
            };
            log.note(plan::CLEAN_UP, format!("the account `{}` stays: {why}", self.name));
            if let Some(token) = &self.token {
                let _ = site.post("users/logout").by(token).done().await;
            }
        }
    }
}
