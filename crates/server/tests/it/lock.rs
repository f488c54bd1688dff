//! Accounts that wrong passwords lock: for whom, for how long, and what a stranger learns.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::engine;
use crate::site::{PASSWORD, Site, refused};

const TOO_MANY: &str = "api.user.check_user_login_attempts.too_many.app_error";
const MASKED: &str = "api.user.login.invalid_credentials_email_username";

fn three_attempts() -> Value {
    json!({"ServiceSettings": {"MaximumLoginAttempts": 3}})
}

fn directory() -> tempfile::TempDir {
    tempfile::TempDir::new().expect("a temporary directory can be made")
}

/// A site behind the edge that locks accounts after three attempts.
async fn guarded() -> Site {
    Site::behind_edge(directory(), three_attempts()).await
}

/// A login from loopback, where [`Site::sign_up`] signs in.
fn login(site: &Site, name: &str, password: &str) -> RequestBuilder {
    site.request("POST", "users/login").json(&json!({"login_id": name, "password": password}))
}

/// A login that the edge passes on from `address`.
fn login_from(site: &Site, address: &str, name: &str, password: &str) -> RequestBuilder {
    login(site, name, password).header("x-real-ip", address)
}

async fn fails(request: RequestBuilder) -> String {
    let (status, id) = refused(request).await;
    assert_eq!(status, 401);
    id
}

async fn succeeds(request: RequestBuilder) -> bool {
    request.send().await.expect("an answer").status() == 200
}

/// Lets time pass for the account's locks.
async fn pass(directory: &std::path::Path, seconds: u32) {
    let later = format!("update mainstayloginattempts set lastfailureat = lastfailureat - {seconds}000");
    engine::ask(directory, &later).await;
}

#[tokio::test]
async fn a_lock_grows_ends_by_itself_and_outlives_a_restart() {
    let site = guarded().await;
    site.sign_up("ada").await;
    // All at once: concurrent guesses must not exceed the limit.
    let guesses = join_all((0..8).map(|_| fails(login(&site, "ada", "wrong")))).await;
    assert_eq!(guesses.iter().filter(|id| *id == TOO_MANY).count(), 5);
    assert_eq!(fails(login(&site, "ada", PASSWORD)).await, TOO_MANY);
    let site = Site::behind_edge(site.end().await, three_attempts()).await;
    assert_eq!(fails(login(&site, "ada", PASSWORD)).await, TOO_MANY, "after a restart");
    pass(site.directory(), 61).await;
    assert_eq!(fails(login(&site, "ada", "wrong")).await, MASKED, "the lock has ended");
    pass(site.directory(), 61).await;
    assert_eq!(fails(login(&site, "ada", PASSWORD)).await, TOO_MANY, "the next lock is longer");
    pass(site.directory(), 60).await;
    assert!(succeeds(login(&site, "ada", PASSWORD)).await);
    assert_eq!(fails(login(&site, "ada", "wrong")).await, MASKED, "the count began anew");
}

#[tokio::test]
async fn a_stranger_locks_out_strangers_but_not_the_owner() {
    let site = guarded().await;
    let admin = site.sign_up("root").await;
    let ada = site.sign_up("ada").await;
    // Together, strangers have ten times as many attempts as one.
    for n in 0..30 {
        assert_eq!(fails(login_from(&site, &format!("203.0.113.{}", n / 3), "ada", "wrong")).await, MASKED);
    }
    assert!(succeeds(login(&site, "ada", PASSWORD)).await, "the owner, where she was before");
    let elsewhere = || login_from(&site, "198.51.100.1", "ada", PASSWORD);
    assert_eq!(fails(elsewhere()).await, MASKED, "nobody learns from the answer that the password is right");
    assert!(succeeds(login_from(&site, "198.51.100.1", "root", PASSWORD)).await, "another account");
    let seen = admin.get(&format!("users/{}", ada.id)).await;
    assert_eq!(seen["failed_attempts"], Value::Null, "no failure since her last sign-in");
    admin.post(&format!("users/{}/reset_failed_attempts", ada.id), json!({})).await;
    assert!(succeeds(elsewhere()).await, "an administrator ended the lock");
    assert_eq!(refused(ada.request("POST", &format!("users/{}/reset_failed_attempts", ada.id))).await.0, 403);
}

#[tokio::test]
async fn one_client_with_many_ipv6_addresses_is_one_stranger() {
    let site = guarded().await;
    site.sign_up("ada").await;
    for n in 0..4 {
        fails(login_from(&site, &format!("2001:db8::{n}"), "ada", "wrong")).await;
    }
    assert_eq!(fails(login_from(&site, "2001:db8::99", "ada", PASSWORD)).await, MASKED, "locked");
    assert!(succeeds(login_from(&site, "2001:db8:0:1::1", "ada", PASSWORD)).await, "another network");
}

