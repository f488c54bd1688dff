//! The server's local channel: its administrator API on a Unix socket, for which nobody's password is needed.
//!
//! The socket lies in a directory of mode 0700 that the server's user owns, so that this user and root alone reach it. Whatever strangers
//! or administrators do to accounts, Mainstay gets in here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Exit, reason};
use crate::place::layout::Layout;
use crate::state::config_file;

/// How long the server may take to answer one request.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a server that has just become healthy may take to open the socket.
const OPENING: Duration = Duration::from_secs(10);

/// Accounts asked for at once; servers allow 200.
const PAGE: usize = 200;

/// The server, asked on its local channel.
#[derive(Debug, Clone)]
pub(crate) struct LocalChannel {
    client: reqwest::Client,
}

/// An account, as far as Mainstay looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// The user name.
    pub username: String,
    /// The mail address.
    #[serde(default)]
    pub email: String,
    /// Its roles, separated by spaces.
    #[serde(default)]
    pub roles: String,
    /// When it was deactivated, in ms since the epoch; 0 = it is active.
    #[serde(default, deserialize_with = "nullable")]
    pub delete_at: i64,
    /// Wrong passwords since the last sign-in, where the server says so.
    #[serde(default, deserialize_with = "nullable")]
    pub failed_attempts: i64,
}

fn nullable<'de, D: Deserializer<'de>>(value: D) -> Result<i64, D::Error> {
    Ok(Option::<i64>::deserialize(value)?.unwrap_or_default())
}

impl Account {
    /// Whether it may administer the server.
    pub fn is_administrator(&self) -> bool {
        self.roles.split_whitespace().any(|role| role == "system_admin")
    }

    /// Its roles with that of an administrator, or without it.
    pub(crate) fn roles_with(&self, administrator: bool) -> String {
        let others = self.roles.split_whitespace().filter(|role| *role != "system_admin");
        let mut roles = others.collect::<Vec<_>>();
        if roles.is_empty() {
            roles.push("system_user");
        }
        if administrator {
            roles.push("system_admin");
        }
        roles.join(" ")
    }

    /// Whether it can sign in.
    pub fn is_active(&self) -> bool {
        self.delete_at == 0
    }
}

/// A lock that wrong passwords put on an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLock {
    /// Whose.
    pub user_id: String,
    /// The address that it holds for; `None` = every address that nobody signed in from before, or every one at all.
    pub address: Option<String>,
    /// When it ends, in ms since the epoch; `None` = not by itself.
    pub until: Option<i64>,
}

/// Why the server refuses a request.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub status: u16,
    /// Mattermost's id of the error.
    pub id: String,
    pub message: String,
}

impl Refusal {
    /// As an error of this command, which wanted to do `what`.
    pub(crate) fn error(self, what: &str) -> Error {
        let Self { status, id, message } = self;
        Error::not_ready(format!("the server refuses to {what}: {message} ({status}, {id})"))
    }
}

/// Where the deployment's server opens its local channel; `None` = its config.json opens none (releases before 5.24, and deployments that
/// an earlier Mainstay started).
///
/// # Errors
/// config.json cannot be read.
pub(crate) fn socket(layout: &Layout) -> Result<Option<PathBuf>, Error> {
    let path = layout.local_socket();
    // Where config.json says nothing, the socket itself does: below the deployment's directory nobody else can have made it.
    let is_open = || path.starts_with(layout.root()) && path.exists();
    let config = match config_file::deployed(layout) {
        Ok(Some(config)) => config,
        Ok(None) => return Ok(is_open().then_some(path)),
        Err(_) if is_open() => return Ok(Some(path)),
        Err(error) => return Err(error),
    };
    let service = &config["ServiceSettings"];
    let opens =
        service["EnableLocalMode"] == true && service["LocalModeSocketLocation"].as_str() == path.to_str();
    Ok(opens.then_some(path))
}

/// Whether the server, which is well, opens a local channel and does not answer on it within `patience`. What its config.json says
/// is for others to find wrong.
pub(crate) async fn is_shut(layout: &Layout, patience: Duration) -> bool {
    let Ok(Some(socket)) = socket(layout) else { return false };
    connects(&socket, patience).await.is_err()
}

