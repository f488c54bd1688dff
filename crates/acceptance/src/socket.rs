//! A user's websocket: opened as a browser opens it, read in order.

use std::time::{Duration, Instant};

use finding::Unreached;
use futures_util::{SinkExt, StreamExt};
use reqwest::{Upgraded, header};
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::answer::{Answer, one_line};
use crate::secret::Secret;
use crate::site::{Reply, Site};
use crate::symptom::{Fault, Symptom, of_request};
use crate::wire::Frame;

const PATH: &str = "websocket";
/// Bytes of one message at most: a post has up to 64 kB of text, which an event escapes twice.
const MESSAGE_LIMIT: usize = 1 << 20;

/// A websocket that has received its hello.
pub(crate) struct Socket {
    stream: WebSocketStream<Upgraded>,
    /// The sequence number of the next event.
    next: i64,
    /// Ids of posts whose event came before it was needed.
    posted: Vec<String>,
    timeout: Duration,
    during: String,
}

/// Whether one of the site's pages can open a websocket.
pub(crate) async fn accepts_own_origin(site: &Site) -> Result<(), Fault> {
    open(site).await.map(drop)
}

/// Whether the site refuses a page of another site.
pub(crate) async fn refuses_origin(site: &Site, origin: &str) -> Result<(), Fault> {
    let fault = |symptom| Fault { during: format!("websocket with the Origin {origin}"), symptom };
    match handshake(site, Some(origin)).await? {
        Ok(_) => Err(fault(Symptom::OriginAccepted { origin: origin.to_owned() })),
        // gorilla, Mattermost's websocket library, answers 403; the server itself answers 400.
        Err(answer) if matches!(answer.status, 400 | 403) => Ok(()),
        Err(answer) => Err(fault(Symptom::Answer(answer.into()))),
    }
}

impl Socket {
    /// Opens a websocket for the owner of this token, and waits for the hello and one pong. `which` names the user in faults.
    pub(crate) async fn connect(site: &Site, token: &Secret, which: &str) -> Result<Self, Fault> {
        let stream = open(site).await?;
        let during = format!("websocket of the {which} user");
        let mut socket = Self { stream, next: 0, posted: Vec::new(), timeout: site.timeout, during };
        socket.greet(token).await.map_err(|symptom| socket.fault(symptom))?;
        Ok(socket)
    }

    /// Waits for the event of this post.
    pub(crate) async fn sees(&mut self, post: &str) -> Result<(), Fault> {
        let deadline = Deadline::after(self.timeout);
        while !self.posted.iter().any(|seen| seen == post) {
            if let Err(symptom) = self.frame(&deadline, "the event of the other user's post").await {
                return Err(self.fault(symptom));
            }
        }
        Ok(())
    }

    /// Sends nothing for this long, and reads what comes. Pings of the server's own are answered, as a browser does.
    pub(crate) async fn idle(&mut self, limit: Duration) -> Result<(), Fault> {
        let deadline = Deadline::after(limit);
        loop {
            match self.frame(&deadline, "anything").await {
                Ok(_) => {}
                Err(Symptom::Silent { .. }) => return Ok(()),
                Err(Symptom::Closure { .. }) => {
                    return Err(self.fault(Symptom::IdleCut { after: deadline.start.elapsed() }));
                }
                Err(symptom) => return Err(self.fault(symptom)),
            }
        }
    }

    fn fault(&self, symptom: Symptom) -> Fault {
        Fault { during: self.during.clone(), symptom }
    }

    async fn greet(&mut self, token: &Secret) -> Result<(), Symptom> {
        let challenge = json!({ "token": token.expose() });
        self.send(1, "authentication_challenge", challenge).await?;
        let deadline = Deadline::after(self.timeout);
        // The hello and the answer to the challenge come in either order.
        while self.next == 0 {
            let frame = self.frame(&deadline, "hello").await?;
            if frame.seq.is_some() && frame.event != "hello" {
                let what = format!("its first event is `{}`, not `hello`", one_line(&frame.event));
                return Err(Symptom::Wrong { what });
            }
        }
        self.send(2, "ping", Value::Null).await?;
        loop {
            let frame = self.frame(&deadline, "pong").await?;
            if frame.seq_reply == Some(2) {
                return match frame.data.get("text").and_then(Value::as_str) {
                    Some("pong") => Ok(()),
                    _ => Err(Symptom::Wrong { what: "the answer to a ping is not a pong".to_owned() }),
                };
            }
        }
    }

    async fn send(&mut self, seq: u32, action: &str, data: Value) -> Result<(), Symptom> {
        let mut request = json!({ "seq": seq, "action": action });
        if !data.is_null() {
            request["data"] = data;
        }
        let message = Message::text(request.to_string());
        match tokio::time::timeout(self.timeout, self.stream.send(message)).await {
            Ok(sent) => sent.map_err(|error| broken(&error)),
            Err(_) => Err(Symptom::Unreached(Unreached::TimedOut(Some(self.timeout)))),
        }
    }

