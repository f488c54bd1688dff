//! A reverse proxy that does one thing wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request, State, WebSocketUpgrade, ws};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite;

type OnRequest = dyn Fn(&str, &mut HeaderMap, &Bytes) -> Option<Response> + Send + Sync;
type OnMethod = dyn Fn(&str) -> Option<Response> + Send + Sync;
type OnAnswer = dyn Fn(&str, &mut Answer) + Send + Sync;
type OnFrame = dyn Fn(&str) -> Frame + Send + Sync;

/// What the proxy does wrong. Nothing, by default.
#[derive(Clone)]
pub(crate) struct Wrong {
    /// Sees each request; may answer instead of the server.
    request: Arc<OnRequest>,
    /// May answer requests of a method.
    method: Arc<OnMethod>,
    /// Cuts websockets on which nothing was sent for so long.
    idle: Duration,
    /// May change each answer.
    answer: Arc<OnAnswer>,
    /// Decides about each text that the server sends over a websocket.
    frame: Arc<OnFrame>,
}

/// An answer of the server.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// End the connection after this many bytes.
    pub(crate) cut: Option<usize>,
}

/// What to do with a websocket text.
pub(crate) enum Frame {
    Pass,
    Drop,
    Close,
    /// Send another one instead.
    Put(String),
}

impl Wrong {
    pub(crate) fn nothing() -> Self {
        Self {
            request: Arc::new(|_, _, _| None),
            method: Arc::new(|_| None),
            idle: Duration::from_secs(60),
            answer: Arc::new(|_, _| {}),
            frame: Arc::new(|_| Frame::Pass),
        }
    }

    pub(crate) fn request(
        with: impl Fn(&str, &mut HeaderMap, &Bytes) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        Self { request: Arc::new(with), ..Self::nothing() }
    }

    pub(crate) fn method(with: impl Fn(&str) -> Option<Response> + Send + Sync + 'static) -> Self {
        Self { method: Arc::new(with), ..Self::nothing() }
    }

    pub(crate) fn idle(limit: Duration) -> Self {
        Self { idle: limit, ..Self::nothing() }
    }

    pub(crate) fn answer(with: impl Fn(&str, &mut Answer) + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(with), ..Self::nothing() }
    }

    pub(crate) fn frame(with: impl Fn(&str) -> Frame + Send + Sync + 'static) -> Self {
        Self { frame: Arc::new(with), ..Self::nothing() }
    }

    /// Answers these paths with a page of its own, as nginx does.
    pub(crate) fn page(path: &'static str, status: u16) -> Self {
        Self::request(move |at, _, _| at.contains(path).then(|| page(status)))
    }
}

/// An error page of a proxy.
pub(crate) fn page(status: u16) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let html = format!("<html><head><title>{status}</title></head><body>nginx</body></html>");
    (status, [(header::SERVER, "nginx"), (header::CONTENT_TYPE, "text/html")], html).into_response()
}

#[derive(Clone)]
struct Proxy {
    upstream: SocketAddr,
    client: reqwest::Client,
    wrong: Wrong,
}

/// Starts one in front of `upstream`; it ends with the test's runtime.
pub(crate) async fn start(upstream: SocketAddr, wrong: Wrong) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let router = Router::new().fallback(forward).with_state(Proxy { upstream, client, wrong });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn forward(State(proxy): State<Proxy>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else { return page(400) };
    if let Some(answer) = (proxy.wrong.method)(parts.method.as_str()) {
        return answer;
    }
    if let Some(answer) = (proxy.wrong.request)(&path, &mut parts.headers, &body) {
        return answer;
    }
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.ok();
    let url = format!("http://{}{path}", proxy.upstream);
    let request = proxy.client.request(parts.method, url).headers(parts.headers).body(body);
    let Ok(mut answer) = request.send().await else { return page(502) };
    let status = answer.status();
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(upgrade)) = (status, upgrade) {
        let Ok(upstream) = answer.upgrade().await else { return page(502) };
        return upgrade.on_upgrade(move |browser| relay(browser, upstream, proxy.wrong));
    }
    let mut headers = std::mem::take(answer.headers_mut());
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONNECTION);
    let Ok(body) = answer.bytes().await else { return page(502) };
    let mut answer = Answer { status, headers, body, cut: None };
    (proxy.wrong.answer)(&path, &mut answer);
    respond(answer)
}

fn respond(answer: Answer) -> Response {
    let Answer { status, mut headers, body, cut } = answer;
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let body = match cut {
        None => Body::from(body),
        Some(at) => {
            let kept = body.slice(..at.min(body.len()));
            let end = futures_util::stream::iter([Ok(kept), Err(std::io::Error::other("cut"))]);
            Body::from_stream(end)
        }
    };
    (status, headers, body).into_response()
}

async fn relay(browser: ws::WebSocket, upstream: reqwest::Upgraded, wrong: Wrong) {
    let role = tungstenite::protocol::Role::Client;
    let upstream = tokio_tungstenite::WebSocketStream::from_raw_socket(upstream, role, None).await;
    let (mut to_server, mut from_server) = upstream.split();
    let (mut to_browser, mut from_browser) = browser.split();
    loop {
        tokio::select! {
            Some(Ok(message)) = from_browser.next() => {
                let ws::Message::Text(text) = message else { break };
                if to_server.send(tungstenite::Message::text(text.as_str())).await.is_err() { break }
            }
            Some(Ok(message)) = from_server.next() => {
                let tungstenite::Message::Text(text) = message else { break };
                let text = match (wrong.frame)(&text) {
                    Frame::Pass => text.to_string(),
                    Frame::Put(text) => text,
                    Frame::Drop => continue,
                    Frame::Close => break,
                };
                if to_browser.send(ws::Message::text(text)).await.is_err() { break }
            }
            () = tokio::time::sleep(wrong.idle) => break,
            else => break,
        }
    }
}
