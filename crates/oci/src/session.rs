//! The requests of one push: addresses, authorization, and the registry's refusals as errors.
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, Request, Response, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use crate::access::{Access, Credentials, Transport};
use crate::challenge::{Challenge, challenges};
use crate::digest::Digest;
use crate::error::OciError;
use crate::reference::{Reference, is_loopback};

/// At most this much of an error body, and of a token service's answer, is read.
const LONGEST_COMPLAINT: usize = 16 * 1024;
const LONGEST_TOKEN: usize = 256 * 1024;

/// The registry's address, and the authorization that it has granted so far.
pub(crate) struct Session<'a> {
    access: &'a Access,
    /// `https://host/v2/path/`
    base: Url,
    host: String,
    path: &'a str,
    authorization: Option<HeaderValue>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(access: &'a Access, to: &'a Reference) -> Result<Self, OciError> {
        let scheme = match access.transport {
            Transport::Http => "http",
            Transport::ByAddress if to.is_loopback() => "http",
            Transport::Https | Transport::ByAddress => "https",
        };
        let host = to.host().to_owned();
        let base = Url::parse(&format!("{scheme}://{host}/v2/{}/", to.path()))
            .map_err(|_| OciError::Reference { given: to.to_string(), why: "its host is not valid" })?;
        Ok(Self { access, base, host, path: to.path(), authorization: None })
    }

    /// The address of `below` in the repository.
    pub(crate) fn url(&self, below: &str) -> Result<Url, OciError> {
        self.base.join(&format!("./{below}")).map_err(|e| self.protocol(e.to_string()))
    }

    /// Sends a request; after a 401, gets authorization and sends it once more. Only the registry itself is sent the
    /// authorization: an upload may go to another host.
    pub(crate) async fn send(
        &mut self,
        request: impl Fn() -> Result<Request, OciError>,
    ) -> Result<Response, OciError> {
        let mut asked = false;
        loop {
            let mut request = request()?;
            let ours = request.url().origin() == self.base.origin();
            if let Some(authorization) = self.authorization.as_ref().filter(|_| ours) {
                request.headers_mut().insert(AUTHORIZATION, authorization.clone());
            }
            let answer = self.execute(request).await?;
            if answer.status() != StatusCode::UNAUTHORIZED || asked || !ours {
                return Ok(answer);
            }
            asked = true;
            self.authorization = Some(self.authorize(answer).await?);
        }
    }

    /// Asks the registry for an upload address.
    pub(crate) async fn begin_upload(
        &mut self,
        request: impl Fn() -> Result<Request, OciError>,
    ) -> Result<Url, OciError> {
        let answer = self.send(request).await?;
        let answer = self.accepted("begin an upload", answer).await?;
        let place = answer.headers().get(LOCATION).and_then(|place| place.to_str().ok());
        let place = place.ok_or_else(|| self.protocol("it gives no address to upload to".to_owned()))?;
        let place =
            answer.url().join(place).map_err(|e| self.protocol(format!("upload to {place:?}: {e}")))?;
        if self.base.scheme() == "https" && place.scheme() != "https" {
            let why = format!(
                "it asks for uploads over plain HTTP, at {place}; the proxy before it must set X-Forwarded-Proto"
            );
            return Err(self.protocol(why));
        }
        Ok(place)
    }

    /// Uploads bytes, and checks that the registry stored them under `digest`.
    pub(crate) async fn store(
        &mut self,
        action: &'static str,
        digest: Digest,
        request: impl Fn() -> Result<Request, OciError>,
    ) -> Result<(), OciError> {
        let answer = self.send(request).await?;
        let answer = match self.accepted(action, answer).await {
            Err(OciError::Refused { why, .. }) if why.contains("DIGEST_INVALID") => {
                return Err(OciError::WrongDigest {
                    what: format!("what {} received", self.host),
                    wanted: digest,
                    found: why,
                    hint: "push again; if that fails too, the layout was changed: build the image again",
                });
            }
            answer => answer?,
        };
        let stored = answer.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        match stored {
            Some(stored) if stored != digest.to_string() => Err(OciError::WrongDigest {
                what: format!("what {} stored", self.host),
                wanted: digest,
                found: stored.to_owned(),
                hint: "something between this machine and the registry changes the data: do not use that image",
            }),
            _ => Ok(()),
        }
    }

    /// The answer if it is a success, otherwise the refusal as an error.
    pub(crate) async fn accepted(
        &self,
        action: &'static str,
        answer: Response,
    ) -> Result<Response, OciError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let why = complaint(answer).await;
        let (host, path) = (self.host.clone(), self.path.to_owned());
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.unauthorized(why),
            StatusCode::NOT_FOUND => OciError::NotFound { host, path, why },
            _ => OciError::Refused { host, action, status: status.as_u16(), why },
        })
    }

    async fn execute(&self, request: Request) -> Result<Response, OciError> {
        let host = request.url().authority().to_owned();
        self.access.client.execute(request).await.map_err(|source| OciError::Unreachable { host, source })
    }

    /// The `Authorization` header that answers a 401's challenge.
    async fn authorize(&self, refused: Response) -> Result<HeaderValue, OciError> {
        let offered: Vec<Challenge> = refused
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenges)
            .collect();
        let by = |scheme| offered.iter().find(|challenge| challenge.scheme == scheme);
        match (by("bearer"), by("basic"), &self.access.credentials) {
            (Some(challenge), _, _) => self.token(challenge).await,
            (None, Some(_), Some(credentials)) => self.basic(credentials),
            (None, Some(_), None) => {
                Err(self.unauthorized("it asks for a user name and password".to_owned()))
            }
            (None, None, _) => Err(self.unauthorized(complaint(refused).await)),
        }
    }

    fn basic(&self, credentials: &Credentials) -> Result<HeaderValue, OciError> {
        let pair = format!("{}:{}", credentials.user, credentials.password.expose_secret());
        self.secret(&format!("Basic {}", BASE64_STANDARD.encode(pair)))
    }

    fn secret(&self, value: &str) -> Result<HeaderValue, OciError> {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| self.protocol("its token cannot be sent in a header".to_owned()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Asks the token service that the challenge names for a token to pull from and push to this repository.
    async fn token(&self, challenge: &Challenge) -> Result<HeaderValue, OciError> {
        let realm = challenge.parameters.get("realm").map_or("", String::as_str);
        let mut service = Url::parse(realm)
            .map_err(|_| self.protocol(format!("its token service {realm:?} is not a URL")))?;
        let plain_allowed =
            self.access.transport == Transport::Http || service.host_str().is_some_and(is_loopback);
        match service.scheme() {
            "https" => {}
            "http" if plain_allowed => {}
            _ => return Err(self.protocol(format!("its token service {realm:?} is not HTTPS"))),
        }
        if let Some(name) = challenge.parameters.get("service") {
            service.query_pairs_mut().append_pair("service", name);
        }
        service.query_pairs_mut().append_pair("scope", &format!("repository:{}:pull,push", self.path));
        let mut request = Request::new(Method::GET, service);
        if let Some(credentials) = &self.access.credentials {
            request.headers_mut().insert(AUTHORIZATION, self.basic(credentials)?);
        }
        let answer = self.execute(request).await?;
        let answer = self.accepted("give a token", answer).await?;
        let text = beginning(answer, LONGEST_TOKEN).await;
        let grant: Grant =
            serde_json::from_slice(&text).map_err(|e| self.protocol(format!("its token service: {e}")))?;
        let token = grant.token.or(grant.access_token);
        let token = token.ok_or_else(|| self.protocol("its token service returned no token".to_owned()))?;
        self.secret(&format!("Bearer {token}"))
    }

    fn unauthorized(&self, why: String) -> OciError {
        let who = self.access.credentials.as_ref().map(|credentials| credentials.user.clone());
        OciError::Unauthorized {
            host: self.host.clone(),
            who: who.unwrap_or_else(|| "an unnamed user".to_owned()),
            path: self.path.to_owned(),
            why: if why.is_empty() { "it gives no reason".to_owned() } else { why },
        }
    }

    fn protocol(&self, why: String) -> OciError {
        OciError::Protocol { host: self.host.clone(), why }
    }
}

#[derive(Deserialize)]
struct Grant {
    token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct Complaints {
    errors: Vec<Complaint>,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The registry's reason for a refusal: `CODE: message`. Empty when its body is no such JSON.
async fn complaint(answer: Response) -> String {
    let text = beginning(answer, LONGEST_COMPLAINT).await;
    let Ok(Complaints { errors }) = serde_json::from_slice(&text) else { return String::new() };
    let lines: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.code, e.message)).collect();
    // This text is shown on a terminal: no control characters, no endless lines.
    lines.join("; ").chars().filter(|c| !c.is_control()).take(500).collect()
}

/// The first `longest` bytes of an answer's body, or what arrived before it broke off.
async fn beginning(mut answer: Response, longest: usize) -> Vec<u8> {
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        text.extend_from_slice(&chunk[..chunk.len().min(longest - text.len())]);
        if text.len() == longest {
            break;
        }
    }
    text
}
