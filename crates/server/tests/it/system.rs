//! Health, client configuration, common headers, and routes that are not implemented.

use serde_json::{Value, json};

use crate::site::{Site, refusal, refused};

#[tokio::test]
async fn ping_checks_the_database_and_the_file_store() {
    let site = Site::new().await;
    let answer = site.request("GET", "system/ping?get_server_status=true").send().await.expect("an answer");
    assert_eq!(answer.headers()["database_status"], "OK");
    assert_eq!(answer.headers()["filestore_status"], "OK");
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(
        body,
        json!({"status": "OK", "AndroidLatestVersion": "", "AndroidMinVersion": "", "IosLatestVersion": "",
               "IosMinVersion": "", "ActiveSearchBackend": "database", "database_status": "OK",
               "filestore_status": "OK"})
    );
}

#[tokio::test]
async fn ping_reports_a_missing_file_store() {
    let site = Site::new().await;
    let path = "system/ping?get_server_status=true";
    assert_eq!(site.request("GET", path).send().await.expect("an answer").status(), 200);
    std::fs::remove_dir_all(site.files()).expect("the directory is there");
    let answer = site.request("GET", path).send().await.expect("an answer");
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["filestore_status"]),
        (500, &"UNHEALTHY".parse().expect("a value"))
    );
    let rest =
        site.request("GET", &format!("{path}&use_rest_semantics=true")).send().await.expect("an answer");
    assert_eq!(rest.status(), 200);
}

#[tokio::test]
async fn every_answer_has_the_common_headers() {
    let site = Site::new().await;
    let answer = site.request("GET", "system/ping").send().await.expect("an answer");
    let header = |name: &str| answer.headers()[name].to_str().expect("ASCII").to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("x-request-id").len(), 26);
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("permissions-policy"), "");
    assert_eq!(header("expires"), "0");
    let version = header("x-version-id");
    assert!(version.starts_with("11.6.0.") && version.ends_with(".false"), "{version}");
    let head = site.request("HEAD", "system/ping").send().await.expect("an answer");
    assert_eq!((head.status().as_u16(), head.text().await.expect("a body").len()), (200, 0));
}

#[tokio::test]
async fn only_listed_sites_pass_cors() {
    let preflight = |site: &Site| {
        let request = site.request("OPTIONS", "users/me").header("origin", "https://other.example");
        request.header("access-control-request-method", "GET").send()
    };
    let closed = Site::new().await;
    let answer = preflight(&closed).await.expect("an answer");
    assert!(answer.headers().get("access-control-allow-origin").is_none());
    let open = Site::with(
        json!({"ServiceSettings": {"AllowCorsFrom": "https://other.example", "CorsAllowCredentials": true}}),
    )
    .await;
    let answer = preflight(&open).await.expect("an answer");
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://other.example");
    assert_eq!(answer.headers()["access-control-allow-credentials"], "true");
    let third = open.request("GET", "system/ping").header("origin", "https://third.example").send().await;
    assert!(third.expect("an answer").headers().get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn the_client_configuration_is_flat_and_larger_with_a_session() {
    let site = Site::new().await;
    let limited: Value = site
        .request("GET", "config/client?format=old")
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!((&limited["NoAccounts"], &limited["Version"]), (&json!("true"), &json!("11.6.0")));
    assert!(limited.get("MaxPostSize").is_none());
    let ada = site.sign_up("ada").await;
    let full = ada.get("config/client?format=old").await;
    assert_eq!((&full["NoAccounts"], &full["MaxPostSize"]), (&json!("false"), &json!("16383")));
    for config in [limited, full] {
        assert!(config.as_object().is_some_and(|map| map.values().all(Value::is_string)), "{config}");
    }
}

#[tokio::test]
async fn the_license_route_requires_a_format() {
    let site = Site::new().await;
    let answer = site.request("GET", "license/client?format=old").send().await.expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), r#"{"IsLicensed":"false"}"#);
    assert_eq!(refused(site.request("GET", "license/client")).await.0, 400);
}

#[tokio::test]
async fn limits_are_camel_case() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let limits = ada.get("limits/server").await;
    assert_eq!((&limits["maxUsersHardLimit"], &limits["activeUserCount"]), (&json!(250), &json!(1)));
}

#[tokio::test]
async fn routes_that_are_not_implemented_answer_501() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    for (method, path) in [
        ("GET", "bots"),
        ("PUT", "config"),
        ("POST", "users/mfa"),
        ("DELETE", "system/ping"),
        ("PUT", "posts"),
        ("POST", "uploads"),
    ] {
        let answer = ada.request(method, path).send().await.expect("an answer");
        assert_eq!(refusal(answer).await, (501, server::NOT_IMPLEMENTED.to_owned()), "{method} {path}");
    }
    for path in ["nothing", "nothing/at/all", "users/has-a-dash", "teams/under_score/stats"] {
        let refused = refused(ada.request("GET", path)).await;
        assert_eq!(refused, (404, "api.context.404.app_error".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn administrators_read_the_configuration_without_its_secrets() {
    let site = Site::new().await;
    let (ada, bob) = (site.sign_up("ada").await, site.sign_up("bob").await);
    let config = ada.get("config").await;
    assert_eq!(config["TeamSettings"]["EnableOpenServer"], true);
    assert_eq!(config["SqlSettings"]["DataSource"], "*".repeat(32));
    assert_eq!(ada.get("config/environment").await, json!({}));
    for path in ["config", "config/environment", "audits", "analytics/old"] {
        assert_eq!(refused(bob.request("GET", path)).await.0, 403, "{path}");
    }
}

#[tokio::test]
async fn what_the_server_has_none_of_is_an_empty_list() {
    let site = Site::new().await;
    let ada = site.sign_up("ada").await;
    let (team, _) = ada.team("harbour").await;
    let team = crate::site::text(&team["id"]);
    for path in [
        "agents".to_owned(),
        "emoji".to_owned(),
        "plugins/webapp".to_owned(),
        format!("system/notices/{team}"),
        "custom_profile_attributes/fields".to_owned(),
        "audits".to_owned(),
        "users/me/audits".to_owned(),
    ] {
        assert_eq!(ada.get(&path).await, json!([]), "{path}");
        assert_eq!(refused(site.request("GET", &path)).await.0, 401, "{path}");
    }
    assert_eq!(ada.get(&format!("posts/scheduled/team/{team}")).await, json!({}));
    assert_eq!(ada.get("agents/status").await, json!({"available": false}));
    assert_eq!(ada.post("client_perf", json!({})).await, json!({"status": "OK"}));
    let counts = ada.get("analytics/old?name=standard").await;
    assert!(
        counts.as_array().is_some_and(|all| all.contains(&json!({"name": "team_count", "value": 1}))),
        "{counts}"
    );
}
