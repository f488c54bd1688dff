//! How often a client may call, and how long a session lasts.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::engine;
use crate::site::{Site, refused};

/// So many requests at once that they are more than any second allows.
const AT_ONCE: usize = 30;

/// The answers to requests that are sent at once, with a header whose value `value` gives.
async fn at_once(site: &Site, header: &str, value: impl Fn(usize) -> String) -> Vec<Response> {
    let send = |number| site.request("GET", "system/ping").header(header, value(number)).send();
    let answers = join_all((0..AT_ONCE).map(send)).await;
    answers.into_iter().map(|answer| answer.expect("the server answers")).collect()
}

async fn refused_at_once(site: &Site, header: &str, value: impl Fn(usize) -> String) -> usize {
    at_once(site, header, value).await.iter().filter(|answer| answer.status() == 429).count()
}

#[tokio::test]
async fn too_many_requests_are_refused_with_mattermosts_headers() {
    let settings = json!({"RateLimitSettings": {"Enable": true, "PerSec": 1, "MaxBurst": 6}});
    let site = Site::with(settings).await;
    let (mut allowed, mut refused) = (0, 0);
    for answer in at_once(&site, "x-any", |_| "x".to_owned()).await {
        let number = |name: &str| -> Option<u64> { answer.headers().get(name)?.to_str().ok()?.parse().ok() };
        assert_eq!(number("x-ratelimit-limit"), Some(7));
        assert!(number("x-ratelimit-remaining").is_some() && number("x-ratelimit-reset").is_some());
        if answer.status() == 200 {
            allowed += 1;
            continue;
        }
        refused += 1;
        assert_eq!((answer.status().as_u16(), number("x-ratelimit-remaining")), (429, Some(0)));
        assert!(number("retry-after").is_some_and(|seconds| seconds >= 1));
        assert_eq!(answer.headers()["content-type"], "text/plain");
        assert_eq!(answer.text().await.expect("a text").trim(), "limit exceeded");
    }
    assert!(allowed >= 7 && refused > 0, "{allowed} {refused}");
    // Switched off, nobody is counted.
    let site = Site::in_directory(site.end().await, json!({})).await;
    for answer in at_once(&site, "x-any", |_| "x".to_owned()).await {
        assert!(answer.status() == 200 && !answer.headers().contains_key("x-ratelimit-limit"));
    }
}

#[tokio::test]
async fn clients_are_told_apart_by_address_account_or_header() {
    let limit = |more: Value| {
        let mut settings = json!({"RateLimitSettings": {"Enable": true, "PerSec": 1, "MaxBurst": 2}});
        for (key, value) in more.as_object().into_iter().flatten() {
            settings["RateLimitSettings"][key] = value.clone();
        }
        settings
    };
    let one = |_| "203.0.113.1".to_owned();
    let each = |number: usize| format!("198.51.100.{number}");
    let site = Site::behind_edge(TempDir::new().expect("a directory"), limit(json!({}))).await;
    assert!(refused_at_once(&site, "x-real-ip", one).await > 0);
    assert_eq!(refused_at_once(&site, "x-real-ip", each).await, 0);
    site.end().await;
    // Only the edge is believed about an address.
    let site = Site::with(limit(json!({}))).await;
    assert!(refused_at_once(&site, "x-real-ip", each).await > 0, "a client invented its address");
    site.end().await;
    let site = Site::with(limit(json!({"VaryByRemoteAddr": false, "VaryByHeader": "X-App"}))).await;
    assert!(refused_at_once(&site, "x-app", one).await > 0);
    assert_eq!(refused_at_once(&site, "x-app", each).await, 0);
    site.end().await;
    // A token that signs nobody in is no account.
    let site = Site::with(limit(json!({"VaryByUser": true}))).await;
    let invented = |number: usize| format!("Bearer {number:026}");
    assert!(refused_at_once(&site, "authorization", invented).await > 0, "invented tokens were accounts");
}

#[tokio::test]
async fn a_session_that_is_not_used_ends() {
    let settings = json!({"ServiceSettings": {
        "ExtendSessionLengthWithActivity": false, "SessionIdleTimeoutInMinutes": 10,
    }});
    let site = Site::with(settings.clone()).await;
    let ada = site.sign_up("ada").await;
    assert_eq!(ada.get("users/me").await["id"], ada.id);
    let directory = site.end().await;
    let ago = i64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_millis(),
    )
    .expect("a number")
        - i64::try_from(Duration::from_secs(11 * 60).as_millis()).expect("a number");
    engine::ask(directory.path(), &format!("update sessions set lastactivityat = {ago} returning id")).await;
    let site = Site::in_directory(directory, settings).await;
    assert_eq!(refused(ada.at(&site).request("GET", "users/me")).await.0, 401);
    // Without the setting it lasts as long as it was made for.
    let settings = json!({"ServiceSettings": {
        "ExtendSessionLengthWithActivity": false, "SessionIdleTimeoutInMinutes": 0,
    }});
    let site = Site::in_directory(site.end().await, settings).await;
    assert_eq!(ada.at(&site).get("users/me").await["id"], ada.id);
}

#[tokio::test]
async fn sessions_last_as_long_as_the_settings_say() {
    let settings =
        json!({"ServiceSettings": {"SessionLengthWebInHours": 2, "SessionLengthMobileInHours": 5}});
    let site = Site::with(settings).await;
    let ada = site.sign_up("ada").await;
    let body = json!({"login_id": "ada", "password": crate::site::PASSWORD, "device_id": "android:x"});
    assert_eq!(
        site.request("POST", "users/login").json(&body).send().await.expect("an answer").status(),
        200
    );
    let sessions = ada.get("users/me/sessions").await;
    let hours = |mobile: bool| {
        let sessions = sessions.as_array().expect("a list");
        let one = sessions.iter().find(|one| (one["device_id"] != "") == mobile).expect("a session");
        (one["expires_at"].as_i64().expect("a time") - one["create_at"].as_i64().expect("a time")) / 3_600_000
    };
    assert_eq!((hours(false), hours(true)), (2, 5));
}
