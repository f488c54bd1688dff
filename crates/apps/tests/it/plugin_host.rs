//! A Mattermost with its Apps plugin, as far as its REST interface for administrators goes: paths, errors as plain text, the merge of
//! listings, and records with secrets in them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

/// The token of its administrator.
pub(crate) const TOKEN: &str = "hush-admin-token";
/// The token of somebody who is no administrator.
pub(crate) const USER: &str = "hush-user-token";
/// The password of its administrator, `admin`.
pub(crate) const PASSWORD: &str = "hush-password";

/// What kind of server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No plugin.
    Absent,
    /// The feature flag is off, so the plugin does not run.
    FlagOff,
    /// Older than the plugin allows.
    TooOld,
    /// The plugin runs.
    Ready,
}

#[derive(Default)]
struct Inside {
    listed: BTreeMap<String, Value>,
    installed: BTreeMap<String, Value>,
    calls: Vec<String>,
}

/// The server.
#[derive(Clone)]
pub(crate) struct PluginHost {
    kind: Kind,
    /// Whether the server has the credentials for AWS Lambda.
    aws: bool,
    inside: Arc<Mutex<Inside>>,
    pub(crate) address: SocketAddr,
}

const TYPES: [&str; 4] = ["aws_lambda", "http", "open_faas", "plugin"];

