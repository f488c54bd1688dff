//! Accounts: whatever strangers and administrators do to them, the deployment starts, is verified, and can be administered.

use std::time::Duration;

use serde_json::{Value, json};

use crate::place::{Place, Ran};

/// The deployment's server, asked on its local channel.
fn locally(place: &Place, method: reqwest::Method, path: &str, body: Option<&Value>) -> Value {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let socket = place.root.join("local/server.sock");
        let client = reqwest::Client::builder().unix_socket(socket).build().expect("a client");
        let mut request = client.request(method, format!("http://local/api/v4/{path}"));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.timeout(Duration::from_secs(10)).send().await.expect("an answer");
        let (status, body) = (answer.status(), answer.json().await.unwrap_or_default());
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    })
}

fn account(place: &Place, name: &str) -> Value {
    locally(place, reqwest::Method::GET, &format!("users/username/{name}"), None)
}

fn change(place: &Place, name: &str, what: &str, body: &Value) {
    let id = account(place, name)["id"].as_str().expect("an id").to_owned();
    locally(place, reqwest::Method::PUT, &format!("users/{id}/{what}"), Some(body));
}

fn sign_in(place: &Place, name: &str, password: &str) -> u16 {
    let login = json!({ "login_id": name, "password": password });
    let url = format!("{}/api/v4/users/login", place.url());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sent = reqwest::Client::new().post(url).json(&login).send();
    runtime.block_on(sent).expect("an answer").status().as_u16()
}

#[test]
fn no_lock_and_no_administrator_keeps_a_deployment_down() {
    let place = Place::new();
    place.up(&[]).expect(0);
    for name in ["admin", "acceptance-first", "acceptance-second", "mainstay-verifier"] {
        (0..11).for_each(|_| assert_ne!(sign_in(&place, name, "a-Wrong-guess-1"), 200));
    }
    place.run(&["verify"]).expect(0);
    // An administrator who does everything to the accounts of the test that can be done.
    change(&place, "acceptance-first", "active", &json!({ "active": true }));
    change(&place, "acceptance-first", "roles", &json!({ "roles": "system_user system_admin" }));
    change(&place, "acceptance-second", "password", &json!({ "new_password": "another-One-7-long" }));
    let verified = place.run(&["verify"]).expect(0).stdout;
    assert!(verified.contains("`acceptance-first` had the roles"), "{verified}");
    // The last administrator is deactivated: nobody could come in.
    change(&place, "admin", "active", &json!({ "active": false }));
    place.run(&["down"]).expect(0);
    place.run(&["up"]).expect(0);
    assert_eq!(account(&place, "admin")["delete_at"], 0);
    let first = account(&place, "acceptance-first");
    assert_eq!(first["roles"], "system_user");
    assert!(first["delete_at"].as_i64().is_some_and(|at| at > 0), "{first}");
}

#[test]
fn the_administrator_of_earlier_versions_is_retired() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let verifier = json!({
        "email": "mainstay-verifier@localhost", "username": "mainstay-verifier", "password": "as-It-was-made-1"
    });
    locally(&place, reqwest::Method::POST, "users", Some(&verifier));
    change(&place, "mainstay-verifier", "roles", &json!({ "roles": "system_user system_admin" }));
    place.run(&["down"]).expect(0);
    place.run(&["up"]).expect(0);
    let retired = account(&place, "mainstay-verifier");
    assert_eq!(retired["roles"], "system_user");
    assert!(retired["delete_at"].as_i64().is_some_and(|at| at > 0), "{retired}");
}

#[test]
fn a_kill_between_making_and_promoting_the_administrator_recovers() {
    for moment in ["administrator:before", "administrator:after"] {
        let place = Place::new();
        place.up(&["--inject-kill", moment]).expect(-9);
        if moment.ends_with("after") {
            change(&place, "admin", "roles", &json!({ "roles": "system_user" }));
            place.run(&["down"]).expect(0);
        }
        place.run(&["up"]).expect(0);
        let roles = account(&place, "admin")["roles"].to_string();
        assert!(roles.contains("system_admin"), "{moment}: {roles}");
    }
}

