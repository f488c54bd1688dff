//! Sign-up, who may sign up, and changing accounts.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::site::{PASSWORD, Site, account, redacted, refused, text};

#[tokio::test]
async fn an_account_has_the_documented_fields() {
    let site = Site::new().await;
    let answer = site.request("POST", "users").json(&account("ada")).send().await.expect("an answer");
    assert_eq!(answer.status(), 201);
    let user: Value = answer.json().await.expect("JSON");
    assert_eq!(
        redacted(&user),
        json!({
            "id": "ID", "create_at": "TIME", "update_at": "TIME", "delete_at": 0, "username": "ada",
            "auth_data": "", "auth_service": "", "email": "ada@example.com", "nickname": "", "first_name": "",
            "last_name": "", "position": "", "roles": "system_admin system_user",
            "notify_props": {
                "channel": "true", "comments": "never", "desktop": "mention", "desktop_sound": "true",
                "desktop_threads": "all", "email": "true", "email_threads": "all", "first_name": "false",
                "mention_keys": "", "push": "mention", "push_status": "online", "push_threads": "all"
            },
            "last_password_update": "TIME", "locale": "en",
            "timezone": {"automaticTimezone": "", "manualTimezone": "", "useAutomaticTimezone": "true"},
            "disable_welcome_email": false
        })
    );
    let ada = site.log_in("ada").await;
    let preferences = ada.get("users/me/preferences").await;
    assert_eq!(preferences.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn one_of_fifty_concurrent_sign_ups_becomes_administrator() {
    let site = Site::new().await;
    let sign_ups = (0..50).map(|n| site.request("POST", "users").json(&account(&format!("user{n}"))).send());
    let mut administrators = 0;
    for answer in join_all(sign_ups).await {
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 201);
        let user: Value = answer.json().await.expect("JSON");
        administrators += usize::from(text(&user["roles"]).contains("system_admin"));
    }
    assert_eq!(administrators, 1);
}

#[tokio::test]
async fn a_closed_server_accepts_only_the_first_account_invites_and_accounts_by_administrators() {
    let site = Site::with(json!({"TeamSettings": {"EnableOpenServer": false}})).await;
    let ada = site.sign_up("ada").await;
    let stranger = site.request("POST", "users").json(&account("eve"));
    assert_eq!(refused(stranger).await, (403, "api.user.create_user.no_open_server".to_owned()));
    ada.post("users", account("made")).await;
    let (team, _) = ada.team("harbour").await;
    let path = format!("users?iid={}", text(&team["invite_id"]));
    let invited = site.request("POST", &path).json(&account("bob")).send().await.expect("an answer");
    assert_eq!(invited.status(), 201);
    let wrong = site.request("POST", "users?iid=nothing").json(&account("mallory"));
    assert_eq!(refused(wrong).await.0, 404);
}

#[tokio::test]
async fn concurrent_sign_ups_on_a_closed_server_are_refused() {
    let site = Site::with(json!({"TeamSettings": {"EnableOpenServer": false}})).await;
    let sign_ups = (0..10).map(|n| site.request("POST", "users").json(&account(&format!("user{n}"))).send());
    let statuses: Vec<u16> = join_all(sign_ups)
        .await
        .into_iter()
        .map(|answer| answer.expect("an answer").status().as_u16())
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 403].contains(status)));
}

#[tokio::test]
async fn sign_up_can_be_disabled() {
    for settings in [
        json!({"EmailSettings": {"EnableSignUpWithEmail": false}}),
        json!({"TeamSettings": {"EnableUserCreation": false}}),
    ] {
        let site = Site::with(settings).await;
        let refused = refused(site.request("POST", "users").json(&account("ada"))).await;
        assert_eq!(refused, (501, "api.user.create_user.signup_email_disabled.app_error".to_owned()));
    }
}

