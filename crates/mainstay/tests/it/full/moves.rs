//! Data that moves to another database: from the built-in server's file into a PostgreSQL that Mainstay runs, into one that somebody else
//! runs, and on the way to an official release; and the PostgreSQL that Mainstay runs, into another cluster.

use std::path::Path;

use serde_json::{Value, json};

use super::external::database;
use super::managed::{self, postmaster, sql};
use super::managed_recovery;
use super::upgrade_releases::Next;
use crate::place::{Place, Ran, eventually, processes_of};

/// Texts that are easily broken on the way.
const HOSTILE: [&str; 5] =
    ["\\N", "tab\tnew\nline\rback\\slash", "it's \"quoted\" 😀", "null", "{\"a\": [1.0]}"];

/// A deployment in which people have written.
struct People {
    channel: String,
    token: String,
}

impl People {
    async fn of(place: &Place) -> Self {
        let token = place.token().await;
        let channel = managed_recovery::channel(&place.url(), &token).await;
        let people = Self { channel, token };
        for message in HOSTILE {
            people.post(place, message).await;
        }
        people
    }

    async fn post(&self, place: &Place, message: &str) {
        let body =
            json!({"channel_id": self.channel, "message": message, "props": {"b": 1, "a": [null, "x"]}});
        let url = format!("{}/api/v4/posts", place.url());
        let posted = reqwest::Client::new().post(url).bearer_auth(&self.token).json(&body).send().await;
        let posted = posted.expect("an answer");
        let status = posted.status();
        assert_eq!(status, 201, "{message:?}: {}", posted.text().await.expect("text"));
    }

    /// Everybody is still signed in, and everything is there.
    async fn check(&self, place: &Place, and: &[&str]) {
        let url = format!("{}/api/v4/channels/{}/posts", place.url(), self.channel);
        let asked = reqwest::Client::new().get(url).bearer_auth(&self.token).send().await;
        let posts: Value = asked.expect("an answer").json().await.expect("JSON");
        let there: Vec<&str> = posts["posts"]
            .as_object()
            .unwrap_or_else(|| panic!("{posts}"))
            .values()
            .map(|post| post["message"].as_str().expect("text"))
            .collect();
        for message in HOSTILE.iter().chain(and) {
            assert!(there.contains(message), "{message:?} in {there:?}");
        }
        place.run(&["status", "--check"]).expect(0);
    }
}

fn moves(place: &Place, more: &[&str]) -> Ran {
    place.run(&[&["database", "move", "--to", "managed"], more].concat())
}

