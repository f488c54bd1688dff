//! Who decides a key of config.json: whoever declares it, the System Console, Mainstay, or nobody.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use settings::{
    Declared, Defaults, Drift, Memory, Origin, Owner, Present, Reason, Reconciled, Resolved, Secrets,
    Sources, Undeclared,
};

use version::Series;

const V11_7: Series = Series::new(11, 7);

fn resolve(version: Series, toml: &str, secrets: Option<&Secrets>, defaults: Defaults) -> Resolved {
    let wanted = settings::parse(Path::new("mainstay.toml"), toml).expect("right TOML");
    let sources = Sources {
        defaults,
        secrets,
        wanted: Some(&wanted),
        environment: &BTreeMap::new(),
        flags: &BTreeMap::new(),
        site_url: None,
        read_file: &|_| Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    settings::resolve(version, &sources).unwrap_or_else(|findings| panic!("{findings}"))
}

/// One deployment through several `up`s.
struct Deployment {
    version: Series,
    shipped: Value,
    config: Option<Value>,
    memory: Option<Memory>,
}

impl Deployment {
    fn new(shipped: Value) -> Self {
        Self { version: V11_7, shipped, config: None, memory: None }
    }

    fn look(&self, toml: &str) -> Reconciled {
        let present =
            Present { config: self.config.as_ref(), shipped: &self.shipped, memory: self.memory.as_ref() };
        let resolved = resolve(self.version, toml, None, Defaults::Release);
        settings::reconcile(&resolved, &[], present, Undeclared::GoesBack)
    }

    fn up(&mut self, toml: &str) -> Reconciled {
        let reconciled = self.look(toml);
        self.config = Some(reconciled.config.clone());
        // As a file, as the next run reads it.
        let text = reconciled.memory.to_json();
        self.memory = Some(Memory::parse(&text).expect("our own file"));
        assert!(self.memory.as_ref() == Some(&reconciled.memory), "{text}");
        reconciled
    }

    fn console(&mut self, section: &str, key: &str, value: Value) {
        self.config.as_mut().expect("an installed deployment")[section][key] = value;
    }

    fn value(&self, section: &str, key: &str) -> &Value {
        &self.config.as_ref().expect("an installed deployment")[section][key]
    }
}

const OPEN: &str = "[mattermost.TeamSettings]\nEnableOpenServer = true\n";

fn drift<'a>(drifts: &'a [Drift], path: &str) -> &'a Drift {
    drifts.iter().find(|drift| drift.path == path).unwrap_or_else(|| panic!("{path}: {drifts:?}"))
}

#[test]
fn a_line_that_is_taken_out_takes_its_value_back() {
    let shipped = json!({"TeamSettings": {"EnableOpenServer": false}});
    let mut deployment = Deployment::new(shipped.clone());
    let installed = deployment.up(OPEN);
    assert_eq!(deployment.value("TeamSettings", "EnableOpenServer"), true);
    assert!(matches!(installed.owner("TeamSettings", "EnableOpenServer"), Owner::Declared { .. }));

    let pending = deployment.look("");
    let state = pending.state("teamsettings", "enableopenserver");
    assert_eq!((state.now, state.next), (Some(json!(true)), Some(json!(false))));
    let drifts = pending.drift();
    let open = drift(&drifts, "TeamSettings.EnableOpenServer");
    assert_eq!((&open.owner, open.reason), (&Owner::Release, Reason::NoLongerDeclared));
    assert_eq!((open.on_disk.as_deref(), open.rendered.as_deref()), (Some("true"), Some("false")));
    assert!(open.changes());

    deployment.up("");
    assert_eq!(deployment.config, Some(shipped));
    assert_eq!(deployment.look("").drift(), []);
}

