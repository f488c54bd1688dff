//! The administrator, who is there before anybody else can connect.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use plan::{Progress, Step, Undo};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use settings::{Secrets, VERIFIER};

use super::{Action, step};
use crate::control::health::{self, client};
use crate::control::protocol::{Ask, ServerSpec};
use crate::error::{Error, Exit, reason};
use crate::local::{Account, LocalChannel};
use crate::place::layout::Layout;
use crate::world::World;

/// Sees to it that the deployment has an administrator who can sign in, before the edge opens: a server on the network gives the role to
/// whoever comes first.
///
/// Over the server's local channel, which nobody can lock. Releases before 5.24 have none: there the first account is made by REST on
/// loopback, and a second administrator, [`VERIFIER`], with it, for the acceptance test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Administrator {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// The administrator's mail address; the other account is beside it.
    pub email: String,
}

impl Administrator {
    pub(crate) fn step(self) -> Step<Action> {
        step("administrator", "Check the administrator account", Undo::Nothing, 300, self)
    }

    pub(super) async fn apply(&self, world: &World, progress: &Progress) -> Result<Value, Error> {
        let secrets = world.secrets()?;
        if let Some(channel) = Box::pin(LocalChannel::open(&world.layout)).await? {
            self.as_usual(world).await?;
            return Box::pin(self.over(&channel, world, &secrets, progress)).await.map(|()| Value::Null);
        }
        let usual = self.as_usual(world).await?;
        let server = Server { base: usual.base(), client: client(&usual, Duration::from_secs(30))? };
        let config = crate::state::config_file::read(&world.layout.config())?;
        if server.log_in(verifier_of(&config), &secrets.verifier_password).await?.is_some() {
            return Ok(Value::Null);
        }
        if !is_closed_to_the_first(&config) {
            let admin = if signs_in_by_name(&config) { &secrets.admin_name } else { &self.email };
            return self.create(&server, &secrets, admin).await.map(|()| Value::Null);
        }
        let mut open = usual.clone();
        open.overrides = open_to_the_first(&self.email);
        start(world, open).await?;
        let created = self.create(&server, &secrets, &self.email).await;
        start(world, usual).await?;
        created.map(|()| Value::Null)
    }

    /// Looks over the local channel. Whoever administers a deployment may rename, replace and deactivate administrators; only the last
    /// one's place is filled.
    async fn over(
        &self,
        channel: &LocalChannel,
        world: &World,
        secrets: &Secrets,
        progress: &Progress,
    ) -> Result<(), Error> {
        retire_verifier(channel, progress).await?;
        let administrators = channel.accounts(true).await?;
        if administrators.iter().any(Account::is_active) {
            return Ok(());
        }
        let name = &secrets.admin_name;
        let account = match channel.named(name).await? {
            Some(account) => account,
            None => {
                let config = crate::state::config_file::read(&world.layout.config())?;
                let domain = self.email.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
                let email = accepted_address(name, &format!("{name}@{domain}"), &config);
                let made = channel.create(name, &email, &secrets.admin_password).await?;
                made.map_err(|refusal| refusal.error(&format!("create the administrator `{name}`")))?
            }
        };
        if !account.is_active() {
            channel.set_active(&account, true).await?;
            progress.say(format!("no administrator was active: `{name}` is again"));
        }
        if !account.is_administrator() {
            channel.set_roles(&account, "system_user system_admin").await?;
        }
        Ok(())
    }

    /// The running server, as it is meant to be: a kill may have left it open to the first.
    async fn as_usual(&self, world: &World) -> Result<ServerSpec, Error> {
        let status = world.agent.status().await?;
        let spec = status.as_ref().and_then(|status| status.server()).map(|server| server.spec.clone());
        let mut spec = spec.ok_or_else(|| Error::not_ready("the server does not run"))?;
        if !spec.overrides.is_empty() {
            spec.overrides.clear();
            start(world, spec.clone()).await?;
        }
        Ok(spec)
    }

