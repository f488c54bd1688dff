//! Between Mainstay and the emulator: counts calls, answers invocations as an app does, and injects one fault.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with status 500, however often it is tried.
    Error,
    /// AWS throttles it, once.
    Throttled,
    /// No answer comes; it has no effect.
    Silence,
    /// The connection is cut after its effect, once.
    CutAfter,
    /// It and everything after it never reaches AWS: the process was killed before.
    KilledBefore,
    /// The process was killed after its effect.
    KilledAfter,
    /// A byte of what is sent changes on the way, however often it is tried.
    Corrupted,
}

#[derive(Default)]
struct State {
    /// Each call: method, path, and the action of IAM.
    calls: Vec<String>,
    fault: Option<(usize, Fault)>,
    /// The body of the call that the fault met: its retries meet it as well.
    met: Option<String>,
    ping: Option<String>,
    refusal: Option<Refusal>,
    /// Another server of S3: its port, and the directory in which it keeps objects.
    store: Option<(u16, PathBuf)>,
}

/// What every call is answered with, in the way of its service.
#[derive(Debug, Clone, Copy, Default)]
pub struct Refusal {
    /// The status, code and text of S3.
    pub s3: Option<(u16, &'static str, &'static str)>,
    /// The same of IAM and STS.
    pub iam: Option<(u16, &'static str, &'static str)>,
    /// The same of Lambda.
    pub lambda: Option<(u16, &'static str, &'static str)>,
    /// A header of S3's answer.
    pub header: Option<(&'static str, &'static str)>,
}

impl Refusal {
    fn answer(&self, service: Service, is_head: bool) -> Option<Response<Full<Bytes>>> {
        let (status, code, text) = match service {
            Service::S3 => self.s3,
            Service::Iam => self.iam,
            Service::Lambda => self.lambda,
        }?;
        let mut answer = Response::builder().status(status);
        if let (Service::S3, Some((name, value))) = (service, self.header) {
            answer = answer.header(name, value);
        }
        let body = match service {
            Service::S3 if is_head => String::new(),
            Service::S3 => format!("<Error><Code>{code}</Code><Message>{text}</Message></Error>"),
            Service::Iam => {
                format!(
                    "<ErrorResponse><Error><Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>"
                )
            }
            Service::Lambda => {
                answer = answer.header("x-amzn-errortype", code);
                serde_json::json!({ "message": text }).to_string()
            }
        };
        Some(answer.body(Full::new(body.into())).unwrap())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    S3,
    Iam,
    Lambda,
}

/// A running proxy.
#[derive(Clone)]
pub struct Proxy {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    state: Arc<Mutex<State>>,
    /// The ETags of what was written to the other server of S3, whose lists have none.
    etags: Arc<Mutex<BTreeMap<String, String>>>,
    /// Told when the process of the caller counts as killed.
    pub killed: Arc<Notify>,
}

const PONG: &str = r#"{"statusCode":200,"headers":{"Content-Type":"application/json"},"body":"{\"type\":\"ok\",\"text\":\"PONG\"}"}"#;

impl Proxy {
    /// Starts it before the emulator at this port.
    pub async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, state: Arc::default(), etags: Arc::default(), killed: Arc::default() };
        let (served, client) = (proxy.clone(), reqwest::Client::new());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (served, client) = (served.clone(), client.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| served.answer(&client, upstream, request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        proxy
    }

    /// From now on: no calls yet, and this fault at call `at` (the first is 0).
    pub fn reset(&self, fault: Option<(usize, Fault)>) {
        // What is left of the kill before.
        let _ = self.killed.notified().now_or_never();
        let mut state = self.state.lock().unwrap();
        let (ping, refusal, store) = (state.ping.take(), state.refusal.take(), state.store.take());
        *state = State { fault, ping, refusal, store, ..State::default() };
    }

    /// What functions answer.
    pub fn ping(&self, answer: Option<&str>) {
        self.state.lock().unwrap().ping = answer.map(str::to_owned);
    }

    /// S3 is another server from now on, which keeps its objects below a directory.
    pub fn store(&self, port: u16, objects: &Path) {
        self.state.lock().unwrap().store = Some((port, objects.to_owned()));
    }

    /// AWS refuses every call in this way from now on, or no longer.
    pub fn refuse(&self, refusal: Option<Refusal>) {
        self.state.lock().unwrap().refusal = refusal;
    }

    /// Each call so far: its method, its path, and the action of IAM.
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }

    /// Remembers what the server calls what was written, and adds it to its lists.
    fn with_etags(&self, method: &Method, uri: &Uri, written: Option<String>, bytes: Bytes) -> Bytes {
        let mut etags = self.etags.lock().unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let between = |text: &str, tag: &str| {
            let (_, rest) = text.split_once(&format!("<{tag}>"))?;
            Some(rest.split_once("</")?.0.replace("&quot;", "\""))
        };
        if *method == Method::PUT
            && let Some(etag) = written.or_else(|| between(&text, "ETag"))
        {
            etags.insert(uri.path().splitn(3, '/').last().unwrap().to_owned(), etag);
        }
        if !uri.query().is_some_and(|query| query.contains("list-type=2")) {
            return bytes;
        }
        let mut parts = text.split("</Key>");
        let mut listed = parts.next().unwrap().to_owned();
        for part in parts {
            let key = listed.rsplit_once("<Key>").unwrap().1.to_owned();
            listed.push_str("</Key>");
            if let Some(etag) = etags.get(&key) {
                listed.push_str(&format!("<ETag>{etag}</ETag>"));
            }
            listed.push_str(part);
        }
        listed.into()
    }