#[test]
fn settings_that_close_the_server_end_verified() {
    let table: [(&[(&str, &str)], &str); 4] = [
        (&[("MM_TEAMSETTINGS_RESTRICTCREATIONTODOMAINS", "corp.example")], "admin@corp.example"),
        (
            &[("MM_TEAMSETTINGS_ENABLEUSERCREATION", "false"), ("MATTERMOST_MAX_USERS", "1")],
            "admin@localhost",
        ),
        (&[("MM_PASSWORDSETTINGS_MINIMUMLENGTH", "64")], "admin@localhost"),
        (&[("MM_EMAILSETTINGS_ENABLESIGNINWITHUSERNAME", "false")], "admin@localhost"),
    ];
    for (variables, email) in table {
        let place = Place::new();
        let run = |words: &[&str]| {
            let mut command = place.command(words);
            Ran::from(command.envs(variables.iter().copied()).output().expect("it runs")).expect(0)
        };
        let listen = format!("127.0.0.1:{}", place.port);
        let up = run(&["up", "--json", "--listen", &listen]).json();
        let by_address = variables[0].0.contains("SIGNIN");
        assert_eq!(up["administrator"], if by_address { email } else { "admin" }, "{variables:?}");
        run(&["verify"]);
        assert_eq!(account(&place, "admin")["email"], email, "{variables:?}");
        let login = up["administrator"].as_str().expect("a name").to_owned();
        assert_eq!(sign_in(&place, &login, &place.password()), 200, "{variables:?}");
    }
}

#[test]
fn passwords_come_in_by_a_file_and_new_ones_are_printed_once() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let file = place.root.with_extension("password");
    std::fs::write(&file, "my-Own-Passw0rd-1\n").expect("written");
    let file = file.to_str().expect("text");
    place
        .run(&["admin", "create", "anna", "--email", "anna@corp.example", "--password-file", file])
        .expect(0);
    assert_eq!(sign_in(&place, "anna", "my-Own-Passw0rd-1"), 200);

    // Locked, and without the password: both are ended by a new one.
    (0..11).for_each(|_| assert_ne!(sign_in(&place, "anna", "a-Wrong-guess-1"), 200));
    place.run(&["admin", "unlock", "anna"]).expect(0);
    assert_eq!(sign_in(&place, "anna", "my-Own-Passw0rd-1"), 200);
    let reset = place.run(&["admin", "reset-password", "anna", "--json"]).expect(0).stdout;
    let reset: Value = serde_json::from_str(reset.lines().last().expect("a line")).expect("JSON");
    let password = reset["password"].as_str().expect("printed once");
    assert_eq!(sign_in(&place, "anna", password), 200);
    let history = place.run(&["history", "--json"]).expect(0).stdout;
    assert!(!history.contains(password) && history.contains("\"admin\""), "{history}");

    let unknown = place.run(&["admin", "reset-password", "ana"]).expect(2).stderr;
    assert!(unknown.contains("did you mean `anna`?"), "{unknown}");
    place.run(&["admin", "create", "anna"]).expect(2);
    let plan = place.run(&["admin", "create", "bob", "--plan"]).expect(0).stdout;
    assert!(plan.contains("Create the administrator `bob` (bob@localhost) (undo: Deactivate it)"), "{plan}");
    let listed = place.run(&["admin", "list", "--json"]).expect(0).json();
    let names: Vec<_> = listed.as_array().into_iter().flatten().map(|one| one["username"].clone()).collect();
    assert_eq!(names, ["admin", "anna"]);
    std::fs::remove_file(file).expect("removed");
}

#[test]
fn a_create_that_fails_leaves_no_account_that_signs_in() {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.run(&["admin", "create", "anna", "--inject-failure", "account:after"]).expect(6);
    assert!(account(&place, "anna")["delete_at"].as_i64().is_some_and(|at| at > 0));
    let killed = place.run(&["admin", "create", "bert", "--inject-kill", "account:after"]).expect(-9);
    drop(killed);
    place.run(&["up"]).expect(0);
    assert!(account(&place, "bert")["roles"].to_string().contains("system_admin"));
}