/// Where the data is, as config.json says.
fn driver(place: &Place) -> String {
    let config = std::fs::read_to_string(place.root.join("config/config.json")).expect("config.json");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    config["SqlSettings"]["DriverName"].as_str().expect("text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_a_managed_database_or_stays_wherever_it_is_killed() {
    let place = managed::place("moves");
    let early = moves(&place, &[]);
    assert!(early.code == 4 && early.stderr.contains("up"), "{}: {}", early.code, early.stderr);
    place.up(&[]).expect(0);
    let people = People::of(&place).await;
    let wanted = std::fs::read_to_string(place.root.join("mainstay.toml")).expect("a file");
    for (args, code, says) in [
        (&[][..], 2, "nothing says where"),
        (&["--to", "postgres://mm:hunter2@db/chat"], 2, "takes no address"),
        (&["--to", "/no/such/file"], 4, "/no/such/file"),
    ] {
        let refused = place.run(&[&["database", "move"], args].concat());
        assert_eq!(refused.code, code, "{args:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(says) && !refused.stderr.contains("hunter2"), "{}", refused.stderr);
    }
    let plan = moves(&place, &["--plan"]).expect(0).stdout;
    for says in [
        "Make a PostgreSQL cluster in",
        "Create the tables in",
        "Move ",
        " rows from the deployment's own file into",
        "Let requests through",
    ] {
        assert!(plan.to_lowercase().contains(&says.to_lowercase()), "{says}: {plan}");
    }
    // Every undo of the plan.
    let failed = moves(&place, &["--inject-failure", "identity:after"]);
    assert!(
        failed.code == 6 && failed.stderr.contains("everything is as before; it is verified"),
        "{}",
        failed.stderr
    );
    people.check(&place, &[]).await;
    assert_eq!(driver(&place), "sqlite");
    assert_eq!(std::fs::read_to_string(place.root.join("mainstay.toml")).expect("a file"), wanted);
    let mut and = Vec::new();
    // The database is another one and empty; all is there; the way back is interrupted.
    for (faults, name) in [
        (&["--inject-kill", "database:after"][..], "killed at the tables"),
        (&["--inject-kill", "set-aside:after"], "killed at the end"),
        (&["--inject-failure", "server:before", "--inject-kill", "move:undo"], "killed on the way back"),
    ] {
        let killed = moves(&place, faults);
        assert_eq!(killed.code, -9, "{name}: {}", killed.stderr);
        place.up(&[]).expect(0);
        assert_eq!(driver(&place), "sqlite", "{name}");
        and.push(name);
        people.post(&place, name).await;
    }
    people.check(&place, &and).await;

    let moved = moves(&place, &["--json"]).expect(0).json();
    let posts = moved["moved"]["tables"]["posts"]["rows"].as_u64().expect("a number");
    assert!(moved["changed"] == true && posts >= and.len() as u64, "{moved}");
    assert_eq!(driver(&place), "postgres");
    people.check(&place, &and).await;
    people.post(&place, "after it").await;
    let kept = Path::new(moved["kept"].as_str().expect("a directory")).join("data/mattermost.db");
    assert!(kept.exists() && !place.root.join("data/mattermost.db").exists(), "the old one is kept");
    let file = std::fs::read_to_string(place.root.join("mainstay.toml")).expect("a file");
    assert!(file.contains("database = \"managed\""), "{file}");
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false);
    assert_eq!(moves(&place, &["--json"]).expect(0).json()["changed"], false);

    // Another cluster in its place: of the same version, because every machine has one.
    let pruned = place.run(&["database", "prune", "--yes", "--json"]).expect(0).json();
    assert_eq!(pruned["removed"].as_array().map(Vec::len), Some(1), "{pruned}");
    assert!(!kept.exists());
    rebuilt(&place, &people, &and).await;
    place.run(&["uninstall", "--yes"]).expect(0);
    eventually("nothing runs", || processes_of(&place.root).is_empty());
}

async fn rebuilt(place: &Place, people: &People, and: &[&str]) {
    let again = |more: &[&str]| place.run(&[&["database", "upgrade", "--rebuild"], more].concat());
    let major = sql(place, "show server_version_num")[..2].to_owned();
    let same = place.run(&["database", "upgrade", "--to", &major, "--json"]).expect(0).json();
    assert_eq!(same["changed"], false);
    for (to, code, says) in [("9", 4, "not installed"), ("99", 4, "postgresql-99"), ("x", 2, "x")] {
        let refused = place.run(&["database", "upgrade", "--to", to]);
        assert!(refused.code == code && refused.stderr.contains(says), "{to}: {}", refused.stderr);
    }
    sql(place, "create role reader login password 'of its own' connection limit 3");
    sql(place, "create database \"it's other\"");
    sql(place, "alter system set log_min_duration_statement = 4711");
    let posts = || {
        let ran =
            place.run(&["shell", "database", "--", "-d", "mattermost", "-Atc", "select count(*) from posts"]);
        ran.expect(0).stdout
    };
    let identity = || sql(place, "select system_identifier from pg_control_system()");
    let (first, count) = (identity(), posts());
    let plan = again(&["--plan"]).expect(0).stdout;
    assert!(
        plan.contains("Copy the databases of PostgreSQL") && plan.contains("moves into set-aside"),
        "{plan}"
    );
    let failed = again(&["--inject-failure", "acceptance:before"]);
    assert!(
        failed.code == 6 && failed.stderr.contains("everything is as before; it is verified"),
        "{}",
        failed.stderr
    );
    assert_eq!(again(&["--inject-kill", "cluster-exchange:after"]).code, -9);
    place.up(&[]).expect(0);
    assert_eq!(identity(), first);
    people.check(place, and).await;
    assert!(!place.root.join("postgres/next").exists());
    // Killed while the new cluster is filled: its processes end, and nothing of it stays.
    let mut copying = place.command(&["database", "upgrade", "--rebuild"]).spawn().expect("the binary");
    let making = || {
        let entries = std::fs::read_dir(place.root.join("postgres")).expect("a directory").flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("making")).count()
    };
    eventually("the new cluster is made", || making() > 0);
    copying.kill().expect("killed");
    copying.wait().expect("ended");
    place.up(&[]).expect(0);
    assert_eq!((making(), identity()), (0, first.clone()));
    people.check(place, and).await;

    let done = again(&["--json"]).expect(0).json();
    assert!(
        done["changed"] == true
            && done["moved"]["tables"]["mattermost: posts"]["rows"]
                == count.trim().parse::<u64>().expect("a number"),
        "{done}"
    );
    assert_ne!(identity(), first);
    assert_eq!(posts(), count);
    assert_eq!(sql(place, "show log_min_duration_statement"), "4711ms");
    assert_eq!(sql(place, "select rolconnlimit from pg_authid where rolname = 'reader'"), "3");
    assert_eq!(sql(place, "select count(*) from pg_database where datname = 'it''s other'"), "1");
    assert_eq!(sql(place, "show fsync"), "on");
    people.check(place, and).await;
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false);
    assert!(postmaster(place).is_some());
    place.run(&["backup", "create"]).expect(0);
    let pruned = place.run(&["database", "prune", "--yes", "--json"]).expect(0).json();
    assert_eq!(pruned["removed"].as_array().map(Vec::len), Some(1), "{pruned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_to_a_database_elsewhere_and_to_an_official_release() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let people = People::of(&place).await;
    let dir = tempfile::tempdir().expect("a directory");
    let address = |name: &str, exists: bool| {
        let (name, file) = (name.to_owned(), dir.path().join(name));
        let mut server = std::thread::spawn(move || database(&name, exists)).join().expect("a server");
        server.tls.mode = dsn::TlsMode::Disable;
        let text =
            secrecy::ExposeSecret::expose_secret(&server.data_source().expect("an address")).to_owned();
        std::fs::write(&file, text).expect("written");
        (file.to_str().expect("a name").to_owned(), server)
    };
    let to = |file: &str, more: &[&str]| place.run(&[&["database", "move", "--to", file], more].concat());
    let (missing, _) = address("moves_missing", false);
    let refused = to(&missing, &[]);
    assert!(refused.code == 4 && !refused.stderr.contains("p@ss"), "{}", refused.stderr);
    let (file, _) = address("moves_elsewhere", true);
    let killed = to(&file, &["--inject-kill", "move:after"]);
    assert_eq!(killed.code, -9, "{}", killed.stderr);
    // Without the address, which nobody has to remember.
    place.up(&[]).expect(0);
    people.check(&place, &[]).await;
    let moved = to(&file, &["--json"]).expect(0).json();
    assert!(moved["changed"] == true && !moved.to_string().contains("p@ss"), "{moved}");
    people.check(&place, &[]).await;
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false, "it stays there");
    let filled = place.run(&["database", "status"]).expect(0).stdout;
    assert!(filled.contains("moves_elsewhere"), "{filled}");
    let other = Place::new();
    other.up(&[]).expect(0);
    let filled = other.run(&["database", "move", "--to", &file]);
    assert!(filled.code == 8 && filled.stderr.contains("holds a Mattermost"), "{}", filled.stderr);
    other.run(&["uninstall", "--yes"]).expect(0);

    // The official server cannot use the file, so its upgrade moves the data first.
    let official = managed::place("official");
    official.up(&[]).expect(0);
    let people = People::of(&official).await;
    let tarball = Next::Team.tarball();
    let upgrade = |more: &[&str]| {
        official
            .run(&[&["upgrade", "--edition", "team", "--to", "11.7.0", "--release", tarball], more].concat())
    };
    let plan = upgrade(&["--plan"]).expect(0).stdout;
    assert!(
        plan.contains("from the deployment's own file into") && plan.contains("Bring the database from"),
        "{plan}"
    );
    let rehearsed = upgrade(&["--rehearse"]);
    assert!(rehearsed.code == 8 && rehearsed.stderr.contains("a rehearsal cannot"), "{}", rehearsed.stderr);
    let failed = upgrade(&["--inject-failure", "compare:after"]);
    assert!(failed.code == 6 && failed.stderr.contains("it is verified"), "{}", failed.stderr);
    people.check(&official, &[]).await;
    assert_eq!(driver(&official), "sqlite");
    let killed = upgrade(&["--inject-kill", "migration:after"]);
    assert_eq!(killed.code, -9, "{}", killed.stderr);
    official.up(&[]).expect(0);
    people.check(&official, &[]).await;
    let upgraded = upgrade(&["--json"]).expect(0).json();
    assert!(upgraded["release"].as_str().is_some_and(|release| release.ends_with("-team")), "{upgraded}");
    let left = Path::new(upgraded["left"].as_str().expect("a directory")).join("data/mattermost.db");
    assert!(left.exists(), "the old database is kept");
    let compared = upgraded["compared"]["schema"]["tables_added"].as_array();
    assert!(compared.is_some_and(|added| added.contains(&json!("newer"))), "{upgraded}");
    assert_eq!(driver(&official), "postgres");
    people.check(&official, &[]).await;
    official.run(&["uninstall", "--yes"]).expect(0);
}