    /// Creates both accounts; `admin` is what the first signs in with.
    async fn create(&self, server: &Server, secrets: &Secrets, admin: &str) -> Result<(), Error> {
        let created = server.create(&secrets.admin_name, &self.email, &secrets.admin_password, None).await?;
        let Some(token) = server.log_in(admin, &secrets.admin_password).await? else {
            let why = created.err().unwrap_or_else(|| "it was created and cannot sign in".to_owned());
            return Err(Error::new(Exit::NotReady, format!("no account of secrets.toml can sign in: {why}")).hint(
                format!("give the account `{VERIFIER}` the verifier_password of secrets.toml, in the System Console"),
            ));
        };
        if let Ok(id) = created {
            server.verify_address(&id, &token).await;
        }
        let verifier =
            server.create(VERIFIER, VERIFIER_EMAIL, &secrets.verifier_password, Some(&token)).await?;
        let promoted = match verifier {
            Ok(id) => server.promote(&id, &token).await,
            Err(why) => {
                Err(Error::not_ready(format!("the account `{VERIFIER}` could not be created: {why}")))
            }
        };
        server.log_out(&token).await;
        promoted
    }

    #[allow(clippy::unused_async, reason = "every action has the same shape")]
    pub(super) async fn undo(&self, _: &World, _: Option<&Value>) -> Result<(), Error> {
        // The accounts go with the fresh database that they were made in.
        Ok(())
    }
}

/// The administrator that earlier versions made for the acceptance test has nothing to do any more: it loses the role and is deactivated.
async fn retire_verifier(channel: &LocalChannel, progress: &Progress) -> Result<(), Error> {
    let Some(verifier) = channel.named(VERIFIER).await?.filter(|account| account.email == VERIFIER_EMAIL)
    else {
        return Ok(());
    };
    if verifier.is_administrator() {
        channel.set_roles(&verifier, "system_user").await?;
    }
    if verifier.is_active() {
        channel.set_active(&verifier, false).await?;
        progress.say(format!("the account `{VERIFIER}` is not needed any more, and is deactivated"));
    }
    Ok(())
}

/// `email`, or an address of that name inside the domains that the server accepts.
pub(crate) fn accepted_address(name: &str, email: &str, config: &Value) -> String {
    let domains = config["TeamSettings"]["RestrictCreationToDomains"].as_str().unwrap_or_default();
    let mut accepted =
        domains.split([' ', ',', '@']).map(str::trim).filter(|domain| !domain.is_empty()).peekable();
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    match accepted.peek().copied() {
        Some(first) if !accepted.any(|one| one.eq_ignore_ascii_case(domain)) => format!("{name}@{first}"),
        _ => email.to_owned(),
    }
}

/// The mail address of the account that the acceptance test signed in as, and still does on releases before 5.24.
const VERIFIER_EMAIL: &str = "mainstay-verifier@localhost";

/// What that account signs in with, name or address, as the deployment's server allows.
///
/// # Errors
/// config.json cannot be read.
pub(crate) fn verifier_login(layout: &Layout) -> Result<&'static str, Error> {
    Ok(verifier_of(&crate::state::config_file::read(&layout.config())?))
}

fn verifier_of(config: &Value) -> &'static str {
    if signs_in_by_name(config) { VERIFIER } else { VERIFIER_EMAIL }
}

/// Whether the server lets people sign in with their names. docker-mattermost's default does not.
pub(crate) fn signs_in_by_name(config: &Value) -> bool {
    config["EmailSettings"]["EnableSignInWithUsername"] != false
}

/// Whether a setting keeps even the first account from being made, or from signing in.
fn is_closed_to_the_first(config: &Value) -> bool {
    let (mail, team) = (&config["EmailSettings"], &config["TeamSettings"]);
    mail["RequireEmailVerification"] == true
        || mail["EnableSignUpWithEmail"] == false
        || team["EnableUserCreation"] == false
        || team["RestrictCreationToDomains"].as_str().is_some_and(|domains| !domains.is_empty())
}