#[test]
fn roles_and_locks_are_listed_and_changed_and_the_last_administrator_stays() {
    let place = Place::new();
    place.up(&[]).expect(0);
    for args in [&["admin", "demote", "admin"][..], &["admin", "deactivate", "admin"]] {
        let refused = place.run(args).expect(8).stderr;
        assert!(refused.contains("`admin` is the only administrator who can sign in"), "{refused}");
    }
    place.run(&["admin", "create", "anna"]).expect(0);
    place.run(&["admin", "demote", "anna"]).expect(0);
    assert_eq!(account(&place, "anna")["roles"], "system_user");
    let again = place.run(&["admin", "demote", "anna"]).expect(0).stdout;
    assert!(again.contains("`anna` is no administrator already"), "{again}");
    place.run(&["admin", "deactivate", "anna"]).expect(0);
    let reset = place.run(&["admin", "reset-password", "anna"]).expect(0).stderr;
    for way in ["`mainstay admin activate anna`", "`mainstay admin promote anna`"] {
        assert!(reset.contains(way), "{way}: {reset}");
    }
    (0..11).for_each(|_| assert_ne!(sign_in(&place, "admin", "a-Wrong-guess-1"), 200));
    let listed = place.run(&["admin", "list", "--all"]).expect(0).stdout;
    let line = |name: &str| listed.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("anna").contains("member") && line("anna").ends_with("deactivated"), "{listed}");
    assert!(line("admin").contains("administrator  locked for 127.0.0.1 until 20"), "{listed}");
    let listed = place.run(&["admin", "list", "--json"]).expect(0).json();
    assert_eq!(listed[0]["username"], "admin");
    assert_eq!(listed[0]["locks"][0]["address"], "127.0.0.1", "{listed}");
    place.run(&["admin", "unlock", "admin"]).expect(0);
    assert!(!place.run(&["admin", "list"]).expect(0).stdout.contains("locked"));

    place.run(&["admin", "promote", "anna", "--inject-failure", "account:after"]).expect(6);
    assert_eq!(account(&place, "anna")["roles"], "system_user", "it was undone");
    place.run(&["admin", "promote", "anna"]).expect(0);
    place.run(&["admin", "reactivate", "anna"]).expect(0);
    place.run(&["admin", "demote", "admin"]).expect(0);
    let listed = place.run(&["admin", "list"]).expect(0);
    assert!(listed.stdout.starts_with("anna") && listed.stderr.contains("`mainstay admin promote admin`"));
    let history = place.run(&["history"]).expect(0).stdout;
    for title in [
        "Take the administrator's role from `anna` in",
        "Deactivate `anna` in",
        "Set the password of `anna` in",
    ] {
        assert!(history.contains(title), "{title}: {history}");
    }
}

#[test]
fn a_password_is_set_where_no_file_of_settings_can_be_read() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let reset = |place: &Place| {
        let ran = place.run(&["admin", "reset-password", "--json"]).expect(0);
        let password = ran.json()["password"].as_str().expect("printed once").to_owned();
        assert_eq!(sign_in(place, "admin", &password), 200);
        ran.stderr
    };
    let said = reset(&place);
    assert!(said.contains("secrets.toml is the one that the installation made"), "{said}");
    for file in ["config/config.json", "secrets.toml", "mainstay.toml"] {
        std::fs::write(place.root.join(file), "damaged = [").expect("written");
    }
    reset(&place);
    std::fs::remove_file(place.root.join("secrets.toml")).expect("removed");
    std::fs::remove_file(place.root.join("config/config.json")).expect("removed");
    reset(&place);
    place.run(&["admin", "create", "anna"]).expect(0);
    let unclear = place.run(&["admin", "reset-password"]).expect(2).stderr;
    assert!(unclear.contains("administrators: admin, anna"), "{unclear}");
}
