//! GitLab for signing in: its three endpoints, requested as Mattermost does.
//!
//! Nobody signs in, so there is never a real code. The client secret can be checked all the same: GitLab refuses a made-up
//! code with `invalid_grant` only after it has accepted the client (RFC 6749 section 5.2). Whether the client may use the
//! redirect URI and the scope, GitLab says only after a login. Other providers say it at once, and then it is reported.

use std::time::Duration;

use bytes::Bytes;
use finding::{Check, Unreached, Verdict};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::exchange::{Answer, Caller, place};
use crate::mask::Mask;
use crate::trust::Trust;

/// A code that no provider has issued.
const MADE_UP: &str = "mainstay-check-of-the-endpoints";

/// How Mattermost is registered with a GitLab, and its endpoints.
#[derive(Debug, Clone)]
pub struct GitLab {
    /// The application's id (`GITLAB_ID`).
    pub id: String,
    /// The application's secret (`GITLAB_SECRET`).
    pub secret: SecretString,
    /// May be empty (`GITLAB_SCOPE`).
    pub scope: String,
    /// Normally `https://gitlab.example/oauth/authorize` (`GITLAB_AUTH_ENDPOINT`).
    pub auth_endpoint: String,
    /// Normally `https://gitlab.example/oauth/token` (`GITLAB_TOKEN_ENDPOINT`).
    pub token_endpoint: String,
    /// Normally `https://gitlab.example/api/v4/user` (`GITLAB_API_ENDPOINT`).
    pub user_api_endpoint: String,
    /// The site URL followed by `/signup/gitlab/complete`.
    pub redirect_uri: String,
    /// Which certificates are trusted.
    pub trust: Trust,
    /// The time limit of each of the three requests.
    pub timeout: Duration,
}

/// Checks the three endpoints at the same time. The checks are named `auth endpoint`, `token endpoint` and
/// `user API endpoint`.
pub async fn check(gitlab: &GitLab) -> Vec<Check> {
    let caller = Caller { trust: gitlab.trust.clone(), timeout: gitlab.timeout, accepts_invalid: false };
    let mask = Mask::of(&gitlab.secret);
    let client = Client { gitlab, caller: &caller, mask: &mask };
    let (auth, token, user) = tokio::join!(client.auth(), client.token(), client.user());
    let verdict = |result: Result<Verdict, Verdict>| result.unwrap_or_else(|failed| failed);
    vec![
        verdict(auth).on("auth endpoint"),
        verdict(token).on("token endpoint"),
        verdict(user).on("user API endpoint"),
    ]
}

/// An endpoint: its variable, and the usual end of its URL.
struct Endpoint {
    variable: &'static str,
    usual: &'static str,
}

const AUTH: Endpoint = Endpoint { variable: "GITLAB_AUTH_ENDPOINT", usual: "/oauth/authorize" };
const TOKEN: Endpoint = Endpoint { variable: "GITLAB_TOKEN_ENDPOINT", usual: "/oauth/token" };
const USER: Endpoint = Endpoint { variable: "GITLAB_API_ENDPOINT", usual: "/api/v4/user" };

impl Endpoint {
    fn wrong_path(&self, what: String) -> Verdict {
        let Self { variable, usual } = self;
        Verdict::failed(
            what,
            "the path is wrong, or another program answers for this host",
            format!("set {variable} to GitLab's address followed by {usual}"),
        )
    }

    fn url(&self, text: &str) -> Result<Url, Verdict> {
        let Self { variable, usual } = self;
        let fix = format!("set {variable} to GitLab's address followed by {usual}, with https://");
        let shown = text.escape_debug();
        let url = Url::parse(text).map_err(|error| {
            Verdict::failed(
                format!("\"{shown}\" is not a URL ({error})"),
                "it is incomplete or misspelt",
                &fix,
            )
        })?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(Verdict::failed(
                format!("\"{shown}\" is not an https:// URL"),
                "it is incomplete or misspelt",
                fix,
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            let cause = "Mattermost appends a question mark and its parameters";
            return Err(Verdict::failed(format!("\"{shown}\" has a query"), cause, fix));
        }
        Ok(url)
    }
}

/// Mattermost's part of the conversation.
struct Client<'a> {
    gitlab: &'a GitLab,
    caller: &'a Caller,
    mask: &'a Mask,
}

