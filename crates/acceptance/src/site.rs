//! Requests to the site URL, limited in time and size.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use reqwest::multipart::Form;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::answer::{Answer, one_line};
use crate::secret::Secret;
use crate::symptom::{Fault, Symptom, of_request};
use crate::target::Target;
use crate::wire::AppError;

/// Bytes of JSON read at most.
const JSON_LIMIT: usize = 4 << 20;
/// Bytes of a file read at most.
const FILE_LIMIT: usize = 8 << 20;

/// A deployment, and how to send requests to it.
#[derive(Debug)]
pub(crate) struct Site {
    client: Client,
    /// The site URL, as the requests name it.
    pub url: Url,
    /// Where the requests are sent.
    base: Url,
    headers: HeaderMap,
    /// The server has no SiteURL on purpose.
    pub any_address: bool,
    /// The pages of every site may open the websocket.
    pub any_origin: bool,
    /// The time limit of each request, and of the wait for each event.
    pub timeout: Duration,
    answers: AtomicUsize,
    /// Mattermost itself has answered, so the way to it is open.
    answered: AtomicBool,
}

/// The header in which the edge looks for the word that lets a request through.
const PASS: &str = "x-mainstay-pass";

/// An answer with its body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Mattermost had answered an earlier request.
    pub answered_before: bool,
}

impl Site {
    /// Fails if the target's URL cannot be used: its scheme is not http or https, or it names no host.
    pub(crate) fn new(target: &Target) -> Result<Self, Symptom> {
        let url = target.url.clone();
        let machine = |why: String| Symptom::Machine(why);
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(machine(format!(
                "the URL `{url}` must begin with http:// or https:// and name a host"
            )));
        }
        let mut base = url.clone();
        let mut headers = HeaderMap::new();
        if let Some(via) = target.via {
            let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
            headers.insert(HOST, HeaderValue::from_str(host).map_err(|error| machine(error.to_string()))?);
            let proto = if url.scheme() == "https" { "https" } else { "http" };
            headers.insert("x-forwarded-proto", HeaderValue::from_static(proto));
            base = Url::parse(&format!("http://{via}{}", url.path()))
                .map_err(|error| machine(error.to_string()))?;
        }
        if let Some(pass) = &target.pass {
            let mut pass =
                HeaderValue::from_str(pass.expose()).map_err(|error| machine(error.to_string()))?;
            pass.set_sensitive(true);
            headers.insert(PASS, pass);
        }
        let client = Client::builder()
            // A redirect is a finding: a browser's websocket does not follow it.
            .redirect(reqwest::redirect::Policy::none())
            // This machine's web proxy says nothing about the deployment.
            .no_proxy()
            .timeout(target.timeout)
            .user_agent(concat!("mainstay-acceptance/", env!("CARGO_PKG_VERSION")));
        // Without TLS, a machine without certificates of authorities is enough.
        let client = if base.scheme() == "http" { client.tls_certs_only([]) } else { client };
        let client = client.build().map_err(|error| {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            machine(format!("no HTTP client can be made{cause}"))
        })?;
        let (timeout, answers, answered) = (target.timeout, AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Self {
            client,
            url,
            base,
            headers,
            any_address: target.any_address,
            any_origin: target.any_origin,
            timeout,
            answers,
            answered,
        })
    }

    /// The origin of the site's pages, as browsers send it.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The number of answers so far.
    pub(crate) fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    pub(crate) fn put(&self, path: &str) -> Call<'_> {
        self.call(Method::PUT, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// A request of `path`, relative to `/api/v4/`.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        let shown = format!("{method} /api/v4/{path}");
        let url = format!("{}/api/v4/{path}", self.base.as_str().trim_end_matches('/'));
        let request = self.client.request(method, url).headers(self.headers.clone());
        Call { site: self, shown, request, counts: true }
    }

    /// The same over the server's local channel: its answers say nothing about the site.
    pub(crate) fn call_locally(&self, client: &Client, method: Method, path: &str) -> Call<'_> {
        let shown = format!("{method} /api/v4/{path} (local channel)");
        let request = client.request(method, format!("http://local/api/v4/{path}"));
        Call { site: self, shown, request, counts: false }
    }
}