#[test]
fn what_the_console_changed_since_stays() {
    let mut deployment = Deployment::new(json!({"TeamSettings": {"MaxUsersPerTeam": 50}}));
    let declared = "[mattermost.TeamSettings]\nMaxUsersPerTeam = 60\n";
    deployment.up(declared);
    deployment.console("TeamSettings", "MaxUsersPerTeam", json!(70));

    let drifts = deployment.look("").drift();
    let most = drift(&drifts, "TeamSettings.MaxUsersPerTeam");
    assert_eq!((&most.owner, most.reason), (&Owner::ConsoleSince, Reason::KeptFromConsole));
    assert!(!most.changes());
    let drifts = deployment.look(declared).drift();
    let most = drift(&drifts, "TeamSettings.MaxUsersPerTeam");
    assert!(matches!(&most.owner, Owner::Declared { by: Origin::File { line: 2, .. } }), "{most:?}");
    assert_eq!(most.reason, Reason::ChangedInConsole);

    let after = deployment.up("");
    assert_eq!(deployment.value("TeamSettings", "MaxUsersPerTeam"), 70);
    assert!(!after.changes_config());
    assert_eq!(deployment.look("").owner("TeamSettings", "MaxUsersPerTeam"), Owner::Console);
    assert_eq!(deployment.look("").drift(), []);
}

#[test]
fn what_a_declaration_covers_comes_back_when_it_ends() {
    let mut deployment = Deployment::new(json!({}));
    deployment.up("");
    deployment.console("TeamSettings", "SiteName", json!("first"));
    deployment.up("[mattermost.TeamSettings]\nSiteName = \"declared\"\n");
    deployment.console("TeamSettings", "SiteName", json!("second"));
    deployment.up("[mattermost.TeamSettings]\nSiteName = \"declared again\"\n");
    assert_eq!(deployment.value("TeamSettings", "SiteName"), "declared again");
    deployment.up("");
    assert_eq!(deployment.value("TeamSettings", "SiteName"), "second");
}

#[test]
fn a_deployment_that_remembers_nothing_begins_to_remember() {
    let shipped = json!({"TeamSettings": {"EnableOpenServer": false}});
    let on_disk = json!({"TeamSettings": {"EnableOpenServer": true}});
    let older = || Deployment { config: Some(on_disk.clone()), ..Deployment::new(shipped.clone()) };
    // As before: nobody knows who wrote it.
    let mut deployment = older();
    deployment.up("");
    assert_eq!(deployment.value("TeamSettings", "EnableOpenServer"), true);
    assert_eq!(deployment.look("").owner("TeamSettings", "EnableOpenServer"), Owner::Console);
    // What an earlier Mainstay has written already is taken for its own, and goes back to the release's default.
    let mut deployment = older();
    let begun = deployment.up(OPEN);
    assert!(!begun.changes_config());
    deployment.up("");
    assert_eq!(deployment.value("TeamSettings", "EnableOpenServer"), false);
}

#[test]
fn an_operation_that_does_not_know_everything_declared_takes_nothing_back() {
    let mut deployment = Deployment::new(json!({"TeamSettings": {"EnableOpenServer": false}}));
    deployment.up(OPEN);
    let present = Present {
        config: deployment.config.as_ref(),
        shipped: &deployment.shipped,
        memory: deployment.memory.as_ref(),
    };
    let resolved = resolve(V11_7, "", None, Defaults::Release);
    let rotated = settings::reconcile(&resolved, &[], present, Undeclared::Stays);
    assert!(!rotated.changes_config());
    assert!(Some(&rotated.memory) == deployment.memory.as_ref());
}

#[test]
fn mainstay_decides_its_own_keys_whoever_declares_them() {
    let toml = "[mattermost.ServiceSettings]\nListenAddress = \":1\"\n";
    let resolved = resolve(V11_7, toml, None, Defaults::Release);
    let own = [Declared::new("ServiceSettings", "ListenAddress", "127.0.0.1:18065")];
    let on_disk = json!({"ServiceSettings": {"ListenAddress": ":8065"}});
    let present = Present { config: Some(&on_disk), shipped: &json!({}), memory: None };
    let reconciled = settings::reconcile(&resolved, &own, present, Undeclared::GoesBack);
    assert_eq!(reconciled.config["ServiceSettings"]["ListenAddress"], "127.0.0.1:18065");
    assert_eq!(reconciled.owner("ServiceSettings", "ListenAddress"), Owner::Mainstay);
}

