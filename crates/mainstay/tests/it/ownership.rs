//! Taking a setting out takes its value back, unless the System Console changed it since.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::place::{Place, Ran};

const OPEN_SERVER: &str = "MATTERMOST_OPEN_SERVER";

impl Place {
    fn up_with(&self, variables: &[(&str, &str)]) -> Ran {
        let mut up = self.command(&["up", "--yes", "--json"]);
        Ran::from(up.envs(variables.iter().copied()).output().expect("it runs")).expect(0)
    }

    /// Whether the server lets people make accounts, as it tells everybody.
    fn sign_up_is_open(&self) -> bool {
        let url = format!("{}/api/v4/config/client?format=old", self.url());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let config: Value = runtime.block_on(async {
            reqwest::get(url).await.expect("an answer").json().await.expect("a configuration")
        });
        match config["EnableOpenServer"].as_str() {
            Some("true") => true,
            Some("false") => false,
            other => panic!("EnableOpenServer is {other:?}"),
        }
    }

    fn explained(&self, name: &str) -> Value {
        self.run(&["settings", "explain", name, "--json"]).expect(0).json()["in_force"].clone()
    }

    fn drift(&self) -> Value {
        self.run(&["settings", "diff", "--json"]).expect(0).json()
    }

    fn toml(&self, text: &str) {
        fs::write(self.root.join("mainstay.toml"), text).expect("written");
    }

    fn config(&self) -> Value {
        let text = fs::read_to_string(self.root.join("config/config.json")).expect("config.json");
        serde_json::from_str(&text).expect("JSON")
    }

    /// As the System Console: while the server is down, because the file is what counts here.
    fn console(&self, section: &str, key: &str, value: Value) {
        let path = self.root.join("config/config.json");
        let mut config = self.config();
        config[section][key] = value;
        // Over the old content, so that owner and mode stay.
        fs::write(path, config.to_string()).expect("written");
    }
}

#[test]
fn sign_up_that_is_no_longer_declared_open_is_closed_again() {
    let place = Place::new();
    place.up(&[]).expect(0);
    assert!(!place.sign_up_is_open());
    let installed = place.config();
    let toml = fs::read_to_string(place.root.join("mainstay.toml")).expect("a file");

    // In mainstay.toml.
    place.toml(&format!("{toml}\n[mattermost.TeamSettings]\nEnableOpenServer = true\n"));
    place.up_with(&[]);
    assert!(place.sign_up_is_open());
    let explained = place.explained(OPEN_SERVER);
    assert_eq!((&explained["value"], &explained["next"]), (&json!("true"), &json!("true")), "{explained}");
    assert_eq!(
        (&explained["owner"], &explained["by"]["layer"]),
        (&json!("declared"), &json!("file")),
        "{explained}"
    );

    place.toml(&toml);
    let explained = place.explained(OPEN_SERVER);
    assert_eq!((&explained["value"], &explained["next"]), (&json!("true"), &json!("false")), "{explained}");
    let drift = place.drift();
    assert_eq!(drift.as_array().map(Vec::len), Some(1), "{drift}");
    assert_eq!(drift[0]["path"], "TeamSettings.EnableOpenServer");
    assert_eq!((&drift[0]["owner"], &drift[0]["reason"]), (&json!("release"), &json!("no_longer_declared")));
    place.up_with(&[]);
    assert!(!place.sign_up_is_open());
    let explained = place.explained(OPEN_SERVER);
    assert_eq!((&explained["value"], &explained["owner"]), (&json!("false"), &json!("release")));
    assert_eq!(place.config(), installed);

    // In the environment.
    place.up_with(&[(OPEN_SERVER, "true")]);
    assert!(place.sign_up_is_open());
    let up = place.up_with(&[]).json();
    assert_eq!(up["changed"], true);
    assert!(!place.sign_up_is_open());
    assert_eq!(place.explained(OPEN_SERVER)["value"], "false");
    assert_eq!(place.up_with(&[]).json()["changed"], false);
    assert_eq!(place.drift(), json!([]));
}

#[test]
fn what_the_system_console_changed_since_stays() {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.up_with(&[(OPEN_SERVER, "true"), ("MATTERMOST_MAX_USERS", "60")]);
    place.run(&["down"]).expect(0);
    place.console("TeamSettings", "MaxUsersPerTeam", json!(70));
    let drift = place.drift();
    let of = |path: &str| {
        let found = drift.as_array().into_iter().flatten().find(|drift| drift["path"] == path);
        found.unwrap_or_else(|| panic!("{path}: {drift}")).clone()
    };
    assert_eq!(of("TeamSettings.MaxUsersPerTeam")["owner"], "console_since");
    assert_eq!(of("TeamSettings.EnableOpenServer")["owner"], "release");
    let told = place.run(&["settings", "explain", "MATTERMOST_MAX_USERS"]).expect(0).stdout;
    assert!(told.contains("70  (System Console, which changed it since it was declared)"), "{told}");

    place.up_with(&[]);
    assert_eq!(place.config()["TeamSettings"]["MaxUsersPerTeam"], 70);
    assert!(!place.sign_up_is_open());
    assert_eq!(place.explained("MATTERMOST_MAX_USERS")["owner"], "console");
    assert_eq!(place.drift(), json!([]));
}

