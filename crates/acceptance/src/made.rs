//! What the test has created, and what it found out about the server.

use crate::authority::Authority;
use crate::checks;
use crate::log::Log;
use crate::person::Person;
use crate::secret::Secret;
use crate::site::Site;
use crate::target::{Admin, Target};
use crate::wire::ClientConfig;

/// Everything that this run has created, and what it found out about the server.
#[derive(Debug)]
pub(crate) struct Made {
    pub group: Group,
    /// The users of the browser test, if it runs.
    pub in_browser: Option<Group>,
    /// The one who signs up as a stranger would, where sign-up is open.
    pub stranger: Option<Person>,
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
    /// The post that the others are replies to, with its channel.
    pub root: Option<(String, String)>,
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
    /// Only addresses in certain domains can sign up.
    pub restricts_domains: bool,
    /// A password needs more than 64 characters.
    pub long_passwords: bool,
    /// Anybody signs in with a password. Where nobody does, the test's users get a personal access token.
    pub by_password: bool,
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
    /// It stays for the next test.
    pub standing: bool,
}

#[derive(Debug)]
pub(crate) struct AdminSession {
    pub authority: Authority,
    /// The token of a session that the test opened, so that it ends it.
    opened: Option<Secret>,
}

impl Made {
    pub(crate) fn new(target: &Target) -> Self {
        let group = if matches!(target.admin, Admin::None) {
            Group::new()
        } else {
            let standing = |which| Person::standing(which, target.password.as_ref());
            Group { first: standing("first"), second: standing("second"), team: None, root: None }
        };
        Self {
            group,
            in_browser: target.browser.is_some().then(Group::new),
            stranger: None,
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

    pub(crate) fn act_as(&mut self, authority: Authority) {
        self.admin = Some(AdminSession { authority, opened: None });
    }

    pub(crate) fn admin_session(&mut self, token: Secret) {
        let authority = Authority::Session(token.clone());
        self.admin = Some(AdminSession { authority, opened: Some(token) });
    }

    /// The administrator, if there is one.
    pub(crate) fn authority(&self) -> Option<&Authority> {
        self.admin.as_ref().map(|admin| &admin.authority)
    }

    /// Lengthens the passwords for a server whose rule asks for more than 64 characters. 72 is the most that it allows.
    pub(crate) fn lengthen_passwords(&mut self) {
        let browsers = self.in_browser.iter_mut().flat_map(|group| [&mut group.first, &mut group.second]);
        [&mut self.group.first, &mut self.group.second]
            .into_iter()
            .chain(browsers)
            .for_each(Person::lengthen_password);
    }

    /// Whether anything may have been created.
    pub(crate) fn used(&self) -> bool {
        self.admin.is_some() || self.people().any(|person| person.attempted)
    }

    fn people(&self) -> impl Iterator<Item = &Person> {
        self.groups().flat_map(|group| [&group.first, &group.second]).chain(&self.stranger)
    }

    /// Names what is kept, and ends the sessions.
    pub(crate) async fn keep(&self, site: &Site, log: &Log<'_>) {
        for group in self.groups().filter(|group| group.first.attempted || group.second.attempted) {
            let team = group.team.as_ref().map(|team| format!(", team `{}`", team.name)).unwrap_or_default();
            let names = [&group.first, &group.second].map(|person| format!("`{}`", person.name));
            log.note(checks::CLEAN_UP, format!("kept: accounts {}{team}", names.join(" and ")));
        }
        for person in self.people() {
            person.log_out(site).await;
        }
        self.log_out_admin(site).await;
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        std::iter::once(&self.group).chain(&self.in_browser)
    }

    pub(crate) async fn log_out_admin(&self, site: &Site) {
        if let Some(token) = self.admin.as_ref().and_then(|admin| admin.opened.as_ref()) {
            let _ = site.post("users/logout").by(token).done().await;
        }
    }
}

impl Group {
    fn new() -> Self {
        Self { first: Person::new("first"), second: Person::new("second"), team: None, root: None }
    }
}