/// What lets the account with this address in all the same. The edge is not open yet.
fn open_to_the_first(email: &str) -> BTreeMap<String, String> {
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    let overrides = [
        ("MM_EMAILSETTINGS_REQUIREEMAILVERIFICATION", "false"),
        ("MM_EMAILSETTINGS_ENABLESIGNUPWITHEMAIL", "true"),
        ("MM_EMAILSETTINGS_ENABLESIGNINWITHEMAIL", "true"),
        ("MM_TEAMSETTINGS_ENABLEUSERCREATION", "true"),
        ("MM_TEAMSETTINGS_RESTRICTCREATIONTODOMAINS", domain),
    ];
    overrides.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Has the agent run this server in place of the one that runs, and waits until it is well.
async fn start(world: &World, spec: ServerSpec) -> Result<(), Error> {
    world.agent.ask(&Ask::start_server(spec.clone()), START_PATIENCE).await?;
    health::wait(world, &spec, START_PATIENCE, None).await
}

/// How long a server that ran a moment ago may take to run again.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// The server, asked on loopback.
struct Server {
    base: String,
    client: reqwest::Client,
}

impl Server {
    fn url(&self, route: &str) -> String {
        format!("{}/api/v4/{route}", self.base)
    }

    /// A session's token, or `None` when the server refuses the login.
    async fn log_in(&self, id: &str, password: &SecretString) -> Result<Option<String>, Error> {
        let login = json!({"login_id": id, "password": password.expose_secret()});
        let answer = self
            .client
            .post(self.url("users/login"))
            .json(&login)
            .send()
            .await
            .map_err(|error| away(&error))?;
        let token = answer.headers().get("token").and_then(|token| token.to_str().ok()).map(str::to_owned);
        Ok(token.filter(|_| answer.status().is_success()))
    }

    /// The id of a new account, or why the server refuses it.
    async fn create(
        &self,
        name: &str,
        email: &str,
        password: &SecretString,
        token: Option<&str>,
    ) -> Result<Result<String, String>, Error> {
        let mut account = json!({"email": email, "username": name, "password": password.expose_secret()});
        // Nobody reads its mail.
        account["email_verified"] = token.is_some().into();
        let mut request = self.client.post(self.url("users")).json(&account);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|error| away(&error))?;
        let created = answer.status() == 201;
        let body: Value = answer.json().await.unwrap_or_default();
        let text = |key: &str| body[key].as_str().unwrap_or("the server did not say why").to_owned();
        Ok(if created { Ok(text("id")) } else { Err(text("message")) })
    }

    /// Marks the address as right. A server that does not know how asks its owner for it.
    async fn verify_address(&self, id: &str, token: &str) {
        let request = self.client.post(self.url(&format!("users/{id}/email/verify/member")));
        let _ = request.bearer_auth(token).send().await;
    }

    async fn promote(&self, id: &str, token: &str) -> Result<(), Error> {
        let roles = json!({"roles": "system_user system_admin"});
        let request = self.client.put(self.url(&format!("users/{id}/roles"))).bearer_auth(token).json(&roles);
        let answer = request.send().await.map_err(|error| away(&error))?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(Error::not_ready(format!(
            "`{VERIFIER}` could not be made an administrator: status {}",
            answer.status()
        )))
    }

    /// A session less; one that stays harms nobody and ends by itself.
    async fn log_out(&self, token: &str) {
        let _ = self.client.post(self.url("users/logout")).bearer_auth(token).send().await;
    }
}

fn away(error: &reqwest::Error) -> Error {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let why = cause.map_or_else(|| error.to_string(), reason);
    Error::not_ready(format!("the server stopped answering: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_administrators_address_is_one_that_the_server_accepts() {
        let config = |domains: &str| json!({"TeamSettings": {"RestrictCreationToDomains": domains}});
        let address = |domains| accepted_address("admin", "admin@chat.example.com", &config(domains));
        assert_eq!(address(""), "admin@chat.example.com");
        assert_eq!(address("corp.example, other.example"), "admin@corp.example");
        assert_eq!(address("@corp.example chat.EXAMPLE.com"), "admin@chat.example.com");
    }
}
