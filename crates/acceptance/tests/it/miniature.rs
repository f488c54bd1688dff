//! A small server that answers as 5.37 did, for what the built-in server cannot do: missing fields, nulls, the answer to the
//! challenge before the hello, and every setting that closes sign-up.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Multipart, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
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
    /// No files in posts.
    pub(crate) no_files: bool,
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
    posts: Vec<Value>,
    files: HashMap<String, Vec<u8>>,
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

fn error(status: u16, id: &str) -> Response {
    let body = json!({ "id": id, "message": "Refused.", "detailed_error": "", "status_code": status });
    answer(status, &body)
}

fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn router(server: Shared) -> Router {
    let api = Router::new()
        .route("/system/ping", get(ping))
        .route("/config/client", get(client_config))
        .route("/config", get(config))
        .route("/users", post(sign_up))
        .route("/users/login", post(log_in))
        .route("/users/logout", post(log_out))
        .route("/users/me", get(me))
        .route("/users/{id}/active", put(deactivate))
        .route("/teams", post(make_team))
        .route("/teams/{id}", delete(archive))
        .route("/teams/name/{name}", get(team_by_name))
        .route("/teams/invite/{id}", get(team_by_invite))
        .route("/teams/{id}/members", post(add_member))
        .route("/teams/members/invite", post(add_member))
        .route("/teams/{id}/channels/name/{name}", get(channel))
        .route("/channels/{id}/posts", get(posts))
        .route("/posts", post(make_post))
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
            }),
        ),
        _ => error(403, "api.context.permissions.app_error"),
    }
}

fn read(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

async fn sign_up(State(server): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let by_admin = server.user(&headers).is_ok_and(|user| user == "admin");
    let mut user = read(&body);
    if server.rules.closed && !by_admin {
        return error(403, "api.user.create_user.no_open_server");
    }
    let email = user["email"].as_str().unwrap_or_default();
    if server.rules.domain.is_some_and(|domain| !email.ends_with(&format!("@{domain}"))) {
        return error(400, "api.user.create_user.accepted_domain.app_error");
    }
    let mut world = server.state.lock().expect("no panic");
    let id = world.id();
    let password = user["password"].take().as_str().unwrap_or_default().to_owned();
    user["id"] = id.clone().into();
    user["roles"] = "system_user".into();
    if !by_admin {
        user["email_verified"] = false.into();
    }
    world.passwords.insert(id.clone(), password);
    world.users.insert(id, user.clone());
    answer(201, &user)
}

async fn log_in(State(server): State<Shared>, body: Bytes) -> Response {
    let wish = read(&body);
    if wish["login_id"] == "admin" && wish["password"] == "secret" {
        return ([("token", ADMIN)], answer(200, &json!({ "id": "admin" }))).into_response();
    }
    let mut world = server.state.lock().expect("no panic");
    let user = world
        .users
        .values()
        .find(|user| user["username"] == wish["login_id"] || user["id"] == wish["id"])
        .cloned();
    let Some(user) = user else { return error(401, "api.user.login.invalid_credentials_email_username") };
    let id = user["id"].as_str().unwrap_or_default().to_owned();
    if wish["password"] != world.passwords[&id].as_str() {
        return error(401, "api.user.login.invalid_credentials_email_username");
    }
    if server.rules.verify && user["email_verified"] != true {
        return error(401, "api.user.login.not_verified.app_error");
    }
    let token = world.id();
    world.sessions.insert(token.clone(), id);
    ([("token", token)], answer(200, &user)).into_response()
}

async fn log_out(State(server): State<Shared>, headers: HeaderMap) -> Response {
    if let Ok(user) = server.user(&headers) {
        server.state.lock().expect("no panic").sessions.retain(|_, owner| *owner != user);
    }
    answer(200, &json!({ "status": "OK" }))
}

async fn me(State(server): State<Shared>, headers: HeaderMap) -> Response {
    match server.user(&headers) {
        Ok(user) if user == "admin" => {
            answer(200, &json!({ "id": "admin", "roles": "system_admin system_user" }))
        }
        Ok(user) => answer(200, &json!({ "id": user, "roles": "system_user" })),
        Err(refusal) => *refusal,
    }
}

async fn deactivate(State(server): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    match server.user(&headers) {
        Ok(user) if user == "admin" || (user == id && server.rules.may_leave) => {
            let mut world = server.state.lock().expect("no panic");
            if let Some(user) = world.users.get_mut(&id) {
                user["delete_at"] = 1.into();
            }
            world.sessions.retain(|_, owner| *owner != id);
            answer(200, &json!({ "status": "OK" }))
        }
        Ok(_) => error(401, "api.user.update_active.not_enable.app_error"),
        Err(refusal) => *refusal,
    }
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
    world.teams.insert(team["id"].as_str().unwrap_or_default().to_owned(), team.clone());
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

async fn archive(State(server): State<Shared>, Path(id): Path<String>) -> Response {
    server.state.lock().expect("no panic").teams.remove(&id);
    answer(200, &json!({ "status": "OK" }))
}

async fn add_member() -> Response {
    answer(201, &json!({ "roles": "team_user" }))
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
        _ => error(400, "api.web_socket.connect.upgrade.app_error"),
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
