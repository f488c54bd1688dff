//! A provider that answers as GitLab does, with a correct registration and with each common mistake.

use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect};
use axum::routing::{any, get};
use secrecy::SecretString;
use serde_json::{Value, json};
use services::gitlab::{GitLab, check};
use services::{Check, Trust, Verdict};
use tempfile::TempDir;

use crate::authority::{Issued, Kind, issue};
use crate::child::{Server, clients, script};
use crate::scripted::{closed, serve};

const SECRET: &str = "gl-s3cret/+&=";
const REDIRECT: &str = "https://chat.example.test/signup/gitlab/complete";

fn provider(more: &Value) -> Server {
    let mut want = json!({ "id": "app", "secret": SECRET, "redirect_uri": REDIRECT, "scope": "read_user" });
    for (key, value) in more.as_object().unwrap() {
        want[key] = value.clone();
    }
    let module = clients().join("node/node_modules/oauth2-mock-server/dist/index.mjs");
    Server::start(Command::new("node").arg(script("oauth.mjs")).arg(module).arg(want.to_string()))
}

fn at(base: &str) -> GitLab {
    GitLab {
        id: "app".into(),
        secret: SecretString::from(SECRET),
        scope: "read_user".into(),
        auth_endpoint: format!("{base}/authorize"),
        token_endpoint: format!("{base}/token"),
        user_api_endpoint: format!("{base}/userinfo"),
        redirect_uri: REDIRECT.into(),
        trust: Trust::System,
        timeout: Duration::from_secs(10),
    }
}

/// The three checks; no secret in any.
async fn looked_at(gitlab: &GitLab) -> [Check; 3] {
    let checks: [Check; 3] = check(gitlab).await.try_into().unwrap();
    assert_eq!(
        checks.each_ref().map(|one| one.name),
        ["auth endpoint", "token endpoint", "user API endpoint"]
    );
    let all = format!("{checks:?} {gitlab:?} {}", serde_json::to_string(&checks).unwrap());
    assert!(!all.contains(SECRET) && !all.contains("gl-s3cret"), "{all}");
    checks
}

/// What was seen, why, and the fix.
#[track_caller]
fn failed(check: &Check) -> String {
    let Verdict::Found(finding) = &check.verdict else { panic!("{check:?}") };
    assert!(check.verdict.is_failed(), "{check:?}");
    finding.to_string()
}

#[track_caller]
fn passed(check: &Check) -> &str {
    let Verdict::Passed { seen } = &check.verdict else { panic!("{check:?}") };
    seen
}

#[tokio::test]
async fn a_correct_registration_passes() {
    let server = provider(&json!({}));
    let [auth, token, user] = looked_at(&at(&format!("http://127.0.0.1:{}", server.port))).await;
    assert!(passed(&auth).contains("redirect URI"), "{auth:?}");
    assert!(passed(&token).contains("id and secret are accepted"), "{token:?}");
    assert!(passed(&user).contains("asks for a token"), "{user:?}");
}

#[tokio::test]
async fn wrong_credentials_are_told_from_wrong_registrations() {
    let server = provider(&json!({}));
    let right = at(&format!("http://127.0.0.1:{}", server.port));

    let wrong = GitLab { secret: SecretString::from("renewed-long-ago"), ..right.clone() };
    let [auth, token, user] = looked_at(&wrong).await;
    passed(&auth);
    passed(&user);
    assert!(failed(&token).contains("GITLAB_SECRET") && !failed(&token).contains("renewed-long-ago"));

    let [auth, token, _] = looked_at(&GitLab { id: "other".into(), ..right.clone() }).await;
    assert!(failed(&auth).contains("does not know the application other"), "{auth:?}");
    assert!(failed(&token).contains("GITLAB_ID"), "{token:?}");

    let elsewhere = "http://chat.example.test/signup/gitlab/complete";
    let [auth, token, _] = looked_at(&GitLab { redirect_uri: elsewhere.into(), ..right.clone() }).await;
    assert!(failed(&auth).contains(elsewhere), "{auth:?}");
    passed(&token);

    let [auth, ..] = looked_at(&GitLab { scope: "api".into(), ..right }).await;
    assert!(failed(&auth).contains("GITLAB_SCOPE"), "{auth:?}");
}

#[tokio::test]
async fn a_test_server_is_not_taken_for_a_gitlab() {
    let server = provider(&json!({ "credulous": true }));
    let [auth, token, user] = looked_at(&at(&format!("http://127.0.0.1:{}", server.port))).await;
    passed(&auth);
    assert!(token.verdict.is_noted(), "{token:?}");
    assert!(user.verdict.is_noted(), "{user:?}");
}

/// A provider over TLS.
fn encrypted(kind: Kind) -> (Server, Issued, TempDir) {
    let directory = TempDir::new().unwrap();
    let issued = issue(directory.path(), kind);
    let server = provider(&json!({ "certificate": issued.certificate, "key": issued.key }));
    (server, issued, directory)
}

