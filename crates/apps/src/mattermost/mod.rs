//! A Mattermost server and its Apps plugin: whether apps can be installed there, and installing them.
//!
//! The plugin's REST interface is under `plugins/com.mattermost.apps/api/v1` of the site. It answers errors as plain text.

mod host;
mod standing;
mod steps;

use std::time::Duration;

use finding::{Exit, Peer, Unreached};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::Error;
pub use host::{Host, PLUGIN};
pub use standing::{Installed, Listed, Standing};
pub use steps::{Change, Step, Wish, is_private, plan};

/// How long one answer may take: the plugin itself waits 30 s for an app.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most bytes of one answer.
const LARGEST: usize = 8 << 20;
/// The most characters of an error's text that are shown.
const SHOWN: usize = 400;

/// A Mattermost server.
#[derive(Debug)]
pub struct Mattermost {
    base: Url,
    client: Client,
    token: Option<SecretString>,
    signed_in: bool,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The JSON of an answer that is one.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The text of an error, on one line: Mattermost's own errors are JSON, the plugin's are text.
    pub(crate) fn text(&self) -> String {
        let message = self.json().and_then(|body| Some(body.get("message")?.as_str()?.to_owned()));
        let text = message.unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned());
        let text: Vec<&str> = text
            .split(|letter: char| letter.is_whitespace() || letter.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        text.join(" ").chars().take(SHOWN).collect()
    }
}

impl Mattermost {
    /// The server at this site URL.
    ///
    /// # Errors
    /// This machine has no usable certificates of authorities.
    pub fn new(site: &Url) -> Result<Self, Error> {
        let mut base = site.clone();
        base.set_query(None);
        base.set_fragment(None);
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")));
        // Without TLS, a machine without certificates of authorities is enough; and no proxy lies on the way to this machine.
        let client = if base.scheme() == "http" { client.tls_certs_only([]) } else { client };
        let client = client
            .build()
            .map_err(|error| Error::new(Exit::NotReady, format!("no HTTP client can be made: {error}")))?;
        Ok(Self { base, client, token: None, signed_in: false })
    }

    /// The site URL.
    pub fn site(&self) -> &Url {
        &self.base
    }

    /// With the token of a system administrator.
    #[must_use]
    pub fn with_token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// Signs in; [`Self::sign_out`] ends the session.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses name and password.
    pub async fn sign_in(mut self, name: &str, password: &SecretString) -> Result<Self, Error> {
        let body = json!({"login_id": name, "password": password.expose_secret()});
        let request = self.client.post(self.url("api/v4/users/login")).json(&body);
        let response = request.send().await.map_err(|error| self.unreached(&error))?;
        let token = response.headers().get("token").and_then(|token| token.to_str().ok());
        let token = token.filter(|_| response.status() == StatusCode::OK).map(str::to_owned);
        let Some(token) = token else {
            let status = response.status();
            return Err(Error::new(
                Exit::NotReady,
                format!("{} does not let `{name}` sign in with the password of secrets.toml ({status})", self.base),
            )
            .hint(
                "the password was changed since: name a file with an administrator's access token (`--token FILE`), or set MM_ADMIN_TOKEN",
            ));
        };
        self.token = Some(token.into());
        self.signed_in = true;
        Ok(self)
    }

    /// Ends the session that [`Self::sign_in`] began; a token that was given stays valid.
    pub async fn sign_out(self) {
        if self.signed_in {
            // The session ends by itself as well.
            let _ = self.ask(Method::POST, "api/v4/users/logout", None).await;
        }
    }

    /// What this server can do with apps.
    ///
    /// # Errors
    /// The server cannot be reached, or is no Mattermost.
    pub async fn host(&self) -> Result<Host, Error> {
        let ping = self.ask(Method::GET, "api/v4/system/ping", None).await?;
        if ping.status != StatusCode::OK || ping.json().is_none_or(|body| body.get("status").is_none()) {
            return Err(Error::new(
                Exit::NotReady,
                format!("{} does not answer as a Mattermost does ({})", self.base, ping.status),
            )
            .hint("check the site URL: it is what people type, with its path"));
        }
        let config = self.ask(Method::GET, "api/v4/config/client?format=old", None).await?;
        let plugin = self.plugin(Method::POST, "ping", None).await?;
        Ok(host::decide(&host::Seen {
            config: config.json().unwrap_or_default(),
            status: plugin.status,
            plugin: plugin.json().and_then(|body| Some(body.get("version")?.as_str()?.to_owned())),
        }))
    }

    /// What the server knows of an app.
    ///
    /// # Errors
    /// The server cannot be reached, refuses the token, or answers something else.
    pub async fn standing(&self, app_id: &str) -> Result<Standing, Error> {
        let listed = self.plugin(Method::GET, "marketplace", None).await?;
        let listed = match listed.status {
            StatusCode::OK => standing::listed(app_id, &listed.json().unwrap_or_default()),
            _ => return Err(self.refused("list the apps", &listed)),
        };
        let installed = self.plugin(Method::GET, &format!("apps/{app_id}"), None).await?;
        let installed = match installed.status {
            StatusCode::OK => standing::installed(&installed.json().unwrap_or_default()),
            StatusCode::NOT_FOUND => None,
            _ => return Err(self.refused("look at the app", &installed)),
        };
        Ok(Standing { listed, installed })
    }