#[test]
fn an_up_that_fails_forgets_nothing_and_one_that_is_killed_is_finished() {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.up_with(&[(OPEN_SERVER, "true")]);
    let declared = place.root.join("declared.json");
    let remembered = fs::read_to_string(&declared).expect("declared.json");
    let mode = fs::metadata(&declared).expect("declared.json").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    place.run(&["up", "--yes", "--inject-failure", "acceptance:before"]).expect(6);
    assert_eq!(fs::read_to_string(&declared).expect("declared.json"), remembered);
    assert!(place.sign_up_is_open());

    for moment in ["before", "after"] {
        place.run(&["up", "--yes", "--inject-kill", &format!("configuration:{moment}")]).expect(-9);
        place.up_with(&[]);
        assert!(!place.sign_up_is_open(), "{moment}");
        place.up_with(&[(OPEN_SERVER, "true")]);
        assert_eq!(fs::read_to_string(&declared).expect("declared.json"), remembered, "{moment}");
    }
}

#[test]
fn a_deployment_that_remembers_nothing_begins_to_without_a_restart() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let declared = place.root.join("declared.json");
    let remembered = fs::read_to_string(&declared).expect("declared.json");
    fs::remove_file(&declared).expect("as an earlier version left it");
    let server = place.status()["agent"]["server"]["pid"].clone();
    let plan = place.run(&["up", "--plan", "--json"]).expect(0).json();
    assert_eq!(plan["steps"][0]["title"], "Remember what is declared", "{plan}");
    place.up_with(&[]);
    assert!(declared.exists());
    assert_eq!(place.status()["agent"]["server"]["pid"], server);
    assert_eq!(place.up_with(&[]).json()["changed"], false);

    // A damaged one is refused with the way out, and nothing of it is shown.
    fs::write(&declared, remembered.replace("\"declared\"", "\"hunter2\"")).expect("written");
    let refused = place.run(&["up", "--yes"]).expect(3);
    assert!(
        refused.stderr.contains("declared.json: line") && !refused.stderr.contains("hunter2"),
        "{}",
        refused.stderr
    );
    fs::remove_file(&declared).expect("the way out");
    place.up_with(&[]);

    let kept = place.run(&["uninstall", "--keep-data", "--yes", "--json"]).expect(0).json();
    assert!(kept["kept"].to_string().contains("declared.json"), "{kept}");
}

#[test]
fn a_rotation_takes_nothing_back_that_only_the_environment_of_up_declared() {
    let place = Place::new();
    place.up(&[]).expect(0);
    place.up_with(&[(OPEN_SERVER, "true")]);
    place.run(&["settings", "secrets", "rotate", "link_salt", "--yes"]).expect(0);
    assert!(place.sign_up_is_open());
    place.up_with(&[]);
    assert!(!place.sign_up_is_open());
}

#[test]
fn a_value_of_the_console_that_no_server_can_be_tested_with_is_refused_beforehand() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let toml = fs::read_to_string(place.root.join("mainstay.toml")).expect("a file");
    let right = place.config();
    let limit = ("ServiceSettings", "MaximumURLLength", json!(100));
    let by_mail = ("EmailSettings", "EnableSignInWithEmail", json!(false));
    let by_name = ("EmailSettings", "EnableSignInWithUsername", json!(false));
    for (values, says) in [
        (vec![limit.clone()], "`ServiceSettings.MaximumURLLength` is 100, which is out of its range"),
        (vec![by_mail, by_name], "no other way to sign in is on"),
    ] {
        for (section, key, value) in values {
            place.console(section, key, value);
        }
        for args in [&["settings", "check"][..], &["up", "--yes"], &["restart", "--yes"]] {
            let refused = place.run(args).expect(3);
            assert!(refused.stderr.contains(says), "{args:?}: {}", refused.stderr);
            assert!(refused.stderr.contains("config.json"), "{args:?}: {}", refused.stderr);
        }
        // Nothing was stopped.
        assert!(!place.sign_up_is_open());
        fs::write(place.root.join("config/config.json"), right.to_string()).expect("written");
    }
    // What is declared counts, whatever the Console says.
    place.console(limit.0, limit.1, limit.2);
    place.toml(&format!("{toml}\n[mattermost.ServiceSettings]\nMaximumURLLength = 2048\n"));
    place.up_with(&[]);
}
