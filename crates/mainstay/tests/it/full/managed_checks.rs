//! The managed PostgreSQL when its files, its settings, its password or its socket are changed, or gone, while it runs: told before anything
//! is stopped, mended where that is possible, and nothing is taken away under a program that works on it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::managed::{self, data, postmaster, sql, up};
use crate::place::{Place, eventually, free_port, processes_of};

/// Waits at most 70 s.
fn within_a_minute(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(70);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn server(place: &Place) -> Option<u64> {
    place.status()["agent"]["server"]["pid"].as_u64()
}

/// Each command is refused with the code, says all of this, and nothing is stopped.
fn refused(place: &Place, commands: &[&[&str]], code: i32, says: &[&str]) {
    let pids = (postmaster(place), server(place));
    for command in commands {
        let error = place.run(command).expect(code).stderr;
        for says in says {
            assert!(error.contains(says), "{command:?} does not say {says}: {error}");
        }
        assert_eq!((postmaster(place), server(place)), pids, "{command:?} stopped something");
    }
}

#[test]
fn what_keeps_the_next_one_from_starting_is_found_before_this_one_is_stopped() {
    let place = managed::place("before");
    up(&place, &[]).expect(0);
    let both: &[&[&str]] = &[&["restart", "database"], &["restart", "agent"]];
    let all: &[&[&str]] = &[&["restart"], both[0], both[1]];
    let auto = data(&place).join("postgresql.auto.conf");

    // Taken by `alter system`, and not by the next start.
    for (set, key, says) in [
        ("shared_buffers = '900GB'", "shared_buffers", "memory"),
        ("shared_preload_libraries = 'no_such_library'", "shared_preload_libraries", "no_such_library"),
        (
            "superuser_reserved_connections = 200",
            "superuser_reserved_connections",
            "less than max_connections",
        ),
    ] {
        if key == "shared_preload_libraries" {
            // PostgreSQL itself looks whether the library is there.
            let text = fs::read_to_string(&auto).expect("a file");
            fs::write(&auto, format!("{text}{set}\n")).expect("written");
        } else {
            sql(&place, &format!("alter system set {set}"));
        }
        refused(&place, both, 3, &["postgresql.auto.conf:", key, says, "alter system reset"]);
        sql(&place, &format!("alter system reset {key}"));
    }
    let text = fs::read_to_string(&auto).expect("a file");
    fs::write(&auto, format!("{text}work_mem = 'much'\n")).expect("written");
    refused(&place, both, 3, &["postgresql.auto.conf:3: `work_mem`", "much"]);
    place.run(&["down"]).expect(0);
    let failed = place.up(&[]).expect(3).stderr;
    assert!(failed.contains("postgresql.auto.conf:3: `work_mem`"), "{failed}");
    fs::write(&auto, text).expect("written");
    place.up(&[]).expect(0);

    // Modes and owners.
    let owner = fs::metadata(data(&place)).expect("there");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    mode(&data(&place), 0o755);
    refused(&place, both, 4, &["has mode 0755", "chmod 700"]);
    mode(&data(&place), 0o700);
    for deep in ["base", "global/pg_control", "pg_wal"] {
        let deep = data(&place).join(deep);
        chown(&deep, Some(0), None).expect("root's");
        refused(&place, both, 4, &[&*deep.to_string_lossy(), "belongs to root", "chown -R"]);
        chown(&deep, Some(owner.uid()), None).expect("its own");
    }
    let access = place.root.join("postgres/pg_hba.conf");
    let right = fs::read_to_string(&access).expect("a file");
    fs::write(&access, "local all all nonsense\n").expect("written");
    refused(&place, both, 3, &["pg_hba.conf:1", "nonsense"]);
    fs::write(&access, right).expect("written");

    // What the server logs in with.
    sql(&place, "alter role mattermost password 'another'");
    refused(&place, all, 4, &["mattermost", "mainstay up"]);
    refused(&place, &[&["settings", "secrets", "rotate", "--yes", "link_salt"]], 4, &["mattermost"]);
    place.up(&[]).expect(0);
    place.run(&["restart", "database"]).expect(0);
    let config = place.root.join("config/config.json");
    let right = fs::read_to_string(&config).expect("config.json");
    let source = |with: &str| {
        let line =
            right.lines().find(|line| line.trim_start().starts_with("\"DataSource\":")).expect("a line");
        fs::write(&config, right.replace(line, &format!("\"DataSource\": \"{with}\","))).expect("written");
    };
    source("nonsense");
    refused(&place, all, 3, &["config.json:", "SqlSettings.DataSource"]);
    source("postgres://mm:x@127.0.0.1:1/elsewhere?sslmode=disable");
    refused(
        &place,
        all,
        8,
        &["config.json:", "the data of this deployment is in", "nothing has been stopped"],
    );
    fs::write(&config, right).expect("written");
    place.run(&["restart"]).expect(0);
}

/// In the same deployment, one after the other: each ends as it began.
#[test]
fn a_socket_that_is_deleted_and_a_postgresql_that_hangs_are_told_and_mended() {
    let place = managed::place("silent");
    up(&place, &[]).expect(0);
    let restarted = |by: &dyn Fn()| {
        let before = postmaster(&place).expect("it runs");
        by();
        assert!(postmaster(&place).is_some_and(|pid| pid != before), "it was not restarted");
        place.run(&["verify"]).expect(0);
    };
    let began = Instant::now();
    restarted(&|| {
        fs::remove_dir_all(place.root.join("postgres/socket")).expect("deleted");
        let told = place.up(&[]).expect(0).stderr;
        assert!(told.contains("Stop PostgreSQL") || told.is_empty(), "{told}");
    });
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());

    // The agent notices by itself.
    let before = postmaster(&place).expect("it runs");
    assert!(Command::new("kill").args(["-STOP", &before.to_string()]).status().expect("kill").success());
    within_a_minute("another process runs", || postmaster(&place).is_some_and(|pid| pid != before));
    eventually("all is well", || place.run(&["status", "--check"]).code == 0);
    let why =
        place.status()["agent"]["database"]["last_restart"]["why"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("it answered nothing for"), "{why}");
    let history = place.run(&["history"]).expect(0).stdout;
    assert!(
        history.contains("the database, because it was ended by Mainstay: it answered nothing for"),
        "{history}"
    );

    // A command does not wait for that.
    restarted(&|| {
        let pid = postmaster(&place).expect("it runs").to_string();
        assert!(Command::new("kill").args(["-STOP", &pid]).status().expect("kill").success());
        place.run(&["restart", "database"]).expect(0);
    });
}

