//! A small server that answers as 5.37 did, for what the built-in server cannot do: missing fields, nulls, the answer to the
//! challenge before the hello, and every setting that closes sign-up.

mod accounts;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Multipart, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// What the deployment allows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    pub(crate) site_url: String,
    /// Sign-up needs an administrator.
    pub(crate) closed: bool,
    /// No account exists.
    pub(crate) empty: bool,
    /// Addresses must be verified.
    pub(crate) verify: bool,
    /// Only addresses of this domain.
    pub(crate) domain: Option<&'static str>,
    /// Only administrators create teams.
    pub(crate) no_teams: bool,
    /// Users may deactivate themselves.
    pub(crate) may_leave: bool,
    /// Nobody signs in with a password.
    pub(crate) no_passwords: bool,
    /// The fewest characters of a password.
    pub(crate) password_length: usize,
    /// The most members of a team; 0 = any.
    pub(crate) team_size: usize,
    /// Nothing can be removed for good, as official servers have it but for their local channel.
    pub(crate) keeps_all: bool,
    /// No files in posts.
    pub(crate) no_files: bool,
    /// And its settings say so.
    pub(crate) says_no_files: bool,
    /// What is wrong with the page.
    pub(crate) page: &'static str,
    /// The database is down.
    pub(crate) unhealthy: bool,
}

/// The administrator's token and login.
pub(crate) const ADMIN: &str = "admin-token";

type Shared = Arc<Server>;

pub(crate) struct Server {
    rules: Rules,
    state: Mutex<World>,
    events: broadcast::Sender<String>,
}

/// The content of its database.
#[derive(Default, Clone)]
pub(crate) struct World {
    pub(crate) users: HashMap<String, Value>,
    passwords: HashMap<String, String>,
    /// Token to user id.
    pub(crate) sessions: HashMap<String, String>,
    pub(crate) teams: HashMap<String, Value>,
    /// Team and user id.
    pub(crate) members: Vec<(String, String)>,
    pub(crate) posts: Vec<Value>,
    /// Whether access tokens are allowed, and how often that was changed.
    pub(crate) tokens: (bool, usize),
    files: HashMap<String, Vec<u8>>,
    preferences: HashMap<String, Vec<Value>>,
    count: usize,
}

impl World {
    fn id(&mut self) -> String {
        self.count += 1;
        format!("{:0>26}", self.count)
    }
}

impl Server {
    pub(crate) async fn start(mut rules: Rules) -> (SocketAddr, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        if rules.site_url.is_empty() {
            rules.site_url = format!("http://{address}");
        }
        let server = Arc::new(Self { rules, state: Mutex::default(), events: broadcast::channel(64).0 });
        let router = router(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, server)
    }

    /// The same over a Unix socket, where everybody is the administrator.
    pub(crate) fn listen_locally(self: &Arc<Self>, socket: &std::path::Path) {
        let listener = tokio::net::UnixListener::bind(socket).expect("a socket");
        let as_admin = axum::middleware::map_request(|mut request: axum::extract::Request| async {
            let token = axum::http::HeaderValue::from_static("Bearer admin-token");
            request.headers_mut().insert(header::AUTHORIZATION, token);
            request.headers_mut().insert("x-local", axum::http::HeaderValue::from_static("yes"));
            request
        });
        let router = router(Arc::clone(self)).layer(as_admin);
        tokio::spawn(async move { axum::serve(listener, router).await });
    }

    /// Changes an account, as somebody might between two tests.
    pub(crate) fn change(&self, username: &str, key: &str, value: Value) {
        let mut world = self.state.lock().expect("no panic");
        let user = world.users.values_mut().find(|user| user["username"] == username).expect("the account");
        user[key] = value;
    }

    /// Gives every account another password.
    pub(crate) fn change_passwords(&self) {
        self.state.lock().expect("no panic").passwords.values_mut().for_each(|password| password.push('x'));
    }

    /// Access tokens are switched on, as a test that was killed leaves them.
    pub(crate) fn allow_tokens(&self) {
        self.state.lock().expect("no panic").tokens.0 = true;
    }

    pub(crate) fn world(&self) -> World {
        self.state.lock().expect("no panic").clone()
    }

