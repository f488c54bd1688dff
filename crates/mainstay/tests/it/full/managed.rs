//! Deployments on a PostgreSQL that Mainstay runs: the built-in server, by the very steps that an official release takes.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::place::{Place, Ran, processes_of};

/// The arguments that ask for it.
const MANAGED: [&str; 2] = ["--database", "managed"];

/// A directory whose name no other test uses: the system user of the database is named after it.
pub(super) fn place(name: &str) -> Place {
    let mut place = Place::new();
    place.root.set_file_name(name);
    place
}

pub(super) fn up(place: &Place, more: &[&str]) -> Ran {
    place.up(&[&MANAGED[..], more].concat())
}

pub(super) fn data(place: &Place) -> PathBuf {
    place.root.join("postgres/data")
}

/// What a statement answers, asked by the superuser through `mainstay shell database`.
pub(super) fn sql(place: &Place, statement: &str) -> String {
    let ran = place.run(&["shell", "database", "--", "-v", "ON_ERROR_STOP=1", "-Atc", statement]).expect(0);
    ran.stdout.trim().to_owned()
}

/// The process of PostgreSQL, as the agent tells it.
pub(super) fn postmaster(place: &Place) -> Option<u64> {
    place.status()["agent"]["database"]["pid"].as_u64()
}

#[test]
fn from_nothing_to_verified_and_back() {
    let place = place("managed");
    let plan = up(&place, &["--plan"]).expect(0).stdout;
    for says in ["Make a PostgreSQL cluster in", "Start PostgreSQL", "server's user and database"] {
        assert!(plan.contains(says), "{plan}");
    }
    assert!(!place.root.exists(), "a plan makes nothing");
    let first = up(&place, &["--json"]).expect(0).json();
    assert_eq!((&first["changed"], &first["administrator"]), (&true.into(), &"admin".into()));
    assert!(!place.root.join("data/mattermost.db").exists(), "the data is in PostgreSQL");

    // Who asks for nothing changes nothing: the word is in mainstay.toml by now.
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false);
    let file = std::fs::read_to_string(place.root.join("mainstay.toml")).expect("a file");
    assert!(file.contains("database = \"managed\""), "{file}");
    place.run(&["verify"]).expect(0);

    // A backup is of one moment; the rows in it are those of the server's own tables.
    let created = place.run(&["backup", "create", "--json"]).expect(0).json();
    let shown = place.run(&["backup", "show", "--json"]).expect(0).json();
    assert_eq!(shown["snapshot"], created["snapshot"]);
    let database = &shown["manifest"]["database"];
    assert_eq!(database["engine"], "postgres");
    let users: u64 = sql(&place, "select count(*) from users").parse().expect("a number");
    assert_eq!(database["rows"]["users"], users, "{database}");
    assert!(shown["parts"].to_string().contains("\"database\""), "{shown}");
    let checked = place.run(&["backup", "check", "--read-data", "100", "--json"]).expect(0).json();
    assert_eq!((&checked["sound"], &checked["files"]["missing"]), (&true.into(), &0.into()), "{checked}");

    // It listens on its socket alone, checks its pages, and gives the server no right beyond its database.
    assert_eq!(sql(&place, "show listen_addresses"), "");
    assert_eq!(sql(&place, "show data_checksums"), "on");
    let rights = "select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, \
                  left(rolpassword, 14) from pg_authid where rolname = 'mattermost'";
    assert_eq!(sql(&place, rights), "f|f|f|f|f|SCRAM-SHA-256$");
    let database = "select pg_encoding_to_char(encoding), datcollate, pg_get_userbyid(datdba) \
                    from pg_database where datname = 'mattermost'";
    assert_eq!(sql(&place, database), "UTF8|C.UTF-8|mattermost");
    assert_eq!(sql(&place, "show default_text_search_config"), "pg_catalog.english");
    let owner = std::fs::metadata(data(&place)).expect("there").uid();
    let server = std::fs::metadata(place.root.join("data")).expect("there").uid();
    assert!(owner != 0 && owner != server, "PostgreSQL has a user of its own: {owner}, {server}");
    for name in ["postgresql.conf", "pg_hba.conf", "pg_ident.conf", "cluster.json"] {
        let meta = std::fs::metadata(place.root.join("postgres").join(name)).expect(name);
        assert_eq!((meta.uid(), meta.mode() & 0o777), (0, 0o644), "{name}");
    }

    // The password is in the two files that must have it, and nowhere else.
    let secrets = std::fs::read_to_string(place.root.join("secrets.toml")).expect("secrets");
    let password = secrets.lines().find_map(|line| line.strip_prefix("database_password = ")).expect("one");
    let password = password.trim_matches('"');
    let journal = std::fs::read(place.root.join("state.db")).expect("the journal");
    assert!(!String::from_utf8_lossy(&journal).contains(password), "the password is in the journal");
    for log in ["server", "agent", "database"] {
        let text = place.run(&["logs", log, "-n", "1000000"]).expect(0).stdout;
        assert!(!text.contains(password), "the password is in the log of the {log}");
    }
    for pid in processes_of(&place.root) {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(password), "the password is an argument of {pid}");
    }

    let status = place.run(&["database", "status", "--json"]).expect(0).json();
    assert!(status["reached"]["bytes"].as_u64().is_some_and(|bytes| bytes > 1_000_000), "{status}");
    assert!(status["reached"]["slowest"].as_array().is_some_and(|all| !all.is_empty()), "{status}");
    let text = place.run(&["database", "status"]).expect(0).stdout;
    for says in ["Mainstay: PostgreSQL", "Slowest", "Next       Mattermost 12.0 needs PostgreSQL 15"] {
        assert!(text.contains(says), "{says}:\n{text}");
    }
    assert!(place.run(&["logs", "database"]).expect(0).stdout.contains("ready to accept connections"));
    assert!(place.run(&["status"]).expect(0).stdout.contains("PostgreSQL process"));
    let before = postmaster(&place);
    place.run(&["restart", "database"]).expect(0);
    assert_ne!(postmaster(&place), before);

    place.run(&["down"]).expect(0);
    assert_eq!(processes_of(&place.root), Vec::<u64>::new());
    assert!(!data(&place).join("postmaster.pid").exists(), "it ended in order");
    let away = place.run(&["database", "status"]).expect(4).stderr;
    assert!(away.contains("does not run") && away.contains("mainstay up"), "{away}");
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], true);

    place.run(&["uninstall", "--yes", "--keep-data"]).expect(0);
    assert!(data(&place).join("PG_VERSION").exists());
    place.up(&[]).expect(0);
    assert_eq!(sql(&place, "select count(*) > 0 from users"), "t");
    let plan = place.run(&["uninstall", "--plan"]).expect(0).stdout;
    assert!(plan.contains("postgres") && plan.contains("whole database"), "{plan}");
    let gone = place.run(&["uninstall", "--yes"]).expect(0).stdout;
    assert!(!place.root.exists(), "{:?}", place.names());
    let users = std::fs::read_to_string("/etc/passwd").expect("users");
    // A container of another test may have a process with the same id.
    let stays = gone.contains("stays, because");
    assert_eq!(users.contains(&*place.root.to_string_lossy()), stays, "{gone}");
}
