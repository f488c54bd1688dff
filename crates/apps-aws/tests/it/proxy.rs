//! Between Mainstay and the emulator: counts calls, answers invocations as an app does, and injects one fault.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
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
}

#[derive(Default)]
struct State {
    /// Each call: method, path, and the action of IAM.
    calls: Vec<String>,
    fault: Option<(usize, Fault)>,
    /// The body of the call that the fault met: its retries meet it as well.
    met: Option<String>,
    ping: Option<String>,
}

/// A running proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
    pub(crate) killed: Arc<Notify>,
}

const PONG: &str = r#"{"statusCode":200,"headers":{"Content-Type":"application/json"},"body":"{\"type\":\"ok\",\"text\":\"PONG\"}"}"#;

impl Proxy {
    pub(crate) async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, state: Arc::default(), killed: Arc::default() };
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
    pub(crate) fn reset(&self, fault: Option<(usize, Fault)>) {
        let mut state = self.state.lock().unwrap();
        let ping = state.ping.take();
        *state = State { fault, ping, ..State::default() };
    }

    /// What functions answer.
    pub(crate) fn ping(&self, answer: Option<&str>) {
        self.state.lock().unwrap().ping = answer.map(str::to_owned);
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }

    async fn answer(
        &self,
        client: &reqwest::Client,
        upstream: u16,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        let action = text.strip_prefix("Action=").and_then(|rest| rest.split('&').next()).unwrap_or_default();
        let name = format!("{} {} {action}", head.method, head.uri).trim_end().to_owned();
        let (fault, ping) = {
            let mut state = self.state.lock().unwrap();
            let index = state.calls.len();
            state.calls.push(name.clone());
            let fault = match state.fault {
                Some((at, fault)) if at == index => {
                    state.met = Some(name.clone());
                    Some(fault)
                }
                Some((at, fault)) if index > at => match fault {
                    Fault::Error | Fault::Silence if state.met.as_ref() == Some(&name) => Some(fault),
                    Fault::KilledBefore | Fault::KilledAfter => Some(Fault::KilledBefore),
                    _ => None,
                },
                _ => None,
            };
            (fault, state.ping.clone())
        };
        match fault {
            Some(Fault::Error) => return Ok(status(500, "InternalFailure")),
            // Each service says it in its own way.
            Some(Fault::Throttled) if !action.is_empty() => {
                return Ok(said(
                    400,
                    "",
                    "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
                ));
            }
            Some(Fault::Throttled) if head.uri.path().starts_with("/2015-") => {
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
        let url = format!("http://127.0.0.1:{upstream}{}", head.uri);
        let sent = client.request(head.method, url).headers(head.headers).body(body).send().await;
        let sent = sent.map_err(std::io::Error::other)?;
        let mut answer = Response::builder().status(sent.status());
        for (name, value) in sent.headers() {
            if name != "transfer-encoding" && name != "connection" {
                answer = answer.header(name, value);
            }
        }
        let bytes = sent.bytes().await.map_err(std::io::Error::other)?;
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

fn status(status: u16, code: &str) -> Response<Full<Bytes>> {
    said(status, code, "<Error><Code>InternalError</Code></Error>")
}

fn said(status: u16, code: &str, body: &'static str) -> Response<Full<Bytes>> {
    let answer = Response::builder().status(status).header("x-amzn-errortype", code);
    answer.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
}