#[test]
fn an_upgrade_carries_renamed_keys_over_with_what_is_remembered_and_leaves_removed_ones_out() {
    let days = "[mattermost.ServiceSettings]\nSessionLengthWebInDays = 7\n";
    let mut deployment = Deployment::new(json!({
        "ServiceSettings": {"SessionLengthWebInDays": 30, "EnableOnlyAdminIntegrations": true},
        "SqlSettings": {"AtRestEncryptKey": "x", "MaxOpenConns": 300},
        "Plugin.Of.Theirs": {"Key": 1},
    }));
    deployment.version = Series::new(5, 37);
    deployment.up(days);
    deployment.version = Series::new(12, 0);
    let before = deployment.memory.clone();
    let upgraded = deployment.up(days);
    let expected = json!({
        "ServiceSettings": {"SessionLengthWebInDays": 7, "SessionLengthWebInHours": 168},
        "SqlSettings": {"MaxOpenConns": 300},
        "Plugin.Of.Theirs": {"Key": 1},
    });
    assert_eq!(deployment.config, Some(expected));
    let drifts = upgraded.drift();
    assert_eq!(drift(&drifts, "SqlSettings.AtRestEncryptKey").reason, Reason::NotInRelease);
    assert_eq!(upgraded.owner("SqlSettings", "MaxOpenConns"), Owner::Release);
    assert_eq!(deployment.look(days).drift(), []);
    assert!(before != deployment.memory);
    // The line is taken out: the value goes back under the old name and, in its form there, under the new one.
    deployment.up("");
    let expected = json!({"SessionLengthWebInDays": 30, "SessionLengthWebInHours": 720});
    assert_eq!(deployment.config.as_ref().map(|config| &config["ServiceSettings"]), Some(&expected));
}

#[test]
fn a_rotated_secret_is_hidden_and_tells_what_it_breaks() {
    let secrets = Secrets::generate("admin");
    let resolved = resolve(V11_7, "", Some(&secrets), Defaults::DockerMattermost);
    let on_disk = json!({
        "FileSettings": {"PublicLinkSalt": "another salt of thirty-two characters and more"},
        "TeamSettings": {"MaxUsersPerTeam": 9},
    });
    let present = Present { config: Some(&on_disk), shipped: &json!({}), memory: None };
    let reconciled = settings::reconcile(&resolved, &[], present, Undeclared::GoesBack);
    let drifts = reconciled.drift();
    let salt = drift(&drifts, "FileSettings.PublicLinkSalt");
    assert_eq!(salt.owner, Owner::Declared { by: Origin::Secrets });
    assert_eq!(salt.on_disk.as_deref(), Some(settings::HIDDEN));
    assert!(salt.breaks.is_some_and(|breaks| breaks.contains("public link")));
    // A default fills a new file and no other.
    assert_eq!(reconciled.owner("TeamSettings", "MaxUsersPerTeam"), Owner::Console);
    assert!(reconciled.config["TeamSettings"]["SiteName"].is_null());
    let fresh = Present { config: None, ..present };
    let fresh = settings::reconcile(&resolved, &[], fresh, Undeclared::GoesBack);
    assert_eq!(fresh.owner("TeamSettings", "MaxUsersPerTeam"), Owner::DockerMattermost);
    assert_eq!(fresh.config["TeamSettings"]["MaxUsersPerTeam"], 50);
}

#[test]
fn an_explanation_agrees_with_the_file() {
    let mut deployment = Deployment::new(json!({"TeamSettings": {"EnableOpenServer": false}}));
    deployment.up(OPEN);
    let line = |deployment: &Deployment, toml| {
        let resolved = resolve(V11_7, toml, None, Defaults::Release);
        let reconciled = deployment.look(toml);
        let told = settings::explain("MATTERMOST_OPEN_SERVER", &resolved, Some(&reconciled));
        told.expect("a setting").to_string().lines().nth(2).unwrap_or_default().trim().to_owned()
    };
    assert_eq!(line(&deployment, OPEN), "value        true  (declared by mainstay.toml:2)");
    assert_eq!(line(&deployment, ""), "value        true; `mainstay up` makes it false  (release's default)");
    deployment.up("");
    assert_eq!(line(&deployment, ""), "value        false  (release's default)");
    deployment.console("TeamSettings", "EnableOpenServer", json!(true));
    assert_eq!(line(&deployment, ""), "value        true  (System Console)");
}

/// What may happen to a deployment.
#[derive(Debug, Clone)]
enum Event {
    /// `up` with these declared.
    Up(BTreeMap<usize, u8>),
    /// The System Console writes.
    Console(usize, u8),
}