    /// Does one step of a plan.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    pub async fn run(&self, app_id: &str, step: &Step) -> Result<(), Error> {
        let (path, body) = step.call(app_id);
        let answer = self.plugin(Method::POST, path, Some(&body)).await?;
        if answer.status.is_success() { Ok(()) } else { Err(self.refused(&step.to_string(), &answer)) }
    }

    async fn plugin(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Error> {
        self.ask(method, &format!("plugins/{PLUGIN}/api/v1/{path}"), body).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Error> {
        let mut request = self.client.request(method, self.url(path));
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
                .map_err(|_| Error::new(Exit::Usage, "the token has characters that no token has"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|error| self.unreached(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.unreached(&error))? {
            if body.len() + part.len() > LARGEST {
                let what = format!("{} answered more than {} MiB", self.base, LARGEST >> 20);
                return Err(Error::new(Exit::NotReady, what));
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status, body })
    }

    fn url(&self, path: &str) -> Url {
        // The path is ours, or an id whose characters are checked.
        self.base.join(path).unwrap_or_else(|_| self.base.clone())
    }

    fn unreached(&self, error: &reqwest::Error) -> Error {
        let host = self.base.host_str().unwrap_or_default();
        let place = format!("{host}:{}", self.base.port_or_known_default().unwrap_or_default());
        let unreached = if error.is_timeout() {
            Unreached::TimedOut(Some(PATIENCE))
        } else {
            Unreached::of(error, Some(PATIENCE))
        };
        let finding = unreached.finding(&Peer { host, place: &place, service: "Mattermost" });
        Error::new(Exit::NotReady, finding.what).hint(format!("{}; {}", finding.cause, finding.fix))
    }

    /// Why the plugin does not do what it was asked, and what to do. Its own words are kept: people search for them.
    fn refused(&self, what: &str, answer: &Answer) -> Error {
        let text = answer.text();
        let hint = hint(answer.status, &text, self.token.is_some());
        let exit = match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Refused,
            _ => Exit::NotReady,
        };
        let said = if text.is_empty() { String::new() } else { format!(": {text}") };
        Error::new(exit, format!("Mattermost did not {what} ({}){said}", answer.status)).hint(hint)
    }
}

/// What to do about an error of the plugin. The texts are those of its versions 1.0 to 1.2.
fn hint(status: StatusCode, text: &str, has_token: bool) -> &'static str {
    const KNOWN: [(&str, &str); 6] = [
        (
            "is not configured on this Mattermost server",
            "the Mattermost server itself needs the credentials to call the functions: set MM_APPS_AWS_ACCESS_KEY, MM_APPS_AWS_SECRET_KEY, \
             MM_APPS_AWS_REGION and MM_APPS_S3_BUCKET in its environment (`mainstay apps aws init --create-access-key` makes the keys), and \
             restart it",
        ),
        (
            "/ping path is not accessible",
            "Mattermost cannot call the app: it must answer POST /ping. Check that it is deployed in the region that MM_APPS_AWS_REGION of the \
             server says; an app of HTTP on a private network must be in ServiceSettings.AllowedUntrustedInternalConnections",
        ),
        (
            "failed to find manifest",
            "the server does not list the app yet: name its bundle, `mainstay apps install --bundle BUNDLE`",
        ),
        (
            "app does not support",
            "the server lists the app without this way of deploying it: list it again with `mainstay apps install --bundle BUNDLE`",
        ),
        ("is disabled by the administrator", "enable it: `mainstay apps enable ID`"),
        (
            "icon",
            "the app must serve the icon that its manifest names, with 200; on AWS the name has no `/` in front",
        ),
    ];
    if let Some((_, hint)) = KNOWN.iter().find(|(words, _)| text.contains(words)) {
        return hint;
    }
    match status {
        StatusCode::UNAUTHORIZED if has_token => {
            "the token must be valid and belong to a system administrator: make one in Mattermost (Profile, Security, Personal Access Tokens)"
        }
        StatusCode::UNAUTHORIZED => {
            "name a file with a system administrator's access token (`--token FILE`), or set MM_ADMIN_TOKEN"
        }
        StatusCode::FORBIDDEN => "the account of the token must be a system administrator",
        _ => "the server's log says more: `mainstay logs server`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_shown_on_one_line_and_its_remedy_is_known() {
        let answer =
            |body: &str| Answer { status: StatusCode::INTERNAL_SERVER_ERROR, body: body.as_bytes().to_vec() };
        assert_eq!(answer("1 error occurred:\n\t* bad\u{1b}[2J\n").text(), "1 error occurred: * bad [2J");
        assert_eq!(answer(r#"{"message":"No such path"}"#).text(), "No such path");
        let text = "failed to install the app: deployment type \"AWS Lambda\" is not configured on this Mattermost server";
        assert!(hint(StatusCode::INTERNAL_SERVER_ERROR, text, true).contains("MM_APPS_AWS_ACCESS_KEY"));
        assert!(hint(StatusCode::UNAUTHORIZED, "", false).contains("MM_ADMIN_TOKEN"));
    }
}