#[tokio::test]
async fn malformed_accounts_are_refused() {
    let site = Site::with(json!({"TeamSettings": {"RestrictCreationToDomains": "example.com"}})).await;
    let with = |name: &str, value: &str| {
        let mut body = account("ada");
        body[name] = json!(value);
        refused(site.request("POST", "users").json(&body))
    };
    assert_eq!(with("username", "A b").await.1, "model.user.is_valid.username.app_error");
    assert_eq!(with("username", "all").await.1, "model.user.is_valid.username.app_error");
    assert_eq!(with("email", "x y@example.com").await.1, "model.user.is_valid.email.app_error");
    assert_eq!(with("email", "x@other.org").await.1, "api.user.create_user.accepted_domain.app_error");
    assert_eq!(with("password", "short").await.1, "model.user.is_valid.pwd_min_length.app_error");
    assert_eq!(with("password", &"x".repeat(73)).await.1, "model.user.is_valid.pwd_max_length.app_error");
    assert_eq!(with("nickname", &"x".repeat(65)).await.0, 400);
    site.sign_up("ada").await;
    assert_eq!(with("username", "other").await.1, "app.user.save.email_exists.app_error");
    assert_eq!(with("email", "other@example.com").await.1, "app.user.save.username_exists.app_error");
}

#[tokio::test]
async fn other_users_see_fewer_fields() {
    let site =
        Site::with(json!({"PrivacySettings": {"ShowEmailAddress": false, "ShowFullName": false}})).await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    ada.put("users/me/patch", json!({"first_name": "Ada", "nickname": "A"})).await;
    let seen = bob.get(&format!("users/{}", ada.id)).await;
    assert_eq!(
        (&seen["email"], &seen["first_name"], &seen["nickname"]),
        (&json!(""), &json!(""), &json!("A"))
    );
    assert!(seen.get("notify_props").is_none() && seen.get("last_password_update").is_none());
    let by_admin = ada.get(&format!("users/{}", bob.id)).await;
    assert_eq!(by_admin["email"], "bob@example.com");
    assert_eq!(refused(bob.request("GET", "users/email/ada@example.com")).await.0, 403);
}

#[tokio::test]
async fn users_are_found_by_name_address_id_and_search() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    for path in [
        format!("users/{}", bob.id),
        "users/username/bob".to_owned(),
        "users/email/bob@example.com".to_owned(),
    ] {
        assert_eq!(ada.get(&path).await["id"], bob.id, "{path}");
    }
    assert_eq!(ada.get("users/me").await["id"], ada.id);
    assert_eq!(ada.post("users/ids", json!([bob.id])).await[0]["username"], "bob");
    assert_eq!(ada.post("users/usernames", json!(["BOB"])).await[0]["id"], bob.id);
    assert_eq!(ada.post("users/search", json!({"term": "bo"})).await.as_array().map(Vec::len), Some(1));
    assert_eq!(ada.post("users/search", json!({"term": "%"})).await, json!([]));
    assert_eq!(ada.get("users/autocomplete?name=ad").await["users"][0]["id"], ada.id);
    assert_eq!(ada.get("users?roles=system_admin").await[0]["id"], ada.id);
    assert_eq!(ada.get("users?page=1&per_page=1").await[0]["username"], "bob");
    assert_eq!(ada.get("users/stats").await["total_users_count"], 2);
    let missing = refused(ada.request("GET", "users/abcdefghijklmnopqrstuvwxyz")).await;
    assert_eq!(missing, (404, "app.user.missing_account.const".to_owned()));
    let short = refused(ada.request("GET", "users/short")).await;
    assert_eq!(short, (400, "api.context.invalid_url_param.app_error".to_owned()));
    assert_eq!(refused(ada.request("POST", "users/ids").json(&json!(["x"]))).await.0, 400);
}

#[tokio::test]
async fn only_the_owner_or_an_administrator_changes_an_account() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let patched = bob.put("users/me/patch", json!({"nickname": "Bobby", "first_name": null})).await;
    assert_eq!((&patched["nickname"], &patched["roles"]), (&json!("Bobby"), &json!("system_user")));
    let path = format!("users/{}/patch", ada.id);
    assert_eq!(refused(bob.request("PUT", &path).json(&json!({"nickname": "x"}))).await.0, 403);
    assert_eq!(ada.put(&format!("users/{}/patch", bob.id), json!({"nickname": "B"})).await["nickname"], "B");
    let mail = |password: &str| {
        bob.request("PUT", "users/me/patch").json(&json!({"email": "new@example.com", "password": password}))
    };
    assert_eq!(refused(mail("wrong password")).await.1, "api.user.check_user_password.invalid.app_error");
    assert_eq!(mail(PASSWORD).send().await.expect("an answer").status(), 200);
    assert_eq!(refused(bob.request("PUT", "users/me/patch").json(&json!({"username": "ada"}))).await.0, 400);
}