/// Numbers, so that every value suits its key.
const KEYS: [(&str, &str); 4] = [
    ("TeamSettings", "MaxUsersPerTeam"),
    ("ServiceSettings", "MaximumLoginAttempts"),
    ("SqlSettings", "MaxOpenConns"),
    ("TeamSettings", "MaxChannelsPerTeam"),
];

fn event() -> impl Strategy<Value = Event> {
    let declared = prop::collection::btree_map(0..KEYS.len(), 1..6u8, 0..KEYS.len());
    prop_oneof![
        declared.prop_map(Event::Up),
        (0..KEYS.len(), 1..6u8).prop_map(|(key, value)| Event::Console(key, value))
    ]
}

fn toml(declared: &BTreeMap<usize, u8>) -> String {
    let lines = declared.iter().map(|(key, value)| {
        let (section, key) = KEYS[*key];
        format!("mattermost.{section}.{key} = {value}\n")
    });
    lines.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A key holds what is declared; where nothing is, what the release shipped or the System Console said last.
    #[test]
    fn whoever_spoke_last_decides(
        shipped in prop::collection::btree_map(0..KEYS.len(), 1..6u8, 0..KEYS.len()),
        events in prop::collection::vec(event(), 1..20),
    ) {
        let mut base = json!({});
        for (key, value) in &shipped {
            let (section, key) = KEYS[*key];
            base[section][key] = json!(value);
        }
        let mut deployment = Deployment::new(base);
        deployment.up("");
        // The model: what is beneath the declarations, and what the server reads.
        let mut beneath = shipped.clone();
        let mut effective = shipped;
        let mut last = (beneath.clone(), BTreeMap::new());
        for event in events {
            match event {
                Event::Console(key, value) => {
                    effective.insert(key, value);
                    // What Mainstay wrote is taken for Mainstay's, whoever writes it again.
                    let beneath_it = match last.1.get(&key) == Some(&value) {
                        true => last.0.get(&key).copied(),
                        false => Some(value),
                    };
                    match beneath_it {
                        Some(value) => drop(beneath.insert(key, value)),
                        None => drop(beneath.remove(&key)),
                    }
                    deployment.console(KEYS[key].0, KEYS[key].1, json!(value));
                }
                Event::Up(declared) => {
                    deployment.up(&toml(&declared));
                    effective = beneath.clone();
                    effective.extend(&declared);
                    last = (beneath.clone(), declared.clone());
                    let again = deployment.look(&toml(&declared));
                    prop_assert!(!again.changes_config());
                    prop_assert!(Some(&again.memory) == deployment.memory.as_ref());
                    prop_assert_eq!(again.drift(), []);
                }
            }
            for (index, (section, key)) in KEYS.iter().enumerate() {
                let expected = effective.get(&index).map_or(Value::Null, |value| json!(value));
                prop_assert_eq!(deployment.value(section, key), &expected, "{}.{}", section, key);
            }
        }
    }

    /// Whatever a config.json holds: declaring and no longer declaring gives it back.
    #[test]
    fn declaring_and_no_longer_declaring_changes_nothing(
        values in prop::collection::btree_map("[A-Za-z]{1,8}Settings\\.[A-Za-z]{1,8}", any::<u8>(), 0..6),
        console in prop::collection::btree_map(0..KEYS.len(), 1..6u8, 0..KEYS.len()),
        declared in prop::collection::btree_map(0..KEYS.len(), 1..6u8, 0..KEYS.len()),
    ) {
        let mut config = json!({});
        for (path, value) in &values {
            let (section, key) = path.split_once('.').expect("it has a dot");
            config[section][key] = json!(value);
        }
        for (key, value) in &console {
            let (section, key) = KEYS[*key];
            config[section][key] = json!(value);
        }
        let mut deployment = Deployment::new(json!({}));
        deployment.config = Some(config);
        deployment.memory = Some(Memory::default());
        deployment.up("");
        let before = deployment.config.clone();
        deployment.up(&toml(&declared));
        deployment.up("");
        prop_assert_eq!(&deployment.config, &before);
        prop_assert!(deployment.memory == Some(Memory::default()));
    }
}
