//! Signing in with GitLab: a provider on loopback, and a browser that keeps its cookies.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::site::{Site, refusal, text};

/// What the provider says.
#[derive(Clone)]
struct Provider {
    user: Value,
    url: String,
}

async fn token(State(_): State<Provider>, body: Bytes) -> Response {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let is = |name: &str, value: &str| form.iter().any(|(own, given)| own == name && given == value);
    let right = is("client_id", "app")
        && is("client_secret", "s3cret/+&=")
        && is("code", "the-code")
        && is("grant_type", "authorization_code")
        && is("redirect_uri", "http://chat.example/signup/gitlab/complete");
    if right {
        axum::Json(json!({"access_token": "tok", "token_type": "Bearer"})).into_response()
    } else {
        (axum::http::StatusCode::UNAUTHORIZED, "{}").into_response()
    }
}

async fn user(State(provider): State<Provider>, headers: axum::http::HeaderMap) -> Response {
    if headers.get("authorization").is_some_and(|value| value == "Bearer tok") {
        axum::Json(provider.user).into_response()
    } else {
        axum::http::StatusCode::UNAUTHORIZED.into_response()
    }
}

impl Provider {
    async fn new(user_says: Value) -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let provider = Provider { user: user_says, url };
        let router = Router::new()
            .route("/oauth/token", post(token))
            .route("/api/v4/user", get(user))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    fn settings(&self) -> Value {
        json!({
            "ServiceSettings": {"SiteURL": "http://chat.example", "SessionLengthSSOInHours": 7},
            "GitLabSettings": {
                "Enable": true, "Id": "app", "Secret": "s3cret/+&=", "Scope": "read_user",
                "AuthEndpoint": format!("{}/oauth/authorize", self.url),
                "TokenEndpoint": format!("{}/oauth/token", self.url),
                "UserAPIEndpoint": format!("{}/api/v4/user", self.url),
            },
        })
    }
}

/// A browser that follows nothing by itself.
struct Browser {
    client: reqwest::Client,
    cookies: Vec<(String, String)>,
}

impl Browser {
    fn new() -> Browser {
        // Makes sure that there is a cryptography provider.
        let _ = crate::site::client();
        let client = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
        Browser { client, cookies: Vec::new() }
    }

    async fn open(&mut self, url: &str) -> reqwest::Response {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.client.get(url).header("cookie", cookies.join("; "));
        let answer = request.send().await.expect("an answer");
        for cookie in answer.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().expect("a cookie").split(';').next().unwrap_or_default();
            let (name, value) = cookie.split_once('=').expect("a pair");
            self.cookies.retain(|(own, _)| own != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Begins to sign in; returns the state that goes through the provider.
    async fn begin(&mut self, site: &Site, path: &str) -> String {
        let answer = self.open(&format!("{}/oauth/gitlab/{path}", site.url())).await;
        assert_eq!(answer.status(), 302, "{}", answer.text().await.unwrap_or_default());
        let there: Url = answer.headers()["location"].to_str().expect("a text").parse().expect("a URL");
        let part = |name: &str| {
            there.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
        };
        assert_eq!(there.path(), "/oauth/authorize");
        assert_eq!(part("redirect_uri").as_deref(), Some("http://chat.example/signup/gitlab/complete"));
        assert_eq!(
            (part("client_id").as_deref(), part("scope").as_deref()),
            (Some("app"), Some("read_user"))
        );
        assert!(!there.as_str().contains("s3cret"));
        part("state").expect("a state")
    }

    async fn complete(&mut self, site: &Site, state: &str, code: &str) -> reqwest::Response {
        self.open(&format!("{}/signup/gitlab/complete?code={code}&state={state}", site.url())).await
    }
}

fn ann() -> Value {
    json!({"id": 7, "username": "Ann.Lee", "email": "ann@example.com", "name": "Ann van Lee"})
}

#[tokio::test]
async fn somebody_signs_up_and_in_with_gitlab() {
    let provider = Provider::new(ann()).await;
    let site = Site::with(provider.settings()).await;
    let ada = site.sign_up("ada").await;
    let mut browser = Browser::new();
    let state = browser.begin(&site, "login?redirect_to=/harbour/channels/deck").await;
    let answer = browser.complete(&site, &state, "the-code").await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (302, &"/harbour/channels/deck".parse().expect("a path"))
    );
    let token = browser.cookie("MMAUTHTOKEN").expect("a session").to_owned();
    assert!(browser.cookie("MMOAUTH").is_none() && browser.cookie("MMCSRF").is_some());
    let me = site.client.get(format!("{}/api/v4/users/me", site.url())).bearer_auth(&token);
    let me: Value = me.send().await.expect("an answer").json().await.expect("a user");
    assert_eq!(
        (&me["username"], &me["email"], &me["auth_service"]),
        (&json!("ann.lee"), &json!("ann@example.com"), &json!("gitlab"))
    );
    assert_eq!(
        (&me["first_name"], &me["last_name"], &me["email_verified"]),
        (&json!("Ann"), &json!("van Lee"), &json!(true))
    );
    let sessions = ada.get(&format!("users/{}/sessions", text(&me["id"]))).await;
    let length = sessions[0]["expires_at"].as_i64().expect("a time")
        - sessions[0]["create_at"].as_i64().expect("a time");
    assert_eq!(length / 3_600_000, 7);
    // A second time it is the same account; a password signs nobody in to it.
    let mut other = Browser::new();
    let state = other.begin(&site, "signup").await;
    assert_eq!(other.complete(&site, &state, "the-code").await.status(), 302);
    assert_eq!(other.cookie("MMUSERID"), me["id"].as_str());
    let body = json!({"login_id": "ann.lee", "password": ""});
    assert_eq!(
        site.request("POST", "users/login").json(&body).send().await.expect("an answer").status(),
        400
    );
    // Deactivated, nobody signs in.
    ada.delete(&format!("users/{}", text(&me["id"]))).await;
    let state = other.begin(&site, "login").await;
    assert_eq!(refusal(other.complete(&site, &state, "the-code").await).await.0, 401);
}

#[tokio::test]
async fn a_sign_in_that_another_browser_began_is_refused() {
    let provider = Provider::new(ann()).await;
    let site = Site::with(provider.settings()).await;
    let (mut attacker, mut victim) = (Browser::new(), Browser::new());
    let state = attacker.begin(&site, "login").await;
    let invalid = (400, "api.user.authorize_oauth_user.invalid_state.app_error".to_owned());
    assert_eq!(refusal(victim.complete(&site, &state, "the-code").await).await, invalid);
    let own = victim.begin(&site, "login").await;
    assert_eq!(refusal(victim.complete(&site, &state, "the-code").await).await, invalid);
    for hostile in ["", "x", ".", &format!("{own}x"), "%00"] {
        assert_eq!(refusal(victim.complete(&site, hostile, "the-code").await).await, invalid, "{hostile}");
    }
    assert!(victim.cookie("MMAUTHTOKEN").is_none());
    // The right state, and a code that the provider did not give, or none.
    assert_eq!(refusal(victim.complete(&site, &own, "wrong").await).await.0, 500);
    assert_eq!(refusal(victim.complete(&site, &own, "").await).await.0, 400);
    // Nobody is sent to another site.
    for there in ["https://evil.example/", "//evil.example", "/%5Cevil.example"] {
        let state = victim.begin(&site, &format!("login?redirect_to={there}")).await;
        let answer = victim.complete(&site, &state, "the-code").await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["location"]),
            (302, &"/".parse().expect("a path")),
            "{there}"
        );
    }
}

