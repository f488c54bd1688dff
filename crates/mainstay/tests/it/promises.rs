//! What people do after an installation must not turn against it.

use crate::place::Place;

#[test]
fn a_changed_administrators_password_does_not_keep_the_deployment_down() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let status = runtime.block_on(async {
        let token = place.token().await;
        let change =
            serde_json::json!({"current_password": place.password(), "new_password": "another-One-7-long"});
        let url = format!("{}/api/v4/users/me/password", place.url());
        reqwest::Client::new()
            .put(url)
            .bearer_auth(token)
            .json(&change)
            .send()
            .await
            .expect("an answer")
            .status()
    });
    assert_eq!(status, 200);
    place.run(&["down"]).expect(0);
    place.run(&["up"]).expect(0);
    place.run(&["verify"]).expect(0);
}

#[test]
fn a_site_url_that_nobody_chose_follows_the_edge() {
    let (place, other) = (Place::new(), Place::new());
    place.up(&[]).expect(0);
    let up = place.run(&["up", "--json", "--listen", &format!("127.0.0.1:{}", other.port)]).expect(0).json();
    assert_eq!(up["url"], other.url());
    place.run(&["verify"]).expect(0);
    assert_eq!(place.run(&["up", "--json"]).expect(0).json()["changed"], false);
}

#[test]
fn behind_a_load_balancer_with_tls_cookies_are_secure_and_clients_keep_their_address() {
    let place = Place::new();
    place.up(&["--site-url", "https://chat.example.com"]).expect(0);
    let cookies = || {
        let login = serde_json::json!({"login_id": "admin", "password": place.password()});
        let url = format!("{}/api/v4/users/login", place.url());
        let ask = reqwest::Client::new().post(url).header("x-requested-with", "XMLHttpRequest").json(&login);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let answer = runtime.block_on(ask.send()).expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.headers().get_all("set-cookie").iter().map(|cookie| format!("{cookie:?}")).collect::<Vec<_>>()
    };
    let secure = cookies();
    assert!(!secure.is_empty() && secure.iter().all(|cookie| cookie.contains("Secure")), "{secure:?}");
    let edge = &place.status()["agent"]["edge"];
    assert!(edge["proxies"].to_string().contains("127.0.0.0/8"), "{edge}");
    // Said in mainstay.toml, it is changed at the edge alone.
    let toml = place.root.join("mainstay.toml");
    let text = std::fs::read_to_string(&toml).expect("a file");
    std::fs::write(
        &toml,
        format!(
            "trusted_proxies = \"192.0.2.7\"\nshared_addresses = \"198.51.100.0/24, 203.0.113.7\"\n{text}"
        ),
    )
    .expect("written");
    let plan = place.run(&["up", "--plan", "--json"]).expect(0).json();
    let steps: Vec<_> =
        plan["steps"].as_array().into_iter().flatten().filter_map(|step| step["name"].as_str()).collect();
    assert_eq!(steps, ["edge", "acceptance"]);
    place.run(&["up"]).expect(0);
    assert_eq!(place.status()["agent"]["edge"]["proxies"], serde_json::json!(["192.0.2.7"]));
    let shared = serde_json::json!(["198.51.100.0/24", "203.0.113.7"]);
    assert_eq!(place.status()["agent"]["edge"]["shared"], shared);
    assert!(cookies().iter().all(|cookie| cookie.contains("Secure")));
}

#[test]
fn a_resumed_installation_that_fails_says_so_and_keeps_what_people_wrote() {
    let place = Place::new();
    place.up(&["--inject-kill", "acceptance:before"]).expect(-9);
    std::fs::write(place.root.join("data/written-meanwhile"), "precious")
        .expect("the edge was open: people worked");
    let failed = place.run(&["up", "--inject-failure", "acceptance:before"]).expect(6);
    assert!(failed.stderr.contains("the interrupted `up` went on and failed: "), "{}", failed.stderr);
    assert!(failed.stderr.contains("; it was undone"), "{}", failed.stderr);
    let undone = std::fs::read_dir(place.root.join("run/undone"))
        .expect("kept")
        .next()
        .expect("one")
        .expect("an entry");
    assert_eq!(std::fs::read_to_string(undone.path().join("written-meanwhile")).expect("kept"), "precious");
    assert!(undone.path().join("mattermost.db").exists());
    place.up(&[]).expect(0);
}

#[test]
fn two_site_urls_that_contradict_each_other_are_refused() {
    let place = Place::new();
    let mut up = place.command(&["up", "--site-url", "http://localhost:9"]);
    let ran = crate::place::Ran::from(
        up.env("MM_SERVICESETTINGS_SITEURL", "http://other:9").output().expect("it runs"),
    );
    let ran = ran.expect(2);
    assert!(ran.stderr.contains("environment"), "{}", ran.stderr);
    assert!(!place.root.exists());
}

#[test]
fn new_secrets_are_used_when_the_server_is_verified_with_them_and_the_old_ones_come_back_otherwise() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let secrets = || std::fs::read_to_string(place.root.join("secrets.toml")).expect("secrets");
    let before = secrets();
    place
        .run(&[
            "settings",
            "secrets",
            "rotate",
            "link_salt",
            "--yes",
            "--inject-failure",
            "acceptance:before",
        ])
        .expect(6);
    assert_eq!(secrets(), before);
    place.run(&["settings", "secrets", "rotate", "link_sal", "--yes"]).expect(2);
    let rotated = place.run(&["settings", "secrets", "rotate", "link_salt", "--yes"]).expect(0);
    assert!(rotated.stderr.contains("public link"), "{}", rotated.stderr);
    assert_ne!(secrets(), before);
    assert_eq!(place.status()["up"], true);
}

#[test]
fn the_environment_is_a_layer_whose_mistakes_are_all_reported() {
    let place = Place::new();
    let mut up = place.command(&["up"]);
    up.env("MATTERMOST_MAX_USERS", "lots").env("SMTP_PASS", "hunter2").env("MATTERMOST_NAEM", "x");
    let ran = crate::place::Ran::from(up.output().expect("it runs")).expect(3);
    for says in ["MATTERMOST_MAX_USERS", "SMTP_USER", "did you mean `MATTERMOST_NAME`"] {
        assert!(ran.stderr.contains(says), "{says}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("hunter2") && !place.root.exists());
}

#[test]
fn a_machine_without_certificates_of_authorities_is_enough() {
    let place = Place::new();
    let args = place.up_args();
    let mut command = place.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    command.env("SSL_CERT_FILE", "/no/such/file").env("SSL_CERT_DIR", "/no/such/directory");
    crate::place::Ran::from(command.output().expect("the binary runs")).expect(0);
}
