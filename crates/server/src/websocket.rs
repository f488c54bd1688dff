//! The websocket: handshake, challenge, the client's requests, and sending the events from the hub's queue.

mod upgrade;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::app::App;
use crate::bounds::FRAGMENT;
use crate::clock;
use crate::config::Config;
use crate::error::{AppError, Result};
use crate::event::{Broadcast, Event};
use crate::hub::{Connection, Holder, Next};
use crate::id::Id;
use crate::presence;
use crate::session::{Caller, handshake_caller};
use upgrade::{Socket, Upgrade};

/// How long a client may take to authenticate.
const CHALLENGE: Duration = Duration::from_secs(5);
/// Time between two pings from the server.
const PING: Duration = Duration::from_secs(60);
/// After this long without a message or pong, the client counts as gone.
const SILENCE: Duration = Duration::from_secs(100);
/// How long one write may take.
const WRITE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
pub(crate) struct Handshake {
    connection_id: Option<String>,
    sequence_number: Option<String>,
}

/// A request from the client.
#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    seq: i64,
    #[serde(default)]
    action: String,
    #[serde(default)]
    data: Option<Map<String, Value>>,
}

pub(crate) async fn open(
    State(app): State<App>,
    Query(handshake): Query<Handshake>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response> {
    if !is_origin_allowed(&app.config, &headers) {
        let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
        let origin: String = origin.chars().take(200).collect();
        return Err(AppError::bad_request(
            "api.web_socket.connect.upgrade.app_error",
            format!("URL Blocked because of CORS. Url: {origin}"),
        )
        .detail(why_blocked(&app.config.service.site_url, &origin)));
    }
    let caller = handshake_caller(&app, &headers).await?;
    Ok(upgrade.accept(move |mut socket| async move {
        let stop = app.stop.clone();
        tokio::select! {
            () = serve(&app, &mut socket, caller, &handshake) => {}
            () = stop.cancelled() => {}
        }
        let _already_closed = timeout(Duration::from_secs(1), socket.send(Message::Close(None))).await;
    }))
}

/// Serves a socket from its handshake to its end.
async fn serve(app: &App, socket: &mut Socket, caller: Option<Caller>, handshake: &Handshake) {
    let Some(resume_point) = ResumePoint::parse(handshake) else { return };
    let (caller, challenge) = match caller {
        Some(caller) => (caller, None),
        None => match timeout(CHALLENGE, answer_challenge(app, socket)).await {
            Ok(Some((caller, seq))) => (caller, Some(seq)),
            _ => return,
        },
    };
    let (connection, holder) = resume_point.connect(app, &caller);
    let user = caller.user.id;
    let mut socket = AuthenticatedSocket { app, socket, caller, connection, holder };
    socket.run(challenge).await;
    if app.hub.park(&socket.connection, holder) {
        note_presence(app, user, false).await;
    }
}

async fn note_presence(app: &App, user: Id, online: bool) {
    if let Err(error) = presence::follow_websockets(app, user, online).await {
        tracing::warn!(%user, detail = error.detail_text(), "a status was not stored");
    }
}

/// The connection that a client wants to resume, and the number of the next event that it expects; none for a new
/// connection.
struct ResumePoint(Option<(Id, u64)>);

impl ResumePoint {
    /// `None` if the parameters are malformed; the socket is then closed.
    fn parse(handshake: &Handshake) -> Option<ResumePoint> {
        let Some(id) = handshake.connection_id.as_deref().filter(|id| !id.is_empty()) else {
            return Some(ResumePoint(None));
        };
        let number = handshake.sequence_number.as_deref().unwrap_or("0").parse().ok()?;
        Some(ResumePoint(Some((Id::parse(id)?, number))))
    }

    fn connect(self, app: &App, caller: &Caller) -> (Arc<Connection>, Holder) {
        let (user, session) = (caller.user.id, caller.session.id);
        let resumed = self.0.and_then(|(id, number)| {
            let resumed = app.hub.resume(id, user, session, number);
            if resumed.is_none() {
                // Events that the client expects are lost, so this connection cannot be resumed any more.
                app.hub.end_where(user, |connection| connection.id == id && connection.session == session);
            }
            resumed
        });
        resumed.unwrap_or_else(|| {
            app.hub.open(user, session, |id| {
                let data = json!({"connection_id": id, "server_hostname": "", "server_version": app.version});
                Event::new("hello", &data, Broadcast::user(user))
            })
        })
    }
}

/// Waits for the client to authenticate; returns the caller and the request's number. `None` closes the socket.
async fn answer_challenge(app: &App, socket: &mut Socket) -> Option<(Caller, i64)> {
    loop {
        let Message::Text(text) = socket.next().await?.ok()? else { continue };
        let request: Request = serde_json::from_str(&text).ok()?;
        if request.action == "authentication_challenge" {
            let token = request.data.as_ref()?.get("token")?.as_str()?;
            return Some((Caller::from_token(app, token).await.ok()??, request.seq));
        }
        let answer = match request.action.as_str() {
            "presence" => Ok(None),
            _ => Err(AppError::session_expired()),
        };
        send(socket, reply(request.seq, answer)).await?;
    }
}

/// An authenticated socket.
struct AuthenticatedSocket<'a> {
    app: &'a App,
    socket: &'a mut Socket,
    caller: Caller,
    connection: Arc<Connection>,
    holder: Holder,
}