    /// The next event or answer. Every event's number must be the expected one.
    async fn frame(&mut self, deadline: &Deadline, expected_message: &'static str) -> Result<Frame, Symptom> {
        loop {
            let message = match tokio::time::timeout(deadline.left(), self.stream.next()).await {
                Err(_) => return Err(Symptom::Silent { expected_message, after: deadline.limit }),
                Ok(None) => return Err(Symptom::Closure { code: None }),
                Ok(Some(Err(error))) => return Err(broken(&error)),
                Ok(Some(Ok(message))) => message,
            };
            let text = match message {
                Message::Text(text) => text,
                Message::Close(frame) => {
                    return Err(Symptom::Closure { code: frame.map(|frame| frame.code.into()) });
                }
                // The library answers pings.
                _ => continue,
            };
            let frame: Frame = serde_json::from_str(&text)
                .map_err(|error| Symptom::NotApi { found: format!("websocket text: {error}") })?;
            if let Some(error) = &frame.error {
                let (status, id) = (error.status_code, one_line(&error.id));
                let message = one_line(&error.message);
                let answer = Answer { status, id, message, from_mattermost: true, ..Answer::default() };
                return Err(Symptom::Answer(answer.into()));
            }
            if frame.event.is_empty() {
                return Ok(frame);
            }
            if let Some(found) = frame.seq {
                if found != self.next {
                    return Err(Symptom::Gap { expected: self.next, found });
                }
                self.next += 1;
            }
            self.posted.extend(frame.posted().map(|post| post.id));
            return Ok(frame);
        }
    }
}

/// Opens a websocket with the site's own Origin. If it is refused, a second attempt without Origin distinguishes a wrong SiteURL
/// from a proxy that drops the upgrade: the server gives the same answer to both.
async fn open(site: &Site) -> Result<WebSocketStream<Upgraded>, Fault> {
    let origin = site.origin();
    let answer = match handshake(site, Some(&origin)).await? {
        Ok(stream) => return Ok(stream),
        Err(answer) => answer,
    };
    let during = format!("GET /api/v4/{PATH}");
    if let Some(arrived) = arrived_origin(&answer.message).filter(|arrived| *arrived != origin) {
        let arrived = one_line(arrived);
        return Err(Fault { during, symptom: Symptom::OriginRewritten { sent: origin, arrived } });
    }
    let refused_as_page = matches!(answer.status, 400 | 403) && handshake(site, None).await?.is_ok();
    let symptom = if refused_as_page {
        Symptom::OriginRefused { origin, answer: answer.into() }
    } else {
        Symptom::NotUpgraded(answer.into())
    };
    Err(Fault { during, symptom })
}

/// The Origin that the server says it received: Mattermost's message ends with it.
fn arrived_origin(message: &str) -> Option<&str> {
    let (_, arrived) = message.split_once("URL Blocked because of CORS. Url: ")?;
    arrived.split(['"', ' ', ',']).next().filter(|arrived| !arrived.is_empty())
}

/// The websocket, or the answer that came instead.
async fn handshake(
    site: &Site,
    origin: Option<&str>,
) -> Result<Result<WebSocketStream<Upgraded>, Answer>, Fault> {
    let key = generate_key();
    let mut call = site
        .get(PATH)
        .header(header::CONNECTION.as_str(), "Upgrade")
        .header(header::UPGRADE.as_str(), "websocket")
        .header(header::SEC_WEBSOCKET_VERSION.as_str(), "13")
        .header(header::SEC_WEBSOCKET_KEY.as_str(), &key);
    if let Some(origin) = origin {
        call = call.header(header::ORIGIN.as_str(), origin);
    }
    let (response, during) = call.head().await?;
    let status = response.status().as_u16();
    if status != 101 {
        let headers = response.headers().clone();
        // An answer that never ends must not stop the test; its body is only a hint.
        let body = tokio::time::timeout(site.timeout, beginning(response)).await.unwrap_or_default();
        return Ok(Err(Reply { status, headers, body, answered_before: true }.answer()));
    }
    let accept = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
        let what = "it answered 101, but not to this websocket key (an answer from a cache?)".to_owned();
        return Err(Fault { during, symptom: Symptom::Wrong { what } });
    }
    let upgraded = response.upgrade().await.map_err(|error| {
        let symptom = of_request(&error.without_url(), site.timeout);
        Fault { during, symptom }
    })?;
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(MESSAGE_LIMIT);
    config.max_frame_size = Some(MESSAGE_LIMIT);
    Ok(Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await))
}

async fn beginning(mut response: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > 4_000 {
            break;
        }
    }
    body
}

fn broken(error: &Error) -> Symptom {
    match error {
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Symptom::Closure { code: None },
        Error::Protocol(_) | Error::Utf8(_) => Symptom::Unreached(Unreached::Other(format!(
            "not the websocket protocol: {}",
            one_line(&error.to_string())
        ))),
        Error::Capacity(_) => Symptom::TooLarge { limit: MESSAGE_LIMIT },
        other => Symptom::Unreached(Unreached::Other(one_line(&other.to_string()))),
    }
}

struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    fn after(limit: Duration) -> Self {
        Self { start: Instant::now(), limit }
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.start.elapsed())
    }
}