#[test]
fn data_that_is_gone_under_a_running_postgresql_is_told_before_it_is_lost() {
    let place = managed::place("deleted");
    up(&place, &[]).expect(0);
    let (cluster, away) = (place.root.join("postgres"), place.root.with_file_name("away"));
    let told = |says: &str| {
        let shown = place.run(&["status"]).expect(0).stdout;
        assert!(shown.contains(says), "{shown}");
        place.run(&["status", "--check"]).expect(7);
        for (command, code) in
            [(&["verify"][..], 5), (&["database", "status"], 8), (&["restart"], 8), (&["up"], 8)]
        {
            let ran = place.run(command);
            assert!(ran.stderr.contains(says), "{command:?}: {}", ran.stderr);
            ran.expect(code);
        }
    };
    // Moved: nothing is lost, and the way back is said.
    fs::rename(&cluster, &away).expect("moved");
    told("was moved to");
    place.run(&["down"]).expect(0);
    fs::rename(&away, &cluster).expect("moved back");
    place.up(&[]).expect(0);
    place.run(&["verify"]).expect(0);

    fs::remove_dir_all(&cluster).expect("deleted");
    told("was deleted or replaced, and PostgreSQL");
    // Nobody can be asked here.
    let asked = place.run(&["down"]);
    assert!(asked.stderr.contains("warning:") && asked.stderr.contains("--start-empty"), "{}", asked.stderr);
    assert!(postmaster(&place).is_some(), "it was stopped without an answer: {}", asked.stderr);
    place.run(&["down", "--yes"]).expect(0);
    let gone = place.up(&[]).expect(8).stderr;
    assert!(gone.contains("the PostgreSQL cluster in"), "{gone}");
    let shown = place.run(&["database", "status"]).expect(8).stderr;
    assert!(shown.contains("the PostgreSQL cluster in") && shown.contains("--start-empty"), "{shown}");
    place.run(&["uninstall", "--yes"]).expect(0);
}

/// A PostgreSQL that somebody starts on the cluster, without Mainstay.
fn by_hand(place: &Place) -> Child {
    let record = fs::read(place.root.join("postgres/cluster.json")).expect("a record");
    let record: Value = serde_json::from_slice(&record).expect("JSON");
    let program = PathBuf::from(record["bin"].as_str().expect("a path")).join("postgres");
    let owner = fs::metadata(data(place)).expect("there");
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={}", owner.uid()), format!("--regid={}", owner.gid())]);
    command.arg("--clear-groups").arg(program).arg("-D").arg(data(place));
    command.args(["-c", "listen_addresses=", "-k"]).arg(data(place));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("one by hand");
    eventually("it runs", || data(place).join("postmaster.pid").exists());
    child
}