#[tokio::test]
async fn certificates_and_schemes_are_checked() {
    let (server, issued, _directory) = encrypted(Kind::Chained);
    let right = at(&format!("https://127.0.0.1:{}", server.port));
    let right = GitLab { trust: issued.trust(), ..right };
    for check in looked_at(&right).await {
        passed(&check);
    }
    for check in looked_at(&GitLab { trust: Trust::System, ..right.clone() }).await {
        assert!(failed(&check).contains("signed by an unknown authority"), "{check:?}");
    }
    for check in looked_at(&at(&format!("http://127.0.0.1:{}", server.port))).await {
        failed(&check);
    }
    for (kind, said) in
        [(Kind::SelfSigned, "self-signed"), (Kind::Expired, "expired"), (Kind::Alone, "fullchain")]
    {
        let (server, issued, _directory) = encrypted(kind);
        let wrong = GitLab { trust: issued.trust(), ..at(&format!("https://127.0.0.1:{}", server.port)) };
        for check in looked_at(&wrong).await {
            assert!(failed(&check).contains(said), "{check:?}");
        }
    }
    let plain = provider(&json!({}));
    for check in looked_at(&at(&format!("https://127.0.0.1:{}", plain.port))).await {
        assert!(failed(&check).contains("does not speak TLS"), "{check:?}");
    }
}

#[tokio::test]
async fn an_absent_gitlab_is_explained() {
    for check in looked_at(&at(&format!("http://127.0.0.1:{}", closed().await))).await {
        assert!(failed(&check).contains("nothing listens"), "{check:?}");
    }
    for check in looked_at(&at("https://gitlab.invalid")).await {
        assert!(failed(&check).contains("gitlab.invalid is unknown"), "{check:?}");
    }
    for check in looked_at(&at("gitlab.example.test")).await {
        assert!(failed(&check).contains("https://"), "{check:?}");
    }
}

/// GitLab's own answers where it differs from the provider above.
#[tokio::test]
async fn gitlabs_own_pages_are_understood() {
    let sign_in = || async { Redirect::to("/users/sign_in").into_response() };
    let gone =
        || async { (StatusCode::GONE, axum::Json(json!({ "error": "API V3 is no longer supported" }))) };
    let unknown = || async {
        let page =
            "<h1>An error has occurred</h1><pre>Client authentication failed due to unknown client</pre>";
        (StatusCode::UNAUTHORIZED, Html(page))
    };
    let not_included =
        || async { (StatusCode::BAD_REQUEST, Html("<pre>The redirect URI included is not valid.</pre>")) };
    let page = || async { Html("<html>404</html>") };
    let echo = |said: String| async move { axum::Json(json!({ "error": "odd", "error_description": said })) };
    let app = Router::new()
        .route("/oauth/authorize", get(sign_in))
        .route("/api/v3/user", get(gone))
        .route("/unknown", get(unknown))
        .route("/not_included", get(not_included))
        .route("/user", get(sign_in))
        .route("/down", any(|| async { StatusCode::BAD_GATEWAY }))
        .route("/echo", any(echo))
        .route("/page", any(page));
    let base = format!("http://127.0.0.1:{}", serve(app).await);
    let asked = |auth: &str, token: &str, user: &str| GitLab {
        auth_endpoint: format!("{base}{auth}"),
        token_endpoint: format!("{base}{token}"),
        user_api_endpoint: format!("{base}{user}"),
        ..at(&base)
    };

    let [auth, token, user] = looked_at(&asked("/oauth/authorize", "/page", "/api/v3/user")).await;
    assert!(passed(&auth).contains("/users/sign_in"), "{auth:?}");
    assert!(failed(&token).contains("no JSON") && failed(&token).contains("/oauth/token"), "{token:?}");
    assert!(failed(&user).contains("old version"), "{user:?}");

    let [auth, token, user] = looked_at(&asked("/unknown", "/down", "/user")).await;
    assert!(failed(&auth).contains("does not know the application"), "{auth:?}");
    assert!(failed(&token).contains("502"), "{token:?}");
    assert!(failed(&user).contains("/api/v4/user"), "{user:?}");

    let [auth, token, _] = looked_at(&asked("/not_included", "/nowhere", "/page")).await;
    assert!(failed(&auth).contains(REDIRECT), "{auth:?}");
    assert!(failed(&token).contains("404"), "{token:?}");

    let [auth, token, _] = looked_at(&asked("/nowhere", "/echo", "/page")).await;
    assert!(failed(&auth).contains("/oauth/authorize"), "{auth:?}");
    assert!(failed(&token).contains("client_secret=********&"), "{token:?}");
}

#[tokio::test]
async fn a_redirect_to_https_is_named() {
    let app = Router::new().fallback(any(|uri: axum::http::Uri| async move {
        Redirect::permanent(&format!("https://127.0.0.1{uri}")).into_response()
    }));
    for check in looked_at(&at(&format!("http://127.0.0.1:{}", serve(app).await))).await {
        assert!(failed(&check).contains("write https:// in GITLAB_"), "{check:?}");
    }
}