impl PluginHost {
    pub(crate) async fn start(kind: Kind, aws: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = Self { kind, aws, inside: Arc::default(), address };
        let plugin = Router::new()
            .route("/ping", post(|| async { Json(json!({"version": "1.2.2"})) }))
            .route("/marketplace", get(marketplace))
            .route("/apps/{id}", get(app))
            .route("/update-app-listing", post(update_listing))
            .route("/install-app", post(install))
            .route("/enable-app", post(enable))
            .route("/disable-app", post(disable))
            .route("/uninstall-app", post(uninstall))
            .layer(middleware::from_fn_with_state(host.clone(), guard));
        let mut router = Router::new()
            .route("/sub/api/v4/system/ping", get(|| async { Json(json!({"status": "OK"})) }))
            .route("/sub/api/v4/config/client", get(config))
            .route("/sub/api/v4/users/login", post(login))
            .route("/sub/api/v4/users/logout", post(logout));
        if kind == Kind::Ready {
            router = router.nest("/sub/plugins/com.mattermost.apps/api/v1", plugin);
        }
        let router = router.with_state(host.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    /// The site URL, which has a path.
    pub(crate) fn site(&self) -> url::Url {
        format!("http://{}/sub", self.address).parse().unwrap()
    }

    /// The changing calls since the last time.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.inside.lock().unwrap().calls)
    }
}

fn text(status: StatusCode, text: &str) -> Response {
    (status, text.to_owned()).into_response()
}

async fn guard(State(host): State<PluginHost>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let changes = request.method() == axum::http::Method::POST && path != "ping";
    let user = [TOKEN, USER].iter().any(|known| token == format!("Bearer {known}"));
    let needs_user =
        request.uri().path().contains("/apps/") && !changes && path != "ping" && path != "marketplace";
    if (changes && token != format!("Bearer {TOKEN}")) || (needs_user && !user) {
        return text(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    if changes {
        host.inside.lock().unwrap().calls.push(path);
    }
    next.run(request).await
}

async fn config(State(host): State<PluginHost>) -> Json<Value> {
    let version = if host.kind == Kind::TooOld { "7.6.0" } else { "10.11.0" };
    let flag = if host.kind == Kind::FlagOff { "false" } else { "true" };
    Json(json!({"Version": version, "FeatureFlagAppsEnabled": flag, "BuildNumber": version}))
}

async fn login(Json(body): Json<Value>) -> Response {
    if body["login_id"] == "admin" && body["password"] == PASSWORD {
        return ([("token", TOKEN)], Json(json!({"id": "x"}))).into_response();
    }
    (StatusCode::UNAUTHORIZED, Json(json!({"id": "api.user.login", "message": "no", "status_code": 401})))
        .into_response()
}

async fn logout(State(host): State<PluginHost>) -> Json<Value> {
    host.inside.lock().unwrap().calls.push("logout".to_owned());
    Json(json!({"status": "OK"}))
}

async fn marketplace(State(host): State<PluginHost>) -> Json<Value> {
    let inside = host.inside.lock().unwrap();
    let entry = |(id, manifest): (&String, &Value)| {
        let installed = inside.installed.get(id);
        let enabled = installed.is_some_and(|app| app["disabled"] != true);
        json!({"manifest": manifest, "installed": installed.is_some(), "enabled": enabled, "icon_url": "", "labels": []})
    };
    Json(inside.listed.iter().map(entry).collect())
}

async fn app(State(host): State<PluginHost>, Path(id): Path<String>) -> Response {
    match host.inside.lock().unwrap().installed.get(&id) {
        Some(app) => Json(app.clone()).into_response(),
        None => text(StatusCode::NOT_FOUND, &format!("{id}: not found")),
    }
}

/// The merge: of each type, the earlier one stays; the new one replaces it where the earlier listing had it, or where it is in `add_deploys`.
async fn update_listing(State(host): State<PluginHost>, Json(new): Json<Value>) -> Response {
    let Some(id) = new["app_id"].as_str().map(str::to_owned) else {
        return text(StatusCode::BAD_REQUEST, "app_id: must not be empty: invalid input");
    };
    let mut inside = host.inside.lock().unwrap();
    let before = inside.listed.get(&id).cloned().unwrap_or_default();
    let has =
        |list: &str, kind: &str| new[list].as_array().is_some_and(|all| all.iter().any(|one| one == kind));
    let mut merged = new.clone();
    let object = merged.as_object_mut().unwrap();
    for key in ["add_deploys", "remove_deploys", "Replace"] {
        object.remove(key);
    }
    for kind in TYPES {
        let replaces = new.get(kind).is_some() && (before.get(kind).is_some() || has("add_deploys", kind));
        let value = if replaces { new.get(kind) } else { before.get(kind) };
        match value.filter(|_| !has("remove_deploys", kind)) {
            Some(value) => object.insert(kind.to_owned(), value.clone()),
            None => object.remove(kind),
        };
    }
    inside.listed.insert(id, merged.clone());
    Json(merged).into_response()
}

async fn install(State(host): State<PluginHost>, Json(asked): Json<Value>) -> Response {
    let (id, kind) =
        (asked["app_id"].as_str().unwrap_or_default(), asked["deploy_type"].as_str().unwrap_or_default());
    let mut inside = host.inside.lock().unwrap();
    let Some(manifest) = inside.listed.get(id).cloned() else {
        return text(
            StatusCode::NOT_FOUND,
            &format!("failed to find manifest to install app: {id}: not found"),
        );
    };
    if manifest.get(kind).is_none() {
        return text(StatusCode::BAD_REQUEST, &format!("app does not support {kind} deployment"));
    }
    if kind == "aws_lambda" && !host.aws {
        let why = "deployment type \"AWS Lambda\" is not configured on this Mattermost server";
        return text(StatusCode::INTERNAL_SERVER_ERROR, why);
    }
    if manifest["display_name"] == "no ping" {
        return text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "failed to install, /ping path is not accessible: timeout",
        );
    }
    let mut app = manifest;
    app["deploy_type"] = kind.into();
    app["webhook_secret"] = "hush-webhook".into();
    app["mattermost_oauth2"] = json!({"client_secret": "hush-oauth"});
    inside.installed.insert(id.to_owned(), app.clone());
    Json(app).into_response()
}

fn switch(host: &PluginHost, asked: &Value, disabled: bool) -> Response {
    let id = asked["app_id"].as_str().unwrap_or_default();
    match host.inside.lock().unwrap().installed.get_mut(id) {
        Some(app) => {
            app["disabled"] = disabled.into();
            text(StatusCode::OK, "done")
        }
        None => text(StatusCode::NOT_FOUND, &format!("{id}: not found")),
    }
}

async fn enable(State(host): State<PluginHost>, Json(asked): Json<Value>) -> Response {
    switch(&host, &asked, false)
}

async fn disable(State(host): State<PluginHost>, Json(asked): Json<Value>) -> Response {
    switch(&host, &asked, true)
}

async fn uninstall(State(host): State<PluginHost>, Json(asked): Json<Value>) -> Response {
    let id = asked["app_id"].as_str().unwrap_or_default();
    match host.inside.lock().unwrap().installed.remove(id) {
        Some(_) => StatusCode::OK.into_response(),
        None => text(StatusCode::NOT_FOUND, &format!("failed to get app. appID: {id}: not found")),
    }
}
