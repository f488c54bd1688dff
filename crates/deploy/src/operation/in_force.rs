//! The services that a deployment uses - mail server, GitLab, load balancer - as its settings name them, for a live check.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use services::Trust;
use services::front::{Front, Login};
use services::gitlab::GitLab;
use services::mail::{MailServer, Security};
use settings::{Resolved, Undeclared};

use crate::action::{channel, signs_in_by_name, standing_password, verifier_login};
use crate::error::{Error, Exit};
use crate::local::{self, Account, LocalChannel};
use crate::state::config_file;
use crate::state::config_file::ConfigFiles;
use crate::state::settled::settings_of;
use crate::world::World;

/// How long a mail dialogue may take; the server's own limit is shorter (EmailSettings.SMTPServerTimeout, 10 s).
const MAIL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long each HTTP request of a check may take.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);

/// The server's configuration: the deployment's config.json as the next `up` leaves it.
pub struct InForce {
    config: Value,
}

impl InForce {
    /// Reads the configuration of the deployment, or of a new one where there is none yet.
    ///
    /// # Errors
    /// A setting is wrong; config.json cannot be read.
    pub fn read(world: &World) -> Result<Self, Error> {
        let release = crate::present_release(&world.layout);
        let resolved: Resolved = settings_of(world, &crate::wanted_file(&world.layout)?, &release)?;
        let config = ConfigFiles::read(&world.layout, &release)?;
        let next = settings::reconcile(&resolved, &[], config.present(), Undeclared::GoesBack);
        Ok(Self { config: next.config })
    }

    fn value(&self, section: &str, key: &str) -> &Value {
        &self.config[section][key]
    }

    fn text(&self, section: &str, key: &str) -> String {
        match self.value(section, key) {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        }
    }

    /// A text that the check cannot do without; `variable` is the usual way to give it.
    fn needed(&self, section: &str, key: &str, variable: &str) -> Result<String, Error> {
        let text = self.text(section, key);
        if text.is_empty() {
            return Err(Error::new(Exit::Settings, format!("{section}.{key} is not set"))
                .hint(format!("give it with {variable}, or under [mattermost.{section}] in mainstay.toml")));
        }
        Ok(text)
    }

    fn trust(&self, skips: bool) -> Trust {
        if skips { Trust::Anything } else { Trust::System }
    }

    /// The site's name, for a subject line.
    pub fn site_name(&self) -> String {
        match self.text("TeamSettings", "SiteName") {
            name if name.is_empty() => "Mattermost".to_owned(),
            name => name,
        }
    }

    fn site_url(&self) -> Result<String, Error> {
        Ok(self.needed("ServiceSettings", "SiteURL", "`site_url`")?.trim_end_matches('/').to_owned())
    }

    /// The mail server, as Mattermost would use it.
    ///
    /// # Errors
    /// Host or sender is not set; the port is no port.
    pub fn mail_server(&self) -> Result<MailServer, Error> {
        const SECTION: &str = "EmailSettings";
        let port = match self.text(SECTION, "SMTPPort") {
            port if port.is_empty() => "25".to_owned(),
            port => port,
        };
        let port = port.parse().map_err(|_| {
            Error::new(
                Exit::Settings,
                format!("{SECTION}.SMTPPort is `{port}`; allowed: a port from 1 to 65535"),
            )
        })?;
        // An account is used only where the server is told to (EnableSMTPAuth).
        let logs_in = self.value(SECTION, "EnableSMTPAuth") == true;
        let username = if logs_in { self.text(SECTION, "SMTPUsername") } else { String::new() };
        let greeting = self.site_url().ok().and_then(|url| url::Url::parse(&url).ok());
        Ok(MailServer {
            host: self.needed(SECTION, "SMTPServer", "SMTP_HOST")?,
            port,
            security: Security::named(&self.text(SECTION, "ConnectionSecurity")),
            username,
            password: SecretString::from(self.text(SECTION, "SMTPPassword")),
            trust: self.trust(self.value(SECTION, "SkipServerCertificateVerification") == true),
            greeting: greeting.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default(),
            from_name: self.text(SECTION, "FeedbackName"),
            from: self.needed(SECTION, "FeedbackEmail", "MATTERMOST_EMAIL")?,
            reply_to: self.text(SECTION, "ReplyToAddress"),
            timeout: MAIL_TIMEOUT,
        })
    }

