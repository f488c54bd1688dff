//! What the test has created, and how it is removed.

use serde_json::json;

use crate::checks;
use crate::log::Log;
use crate::person::Person;
use crate::secret::Secret;
use crate::site::Site;
use crate::symptom::Fault;
use crate::wire::{ClientConfig, Team, User};

/// Everything that this run has created, and what it found out about the server.
#[derive(Debug)]
pub(crate) struct Made {
    pub group: Group,
    /// The users of the browser test, if it runs.
    pub in_browser: Option<Group>,
    pub admin: Option<AdminSession>,
    pub sign_up: Option<SignUp>,
    pub version: Option<String>,
    pub build: Option<String>,
    pub edition: Option<&'static str>,
}

/// Two users and their team.
#[derive(Debug)]
pub(crate) struct Group {
    pub first: Person,
    pub second: Person,
    pub team: Option<NewTeam>,
}

/// How accounts are created on this server.
#[derive(Debug, Clone)]
pub(crate) struct SignUp {
    /// Only the administrator can create accounts.
    pub by_admin: bool,
    /// The mail domain of the test's users.
    pub domain: String,
    /// The login page accepts only addresses, not user names.
    pub by_email: bool,
}

impl SignUp {
    /// The mail address of a user of the test.
    pub(crate) fn email(&self, person: &Person) -> String {
        format!("{}@{}", person.name, self.domain)
    }
}

/// A team that was requested: it may exist even if no answer came.
#[derive(Debug)]
pub(crate) struct NewTeam {
    pub name: String,
    pub id: Option<String>,
}

#[derive(Debug)]
pub(crate) struct AdminSession {
    pub token: Secret,
    /// The test logged in, so it logs out.
    logged_in: bool,
}

impl Made {
    pub(crate) fn new(in_browser: bool) -> Self {
        Self {
            group: Group::new(),
            in_browser: in_browser.then(Group::new),
            admin: None,
            sign_up: None,
            version: None,
            build: None,
            edition: None,
        }
    }

    pub(crate) fn read_versions(&mut self, config: &ClientConfig) {
        let text = |key| config.get(key).map(crate::answer::one_line);
        self.version = text("Version");
        self.build = text("BuildNumber");
        self.edition = config
            .switch("BuildEnterpriseReady")
            .map(|enterprise| if enterprise { "enterprise" } else { "team" });
    }

    pub(crate) fn admin_token(&mut self, token: Secret) {
        self.admin = Some(AdminSession { token, logged_in: false });
    }

    pub(crate) fn admin_session(&mut self, token: Secret) {
        self.admin = Some(AdminSession { token, logged_in: true });
    }

    /// Whether anything may have been created.
    pub(crate) fn used(&self) -> bool {
        self.admin.is_some() || self.groups().any(|group| group.first.attempted || group.second.attempted)
    }

    /// Names what is kept, and ends the sessions.
    pub(crate) async fn keep(&self, site: &Site, log: &Log<'_>) {
        for group in self.groups().filter(|group| group.first.attempted || group.second.attempted) {
            let team = group.team.as_ref().map(|team| format!(", team `{}`", team.name)).unwrap_or_default();
            let names = [&group.first, &group.second].map(|person| format!("`{}`", person.name));
            log.note(checks::CLEAN_UP, format!("kept: accounts {}{team}", names.join(" and ")));
            for person in [&group.first, &group.second] {
                person.log_out(site).await;
            }
        }
        self.log_out_admin(site).await;
    }

    /// Removes everything that this run has created: archives the team, deactivates the accounts, ends the sessions. What cannot
    /// be removed is named in a note.
    pub(crate) async fn clear(&mut self, site: &Site, log: &Log<'_>) {
        let admin = self.admin.as_ref().map(|admin| &admin.token);
        self.group.clear(site, admin, log).await;
        if let Some(group) = &mut self.in_browser {
            group.clear(site, admin, log).await;
        }
        self.log_out_admin(site).await;
    }

    fn groups(&self) -> impl Iterator<Item = &Group> {
        std::iter::once(&self.group).chain(&self.in_browser)
    }

    async fn log_out_admin(&self, site: &Site) {
        if let Some(admin) = self.admin.as_ref().filter(|admin| admin.logged_in) {
            let _ = site.post("users/logout").by(&admin.token).done().await;
        }
    }
}

impl Group {
    fn new() -> Self {
        Self { first: Person::new("first"), second: Person::new("second"), team: None }
    }

    async fn clear(&mut self, site: &Site, admin: Option<&Secret>, log: &Log<'_>) {
        for person in [&mut self.first, &mut self.second] {
            // Created in the browser, or the answer was lost. If it does not exist, there is nothing to do.
            if person.attempted && person.token.is_none() {
                let _ = person.log_in(site).await;
            }
        }
        if let Some(team) = &self.team
            && let Err(fault) = archive(site, team, &self.first, admin).await
        {
            log.note(checks::CLEAN_UP, format!("the team `{}` was not removed: {fault}", team.name));
        }
        tokio::join!(self.first.deactivate(site, admin, log), self.second.deactivate(site, admin, log));
    }
}

async fn archive(site: &Site, team: &NewTeam, owner: &Person, admin: Option<&Secret>) -> Result<(), Fault> {
    let token = match admin {
        Some(token) => token,
        None => owner.token()?,
    };
    let id = match &team.id {
        Some(id) => id.clone(),
        // The answer was lost. If the team does not exist, there is nothing to do.
        None => match site.get(&format!("teams/name/{}", team.name)).by(token).json::<Team>().await {
            Ok(team) => team.id,
            Err(_) => return Ok(()),
        },
    };
    site.delete(&format!("teams/{id}")).by(token).done().await
}

impl Person {
    async fn deactivate(&self, site: &Site, admin: Option<&Secret>, log: &Log<'_>) {
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
                    Err(_) => "users may not deactivate themselves on this server".to_owned(),
                }
            }
        };
        let fix = "deactivate it in the System Console, or give --admin-token next time";
        log.note(checks::CLEAN_UP, format!("the account `{}` was not removed: {why}; {fix}", self.name));
        self.log_out(site).await;
    }

    async fn log_out(&self, site: &Site) {
        if let Some(token) = &self.token {
            let _ = site.post("users/logout").by(token).done().await;
        }
    }
}
