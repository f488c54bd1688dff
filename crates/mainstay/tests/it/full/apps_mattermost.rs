//! `apps install`, `enable`, `disable` and `uninstall` of the real binary: a Mattermost in each of the four states, and the built-in server.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::place::{Place, Ran};
use crate::plugin_host::{Kind, PluginHost, TOKEN, USER};

const ID: &str = "com.example.hello";

/// A server, and what is needed to ask it.
struct Asked {
    host: PluginHost,
    place: Place,
    token: PathBuf,
    bundle: String,
}

impl Asked {
    async fn new(kind: Kind, aws: bool) -> Self {
        let (host, place) = (PluginHost::start(kind, aws).await, Place::new());
        let token = place.root.with_file_name("token");
        std::fs::write(&token, format!("{TOKEN}\n")).expect("a file");
        let bundle = super::apps_local::bundle(&place).display().to_string();
        Self { host, place, token, bundle }
    }

    /// Runs `mainstay apps`, which may not print a secret.
    fn run(&self, args: &[&str]) -> Ran {
        let (site, token) = (self.host.site(), self.token.display().to_string());
        let how = ["--url", site.as_str(), "--token", &token];
        let ran = self.place.run(&[&["apps"], args, &how].concat());
        assert!(!ran.stdout.contains("hush") && !ran.stderr.contains("hush"), "{}{}", ran.stdout, ran.stderr);
        ran
    }
}

/// The way it is installed, as a command says at its end.
fn installed(document: &Value) -> Value {
    let app = &document["app"]["installed"];
    json!([app["version"], app["deploy_type"], app["enabled"]])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_listed_installed_switched_and_removed() {
    let asked = Asked::new(Kind::Ready, true).await;
    let install = ["install", "--bundle", &asked.bundle];
    let plan = asked.run(&[&install[..], &["--plan"]].concat()).expect(0);
    assert!(plan.stdout.contains("would") && asked.host.calls().is_empty(), "{}", plan.stdout);
    // What is not listed cannot be installed by its id, and the way is said.
    let unlisted = asked.run(&["install", ID]);
    assert!(unlisted.code == 8 && unlisted.stderr.contains("apps install --bundle"), "{}", unlisted.stderr);

    let first = asked.run(&[&install[..], &["--json", "--verbose"]].concat()).expect(0).json();
    assert_eq!(installed(&first), json!(["1.0.0", "aws_lambda", true]));
    assert_eq!(asked.host.calls(), ["update-app-listing", "install-app"]);
    let again = asked.run(&[&install[..], &["--json"]].concat()).expect(0).json();
    assert!(again["changed"] == false && asked.host.calls().is_empty(), "{again}");
    for (args, call, enabled) in [
        (&["disable", ID][..], "disable-app", json!(false)),
        (&["enable", ID], "enable-app", json!(true)),
        (&["uninstall", ID, "--yes"], "uninstall-app", Value::Null),
    ] {
        for calls in [vec![call], vec![]] {
            let document = asked.run(&[args, &["--json"]].concat()).expect(0).json();
            assert_eq!(document["app"]["installed"]["enabled"], enabled, "{document}");
            assert_eq!(asked.host.calls(), calls);
        }
    }
    // It is listed now.
    asked.run(&["install", ID]).expect(0);
    assert_eq!(asked.host.calls(), ["install-app"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_have_apps_says_which_of_the_states_it_is_in() {
    for (kind, what, hint) in [
        (Kind::Absent, "no Apps plugin that runs", "System Console"),
        (Kind::FlagOff, "apps switched off", "MM_FEATUREFLAGS_AppsEnabled=true"),
        (Kind::TooOld, "too old for apps", "upgrade Mattermost"),
    ] {
        let asked = Asked::new(kind, true).await;
        for args in [
            &["install", "--bundle", &asked.bundle][..],
            &["enable", ID],
            &["disable", ID],
            &["uninstall", ID, "--yes"],
        ] {
            let ran = asked.run(args).expect(4);
            assert!(ran.stderr.contains(what) && ran.stderr.contains(hint), "{args:?}: {}", ran.stderr);
        }
        assert!(asked.host.calls().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why_and_changes_nothing() {
    let asked = Asked::new(Kind::Ready, false).await;
    let refused = asked.run(&["install", "--bundle", &asked.bundle]).expect(4);
    assert!(refused.stderr.contains("MM_APPS_AWS_ACCESS_KEY"), "{}", refused.stderr);
    let other = asked.run(&["install", "com.example.other", "--bundle", &asked.bundle]).expect(2);
    assert!(other.stderr.contains(ID), "{}", other.stderr);
    let wrong = "0".repeat(64);
    asked.run(&["install", "--bundle", &asked.bundle, "--sha256", &wrong]).expect(8);
    asked.run(&["enable", "../users"]).expect(2);
    asked.host.calls();
    std::fs::write(&asked.token, USER).expect("a file");
    let user = asked.run(&["install", "--bundle", &asked.bundle]).expect(8);
    assert!(user.stderr.contains("system administrator"), "{}", user.stderr);
    assert!(asked.host.calls().is_empty());
}

/// As for appsctl: both come from variables.
#[tokio::test(flavor = "multi_thread")]
async fn server_and_token_may_come_from_variables() {
    let asked = Asked::new(Kind::Ready, true).await;
    let mut command = asked.place.command(&["apps", "install", "--bundle", &asked.bundle]);
    command.env("MM_SERVICESETTINGS_SITEURL", asked.host.site().as_str()).env("MM_ADMIN_TOKEN", TOKEN);
    let ran = Ran::from(command.output().expect("it runs")).expect(0);
    assert!(!ran.stderr.contains("hush") && ran.stdout.contains("installed and enabled"), "{}", ran.stdout);
    assert_eq!(asked.host.calls(), ["update-app-listing", "install-app"]);
}

#[test]
fn the_built_in_server_has_no_plugins_and_says_so() {
    let place = Place::new();
    let nothing = place.run(&["apps", "install", ID]);
    assert!(nothing.code == 4 && nothing.stderr.contains("--url"), "{}: {}", nothing.code, nothing.stderr);
    place.up(&[]).expect(0);
    let ran = place.run(&["apps", "install", ID]).expect(4);
    assert!(ran.stderr.contains("this server runs no plugins"), "{}", ran.stderr);
    assert!(ran.stderr.contains("mainstay apps run"), "{}", ran.stderr);
}
