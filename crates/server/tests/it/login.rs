//! Logging in, sessions, cookies, CSRF protection and locked accounts.

use serde_json::{Value, json};

use crate::engine;
use crate::site::{PASSWORD, Site, refused, text};

fn credentials(password: &str) -> Value {
    json!({"login_id": "ada", "password": password, "token": null})
}

#[tokio::test]
async fn users_log_in_by_name_address_or_id() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    for body in [
        json!({"login_id": "ADA", "password": PASSWORD}),
        json!({"login_id": "Ada@Example.com", "password": PASSWORD}),
        json!({"id": ada.id, "password": PASSWORD, "token": "", "device_id": ""}),
    ] {
        let answer = site.request("POST", "users/login").json(&body).send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.headers()["token"].len()), (200, 26));
        assert!(answer.headers().get("set-cookie").is_none(), "no cookies without X-Requested-With");
    }
}

#[tokio::test]
async fn failures_do_not_reveal_who_has_an_account() {
    let site = Site::new().await;
    site.sign_up("ada").await;
    let failure = async |body: Value| refused(site.request("POST", "users/login").json(&body)).await;
    let masked = (401, "api.user.login.invalid_credentials_email_username".to_owned());
    assert_eq!(failure(credentials("wrong")).await, masked);
    assert_eq!(failure(json!({"login_id": "nobody", "password": "wrong"})).await, masked);
    let blank = (400, "api.user.login.blank_pwd.app_error".to_owned());
    assert_eq!(failure(json!({"login_id": "ada"})).await, blank);
    // One value that is not a string makes the whole map empty.
    assert_eq!(failure(json!({"login_id": "ada", "password": PASSWORD, "extra": 1})).await, blank);
}

#[tokio::test]
async fn sign_in_methods_can_be_disabled() {
    let site = Site::with(json!({"EmailSettings": {"EnableSignInWithEmail": false}})).await;
    site.sign_up("ada").await;
    let by_mail = json!({"login_id": "ada@example.com", "password": PASSWORD});
    let refused = refused(site.request("POST", "users/login").json(&by_mail)).await;
    assert_eq!(refused, (401, "api.user.login.invalid_credentials_username".to_owned()));
}

#[tokio::test]
async fn a_successful_login_resets_the_count() {
    let site = Site::with(json!({"ServiceSettings": {"MaximumLoginAttempts": 2}})).await;
    site.sign_up("ada").await;
    for _ in 0..3 {
        assert_eq!(refused(site.request("POST", "users/login").json(&credentials("wrong"))).await.0, 401);
        site.log_in("ada").await;
    }
}

#[tokio::test]
async fn cookies_have_their_attributes_and_need_csrf_protection() {
    let site = Site::with(json!({"ServiceSettings": {"SiteURL": "https://chat.example/sub"}})).await;
    let ada = site.sign_up("ada").await;
    let login = site.request("POST", "users/login").json(&credentials(PASSWORD));
    let login = login.header("X-Requested-With", "XMLHttpRequest").header("X-Forwarded-Proto", "https");
    let answer = login.send().await.expect("an answer");
    let cookies: Vec<String> = answer
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().expect("ASCII").to_owned())
        .collect();
    let value = |name: &str| {
        let cookie = cookies.iter().find(|cookie| cookie.starts_with(name)).expect("the cookie is set");
        cookie[name.len() + 1..].split(';').next().expect("a value").to_owned()
    };
    for cookie in &cookies {
        assert!(cookie.contains("; Path=/sub; Max-Age=2592000") && cookie.contains("; Secure"), "{cookie}");
        assert_eq!(cookie.contains("HttpOnly"), cookie.starts_with("MMAUTHTOKEN"), "{cookie}");
    }
    assert_eq!(value("MMUSERID"), ada.id);

    let cookie = format!("MMAUTHTOKEN={}; MMUSERID={}", value("MMAUTHTOKEN"), ada.id);
    let by_cookie = |method: &str| site.request(method, "users/me/preferences").header("cookie", &cookie);
    assert_eq!(by_cookie("GET").send().await.expect("an answer").status(), 200);
    let preference = json!([{"user_id": ada.id, "category": "c", "name": "n", "value": "v"}]);
    let forged = by_cookie("PUT").json(&preference).send().await.expect("an answer");
    assert_eq!(forged.status(), 401);
    assert!(forged.headers()["set-cookie"].to_str().is_ok_and(|cookie| cookie.starts_with("MMAUTHTOKEN=;")));
    for (name, value) in
        [("X-CSRF-Token", value("MMCSRF")), ("X-Requested-With", "XMLHttpRequest".to_owned())]
    {
        let own = by_cookie("PUT").json(&preference).header(name, value);
        assert_eq!(own.send().await.expect("an answer").status(), 200, "{name}");
    }
    // An invalid cookie is preferred to a valid header.
    let both = ada.request("GET", "users/me").header("cookie", "MMAUTHTOKEN=abcdefghijklmnopqrstuvwxyz");
    assert_eq!(refused(both).await.0, 401);
}