#[tokio::test]
async fn only_administrators_set_roles_and_deactivate() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let roles = json!({"roles": "system_user system_admin"});
    let path = format!("users/{}/roles", bob.id);
    assert_eq!(
        refused(bob.request("PUT", &path).json(&roles)).await,
        (403, "api.context.permissions.app_error".to_owned())
    );
    assert_eq!(refused(bob.request("DELETE", &format!("users/{}", ada.id))).await.0, 403);
    assert_eq!(
        refused(bob.request("DELETE", "users/me")).await,
        (401, "api.user.update_active.not_enable.app_error".to_owned())
    );
    assert_eq!(refused(ada.request("PUT", &path).json(&json!({"roles": "root"}))).await.0, 400);
    ada.put(&path, roles).await;
    assert_eq!(bob.get("roles/name/system_user").await["name"], "system_user");
    ada.delete(&format!("users/{}", bob.id)).await;
    assert_eq!(refused(bob.request("GET", "users/me")).await.0, 401);
    let login = site.request("POST", "users/login").json(&json!({"login_id": "bob", "password": PASSWORD}));
    assert_eq!(refused(login).await.1, "api.user.login.invalid_credentials_email_username");
    ada.put(&format!("users/{}/active", bob.id), json!({"active": true})).await;
    site.log_in("bob").await;
}

#[tokio::test]
async fn preferences_of_other_users_are_refused() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let preference = json!({"user_id": bob.id, "category": "theme", "name": "", "value": "dark"});
    assert_eq!(bob.put("users/me/preferences", json!([preference])).await, json!({"status": "OK"}));
    assert_eq!(bob.get("users/me/preferences/theme").await, json!([preference]));
    assert_eq!(refused(ada.request("PUT", "users/me/preferences").json(&json!([preference]))).await.0, 403);
    assert_eq!(refused(bob.request("GET", &format!("users/{}/preferences", ada.id))).await.0, 403);
    bob.post("users/me/preferences/delete", json!([preference])).await;
    assert_eq!(bob.get("users/me/preferences/theme").await, json!([]));
    let many = vec![preference; 101];
    assert_eq!(refused(bob.request("PUT", "users/me/preferences").json(&many)).await.0, 400);
}

#[tokio::test]
async fn the_default_picture_shows_the_initial() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let answer = ada.request("GET", "users/me/image").send().await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "image/png");
    let bytes = answer.bytes().await.expect("a picture");
    assert_eq!(image::load_from_memory(&bytes).expect("a PNG").width(), 128);
}

#[tokio::test]
async fn only_an_administrator_verifies_an_address() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let said_so = |name: &str| {
        let mut form = account(name);
        form["email_verified"] = true.into();
        form
    };
    let eve = site.request("POST", "users").json(&said_so("eve")).send().await.expect("an answer");
    let eve: Value = eve.json().await.expect("JSON");
    let zoe: Value = ada.post("users", account("zoe")).await;
    ada.post("users", said_so("made")).await;
    let path = |user: &Value| format!("users/{}/email/verify/member", text(&user["id"]));
    assert_eq!(refused(site.log_in("eve").await.request("POST", &path(&eve))).await.0, 403);
    ada.post(&path(&zoe), json!({})).await;

    let directory = site.end().await;
    let site =
        Site::in_directory(directory, json!({"EmailSettings": {"RequireEmailVerification": true}})).await;
    for name in ["zoe", "made"] {
        site.log_in(name).await;
    }
    let login = json!({"login_id": "eve", "password": PASSWORD});
    let not_verified = refused(site.request("POST", "users/login").json(&login)).await;
    assert_eq!(not_verified, (401, "api.user.login.not_verified.app_error".to_owned()));
}
