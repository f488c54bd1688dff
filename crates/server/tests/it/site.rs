//! A server with its own directory, and its users.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use server::{Config, Front, ServerError};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tokio_util::sync::CancellationToken;

use crate::engine;

pub(crate) const PASSWORD: &str = "correct horse 1";

/// Longer than anything here takes: only a test that hangs reaches it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Site {
    address: String,
    /// The path of the site URL.
    path: String,
    directory: TempDir,
    pub(crate) client: Client,
    stop: CancellationToken,
    served: JoinHandle<Result<(), ServerError>>,
}

/// A user with a session.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
    url: String,
    client: Client,
}

/// An open websocket.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

/// The configuration of a site in `directory`, after [`engine::prepare`]: open for sign-ups unless `settings` change
/// that.
pub(crate) fn config(directory: &Path, settings: &Value) -> Config {
    let mut document = json!({
        "ServiceSettings": {},
        "TeamSettings": {"EnableOpenServer": true},
        "SqlSettings": engine::sql_settings(directory),
        "FileSettings": {"Directory": directory.join("files")},
    });
    for (section, keys) in settings.as_object().into_iter().flatten() {
        for (key, value) in keys.as_object().into_iter().flatten() {
            document[section][key] = value.clone();
        }
    }
    let path = directory.join("config.json");
    Config::from_json(&path, &document.to_string(), &BTreeMap::new())
        .expect("the test's configuration is valid")
}

pub(crate) fn client() -> Client {
    builder().build().expect("a plain client can be made")
}

fn builder() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::aws_lc_rs::default_provider().install_default().expect("there is no other provider");
    });
    Client::builder().timeout(TIMEOUT)
}

impl Site {
    pub(crate) async fn new() -> Site {
        Site::with(json!({})).await
    }

    /// A new site whose `settings` override the defaults.
    pub(crate) async fn with(settings: Value) -> Site {
        Site::in_directory(TempDir::new().expect("a temporary directory can be made"), settings).await
    }

    /// A site with the data that another one left in `directory`.
    pub(crate) async fn in_directory(directory: TempDir, settings: Value) -> Site {
        engine::prepare(directory.path()).await;
        Site::start(directory, settings, None, client()).await
    }

    /// A site with the data in `directory` that only the edge reaches: over a Unix socket.
    pub(crate) async fn behind_edge(directory: TempDir, mut settings: Value) -> Site {
        engine::prepare(directory.path()).await;
        let socket = directory.path().join("http.sock");
        settings["ServiceSettings"]["ListenAddress"] = json!(socket);
        let front = Front::listen(&config(directory.path(), &settings)).await.expect("a new socket");
        let client = builder().unix_socket(socket).build().expect("a plain client can be made");
        Site::start(directory, settings, Some(front), client).await
    }

    /// Without `front` it is a port of loopback.
    async fn start(directory: TempDir, settings: Value, front: Option<Front>, client: Client) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("the listener is bound").to_string();
        let front = front.unwrap_or_else(|| listener.into());
        let site_url = settings["ServiceSettings"]["SiteURL"].as_str().and_then(|url| url.parse().ok());
        let path = site_url.map(|url: reqwest::Url| url.path().trim_end_matches('/').to_owned());
        let path = path.unwrap_or_default();
        let stop = CancellationToken::new();
        let served = tokio::spawn(server::serve(config(directory.path(), &settings), front, stop.clone()));
        Site { address, path, directory, client, stop, served }
    }

    /// Stops the server as a signal does, and returns its directory.
    pub(crate) async fn end(self) -> TempDir {
        self.stop.cancel();
        let served = tokio::time::timeout(TIMEOUT, self.served).await.expect("the server ends in time");
        served.expect("the server does not panic").expect("the server ends without an error");
        self.directory
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.directory.path().join("files")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A request without a session.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        request(&self.client, &self.url(), method, path)
    }

    /// Signs up and logs in.
    pub(crate) async fn sign_up(&self, name: &str) -> Person {
        let account = account(name);
        let answer = self.request("POST", "users").json(&account).send().await.expect("the server answers");
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap_or_default());
        self.log_in(name).await
    }

    pub(crate) async fn log_in(&self, name: &str) -> Person {
        let body = json!({"login_id": name, "password": PASSWORD});
        let answer =
            self.request("POST", "users/login").json(&body).send().await.expect("the server answers");
        assert_eq!(answer.status(), 200);
        let token = answer.headers()["token"].to_str().expect("a token is ASCII").to_owned();
        let user: Value = answer.json().await.expect("a user");
        Person { id: text(&user["id"]), token, url: self.url(), client: self.client.clone() }
    }

    /// Opens a websocket with these query parameters and headers. It does not authenticate.
    pub(crate) async fn socket(
        &self,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/api/v4/websocket?{query}", self.address).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header value"));
        }
        let (socket, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(Socket(socket))
    }

    /// Opens a websocket of `person`, authenticated by a header. Its first message, `hello`, is not read yet.
    pub(crate) async fn socket_of(&self, person: &Person, query: &str) -> Socket {
        let bearer = format!("Bearer {}", person.token);
        self.socket(query, &[("authorization", &bearer)]).await.expect("the upgrade is accepted")
    }
}