    async fn answer(
        &self,
        client: &reqwest::Client,
        upstream: u16,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        let action = text.strip_prefix("Action=").and_then(|rest| rest.split('&').next()).unwrap_or_default();
        let name = format!("{} {} {action}", head.method, head.uri).trim_end().to_owned();
        let service = match head.uri.path() {
            _ if !action.is_empty() => Service::Iam,
            path if path.starts_with("/2015-") || path.starts_with("/2017-") => Service::Lambda,
            _ => Service::S3,
        };
        let (fault, ping, refusal, store) = {
            let mut state = self.state.lock().unwrap();
            let index = state.calls.len();
            state.calls.push(name.clone());
            let fault = match state.fault {
                Some((at, fault)) if at == index => {
                    state.met = Some(name.clone());
                    Some(fault)
                }
                Some((at, fault)) if index > at => match fault {
                    Fault::Error | Fault::Silence | Fault::Corrupted if state.met.as_ref() == Some(&name) => {
                        Some(fault)
                    }
                    Fault::KilledBefore | Fault::KilledAfter => Some(Fault::KilledBefore),
                    _ => None,
                },
                _ => None,
            };
            (fault, state.ping.clone(), state.refusal, state.store.clone())
        };
        if let Some(refused) = refusal.and_then(|refusal| refusal.answer(service, head.method == "HEAD")) {
            return Ok(refused);
        }
        match fault {
            Some(Fault::Error) => return Ok(status(500, "InternalFailure")),
            // Each service says it in its own way.
            Some(Fault::Throttled) if service == Service::Iam => {
                return Ok(said(
                    400,
                    "",
                    "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
                ));
            }
            Some(Fault::Throttled) if service == Service::Lambda => {
                return Ok(said(429, "TooManyRequestsException", "{}"));
            }
            Some(Fault::Throttled) => return Ok(said(503, "", "<Error><Code>SlowDown</Code></Error>")),
            Some(Fault::Silence) => {
                tokio::time::sleep(Duration::from_secs(20)).await;
                return Err(std::io::Error::other("silent"));
            }
            Some(Fault::KilledBefore) => {
                self.killed.notify_one();
                std::future::pending::<Infallible>().await;
            }
            _ => {}
        }
        if head.uri.path().ends_with("/invocations") {
            let answer = ping.unwrap_or_else(|| PONG.to_owned());
            return Ok(Response::new(Full::new(answer.into())));
        }
        let mut body = body.to_vec();
        if fault == Some(Fault::Corrupted)
            && let Some(last) = body.last_mut()
        {
            *last ^= 1;
        }
        let is_stored = service == Service::S3 && store.is_some();
        let (method, uri) = (head.method.clone(), head.uri.clone());
        let upstream = match (service, store) {
            (Service::S3, Some((port, _))) => port,
            (Service::Lambda, Some((_, objects))) => {
                body = with_code(&body, &objects);
                head.headers.remove("content-length");
                upstream
            }
            _ => upstream,
        };
        let url = format!("http://127.0.0.1:{upstream}{}", head.uri);
        let sent = client.request(head.method, url).headers(head.headers).body(body).send().await;
        let sent = sent.map_err(std::io::Error::other)?;
        let mut answer = Response::builder().status(sent.status());
        for (name, value) in sent.headers() {
            let is_framing = ["transfer-encoding", "connection"].contains(&name.as_str());
            if !(is_framing || is_stored && name == "content-length" && method != Method::HEAD) {
                answer = answer.header(name, value);
            }
        }
        let written = sent.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let mut bytes = sent.bytes().await.map_err(std::io::Error::other)?;
        if is_stored {
            bytes = self.with_etags(&method, &uri, written, bytes);
        }
        match fault {
            Some(Fault::CutAfter) => return Err(std::io::Error::other("cut")),
            Some(Fault::KilledAfter) => {
                self.killed.notify_one();
                std::future::pending::<Infallible>().await;
            }
            _ => {}
        }
        Ok(answer.body(Full::new(bytes)).unwrap())
    }
}

/// Lambda reads the code of a function from S3: the emulator has another S3, so the bytes go with the call.
fn with_code(body: &[u8], objects: &Path) -> Vec<u8> {
    let Ok(mut call) = serde_json::from_slice::<serde_json::Value>(body) else { return body.to_vec() };
    let code = if call.get("Code").is_some() { &mut call["Code"] } else { &mut call };
    let Some((bucket, key)) = code["S3Bucket"].as_str().zip(code["S3Key"].as_str()) else {
        return body.to_vec();
    };
    let bytes = std::fs::read(objects.join(bucket).join(key)).unwrap();
    let code = code.as_object_mut().unwrap();
    code.retain(|name, _| name != "S3Bucket" && name != "S3Key");
    code.insert("ZipFile".into(), base64::engine::general_purpose::STANDARD.encode(bytes).into());
    call.to_string().into_bytes()
}

fn status(status: u16, code: &str) -> Response<Full<Bytes>> {
    said(status, code, "<Error><Code>InternalError</Code></Error>")
}

fn said(status: u16, code: &str, body: &'static str) -> Response<Full<Bytes>> {
    let answer = Response::builder().status(status).header("x-amzn-errortype", code);
    answer.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
}