impl AuthenticatedSocket<'_> {
    /// Sends `hello`, answers the authentication request with the number `challenge`, and serves the socket until its end.
    async fn run(&mut self, challenge: Option<i64>) -> Option<()> {
        self.flush().await?;
        if let Some(seq) = challenge {
            self.reply(seq, Ok(None)).await?;
        }
        note_presence(self.app, self.caller.user.id, true).await;
        let mut heard = Instant::now();
        let mut ping = interval_at(Instant::now() + PING, PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let connection = Arc::clone(&self.connection);
        loop {
            tokio::select! {
                () = connection.wake.notified() => self.flush().await?,
                message = self.socket.next() => {
                    heard = Instant::now();
                    self.receive(message?.ok()?).await?;
                }
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE || !is_alive(&self.caller).await {
                        return None;
                    }
                    send(self.socket, Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }

    /// Sends all queued events. `None` closes the socket, as in the other functions here.
    async fn flush(&mut self) -> Option<()> {
        loop {
            match self.connection.next(self.holder) {
                Next::Event(head, tail) => self.write(head, tail).await?,
                Next::Nothing => return timeout(WRITE, self.socket.flush()).await.ok()?.ok(),
                Next::Gone => return None,
            }
        }
    }

    /// Writes the message `head` and `tail`. A large one is sent in several frames, because the socket copies each frame and
    /// keeps the memory for the next.
    async fn write(&mut self, mut head: Bytes, tail: String) -> Option<()> {
        if head.len() + tail.len() <= FRAGMENT {
            let whole = String::from_utf8([&head, tail.as_bytes()].concat()).ok()?;
            return timeout(WRITE, self.socket.feed(Message::Text(whole.into()))).await.ok()?.ok();
        }
        let mut data = Data::Text;
        while !head.is_empty() {
            let part = head.split_to(FRAGMENT.min(head.len()));
            send(self.socket, Message::Frame(Frame::message(part, OpCode::Data(data), false))).await?;
            data = Data::Continue;
        }
        send(self.socket, Message::Frame(Frame::message(tail, OpCode::Data(data), true))).await
    }

    async fn reply(&mut self, seq: i64, answer: Result<Option<Value>>) -> Option<()> {
        send(self.socket, reply(seq, answer)).await
    }

    async fn receive(&mut self, message: Message) -> Option<()> {
        let text = match message {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => return Some(()),
            // Binary frames are msgpack, which this server does not support.
            Message::Binary(_) | Message::Close(_) | Message::Frame(_) => return None,
        };
        let Ok(request) = serde_json::from_str::<Request>(&text) else { return None };
        if request.action == "authentication_challenge" {
            return Some(());
        }
        if request.seq <= 0 {
            let error = AppError::bad_request("api.web_socket_router.bad_seq.app_error", "Invalid sequence.");
            return self.reply(request.seq, Err(error)).await;
        }
        let answer = self.answer(&request.action, &request.data.unwrap_or_default()).await;
        self.reply(request.seq, answer).await
    }

    async fn answer(&mut self, action: &str, data: &Map<String, Value>) -> Result<Option<Value>> {
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = |name: &str| Id::parse(text(name)).ok_or_else(|| AppError::body(name));
        match action {
            "ping" => Ok(Some(json!({
                "text": "pong", "version": self.app.version, "server_time": clock::now(), "node_id": ""
            }))),
            "user_typing" => {
                let parent = Id::parse(text("parent_id")).unwrap_or_default();
                presence::publish_typing(&self.caller, self.caller.user.id, id("channel_id")?, parent)
                    .await?;
                Ok(None)
            }
            "presence" => {
                for (place, name) in [(0, "channel_id"), (1, "thread_channel_id")] {
                    if data.contains_key(name) {
                        self.connection.look_at(place, Id::parse(text(name)).unwrap_or_default());
                    }
                }
                Ok(None)
            }
            "user_update_active_status" => {
                let active = data.get("user_is_active").and_then(Value::as_bool).unwrap_or_default();
                let manual = data.get("manual").and_then(Value::as_bool).unwrap_or_default();
                let status = if active { "online" } else { "away" };
                presence::change(self.app, self.caller.user.id, status, manual).await?;
                Ok(None)
            }
            "get_statuses" => presence::of_connected(&self.caller).await.map(Some),
            "get_statuses_by_ids" => {
                let ids = data.get("user_ids").and_then(Value::as_array).cloned().unwrap_or_default();
                let ids: Option<Vec<Id>> = ids.iter().map(|id| Id::parse(id.as_str()?)).collect();
                let ids = ids.filter(|ids| !ids.is_empty()).ok_or_else(|| AppError::body("user_ids"))?;
                presence::by_user(self.app, &ids).await.map(Some)
            }
            "posted_notify_ack" => Ok(None),
            _ => Err(AppError::bad_request(
                "api.web_socket_router.bad_action.app_error",
                "Unknown WebSocket action.",
            )),
        }
    }
}

/// Whether the session that opened the socket is still valid. If the database fails, it counts as valid.
async fn is_alive(caller: &Caller) -> bool {
    !matches!(Caller::from_token(&caller.app, &caller.session.token).await, Ok(None))
}

async fn send(socket: &mut Socket, message: Message) -> Option<()> {
    timeout(WRITE, socket.send(message)).await.ok()?.ok()
}

fn reply(seq: i64, answer: Result<Option<Value>>) -> Message {
    let json = match answer {
        Ok(None) => json!({"status": "OK", "seq_reply": seq}),
        Ok(Some(data)) => json!({"status": "OK", "seq_reply": seq, "data": data}),
        Err(error) => json!({"status": "FAIL", "seq_reply": seq, "error": error.json()}),
    };
    Message::Text(json.to_string().into())
}

/// Why a page may not open a websocket, and what to set: most often the site URL lacks the port that a container publishes.
fn why_blocked(site: &str, origin: &str) -> String {
    let (Ok(page), Ok(url)) = (url::Url::parse(origin), url::Url::parse(site)) else {
        return "the page's address is not the site URL".to_owned();
    };
    let at = page.origin().ascii_serialization();
    let why = format!("the page is at {at}, and the site URL is {site}");
    match page.port() {
        Some(port) if page.host() == url.host() && url.port().is_none() => format!(
            "{why}: the published port is missing in it; set MATTERMOST_PORT={port}, or MATTERMOST_SITE_URL={at}"
        ),
        _ => {
            format!("{why}; open the site URL, or set MATTERMOST_SITE_URL={at} if that is the right address")
        }
    }
}

/// Whether the page that opens this websocket may do so. Programs other than browsers send no Origin and always may.
fn is_origin_allowed(config: &Config, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let site = url::Url::parse(&config.service.site_url).ok().map(|url| url.origin().ascii_serialization());
    let allowed = &config.service.allow_cors_from;
    if !allowed.is_empty() {
        return allowed.split_whitespace().any(|one| one == "*" || one.eq_ignore_ascii_case(origin))
            || site.is_some_and(|site| site.eq_ignore_ascii_case(origin));
    }
    let Ok(parsed) = url::Url::parse(origin) else { return false };
    match site {
        Some(site) => parsed.origin().ascii_serialization() == site,
        None => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            !host.is_empty() && authority.trim_end_matches('/').eq_ignore_ascii_case(host)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(site: &str, cors: &str, origin: &'static str, host: &'static str) -> bool {
        let mut config = Config::default();
        config.service.site_url = site.to_owned();
        config.service.allow_cors_from = cors.to_owned();
        let headers = HeaderMap::from_iter([
            (header::ORIGIN, http::HeaderValue::from_static(origin)),
            (header::HOST, http::HeaderValue::from_static(host)),
        ]);
        is_origin_allowed(&config, &headers)
    }

    #[test]
    fn the_origin_must_be_the_site() {
        assert!(is_origin_allowed(&Config::default(), &HeaderMap::new()));
        assert!(allowed("https://chat.example", "", "https://chat.example", "x"));
        assert!(allowed("https://chat.example:443/sub", "", "https://CHAT.example", "x"));
        assert!(!allowed("https://chat.example", "", "http://chat.example", "chat.example"));
        assert!(!allowed("https://chat.example", "", "https://evil.example", "evil.example"));
        assert!(allowed("", "", "http://Chat.example:8065", "chat.example:8065"));
        assert!(!allowed("", "", "http://chat.example", "chat.example:8065"));
        assert!(!allowed("", "", "null", "null"));
    }

    #[test]
    fn a_missing_published_port_is_said() {
        let why = why_blocked("http://chat.example", "http://chat.example:8080");
        assert!(why.contains("published port is missing") && why.contains("MATTERMOST_PORT=8080"), "{why}");
        let other = why_blocked("http://chat.example", "http://10.0.0.7:8080");
        assert!(
            !other.contains("port is missing") && other.contains("MATTERMOST_SITE_URL=http://10.0.0.7:8080")
        );
        assert!(!why_blocked("", "null").is_empty());
    }

    #[test]
    fn with_a_cors_list_its_members_and_the_site_are_allowed() {
        assert!(allowed("https://a.example", "https://b.example", "https://b.example", "x"));
        assert!(allowed("https://a.example", "https://b.example", "https://a.example", "x"));
        assert!(!allowed("https://a.example", "https://b.example", "https://c.example", "x"));
        assert!(allowed("", "*", "https://anything.example", "x"));
    }
}