pub(crate) fn account(name: &str) -> Value {
    json!({"email": format!("{name}@example.com"), "username": name, "password": PASSWORD})
}

fn request(client: &Client, url: &str, method: &str, path: &str) -> RequestBuilder {
    client.request(method.parse().expect("a method"), format!("{url}/api/v4/{path}"))
}

impl Person {
    /// The same session on another site.
    pub(crate) fn at(&self, site: &Site) -> Person {
        Person { url: site.url(), client: site.client.clone(), ..self.clone() }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        request(&self.client, &self.url, method, path).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        succeeded(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        succeeded(self.request("POST", path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Value {
        succeeded(self.request("PUT", path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Value {
        succeeded(self.request("DELETE", path)).await
    }

    /// Creates a team and returns it with the id of its Town Square.
    pub(crate) async fn team(&self, name: &str) -> (Value, String) {
        let team = self.post("teams", json!({"name": name, "display_name": name, "type": "O"})).await;
        let square = self.get(&format!("teams/{}/channels/name/town-square", text(&team["id"]))).await;
        (team, text(&square["id"]))
    }

    /// Joins a team by its invite id.
    pub(crate) async fn join(&self, team: &Value) {
        self.post(&format!("teams/members/invite?invite_id={}", text(&team["invite_id"])), json!({})).await;
    }

    pub(crate) async fn say(&self, channel: &str, message: &str) -> Value {
        self.post("posts", json!({"channel_id": channel, "message": message})).await
    }
}

async fn succeeded(request: RequestBuilder) -> Value {
    let answer = request.send().await.expect("the server answers");
    let (status, place) = (answer.status(), answer.url().clone());
    assert_eq!(answer.headers()["content-type"], "application/json", "{place}");
    let body = answer.text().await.expect("a whole body");
    assert!(status.is_success(), "{place} {status} {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// The status and error id of a request that must fail. Its body must be a complete AppError.
pub(crate) async fn refused(request: RequestBuilder) -> (u16, String) {
    refusal(request.send().await.expect("the server answers")).await
}

pub(crate) async fn refusal(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let place = answer.url().clone();
    assert_eq!(answer.headers()["content-type"], "application/json", "{place}");
    assert_eq!(answer.headers()["x-request-id"].len(), 26);
    let body: Value = answer.json().await.expect("an AppError is JSON");
    assert_eq!(body["status_code"], status, "{place} {body}");
    assert!(body["message"].is_string() && body["detailed_error"].is_string(), "{place} {body}");
    (status, text(&body["id"]))
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// `value` with its ids and times, which differ each time, replaced by their names.
pub(crate) fn redacted(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() == 26 && text.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            "ID".into()
        }
        Value::Number(number) if number.as_i64().is_some_and(|n| n > 1_600_000_000_000) => "TIME".into(),
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), redacted(value))).collect(),
        other => other.clone(),
    }
}

impl Socket {
    /// The next JSON message; `None` if the server closed the socket.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            let message =
                tokio::time::timeout(TIMEOUT, self.0.next()).await.expect("a message arrives in time");
            match message?.ok()? {
                Message::Text(text) => return serde_json::from_str(&text).ok(),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// The next event called `event`; messages before it are skipped.
    pub(crate) async fn event(&mut self, event: &str) -> Value {
        loop {
            let message = self.next().await.unwrap_or_else(|| panic!("the socket closed before {event}"));
            if message["event"] == event {
                return message;
            }
        }
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.0.send(Message::Text(message.to_string().into())).await.expect("the socket is open");
    }

    /// Sends a request and returns its answer; events before it are skipped.
    pub(crate) async fn ask(&mut self, seq: i64, action: &str, data: Value) -> Value {
        self.send(&json!({"seq": seq, "action": action, "data": data})).await;
        loop {
            let message =
                self.next().await.unwrap_or_else(|| panic!("the socket closed before the reply to {seq}"));
            if message["seq_reply"] == seq {
                return message;
            }
        }
    }
}