/// Every local user can connect to a port, and claim to be the edge.
#[tokio::test]
async fn an_address_that_a_local_client_forges_locks_nobody_there() {
    let site = Site::with(three_attempts()).await;
    site.sign_up("ada").await;
    let forged = |n| format!("203.0.113.{n}");
    for n in 0..40 {
        fails(login_from(&site, &forged(n / 3), "ada", "wrong")).await;
    }
    assert_eq!(fails(login(&site, "ada", PASSWORD)).await, TOO_MANY, "the forger's own address is locked");
    let site = Site::behind_edge(site.end().await, three_attempts()).await;
    for n in [0, 5, 200] {
        assert!(succeeds(login_from(&site, &forged(n), "ada", PASSWORD)).await, "{n} is not");
    }
}

#[tokio::test]
async fn an_administrator_sees_failed_attempts_below_the_official_servers_lock() {
    let site = guarded().await;
    let admin = site.sign_up("root").await;
    let ada = site.sign_up("ada").await;
    for _ in 0..3 {
        fails(login(&site, "ada", "wrong")).await;
    }
    assert_eq!(admin.get(&format!("users/{}", ada.id)).await["failed_attempts"], 2);
    admin.put(&format!("users/{}/password", ada.id), json!({"new_password": "another secret"})).await;
    assert!(succeeds(login(&site, "ada", "another secret")).await, "a new password ends the lock");
}

#[tokio::test]
async fn refusals_are_alike_for_unknown_locked_deactivated_and_foreign_accounts() {
    let site = guarded().await;
    let admin = site.sign_up("root").await;
    for name in ["ada", "bob", "carl"] {
        site.sign_up(name).await;
    }
    let bob = admin.get("users/username/bob").await;
    admin.delete(&format!("users/{}", bob["id"].as_str().unwrap_or_default())).await;
    let directory = site.end().await;
    let foreign =
        "update users set password = '', authservice = 'gitlab', authdata = '7' where username = 'carl'";
    engine::ask(directory.path(), foreign).await;
    let site = Site::behind_edge(directory, three_attempts()).await;
    let stranger = "203.0.113.9";
    for _ in 0..3 {
        fails(login_from(&site, stranger, "ada", "wrong")).await;
    }
    let mut answers = Vec::new();
    for (name, password) in
        [("nobody", PASSWORD), ("root", "wrong"), ("ada", PASSWORD), ("bob", PASSWORD), ("carl", PASSWORD)]
    {
        let began = Instant::now();
        let answer = login_from(&site, stranger, name, password).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let mut body: Value = answer.json().await.expect("JSON");
        assert!(began.elapsed() >= Duration::from_millis(250), "{name} is refused too early");
        body["request_id"] = Value::Null;
        answers.push((status, body));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

#[tokio::test]
async fn wrong_current_passwords_count_too() {
    let site = guarded().await;
    let ada = site.sign_up("ada").await;
    let change = |current: &str| {
        let body = json!({"current_password": current, "new_password": "another secret"});
        ada.request("PUT", "users/me/password").json(&body)
    };
    for _ in 0..3 {
        assert_eq!(refused(change("wrong")).await.0, 400);
    }
    assert_eq!(fails(change(PASSWORD)).await, TOO_MANY);
}

/// What all servers of this process log.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Written;

    fn make_writer(&'a self) -> Written {
        self.clone()
    }
}

impl Written {
    /// The fields of the lines with this message.
    fn lines(&self, message: &str) -> Vec<Value> {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lines = String::from_utf8(text).expect("UTF-8");
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == message).collect()
    }
}

#[tokio::test]
async fn every_attempt_is_logged_with_the_clients_address() {
    // For the whole process, because a subscriber of one thread does not get every line.
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(written.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).expect("no other test logs");
    let site = Site::behind_edge(directory(), json!({})).await;
    site.sign_up("adelaide").await;
    let client = "203.0.113.77";
    fails(login_from(&site, client, "adelaide\n{\"level\":\"ERROR\"}", "wrong")).await;
    fails(login_from(&site, client, &"x".repeat(5000), "secret guess")).await;
    let open = Site::new().await;
    fails(login_from(&open, client, "forger", "secret guess")).await;
    let forged = written.lines("a sign-in was refused");
    let forged = forged.iter().find(|line| line["name"] == "forger").expect("it is logged");
    assert_eq!(forged["client"], "127.0.0.1", "whoever connects to a port is not believed");
    let from_client = |message| {
        let lines = written.lines(message);
        lines.into_iter().filter(|line| line["client"] == client).collect::<Vec<_>>()
    };
    let refused = from_client("a sign-in was refused");
    assert_eq!(refused[0]["name"], "adelaide\\n{\\\"level\\\":\\\"ERROR\\\"}");
    assert_eq!(refused[0]["reason"], "unknown name");
    assert_eq!(refused[1]["name"].as_str().map(str::len), Some(64));
    assert_eq!(from_client("a request was refused").len(), 2);
    let signed_in = written.lines("signed in");
    let own = signed_in.iter().find(|line| line["name"] == "adelaide").expect("her sign-in is logged");
    assert_eq!(own["client"], "127.0.0.1");
    let all = String::from_utf8_lossy(&written.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    assert!(!all.contains(PASSWORD) && !all.contains("secret guess"));
}
