//! Accounts: signing up and in, and what an administrator does with them.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde_json::{Value, json};

use super::{ADMIN, Server, Shared, answer, done, error, is_local, read};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/users", post(sign_up))
        .route("/users/login", post(log_in))
        .route("/users/logout", post(log_out))
        .route("/users/me", get(me))
        .route("/users/email/{email}", get(user_by))
        .route("/users/username/{name}", get(user_by))
        .route("/users/{id}", get(user_by).delete(delete_user))
        .route("/users/{id}/active", put(set_active))
        .route("/users/{id}/roles", put(set_roles))
        .route("/users/{id}/password", put(set_password))
        .route("/users/{id}/email/verify/member", post(verify))
        .route("/users/{id}/preferences", put(set_preferences).get(preferences))
        .route("/users/{id}/image", post(saved).delete(saved))
        .route("/users/{id}/tokens", post(make_token))
        .route("/users/tokens/revoke", post(saved))
        .route("/config/patch", put(patch_config))
}

async fn saved(_: Bytes) -> Response {
    done()
}

async fn set_preferences(State(server): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let user = match server.user(&headers) {
        Ok(user) => user,
        Err(refusal) => return *refusal,
    };
    let mut world = server.state.lock().expect("no panic");
    world.preferences.entry(user).or_default().extend(read(&body).as_array().cloned().unwrap_or_default());
    done()
}

async fn preferences(State(server): State<Shared>, headers: HeaderMap) -> Response {
    match server.user(&headers) {
        Ok(user) => answer(200, &json!(server.world().preferences.get(&user).cloned().unwrap_or_default())),
        Err(refusal) => *refusal,
    }
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
    if world.users.values().any(|known| known["username"] == user["username"]) {
        return error(400, "app.user.save.username_exists.app_error");
    }
    let id = world.id();
    let password = user["password"].take().as_str().unwrap_or_default().to_owned();
    if password.len() < server.rules.password_length {
        return error(400, "model.user.is_valid.pwd_min_length.app_error");
    }
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
    let Some(user) =
        user.filter(|user| !server.rules.no_passwords && user["delete_at"].as_i64().unwrap_or(0) == 0)
    else {
        return error(401, "api.user.login.invalid_credentials_email_username");
    };
    if user["locked"] == true {
        return error(401, "api.user.check_user_login_attempts.too_many.app_error");
    }
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

fn is_admin(server: &Server, headers: &HeaderMap) -> bool {
    server.user(headers).is_ok_and(|user| user == "admin")
}

/// An account by its id, address or name.
async fn user_by(State(server): State<Shared>, Path(key): Path<String>) -> Response {
    let world = server.state.lock().expect("no panic");
    let known = world
        .users
        .values()
        .find(|user| [&user["id"], &user["email"], &user["username"]].contains(&&json!(key)));
    known.map_or_else(|| error(404, "app.user.missing_account.const"), |user| answer(200, user))
}

async fn delete_user(
    State(server): State<Shared>,
    Path(id): Path<String>,
    uri: axum::http::Uri,
    headers: HeaderMap,
) -> Response {
    let for_good = uri.query() == Some("permanent=true");
    if !is_admin(&server, &headers) || !for_good || server.rules.keeps_all && !is_local(&headers) {
        return error(401, "api.user.delete_user.not_enabled.app_error");
    }
    let mut world = server.state.lock().expect("no panic");
    world.users.remove(&id);
    world.sessions.retain(|_, owner| *owner != id);
    done()
}

async fn set_active(
    State(server): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match server.user(&headers) {
        Ok(user) if user == "admin" || (user == id && server.rules.may_leave) => {
            let mut world = server.state.lock().expect("no panic");
            let active = read(&body)["active"] == true;
            if let Some(user) = world.users.get_mut(&id) {
                user["delete_at"] = i64::from(!active).into();
            }
            if !active {
                world.sessions.retain(|_, owner| *owner != id);
            }
            answer(200, &json!({ "status": "OK" }))
        }
        Ok(_) => error(401, "api.user.update_active.not_enable.app_error"),
        Err(refusal) => *refusal,
    }
}

async fn change(server: &Server, headers: &HeaderMap, id: &str, key: &str, value: Value) -> Response {
    if !is_admin(server, headers) {
        return error(403, "api.context.permissions.app_error");
    }
    match server.state.lock().expect("no panic").users.get_mut(id) {
        Some(user) => {
            user[key] = value;
            answer(200, &json!({ "status": "OK" }))
        }
        None => error(404, "app.user.missing_account.const"),
    }
}

async fn set_roles(
    State(server): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    change(&server, &headers, &id, "roles", read(&body)["roles"].clone()).await
}

async fn verify(State(server): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    change(&server, &headers, &id, "email_verified", true.into()).await
}

async fn set_password(
    State(server): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let password = read(&body)["new_password"].as_str().unwrap_or_default().to_owned();
    server.state.lock().expect("no panic").passwords.insert(id.clone(), password);
    change(&server, &headers, &id, "locked", false.into()).await
}

async fn make_token(State(server): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let mut world = server.state.lock().expect("no panic");
    if !world.tokens.0 {
        return error(501, "app.user_access_token.disabled");
    }
    assert!(is_local(&headers) || headers.contains_key(header::AUTHORIZATION));
    let token = world.id();
    world.sessions.insert(token.clone(), id);
    answer(200, &json!({ "id": "token-id", "token": token }))
}

async fn patch_config(State(server): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    if !is_admin(&server, &headers) {
        return error(403, "api.context.permissions.app_error");
    }
    let mut world = server.state.lock().expect("no panic");
    world.tokens = (read(&body)["ServiceSettings"]["EnableUserAccessTokens"] == true, world.tokens.1 + 1);
    answer(200, &json!({}))
}