#[test]
fn nothing_is_taken_from_another_postgresql_and_no_copy_uses_the_originals() {
    let place = managed::place("hand");
    up(&place, &[]).expect(0);

    // A copy of one that runs is of different moments.
    let mut torn = Place::new();
    torn.port = free_port();
    assert!(Command::new("cp").arg("-a").arg(&place.root).arg(&torn.root).status().expect("cp").success());
    let refused = torn.up(&[]).expect(8).stderr;
    for says in ["was made while PostgreSQL worked there", "mainstay down --dir", "cp -a"] {
        assert!(refused.contains(says), "{says}: {refused}");
    }
    assert!(fs::read_dir(torn.root.join("postgres/socket")).expect("there").count() <= 2, "a PostgreSQL ran");
    assert_eq!(place.status()["up"], true);
    place.run(&["verify"]).expect(0);

    // A copy of one that is stopped has its own, even where nothing but config.json says that there is one.
    place.run(&["down"]).expect(0);
    let file = place.root.join("mainstay.toml");
    let text = fs::read_to_string(&file).expect("a file");
    fs::write(&file, text.replace("database = \"managed\"\n", "")).expect("written");
    let mut copy = Place::new();
    copy.port = free_port();
    assert!(Command::new("cp").arg("-a").arg(&place.root).arg(&copy.root).status().expect("cp").success());
    place.up(&[]).expect(0);
    copy.up(&[]).expect(0);
    let config = fs::read_to_string(copy.root.join("config/config.json")).expect("config.json");
    let socket = |root: &Path| root.join("postgres/socket").display().to_string().replace('/', "%2F");
    assert!(config.contains(&socket(&copy.root)), "{config}");
    assert!(!config.contains(&socket(&place.root)), "the copy uses the original's database");
    assert_ne!(sql(&place, "show data_directory"), sql(&copy, "show data_directory"));
    copy.run(&["uninstall", "--yes"]).expect(0);
    assert_eq!(place.status()["up"], true);

    // One that somebody started by hand.
    place.run(&["down"]).expect(0);
    let mut strange = by_hand(&place);
    let pid = strange.id().to_string();
    for command in [&["uninstall", "--yes"][..], &["uninstall", "--plan"]] {
        let refused = place.run(command).expect(9).stderr;
        assert!(refused.contains(&format!("(process {pid})")) && refused.contains("kill -INT"), "{refused}");
    }
    let refused = place.up(&["--start-empty"]).expect(9).stderr;
    assert!(refused.contains(&pid), "{refused}");
    assert!(data(&place).join("PG_VERSION").exists() && strange.try_wait().expect("waited").is_none());
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    strange.wait().expect("it ends");
    place.run(&["uninstall", "--yes"]).expect(0);
    assert_eq!(processes_of(&place.root), Vec::<u64>::new());
}

#[test]
fn a_kill_while_the_cluster_is_made_leaves_no_half_of_one() {
    let place = managed::place("making");
    let postgres = place.root.join("postgres");
    let is_making = || {
        let names = fs::read_dir(&postgres).into_iter().flatten().flatten();
        let mut half = names.filter(|entry| entry.file_name().to_string_lossy().starts_with("making-"));
        half.next().map(|entry| entry.path())
    };
    for wait in [0, 150, 300] {
        let args = place.up_args();
        let mut up = place.command(&["up", "--database", "managed"]);
        let up = up.args(&args[1..]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut up = up.expect("the binary");
        eventually("initdb writes", || is_making().is_some_and(|path| path.join("base").exists()));
        std::thread::sleep(Duration::from_millis(wait));
        up.kill().expect("killed");
        up.wait().expect("waited");
    }
    // At once: the programs of the last try may still write.
    up(&place, &[]).expect(0);
    assert_eq!(is_making(), None, "a half stays");
    place.run(&["verify"]).expect(0);
    let checked = sql(&place, "select count(*) from pg_class");
    assert!(checked.parse::<u32>().expect("a number") > 300, "{checked}");
    assert_eq!(place.up(&["--json"]).expect(0).json()["changed"], false);
    place.run(&["restart", "database"]).expect(0);
}
