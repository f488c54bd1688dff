//! What the test has made, and how it is taken away again.

use serde_json::json;

use crate::Secret;
use crate::log::Log;
use crate::person::Person;
use crate::plan;
use crate::site::Site;
use crate::symptom::Fault;
use crate::wire::{ClientConfig, Team, User};

/// Everything that exists because of this run, and what was learnt about the server.
#[derive(Debug)]
pub(crate) struct Stage {
    pub cast: Cast,
    /// Those who use the web client, if it is tested.
    pub on_page: Option<Cast>,
    pub admin: Option<AdminSession>,
    pub door: Option<Door>,
    pub version: Option<String>,
    pub build: Option<String>,
    pub edition: Option<&'static str>,
}

/// Two people and the team they meet in.
#[derive(Debug)]
pub(crate) struct Cast {
    pub first: Person,
    pub second: Person,
    pub team: Option<TeamMade>,
}

/// How accounts are made here.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// Accounts must be made by the administrator.
    pub sponsored: bool,
    /// The mail domain of the test's people.
    pub domain: String,
    /// The login page takes addresses only, not user names.
    pub by_email: bool,
}

impl Door {
    /// The address that a person of the test claims to have.
    pub(crate) fn email(&self, person: &Person) -> String {
        format!("{}@{}", person.name, self.domain)
    }
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
    pub(crate) fn new(on_page: bool) -> Self {
        Self {
            cast: Cast::new(),
            on_page: on_page.then(Cast::new),
            admin: None,
            door: None,
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
        self.admin.is_some() || self.casts().any(|cast| cast.first.attempted || cast.second.attempted)
    }

    /// Says what stays, and ends the sessions.
    pub(crate) async fn keep(&self, site: &Site, log: &Log<'_>) {
        for cast in self.casts().filter(|cast| cast.first.attempted || cast.second.attempted) {
            let team = cast.team.as_ref().map(|team| format!(", team `{}`", team.name)).unwrap_or_default();
            let names = [&cast.first, &cast.second].map(|person| format!("`{}`", person.name));
            log.note(plan::CLEAN_UP, format!("kept: accounts {}{team}", names.join(" and ")));
            for person in [&cast.first, &cast.second] {
                person.log_out(site).await;
            }
        }
        self.log_out_admin(site).await;
    }

    /// Takes everything away that this run has made: the team is archived, the accounts are deactivated, the
    /// sessions end. What cannot be taken away is named in a note.
    pub(crate) async fn clear(&mut self, site: &Site, log: &Log<'_>) {
        let admin = self.admin.as_ref().map(|admin| &admin.token);
        self.cast.clear(site, admin, log).await;
        if let Some(cast) = &mut self.on_page {
            cast.clear(site, admin, log).await;
        }
        self.log_out_admin(site).await;
    }

    fn casts(&self) -> impl Iterator<Item = &Cast> {
        std::iter::once(&self.cast).chain(&self.on_page)
    }

    async fn log_out_admin(&self, site: &Site) {
        if let Some(admin) = self.admin.as_ref().filter(|admin| admin.ours) {
            let _ = site.post("users/logout").by(&admin.token).done().await;
        }
    }
}

impl Cast {
    fn new() -> Self {
        Self { first: Person::new("first"), second: Person::new("second"), team: None }
    }

    async fn clear(&mut self, site: &Site, admin: Option<&Secret>, log: &Log<'_>) {
        for person in [&mut self.first, &mut self.second] {
            // Made on the page, or the answer was lost. If it does not exist, nothing is left to do.
            if person.attempted && person.token.is_none() {
                let _ = person.log_in(site).await;
            }
        }
        if let Some(team) = &self.team
            && let Err(fault) = archive(site, team, &self.first, admin).await
        {
            log.note(plan::CLEAN_UP, format!("the team `{}` stays: {fault}", team.name));
        }
        tokio::join!(self.first.leave(site, admin, log), self.second.leave(site, admin, log));
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
        let id = match (&self.id, admin) {
            (Some(id), _) => id.clone(),
            (None, Some(admin)) if self.attempted => {
                let path = format!("users/username/{}", self.name);
                match site.get(&path).by(admin).json::<User>().await {
                    Ok(user) => user.id,
                    Err(_) => return,
                }
            }
            _ => return,
        };
        let why = match admin.or(self.token.as_ref()) {
            None => "it could not log in".to_owned(),
            Some(token) => {
                let inactive = json!({ "active": false });
                let path = format!("users/{id}/active");
                match site.put(&path).by(token).body(&inactive).done().await {
                    Ok(()) => return,
                    Err(fault) if admin.is_some() => fault.to_string(),
                    Err(_) => "users may not deactivate themselves here".to_owned(),
                }
            }
        };
        let way_out = "deactivate it in the System Console, or give --admin-token next time";
        log.note(plan::CLEAN_UP, format!("the account `{}` stays: {why}; {way_out}", self.name));
        self.log_out(site).await;
    }

    async fn log_out(&self, site: &Site) {
        if let Some(token) = &self.token {
            let _ = site.post("users/logout").by(token).done().await;
        }
    }
}