    pub(crate) fn passwords(&self) -> Vec<String> {
        self.world().passwords.into_values().collect()
    }

    fn user(&self, headers: &HeaderMap) -> Result<String, Box<Response>> {
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        if token == ADMIN {
            return Ok("admin".to_owned());
        }
        let world = self.state.lock().expect("no panic");
        let user = world.sessions.get(token).cloned();
        user.ok_or_else(|| error(401, "api.context.session_expired.app_error").into())
    }
}

fn is_local(headers: &HeaderMap) -> bool {
    headers.contains_key("x-local")
}

fn done() -> Response {
    answer(200, &json!({ "status": "OK" }))
}

fn error(status: u16, id: &str) -> Response {
    let body = json!({ "id": id, "message": "Refused.", "detailed_error": "", "status_code": status });
    answer(status, &body)
}

fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn router(server: Shared) -> Router {
    let api = accounts::router()
        .route("/system/ping", get(ping))
        .route("/config/client", get(client_config))
        .route("/config", get(config))
        .route("/channels/direct", post(channel))
        .route("/teams", post(make_team))
        .route("/teams/{id}", get(team).delete(archive))
        .route("/teams/{id}/restore", post(restore))
        .route("/teams/{id}/members/{user}", delete(leave_team))
        .route("/teams/name/{name}", get(team_by_name))
        .route("/teams/invite/{id}", get(team_by_invite))
        .route("/teams/{id}/members", post(add_member))
        .route("/teams/members/invite", post(join_by_invite))
        .route("/teams/{id}/channels/name/{name}", get(channel))
        .route("/channels/{id}/posts", get(posts))
        .route("/posts", post(make_post))
        .route("/posts/{id}", delete(delete_post))
        .route("/posts/{id}/thread", get(posts))
        .route("/files", post(upload))
        .route("/files/{id}", get(file))
        .route("/files/{id}/{size}", get(file))
        .route("/websocket", get(websocket));
    let limit = axum::extract::DefaultBodyLimit::max(50 << 20);
    Router::new().nest("/api/v4", api).fallback(page).layer(limit).with_state(server)
}

/// Every path outside the API is the page, whose content policy blocks pictures from elsewhere.
async fn page(State(server): State<Shared>) -> Response {
    let policy = "default-src 'self' 'unsafe-inline'; connect-src 'self' ws:";
    let html = include_str!("page.html").replace("{{FAULT}}", server.rules.page);
    ([(header::CONTENT_TYPE, "text/html"), (header::CONTENT_SECURITY_POLICY, policy)], html).into_response()
}

async fn ping(State(server): State<Shared>) -> Response {
    if server.rules.unhealthy {
        return answer(500, &json!({ "status": "UNHEALTHY", "database_status": "UNHEALTHY" }));
    }
    answer(200, &json!({ "status": "OK", "database_status": "OK", "AndroidLatestVersion": "" }))
}

async fn client_config(State(server): State<Shared>) -> Response {
    let yes = |on: bool| if on { "true" } else { "false" };
    let rules = &server.rules;
    let config = json!({
        "Version": "5.37.0", "BuildNumber": "5.37.10", "BuildEnterpriseReady": "false", "SiteURL": rules.site_url,
        "EnableOpenServer": yes(!rules.closed), "EnableSignUpWithEmail": "true", "NoAccounts": yes(rules.empty),
        "EnableSignInWithEmail": yes(!rules.no_passwords), "EnableSignInWithUsername": yes(!rules.no_passwords),
        "EnableFileAttachments": yes(!rules.says_no_files),
    });
    answer(200, &config)
}

async fn config(State(server): State<Shared>, headers: HeaderMap) -> Response {
    match server.user(&headers).as_deref() {
        Ok("admin") => answer(
            200,
            &json!({
                "EmailSettings": { "RequireEmailVerification": server.rules.verify },
                "TeamSettings": { "RestrictCreationToDomains": server.rules.domain.unwrap_or("") },
                "PasswordSettings": { "MinimumLength": server.rules.password_length },
                "ServiceSettings": { "EnableUserAccessTokens": server.world().tokens.0 },
            }),
        ),
        _ => error(403, "api.context.permissions.app_error"),
    }
}