/// The URL without a slash at its end, as SiteURL is written.
pub(crate) fn trimmed(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// One request.
pub(crate) struct Call<'s> {
    site: &'s Site,
    shown: String,
    request: RequestBuilder,
    /// Whether the answer is one of the site's.
    counts: bool,
}

impl Call<'_> {
    /// Sends it as the owner of this token.
    pub(crate) fn by(self, token: &Secret) -> Self {
        let bearer = format!("Bearer {}", token.expose());
        self.header(AUTHORIZATION.as_str(), &bearer)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn body(mut self, json: &impl Serialize) -> Self {
        self.request = self.request.json(json);
        self
    }

    pub(crate) fn form(mut self, form: Form) -> Self {
        self.request = self.request.multipart(form);
        self
    }

    /// The answer without its body, whatever its status.
    pub(crate) async fn head(self) -> Result<(Response, String), Fault> {
        let Self { site, shown, request, counts } = self;
        match request.send().await {
            Ok(response) => {
                if counts {
                    site.answers.fetch_add(1, Ordering::Relaxed);
                }
                Ok((response, shown))
            }
            Err(error) => {
                let symptom = of_request(&error.without_url(), site.timeout);
                Err(Fault { during: shown, symptom })
            }
        }
    }

    /// The answer, whatever its status.
    pub(crate) async fn reply(self) -> Result<(Reply, String), Fault> {
        self.limited(JSON_LIMIT).await
    }

    async fn limited(self, limit: usize) -> Result<(Reply, String), Fault> {
        let (site, timeout) = (self.site, self.site.timeout);
        let (mut response, shown) = self.head().await?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let body = read(&mut response, limit, timeout).await;
        match body {
            Ok(body) => {
                let answered_before = site.answered.load(Ordering::Relaxed);
                let reply = Reply { status, headers, body, answered_before };
                Ok((reply, shown))
            }
            Err(symptom) => Err(Fault { during: shown, symptom }),
        }
    }

    /// The body of a successful answer.
    pub(crate) async fn bytes(self) -> Result<Vec<u8>, Fault> {
        let (reply, shown) = self.limited(FILE_LIMIT).await?;
        match reply.accepted() {
            Ok(()) => Ok(reply.body),
            Err(symptom) => Err(Fault { during: shown, symptom }),
        }
    }

    /// The JSON of a successful answer.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, Fault> {
        let site = self.site;
        let (reply, shown) = self.reply().await?;
        let read = reply.json().map_err(|symptom| Fault { during: shown, symptom })?;
        site.answered.store(true, Ordering::Relaxed);
        Ok(read)
    }

    /// A successful answer whose body does not matter.
    pub(crate) async fn done(self) -> Result<(), Fault> {
        self.json::<serde::de::IgnoredAny>().await.map(drop)
    }
}

impl Reply {
    /// The JSON of the answer, if it is a success and not an error in disguise.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Symptom> {
        self.accepted()?;
        serde_json::from_slice(&self.body).map_err(|error| {
            let content_type = self.content_type();
            let begins = one_line(&String::from_utf8_lossy(&self.body[..self.body.len().min(200)]));
            let found = format!("{content_type}, {} bytes, `{begins}` ({error})", self.body.len());
            Symptom::NotApi { found }
        })
    }

    pub(crate) fn content_type(&self) -> String {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.map_or_else(|| "no content type".to_owned(), one_line)
    }

    pub(crate) fn answer(&self) -> Answer {
        Answer {
            answered_before: self.answered_before,
            ..Answer::new(self.status, &self.headers, &self.body)
        }
    }

    fn accepted(&self) -> Result<(), Symptom> {
        // Some proxies replace the status and keep the body.
        let disguised = AppError::read(&self.body).is_some();
        if (200..300).contains(&self.status) && !disguised {
            Ok(())
        } else {
            Err(Symptom::Answer(Box::new(self.answer())))
        }
    }
}

async fn read(response: &mut Response, limit: usize, timeout: Duration) -> Result<Vec<u8>, Symptom> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Err(Symptom::TooLarge { limit }),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(of_request(&error.without_url(), timeout)),
        }
    }
}