#[tokio::test]
async fn who_may_sign_up_with_gitlab_is_decided_as_elsewhere() {
    let provider = Provider::new(ann()).await;
    let closed = |more: Value| {
        let mut settings = provider.settings();
        settings["TeamSettings"] = more;
        settings
    };
    let sign_in = async |site: &Site, path: &str| {
        let mut browser = Browser::new();
        let state = browser.begin(site, path).await;
        browser.complete(site, &state, "the-code").await
    };
    let site = Site::with(provider.settings()).await;
    let ada = site.sign_up("ada").await;
    let (team, _) = ada.team("harbour").await;
    for (settings, status) in [
        (closed(json!({"EnableUserCreation": false})), 501),
        (closed(json!({"RestrictCreationToDomains": "other.example"})), 400),
        (closed(json!({"EnableOpenServer": false})), 403),
    ] {
        let site = Site::with(settings).await;
        site.request("POST", "users").json(&crate::site::account("first")).send().await.expect("an answer");
        let first = site.request("GET", "users?x").send().await.expect("an answer").status();
        assert_eq!(first, 401);
        let found = refusal(sign_in(&site, "signup").await).await;
        assert_eq!(found.0, status, "{found:?}");
    }
    // An invite link lets in, and joins its team.
    let invite = text(&team["invite_id"]);
    let answer = sign_in(&site, &format!("signup?id={invite}")).await;
    assert_eq!(answer.status(), 302);
    let members = ada.get(&format!("teams/{}/stats", text(&team["id"]))).await;
    assert_eq!(members["total_member_count"], 2);
    // An account with the same address that has a password is not taken over.
    let taken = Provider::new(json!({"id": 8, "username": "eve", "email": "ADA@example.com"})).await;
    let site = Site::in_directory(site.end().await, taken.settings()).await;
    let found = refusal(sign_in(&site, "login").await).await;
    assert_eq!(found, (400, "api.user.create_oauth_user.already_attached.app_error".to_owned()));
    // Somebody who has the name already keeps it.
    let same = Provider::new(json!({"id": 9, "username": "ada", "email": "other@example.com"})).await;
    let site = Site::in_directory(site.end().await, same.settings()).await;
    assert_eq!(sign_in(&site, "login").await.status(), 302);
    assert_eq!(ada.at(&site).get("users/username/ada1").await["email"], "other@example.com");
    // Switched off.
    let site = Site::in_directory(site.end().await, json!({})).await;
    let answer =
        site.client.get(format!("{}/oauth/gitlab/login", site.url())).send().await.expect("an answer");
    assert_eq!(refusal(answer).await.0, 501);
}
