//! The local channel: an administrator's API on a Unix socket. The requests are those of `mmctl --local`.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::engine;
use crate::site::{PASSWORD, Site, TIMEOUT, account, client, config, refused, text};

/// A caller on the local channel.
struct Operator(Client);

/// The socket of a site in `directory`.
fn socket(directory: &Path) -> PathBuf {
    directory.join("local.socket")
}

/// Settings that let nobody sign up or in, with the local channel on.
fn closed(socket: &Path) -> Value {
    json!({
        "ServiceSettings": {"EnableLocalMode": true, "LocalModeSocketLocation": socket},
        "TeamSettings": {"EnableUserCreation": false, "EnableOpenServer": false},
        "EmailSettings": {
            "EnableSignUpWithEmail": false, "EnableSignInWithEmail": false, "EnableSignInWithUsername": false,
            "RequireEmailVerification": true,
        },
    })
}

async fn closed_site() -> (Site, Operator) {
    let directory = TempDir::new().expect("a temporary directory");
    let socket = socket(directory.path());
    let site = Site::in_directory(directory, closed(&socket)).await;
    let operator = Operator::at(&socket).await;
    (site, operator)
}

impl Operator {
    /// Waits until the socket is there.
    async fn at(socket: &Path) -> Operator {
        let _ = client();
        let begun = std::time::Instant::now();
        while !socket.exists() {
            assert!(begun.elapsed() < TIMEOUT, "the socket appears in time");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let client = Client::builder().unix_socket(socket).timeout(TIMEOUT).build();
        Operator(client.expect("a client on a socket can be made"))
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.parse().expect("a method");
        self.0.request(method, format!("http://_/api/v4/{path}"))
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.request(method, path).json(&body).send().await.expect("the server answers");
        let status = answer.status();
        let body = answer.text().await.expect("a whole body");
        assert!(status.is_success(), "{method} {path}: {status} {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, json!(null)).await
    }
}

#[tokio::test]
async fn accounts_are_managed_without_anybodys_password() {
    let (site, operator) = closed_site().await;
    // Although sign-up is off everywhere. The first account becomes administrator, as everywhere.
    let ada = operator.ask("POST", "users", account("ada")).await;
    assert_eq!(ada["roles"], "system_admin system_user");
    let bob = text(&operator.ask("POST", "users", account("bob")).await["id"]);
    let path = |rest: &str| format!("users/{bob}{rest}");
    for found in ["users/username/bob", "users/email/bob@example.com", &path("")] {
        assert_eq!(operator.get(found).await["id"], bob, "{found}");
    }
    assert_eq!(operator.get("users?page=0&per_page=200").await.as_array().map(Vec::len), Some(2));
    assert_eq!(operator.ask("POST", "users/ids", json!([bob])).await[0]["username"], "bob");
    assert_eq!(operator.ask("POST", "users/search", json!({"term": "bo"})).await[0]["username"], "bob");
    operator.ask("POST", &path("/email/verify/member"), json!(null)).await;
    operator.ask("PUT", &path("/roles"), json!({"roles": "system_user system_admin"})).await;
    operator.ask("PUT", &path("/password"), json!({"new_password": "another secret"})).await;
    operator.ask("PUT", &path("/patch"), json!({"nickname": "Bobby", "email": "b@example.com"})).await;
    operator.ask("PUT", &path("/mfa"), json!({"activate": false, "code": ""})).await;
    let seen = operator.get("users/username/bob").await;
    assert_eq!(
        [&seen["roles"], &seen["nickname"], &seen["email"]],
        ["system_user system_admin", "Bobby", "b@example.com"]
    );
    operator.ask("PUT", &path("/active"), json!({"active": false})).await;
    assert!(operator.get(&path("")).await["delete_at"].as_i64().is_some_and(|at| at > 0));
    operator.ask("PUT", &path("/active"), json!({"active": true})).await;
    assert_eq!(operator.ask("DELETE", &path(""), json!(null)).await["status"], "OK");
    // The sign-in methods are off for everybody else.
    let login = json!({"login_id": "ada", "password": PASSWORD});
    assert_eq!(refused(site.request("POST", "users/login").json(&login)).await.0, 401);
}

#[tokio::test]
async fn a_locked_account_is_unlocked_and_its_sessions_end() {
    let directory = TempDir::new().expect("a temporary directory");
    let socket = socket(directory.path());
    let settings = json!({"ServiceSettings": {
        "EnableLocalMode": true, "LocalModeSocketLocation": socket, "MaximumLoginAttempts": 2,
    }});
    let site = Site::in_directory(directory, settings).await;
    let operator = Operator::at(&socket).await;
    let ada = site.sign_up("ada").await;
    let login = |password: &str| {
        site.request("POST", "users/login").json(&json!({"login_id": "ada", "password": password}))
    };
    for _ in 0..2 {
        refused(login("wrong")).await;
    }
    assert_eq!(refused(login(PASSWORD)).await.0, 401);
    let locks = operator.get("mainstay/locks").await;
    assert_eq!(
        (&locks[0]["user_id"], &locks[0]["address"]),
        (&json!(ada.id), &json!("127.0.0.1")),
        "{locks}"
    );
    assert!(locks[0]["until"].as_i64().is_some_and(|until| until > 0), "{locks}");
    operator.ask("POST", &format!("users/{}/reset_failed_attempts", ada.id), json!(null)).await;
    assert_eq!(operator.get("mainstay/locks").await, json!([]));
    assert_eq!(login(PASSWORD).send().await.expect("an answer").status(), 200);
    let sessions = operator.get(&format!("users/{}/sessions", ada.id)).await;
    assert_eq!(sessions.as_array().map(Vec::len), Some(2));
    operator.ask("POST", &format!("users/{}/sessions/revoke/all", ada.id), json!(null)).await;
    assert_eq!(refused(ada.request("GET", "users/me")).await.0, 401);
}

#[tokio::test]
async fn teams_and_channels_need_no_member_to_be_managed() {
    let (_site, operator) = closed_site().await;
    let ada = text(&operator.ask("POST", "users", account("ada")).await["id"]);
    let new = json!({"name": "harbour", "display_name": "Harbour", "type": "O", "email": "Post@example.com"});
    let team = operator.ask("POST", "teams", new).await;
    assert_eq!(team["email"], "post@example.com");
    let id = text(&team["id"]);
    let members = format!("teams/{id}/members");
    assert_eq!(operator.get(&members).await, json!([]), "nobody joined");
    let member = operator.ask("POST", &members, json!({"team_id": id, "user_id": ada})).await;
    assert_eq!(member["roles"], "team_user");
    assert_eq!(operator.get("teams/name/harbour").await["id"], id);
    assert_eq!(operator.get("teams").await[0]["invite_id"].as_str().map(str::len), Some(26));
    operator.ask("PUT", &format!("teams/{id}/patch"), json!({"display_name": "Port"})).await;
    operator.ask("PUT", &format!("teams/{id}/privacy"), json!({"privacy": "I"})).await;

    let new = json!({"team_id": id, "name": "quay", "display_name": "Quay", "type": "P"});
    let quay = text(&operator.ask("POST", "channels", new).await["id"]);
    let channel = format!("channels/{quay}");
    assert_eq!(operator.get(&format!("{channel}/members")).await, json!([]));
    operator.ask("POST", &format!("{channel}/members"), json!({"user_id": ada})).await;
    assert_eq!(operator.get(&format!("{channel}/members/{ada}")).await["user_id"], ada);
    assert_eq!(operator.get(&format!("teams/{id}/channels/private")).await[0]["id"], quay);
    assert_eq!(operator.get(&format!("teams/{id}/channels")).await.as_array().map(Vec::len), Some(2));
    operator.ask("DELETE", &format!("{channel}/members/{ada}"), json!(null)).await;
    operator.ask("DELETE", &channel, json!(null)).await;
    assert_eq!(operator.get(&format!("teams/{id}/channels/deleted")).await[0]["id"], quay);
    operator.ask("POST", &format!("{channel}/restore"), json!(null)).await;
    operator.ask("DELETE", &format!("{members}/{ada}"), json!(null)).await;
    operator.ask("DELETE", &format!("teams/{id}"), json!(null)).await;
    operator.ask("POST", &format!("teams/{id}/restore"), json!(null)).await;
}

#[tokio::test]
async fn the_channel_has_no_posts_no_logins_and_nobody_of_its_own() {
    let (_site, operator) = closed_site().await;
    assert_eq!(operator.get("system/ping?get_server_status=true").await["status"], "OK");
    assert_eq!(operator.get("roles/name/system_admin").await["name"], "system_admin");
    for (method, path, status) in [
        ("POST", "posts", 404),
        ("GET", "websocket", 404),
        ("POST", "users/login", 404),
        ("GET", "users/me/preferences", 404),
        ("GET", "users/me", 400),
        ("DELETE", "users", 501),
        ("POST", "integrity", 501),
        ("GET", "users/abcdefghijklmnopqrstuvwxyz", 404),
    ] {
        assert_eq!(
            refused(operator.request(method, path).json(&json!({}))).await.0,
            status,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn settings_are_shown_without_secrets() {
    let (_site, operator) = closed_site().await;
    let seen = operator.get("config").await;
    assert_eq!(seen["TeamSettings"]["EnableUserCreation"], false);
    assert_eq!(seen["SqlSettings"]["DataSource"], "********************************");
}

#[tokio::test]
async fn nothing_is_administered_over_the_network() {
    let (site, _operator) = closed_site().await;
    assert_eq!(refused(site.request("GET", "users")).await.0, 401);
    assert_eq!(refused(site.request("POST", "users").json(&account("eve"))).await.0, 501);
}

#[tokio::test]
async fn the_socket_is_the_owners_and_goes_with_the_server() {
    let (site, _operator) = closed_site().await;
    let file = socket(site.directory());
    let seen = std::fs::symlink_metadata(&file).expect("the socket");
    assert!(seen.file_type().is_socket());
    assert_eq!(seen.permissions().mode() & 0o7777, 0o600);
    assert_eq!(seen.uid(), std::fs::metadata(site.directory()).expect("the directory").uid());
    site.end().await;
    assert!(!file.exists());
}

/// The error of a server in `directory` with its local channel at `socket`.
async fn refusal(directory: &Path, socket: &Path) -> String {
    engine::prepare(directory).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let served = server::serve(config(directory, &closed(socket)), listener, CancellationToken::new());
    let served = tokio::time::timeout(TIMEOUT, served).await.expect("the server ends in time");
    served.expect_err("the socket is refused").to_string()
}

#[tokio::test]
async fn what_a_killed_server_left_is_replaced_and_what_lives_is_not() {
    let directory = TempDir::new().expect("a temporary directory");
    let socket = socket(directory.path());
    drop(UnixListener::bind(&socket).expect("a socket that nobody serves"));
    let site = Site::in_directory(directory, closed(&socket)).await;
    let other = TempDir::new().expect("a temporary directory");
    // The stale file is there before the server has replaced it.
    let begun = std::time::Instant::now();
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(begun.elapsed() < TIMEOUT, "the socket is replaced in time");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let operator = Operator::at(&socket).await;
    assert_eq!(operator.get("system/ping").await["status"], "OK");
    let told = refusal(other.path(), &socket).await;
    assert!(told.contains(&*socket.to_string_lossy()) && told.contains("another server answers"), "{told}");
    assert_eq!(operator.get("system/ping").await["status"], "OK", "it still serves");
    site.end().await;
}

#[tokio::test]
async fn a_path_that_cannot_be_a_socket_is_refused_with_the_way_out() {
    let directory = TempDir::new().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("notes"), b"keep me").expect("a file");
    for (path, expected) in [
        (at("notes"), "is not a socket"),
        (at(&"long".repeat(40)), "at most 107"),
        (at("missing/local.socket"), "Create its directory"),
        (PathBuf::new(), "LocalModeSocketLocation is empty"),
    ] {
        let told = refusal(directory.path(), &path).await;
        assert!(told.contains(expected) && told.contains(&*path.to_string_lossy()), "{told}");
    }
    assert_eq!(std::fs::read(at("notes")).expect("the file is still there"), b"keep me");
}

#[tokio::test]
async fn an_access_token_signs_in_where_no_password_does() {
    let (site, operator) = closed_site().await;
    let ada = text(&operator.ask("POST", "users", account("ada")).await["id"]);
    let tokens = format!("users/{ada}/tokens");
    let new = json!({"description": "a test"});
    let refusal = refused(operator.request("POST", &tokens).json(&new)).await;
    assert_eq!(refusal, (501, "app.user_access_token.disabled".to_owned()));
    let allow = |allow: bool| json!({"ServiceSettings": {"EnableUserAccessTokens": allow}});
    operator.ask("PUT", "config/patch", allow(true)).await;
    let made = operator.ask("POST", &tokens, new).await;
    let me = || site.request("GET", "users/me").bearer_auth(text(&made["token"]));
    assert_eq!(me().send().await.expect("an answer").status(), 200);
    let listed = json!([{"id": made["id"], "user_id": ada, "description": "a test", "is_active": true}]);
    assert_eq!(operator.get(&tokens).await, listed);
    operator.ask("PUT", "config/patch", allow(false)).await;
    assert_eq!(refused(me()).await.0, 401, "tokens are off");
    operator.ask("PUT", "config/patch", allow(true)).await;
    operator.ask("POST", "users/tokens/revoke", json!({"token_id": made["id"]})).await;
    assert_eq!(refused(me()).await.0, 401, "it is revoked");
    let other = json!({"TeamSettings": {"SiteName": "Other"}});
    assert_eq!(refused(operator.request("PUT", "config/patch").json(&other)).await.0, 501);
}