fn read(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

async fn team(State(server): State<Shared>, Path(id): Path<String>) -> Response {
    match server.world().teams.get(&id) {
        Some(team) => answer(200, team),
        None => error(404, "app.team.get.find.app_error"),
    }
}

async fn restore(State(server): State<Shared>, Path(id): Path<String>) -> Response {
    if let Some(team) = server.state.lock().expect("no panic").teams.get_mut(&id) {
        team["delete_at"] = 0.into();
    }
    done()
}

async fn leave_team(State(server): State<Shared>, Path((team, user)): Path<(String, String)>) -> Response {
    server.state.lock().expect("no panic").members.retain(|member| *member != (team.clone(), user.clone()));
    done()
}

async fn delete_post(State(server): State<Shared>, Path(id): Path<String>) -> Response {
    server
        .state
        .lock()
        .expect("no panic")
        .posts
        .retain(|post| post["id"] != id.as_str() && post["root_id"] != id.as_str());
    done()
}

async fn make_team(State(server): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let user = match server.user(&headers) {
        Ok(user) => user,
        Err(refusal) => return *refusal,
    };
    if server.rules.no_teams && user != "admin" {
        return error(403, "api.team.is_team_creation_allowed.disabled.app_error");
    }
    let mut team = read(&body);
    let mut world = server.state.lock().expect("no panic");
    team["id"] = world.id().into();
    team["invite_id"] = world.id().into();
    let id = team["id"].as_str().unwrap_or_default().to_owned();
    world.teams.insert(id.clone(), team.clone());
    if user != "admin" {
        world.members.push((id, user));
    }
    answer(201, &team)
}

async fn team_by_name(State(server): State<Shared>, Path(name): Path<String>) -> Response {
    let world = server.state.lock().expect("no panic");
    match world.teams.values().find(|team| team["name"] == name.as_str()) {
        Some(team) => answer(200, team),
        None => error(404, "app.team.get_by_name.missing.app_error"),
    }
}

async fn team_by_invite(State(server): State<Shared>, Path(id): Path<String>) -> Response {
    let world = server.state.lock().expect("no panic");
    match world.teams.values().find(|team| team["invite_id"] == id.as_str()) {
        Some(team) => answer(200, team),
        None => error(404, "app.team.get_by_invite_id.finding.app_error"),
    }
}

async fn archive(
    State(server): State<Shared>,
    Path(id): Path<String>,
    uri: axum::http::Uri,
    headers: HeaderMap,
) -> Response {
    let for_good = uri.query() == Some("permanent=true");
    if for_good && server.rules.keeps_all && !is_local(&headers) {
        return error(401, "api.team.delete_team.not_enabled.app_error");
    }
    let mut world = server.state.lock().expect("no panic");
    if for_good {
        world.teams.remove(&id);
    } else if let Some(team) = world.teams.get_mut(&id) {
        team["delete_at"] = 1.into();
    }
    answer(200, &json!({ "status": "OK" }))
}

fn join(server: &Server, team: &str, user: &str) -> Response {
    let mut world = server.state.lock().expect("no panic");
    let member = (team.to_owned(), user.to_owned());
    if !world.members.contains(&member) {
        let size = world.members.iter().filter(|(one, _)| one == team).count();
        if server.rules.team_size > 0 && size >= server.rules.team_size {
            return error(400, "app.team.join_user_to_team.max_accounts.app_error");
        }
        world.members.push(member);
    }
    answer(201, &json!({ "roles": "team_user" }))
}

async fn add_member(State(server): State<Shared>, Path(team): Path<String>, body: Bytes) -> Response {
    join(&server, &team, read(&body)["user_id"].as_str().unwrap_or_default())
}

async fn join_by_invite(State(server): State<Shared>, uri: axum::http::Uri, headers: HeaderMap) -> Response {
    let invite =
        uri.query().and_then(|query| query.strip_prefix("invite_id=")).unwrap_or_default().to_owned();
    let team = server.world().teams.into_iter().find(|(_, team)| team["invite_id"] == invite.as_str());
    match (team, server.user(&headers)) {
        (Some((team, _)), Ok(user)) => join(&server, &team, &user),
        (None, _) => error(404, "app.team.get_by_invite_id.finding.app_error"),
        (_, Err(refusal)) => *refusal,
    }
}

async fn channel() -> Response {
    answer(200, &json!({ "id": "town-square-id", "name": "town-square" }))
}

async fn posts(State(server): State<Shared>) -> Response {
    let world = server.state.lock().expect("no panic");
    let posts: HashMap<&str, &Value> =
        world.posts.iter().map(|post| (post["id"].as_str().unwrap_or_default(), post)).collect();
    answer(200, &json!({ "order": null, "posts": posts }))
}

async fn make_post(State(server): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(refusal) = server.user(&headers) {
        return *refusal;
    }
    let mut post = read(&body);
    let mut world = server.state.lock().expect("no panic");
    post["id"] = world.id().into();
    if post["file_ids"].as_array().is_some_and(Vec::is_empty) {
        post["file_ids"] = Value::Null;
    }
    world.posts.push(post.clone());
    let _ = server.events.send(post.to_string());
    answer(201, &post)
}

async fn upload(State(server): State<Shared>, mut form: Multipart) -> Response {
    if server.rules.no_files {
        return error(403, "api.file.attachments.disabled.app_error");
    }
    let mut channel_came = false;
    while let Ok(Some(field)) = form.next_field().await {
        channel_came |= field.name() == Some("channel_id");
        if field.name() == Some("files") && channel_came {
            let Ok(bytes) = field.bytes().await else { break };
            let mut world = server.state.lock().expect("no panic");
            let id = world.id();
            world.files.insert(id.clone(), bytes.to_vec());
            return answer(201, &json!({ "file_infos": [{ "id": id, "width": null }], "client_ids": null }));
        }
    }
    error(400, "api.file.upload_file.incorrect_number_of_files.app_error")
}

async fn file(State(server): State<Shared>, Path(parts): Path<Vec<(String, String)>>) -> Response {
    let world = server.state.lock().expect("no panic");
    match world.files.get(&parts[0].1) {
        Some(bytes) => ([(header::CONTENT_TYPE, "image/png")], bytes.clone()).into_response(),
        None => error(404, "app.file_info.get.app_error"),
    }
}

async fn websocket(
    State(server): State<Shared>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let foreign = origin.is_some_and(|origin| origin != server.rules.site_url);
    match upgrade {
        Ok(upgrade) if !foreign => upgrade.on_upgrade(move |socket| serve(socket, server)),
        _ => {
            let message = format!("URL Blocked because of CORS. Url: {}", origin.unwrap_or_default());
            let id = "api.web_socket.connect.upgrade.app_error";
            answer(400, &json!({ "id": id, "message": message, "status_code": 400 }))
        }
    }
}

async fn serve(mut socket: WebSocket, server: Shared) {
    let mut events = server.events.subscribe();
    let Some(Ok(Message::Text(challenge))) = socket.recv().await else { return };
    let challenge: Value = serde_json::from_str(&challenge).unwrap_or_default();
    let token = challenge["data"]["token"].as_str().unwrap_or_default();
    if !server.world().sessions.contains_key(token) {
        return;
    }
    let mut seq = 0;
    let greeting = [
        json!({ "status": "OK", "seq_reply": 1 }),
        json!({ "event": "hello", "data": { "server_version": "5.37.0" }, "broadcast": null, "seq": seq }),
    ];
    for text in greeting {
        if socket.send(Message::text(text.to_string())).await.is_err() {
            return;
        }
    }
    loop {
        let text = tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let request: Value = serde_json::from_str(&text).unwrap_or_default();
                    json!({ "status": "OK", "seq_reply": request["seq"], "data": { "text": "pong" } })
                }
                Some(Ok(_)) => continue,
                _ => return,
            },
            Ok(post) = events.recv() => {
                seq += 1;
                json!({ "event": "posted", "data": { "post": post }, "broadcast": {}, "seq": seq })
            }
        };
        if socket.send(Message::text(text.to_string())).await.is_err() {
            return;
        }
    }
}