    /// GitLab as the place to sign in.
    ///
    /// # Errors
    /// Something that sign-in needs is not set.
    pub fn gitlab(&self) -> Result<GitLab, Error> {
        const SECTION: &str = "GitLabSettings";
        Ok(GitLab {
            id: self.needed(SECTION, "Id", "GITLAB_ID")?,
            secret: SecretString::from(self.needed(SECTION, "Secret", "GITLAB_SECRET")?),
            scope: self.text(SECTION, "Scope"),
            auth_endpoint: self.needed(SECTION, "AuthEndpoint", "GITLAB_AUTH_ENDPOINT")?,
            token_endpoint: self.needed(SECTION, "TokenEndpoint", "GITLAB_TOKEN_ENDPOINT")?,
            user_api_endpoint: self.needed(SECTION, "UserAPIEndpoint", "GITLAB_API_ENDPOINT")?,
            redirect_uri: format!("{}/signup/gitlab/complete", self.site_url()?),
            trust: self.trust(self.value("ServiceSettings", "EnableInsecureOutgoingConnections") == true),
            timeout: HTTP_TIMEOUT,
        })
    }

    /// The load balancer in front, looked at through the site URL, signed in as the acceptance test does.
    ///
    /// # Errors
    /// The site URL is not set.
    pub fn front(&self, probe: Option<&Probe>) -> Result<Front, Error> {
        const DEFAULT_MAX_FILE_SIZE: u64 = 100 << 20;
        Ok(Front {
            public_url: self.site_url()?,
            http_port: 80,
            max_body: self.value("FileSettings", "MaxFileSize").as_u64().unwrap_or(DEFAULT_MAX_FILE_SIZE),
            login: probe.map(|probe| probe.login.clone()),
            // The edge says https for such a site, and the site URL has just been checked to be one or is refused by the check.
            knows_https: true,
            trust: Trust::System,
            timeout: HTTP_TIMEOUT,
        })
    }
}

/// An account that a live check signs in with: the first standing one of the acceptance test, active meanwhile.
pub struct Probe {
    login: Login,
    /// What is deactivated afterwards.
    active: Option<(LocalChannel, Account)>,
}

impl Probe {
    /// Makes it ready; `None` = the deployment does not run, or no acceptance test has made the account yet.
    ///
    /// # Errors
    /// The server does not let it.
    pub async fn enter(world: &World) -> Result<Option<Self>, Error> {
        if !world.layout.secrets().exists() {
            return Ok(None);
        }
        let password = world.secrets()?.verifier_password;
        if local::socket(&world.layout)?.is_none() {
            let login = Login { id: verifier_login(&world.layout)?.to_owned(), password };
            return Ok(Some(Self { login, active: None }));
        }
        let Ok(channel) = channel(world).await else { return Ok(None) };
        let Some(account) = channel.named(STANDING).await? else { return Ok(None) };
        channel.set_active(&account, true).await?;
        let config = config_file::read(&world.layout.config())?;
        let id = if signs_in_by_name(&config) { account.username.clone() } else { account.email.clone() };
        let login = Login { id, password: standing_password(password.expose_secret()).into() };
        Ok(Some(Self { login, active: Some((channel, account)) }))
    }

    /// Deactivates the account again.
    ///
    /// # Errors
    /// The server does not let it.
    pub async fn leave(self) -> Result<(), Error> {
        match self.active {
            Some((channel, account)) => channel.set_active(&account, false).await,
            None => Ok(()),
        }
    }
}

/// The user name of the first standing account.
const STANDING: &str = "acceptance-first";