impl Client<'_> {
    async fn send(
        &self,
        endpoint: &Endpoint,
        url: &Url,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Verdict> {
        let answer = self.caller.send(url, request).await.map_err(|unreached| {
            let finding = place(url).finding(&unreached, "GitLab");
            Verdict::Found(match unreached {
                Unreached::NotTls => {
                    finding.fixed_by(format!("use http:// in {}, or the port for TLS", endpoint.variable))
                }
                _ => finding,
            })
        })?;
        if answer.status.is_server_error() {
            return Err(Verdict::failed(
                format!("{url} answers {}", answer.status),
                "GitLab is starting, or has an internal error",
                "wait and try again; if it fails again, read GitLab's log",
            ));
        }
        if let Some(to) = answer.redirect(url)
            && url.scheme() == "http"
            && (to.scheme(), to.host_str(), to.path()) == ("https", url.host_str(), url.path())
        {
            return Err(Verdict::failed(
                format!("{url} redirects to https"),
                "GitLab accepts only TLS; a token request that is redirected loses its body",
                format!("write https:// in {}", endpoint.variable),
            ));
        }
        Ok(answer)
    }

    /// The request for a code that a browser sends when somebody signs in by GitLab.
    async fn auth(&self) -> Result<Verdict, Verdict> {
        let GitLab { id, scope, auth_endpoint, redirect_uri, .. } = self.gitlab;
        let mut url = AUTH.url(auth_endpoint)?;
        let bare = url.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("state", MADE_UP);
        if !scope.is_empty() {
            url.query_pairs_mut().append_pair("scope", scope);
        }
        let answer = self.send(&AUTH, &url, Request::new(Full::default())).await?;
        let status = answer.status;

        if let Some(to) = answer.redirect(&url) {
            let sent_back = to.as_str().starts_with(redirect_uri.as_str());
            let error =
                to.query_pairs().find(|(name, _)| name == "error").map(|(_, error)| error.into_owned());
            return Ok(match error {
                Some(error) => self.refused(&error),
                None if sent_back => Verdict::passed("issues codes for this client and redirect URI"),
                None => Verdict::passed(format!(
                    "asks people to sign in first, at {}",
                    self.mask.shown(to.path())
                )),
            });
        }
        let text = answer.text().to_ascii_lowercase();
        if status.is_client_error() || text.contains("\"error\"") {
            let said = |words: &[&str]| words.iter().any(|word| text.contains(word));
            if said(&["redirect_uri", "redirect uri"]) {
                return Ok(self.refused("redirect_uri"));
            }
            if said(&["invalid_client", "unknown client", "client authentication failed"]) {
                return Ok(self.refused("invalid_client"));
            }
            if said(&["invalid_scope", "scope is invalid"]) {
                return Ok(self.refused("invalid_scope"));
            }
        }
        Ok(match status {
            StatusCode::OK => Verdict::passed("shows a page to sign in or to agree"),
            _ => AUTH.wrong_path(format!("{bare} answers {status} to a request for a code")),
        })
    }

    fn refused(&self, error: &str) -> Verdict {
        let GitLab { id, scope, redirect_uri, .. } = self.gitlab;
        let (id, scope, redirect_uri) =
            (id.escape_debug(), scope.escape_debug(), redirect_uri.escape_debug());
        match error {
            "redirect_uri" | "invalid_redirect_uri" => Verdict::failed(
                "GitLab does not accept the redirect URI",
                format!(
                    "the application in GitLab is not registered with exactly {redirect_uri}; scheme, host and port must match, and come from the site URL"
                ),
                format!(
                    "add {redirect_uri} to the redirect URIs of the application in GitLab (and the same URI with /login/ instead of /signup/)"
                ),
            ),
            "invalid_client" | "unauthorized_client" => Verdict::failed(
                format!("GitLab does not know the application {id}"),
                "GITLAB_ID is misspelt, or the application was deleted or belongs to another GitLab",
                "copy the application id from GitLab again",
            ),
            "invalid_scope" => Verdict::failed(
                format!("GitLab does not grant the scope \"{scope}\" to this application"),
                "the scope was not selected when the application was registered",
                "select read_user for the application in GitLab, and set GITLAB_SCOPE to the same or leave it empty",
            ),
            other => Verdict::failed(
                format!("GitLab refuses the request for a code: {}", self.mask.shown(other)),
                "this is none of the known causes",
                "read GitLab's log, and check the application's settings there",
            ),
        }
    }

    /// The request that exchanges a code for a token, with a made-up code.
    async fn token(&self) -> Result<Verdict, Verdict> {
        let GitLab { id, secret, token_endpoint, redirect_uri, .. } = self.gitlab;
        let url = TOKEN.url(token_endpoint)?;
        let form = Serializer::new(String::new())
            .append_pair("client_id", id)
            .append_pair("client_secret", secret.expose_secret())
            .append_pair("code", MADE_UP)
            .append_pair("grant_type", "authorization_code")
            .append_pair("redirect_uri", redirect_uri)
            .finish();
        let mut request = Request::new(Full::from(form));
        *request.method_mut() = Method::POST;
        let form = "application/x-www-form-urlencoded";
        request.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(form));
        request.headers_mut().insert(ACCEPT, http::HeaderValue::from_static("application/json"));
        let answer = self.send(&TOKEN, &url, request).await?;
        let status = answer.status;

        let Some(json) = answer.json().filter(serde_json::Value::is_object) else {
            return Ok(
                TOKEN.wrong_path(format!("{url} answers a request for a token with {status} and no JSON"))
            );
        };
        let said = |name: &str| json.get(name).and_then(serde_json::Value::as_str);
        if said("access_token").is_some() {
            return Ok(Verdict::noted(
                format!("{url} gives a token for a made-up code"),
                "this is a test server, not a GitLab",
                "do not use it for real accounts",
            ));
        }
        let description = said("error_description").unwrap_or_default();
        Ok(match said("error") {
            Some("invalid_grant") if url.scheme() == "http" && !is_local(&url) => Verdict::noted(
                "the application's id and secret are accepted, over an unencrypted connection",
                format!("{} begins with http://", TOKEN.variable),
                "write https://; otherwise the secret and all tokens can be read on the way",
            ),
            Some("invalid_grant") => Verdict::passed("the application's id and secret are accepted"),
            Some("invalid_client" | "unauthorized_client") => Verdict::failed(
                format!("GitLab refuses the application's id or secret ({status})"),
                "GITLAB_ID or GITLAB_SECRET is wrong, or the secret was renewed in GitLab",
                "copy both again from the application in GitLab; a lost secret can be renewed there",
            ),
            Some(error) => Verdict::failed(
                format!("{url} answers {}", self.mask.shown(&format!("{error}: {description}"))),
                "it does not accept the request that Mattermost sends",
                format!("check that {} is GitLab's, followed by {}", TOKEN.variable, TOKEN.usual),
            ),
            None if status == StatusCode::UNAUTHORIZED => Verdict::failed(
                format!("{url} answers {status}"),
                "GITLAB_ID or GITLAB_SECRET is wrong, or the path is wrong",
                format!("copy both from GitLab again; {} normally ends in {}", TOKEN.variable, TOKEN.usual),
            ),
            None => TOKEN.wrong_path(format!("{url} answers {status} with JSON that is not an OAuth answer")),
        })
    }

    /// The request for the user's account, with a made-up token.
    async fn user(&self) -> Result<Verdict, Verdict> {
        let url = USER.url(&self.gitlab.user_api_endpoint)?;
        let mut request = Request::new(Full::default());
        let token = http::HeaderValue::from_static("Bearer mainstay-check-of-the-endpoints");
        request.headers_mut().insert(AUTHORIZATION, token);
        request.headers_mut().insert(ACCEPT, http::HeaderValue::from_static("application/json"));
        let answer = self.send(&USER, &url, request).await?;
        let is_json = answer.json().is_some_and(|json| json.is_object());
        Ok(match (answer.status, is_json) {
            (StatusCode::UNAUTHORIZED, true) => Verdict::passed("asks for a token, as it should"),
            (StatusCode::OK, true) => Verdict::noted(
                format!("{url} answers without a valid token"),
                "this is a test server, or not GitLab's API for the user's own account",
                format!("check that {} ends in {}", USER.variable, USER.usual),
            ),
            (StatusCode::GONE, _) => Verdict::failed(
                format!("{url} answers {}", answer.status),
                "the path names an old version of GitLab's API",
                format!("set {} to GitLab's address followed by {}", USER.variable, USER.usual),
            ),
            (status, true) => {
                USER.wrong_path(format!("{url} answers a made-up token with {status} instead of 401"))
            }
            (status, false) => USER.wrong_path(format!("{url} answers {status} without JSON")),
        })
    }
}

/// Whether the host is on this machine or in a private network, where plain HTTP can be intended.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || !name.contains('.'),
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
        Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unique_local(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_allowed_for_local_hosts() {
        let local = |url: &str| is_local(&Url::parse(url).unwrap());
        assert!(local("http://gitlab/oauth/token") && local("http://127.0.0.1:1/") && local("http://[::1]/"));
        assert!(!local("http://gitlab.example.com/") && !local("http://192.0.2.1/"));
    }

    #[test]
    fn an_endpoint_must_be_a_whole_url_without_a_query() {
        for wrong in ["", "gitlab.example.com/oauth/token", "ftp://x/", "https://x/oauth?a=b"] {
            assert!(TOKEN.url(wrong).is_err_and(|verdict| verdict.is_failed()), "{wrong}");
        }
        assert!(TOKEN.url("https://gitlab.example.com/oauth/token").is_ok());
    }
}