#[tokio::test]
async fn strict_csrf_protection_requires_the_token() {
    let site = Site::with(json!({"ServiceSettings": {"ExperimentalStrictCSRFEnforcement": true}})).await;
    let ada = site.sign_up("ada").await;
    let cookie = format!("MMAUTHTOKEN={}", ada.token);
    let logout = site.request("POST", "users/me/sessions/revoke/all").header("cookie", cookie);
    assert_eq!(refused(logout.header("X-Requested-With", "XMLHttpRequest")).await.0, 401);
}

#[tokio::test]
async fn sessions_are_listed_without_secrets_and_end_immediately() {
    let site = Site::new().await;
    let first = site.sign_up("ada").await;
    let second = site.log_in("ada").await;
    let sessions = first.get("users/me/sessions").await;
    let sessions = sessions.as_array().expect("a list");
    assert_eq!(sessions.len(), 2);
    assert!(sessions.iter().all(|session| session["token"] == "" && session["props"].get("csrf").is_none()));
    assert_eq!(second.post("users/logout", json!({})).await, json!({"status": "OK"}));
    assert_eq!(refused(second.request("GET", "users/me")).await.1, "api.context.session_expired.app_error");
    let id = text(&first.get("users/me/sessions").await[0]["id"]);
    first.post("users/me/sessions/revoke", json!({"session_id": id})).await;
    assert_eq!(refused(first.request("GET", "users/me")).await.0, 401);
}

#[tokio::test]
async fn changing_a_password_requires_the_current_one() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let change = |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        ada.request("PUT", "users/me/password").json(&body)
    };
    assert_eq!(refused(change("wrong", "another secret")).await.0, 400);
    assert_eq!(refused(change(PASSWORD, "short")).await.0, 400);
    assert_eq!(change(PASSWORD, "another secret").send().await.expect("an answer").status(), 200);
    assert_eq!(refused(site.request("POST", "users/login").json(&credentials(PASSWORD))).await.0, 401);
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_unless_the_setting_is_off() {
    for ends in [true, false] {
        let site = Site::with(json!({"ServiceSettings": {"TerminateSessionsOnPasswordChange": ends}})).await;
        let ada = site.sign_up("ada").await;
        let other = site.log_in("ada").await;
        let body = json!({"current_password": PASSWORD, "new_password": "another secret"});
        ada.put("users/me/password", body).await;
        assert_eq!(ada.get("users/me").await["username"], "ada", "the session that changes it stays");
        let answer = other.request("GET", "users/me").send().await.expect("an answer");
        assert_eq!(answer.status(), if ends { 401 } else { 200 });
    }
}

#[tokio::test]
async fn a_hash_of_an_older_version_is_accepted_and_replaced() {
    let site = Site::new().await;
    site.sign_up("ada").await;
    let directory = site.end().await;
    let bcrypt = bcrypt::hash(PASSWORD, 4).expect("a hash");
    engine::ask(directory.path(), &format!("update users set password = '{bcrypt}'")).await;
    let site = Site::in_directory(directory, json!({})).await;
    site.log_in("ada").await;
    let hash = engine::ask(site.directory(), "select password from users").await;
    assert!(hash.starts_with("$pbkdf2$f=SHA256,w="), "{hash}");
    site.log_in("ada").await;
}