/// Waits until the server takes connections at its socket.
///
/// # Errors
/// It does not, within `patience`.
async fn connects(socket: &Path, patience: Duration) -> Result<(), tokio::time::error::Elapsed> {
    let connected = async {
        while tokio::net::UnixStream::connect(socket).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(patience, connected).await
}

impl LocalChannel {
    /// The channel of the deployment's server, which may still be opening it; `None` = it has none.
    ///
    /// # Errors
    /// It does not open.
    pub(crate) async fn open(layout: &Layout) -> Result<Option<Self>, Error> {
        let Some(socket) = socket(layout)? else { return Ok(None) };
        if connects(&socket, OPENING).await.is_err() {
            return Err(Error::not_ready(format!(
                "the server does not answer on its local channel, {}",
                socket.display()
            ))
            .hint("`mainstay logs server` says why; `mainstay up` starts it again"));
        }
        Self::at(&socket).map(Some)
    }

    fn at(socket: &Path) -> Result<Self, Error> {
        // There is no TLS on a socket, and a machine without certificates of authorities is enough.
        let client = reqwest::Client::builder().unix_socket(socket).no_proxy().tls_certs_only([]);
        let client = client.timeout(PATIENCE).build();
        client.map(|client| Self { client }).map_err(|error| Error::new(Exit::Bug, error.to_string()))
    }

    /// The answer's JSON. No body is ever logged: some servers answer with password hashes.
    async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Result<Value, Refusal>, Error> {
        let mut request = self.client.request(method, format!("http://local/api/v4/{path}"));
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| away(&error))?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        let text = |key: &str| body[key].as_str().unwrap_or_default().chars().take(200).collect::<String>();
        Ok(if status.is_success() {
            Ok(body)
        } else {
            Err(Refusal { status: status.as_u16(), id: text("id"), message: text("message") })
        })
    }

    async fn account(&self, path: &str) -> Result<Option<Account>, Error> {
        match self.ask(reqwest::Method::GET, path, None).await? {
            Ok(body) => Ok(serde_json::from_value(body).ok()),
            Err(Refusal { status: 404, .. }) => Ok(None),
            Err(refusal) => Err(refusal.error("show an account")),
        }
    }

    /// The account of this user name.
    pub(crate) async fn named(&self, name: &str) -> Result<Option<Account>, Error> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || !name.chars().all(is_name) {
            return Ok(None);
        }
        self.account(&format!("users/username/{}", name.to_lowercase())).await
    }

    /// Every account, or every administrator's, by name; at most 20 000.
    pub(crate) async fn accounts(&self, only_administrators: bool) -> Result<Vec<Account>, Error> {
        let mut accounts: Vec<Account> = Vec::new();
        let role = if only_administrators { "&role=system_admin" } else { "" };
        for page in 0..100 {
            let path = format!("users?page={page}&per_page={PAGE}{role}");
            let body = self.ask(reqwest::Method::GET, &path, None).await?;
            let body = body.map_err(|refusal| refusal.error("list accounts"))?;
            let some: Vec<Account> = serde_json::from_value(body).unwrap_or_default();
            let is_last = some.len() < PAGE;
            accounts.extend(some);
            if is_last {
                break;
            }
        }
        accounts.retain(|account| !only_administrators || account.is_administrator());
        accounts.sort_by(|one, other| one.username.cmp(&other.username));
        Ok(accounts)
    }

    /// The locks that hold now, by the built-in server; `None` = this server does not tell.
    pub(crate) async fn locks(&self) -> Result<Option<Vec<AccountLock>>, Error> {
        match self.ask(reqwest::Method::GET, "mainstay/locks", None).await? {
            Ok(locks) => Ok(serde_json::from_value(locks).ok()),
            Err(Refusal { status: 404 | 501, .. }) => Ok(None),
            Err(refusal) => Err(refusal.error("list the locks of accounts")),
        }
    }

    /// Makes an account whose address counts as right.
    pub(crate) async fn create(
        &self,
        name: &str,
        email: &str,
        password: &SecretString,
    ) -> Result<Result<Account, Refusal>, Error> {
        let account = json!({
            "email": email, "username": name, "password": password.expose_secret(), "email_verified": true,
            "disable_welcome_email": true
        });
        let made = match self.ask(reqwest::Method::POST, "users", Some(account)).await? {
            Ok(made) => made,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let account: Account = serde_json::from_value(made)
            .map_err(|error| Error::not_ready(format!("the server's answer is no account: {error}")))?;
        // A server that does not know the route has taken the address as right already.
        let _ = self
            .ask(reqwest::Method::POST, &format!("users/{}/email/verify/member", account.id), None)
            .await?;
        Ok(Ok(account))
    }

    pub(crate) async fn set_roles(&self, account: &Account, roles: &str) -> Result<(), Error> {
        let (path, body) = (format!("users/{}/roles", account.id), json!({ "roles": roles }));
        self.done(&path, body, &format!("change the roles of `{}`", account.username)).await
    }

    pub(crate) async fn set_active(&self, account: &Account, active: bool) -> Result<(), Error> {
        let what = if active { "activate" } else { "deactivate" };
        let (path, body) = (format!("users/{}/active", account.id), json!({ "active": active }));
        self.done(&path, body, &format!("{what} `{}`", account.username)).await
    }

    /// Sets a password without the old one. It ends a lock as well.
    pub(crate) async fn set_password(&self, account: &Account, password: &SecretString) -> Result<(), Error> {
        let path = format!("users/{}/password", account.id);
        let body = json!({ "new_password": password.expose_secret() });
        self.done(&path, body, &format!("set the password of `{}`", account.username)).await?;
        self.unlock(account).await.map(drop)
    }

    /// Ends a lock by wrong passwords. Answers whether the server has a way for that.
    pub(crate) async fn unlock(&self, account: &Account) -> Result<bool, Error> {
        let path = format!("users/{}/reset_failed_attempts", account.id);
        match self.ask(reqwest::Method::POST, &path, None).await? {
            Ok(_) => Ok(true),
            Err(Refusal { status: 404 | 405 | 501, .. }) => Ok(false),
            Err(refusal) => Err(refusal.error(&format!("unlock `{}`", account.username))),
        }
    }

    async fn done(&self, path: &str, body: Value, what: &str) -> Result<(), Error> {
        let done = self.ask(reqwest::Method::PUT, path, Some(body)).await?;
        done.map(drop).map_err(|refusal| refusal.error(what))
    }
}

fn away(error: &reqwest::Error) -> Error {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let why = cause.map_or_else(|| error.to_string(), reason);
    Error::not_ready(format!("the server stopped answering on its local channel: {why}"))
}
