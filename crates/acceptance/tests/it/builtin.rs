//! The whole test against the built-in server: its API, its websocket, its web client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use acceptance::{Admin, Report, Secret, Target};
use serde_json::{Value, json};
use server::Config;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::proxy::{self, Frame, Wrong};
use crate::walk::{failures, note, report, target};

const PASSWORD: &str = "a-Long-enough-Password-1";

/// A built-in server with an administrator, in a directory of its own.
pub(crate) struct Builtin {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<Result<(), server::ServerError>>,
    _directory: TempDir,
}

impl Builtin {
    pub(crate) async fn start(mut settings: Value) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        if settings["ServiceSettings"]["SiteURL"].is_null() {
            settings["ServiceSettings"]["SiteURL"] = format!("http://{address}").into();
        }
        settings["SqlSettings"] =
            json!({ "DriverName": "sqlite", "DataSource": directory.path().join("mattermost.db") });
        settings["FileSettings"]["Directory"] = json!(directory.path().join("files"));
        let path = directory.path().join("config.json");
        std::fs::write(&path, settings.to_string()).expect("written");
        let config = Config::load(&path, &BTreeMap::new()).expect("a valid configuration");
        let stop = CancellationToken::new();
        let running = tokio::spawn(server::serve(config, listener, stop.clone()));
        let server = Self { address, stop, running, _directory: directory };
        server.make_administrator().await;
        server
    }

    async fn make_administrator(&self) {
        let account = json!({ "email": "root@example.com", "username": "root", "password": PASSWORD });
        let url = format!("http://{}/api/v4/users", self.address);
        let answer = reqwest::Client::new().post(url).json(&account).send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
    }

    pub(crate) fn target(&self) -> Target {
        let mut target = target(&format!("http://{}", self.address));
        target.timeout = Duration::from_secs(10);
        target
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.running.await.expect("no panic").expect("a clean end");
    }
}

pub(crate) fn administrator() -> Admin {
    Admin::Login { name: "root".to_owned(), secret: Secret::new(PASSWORD) }
}

pub(crate) fn open() -> Value {
    json!({ "TeamSettings": { "EnableOpenServer": true, "EnableUserDeactivation": true } })
}

pub(crate) fn passed(report: &Report) {
    assert!(report.passed(), "{}", report.to_markdown());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_server_passes() {
    let server = Builtin::start(open()).await;
    let report = report(&server.target()).await;
    passed(&report);
    assert!(note(&report, "clean-up").is_empty(), "{}", report.to_markdown());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_server_passes_with_its_administrator_only() {
    let server = Builtin::start(json!({ "TeamSettings": { "EnableOpenServer": false } })).await;
    let mut target = server.target();
    let without = report(&target).await;
    assert!(matches!(failures(&without)[..], [("first-account", why)] if why.contains("EnableOpenServer")));
    target.admin = administrator();
    let with = report(&target).await;
    passed(&with);
    assert!(note(&with, "clean-up").is_empty(), "{}", with.to_markdown());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_in_front_of_it_are_named() {
    let site = "http://chat.example.test";
    let mut settings = open();
    settings["ServiceSettings"]["SiteURL"] = site.into();
    let server = Builtin::start(settings).await;
    let table: [(Wrong, &[&str]); 5] = [
        (Wrong::nothing(), &[]),
        (Wrong::page("/websocket", 400), &["websocket-upgrade"]),
        (Wrong::request(|_, _, body| (body.len() > 1 << 20).then(|| proxy::page(413))), &["image-reply"]),
        (Wrong::page("/thumbnail", 502), &["image-previews"]),
        (
            Wrong::frame(|text| if text.contains(r#""posted""#) { Frame::Drop } else { Frame::Pass }),
            &["first-sees-reply", "second-sees-image"],
        ),
    ];
    for (wrong, checks) in table {
        let mut target = target(site);
        target.timeout = Duration::from_secs(4);
        target.via = Some(proxy::start(server.address, wrong).await);
        let report = report(&target).await;
        let names: Vec<_> = failures(&report).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, checks, "{}", report.to_markdown());
    }
    server.stop().await;
}
