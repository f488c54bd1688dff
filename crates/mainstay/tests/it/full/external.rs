//! Deployments whose data is on a database server that is not Mainstay's.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use database::Lacking;
use dsn::Server;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use testbed::PATIENCE;
use testbed::postgres::{Cluster, Kind};

use crate::place::{Place, Ran, eventually, processes_of};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let mut cluster = Cluster::new(&Kind::default());
    cluster.start();
    cluster
});

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// A database that exists or not, with its user, for the golden files.
pub(crate) fn database(name: &str, exists: bool) -> Server {
    let server = CLUSTER.to(name, "p@ss/w:rd?", name);
    CLUSTER.ready();
    if exists {
        wait(database::create(&CLUSTER.admin(""), &server, PATIENCE)).expect("created");
    }
    server
}

/// A deployment, and the database that it is told of.
pub(crate) struct Chat {
    pub(crate) place: Place,
    server: Server,
    env: Vec<(String, String)>,
}

impl Chat {
    /// Told of a database of its own, which nobody has created.
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("chat{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let server = CLUSTER.to(&name, "p@ss/w:rd?", &name);
        let env = [
            ("DB_ADAPTER", "postgres"),
            ("DB_HOST", "127.0.0.1"),
            ("DB_PORT", &server.port.to_string()),
            ("DB_NAME", &name),
            ("DB_USER", &name),
            ("DB_PASS", server.password.expose_secret()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { place: Place::new(), server, env }
    }

    /// The same with the database in place.
    pub(crate) fn created() -> Self {
        let chat = Self::new();
        CLUSTER.ready();
        wait(database::create(&CLUSTER.admin(""), &chat.server, PATIENCE)).expect("created");
        chat
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(old, _)| old != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(args);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the binary; the password is in nothing that it says.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.kept_secret(self.command(args).output().expect("the binary runs").into())
    }

    pub(crate) fn up(&self, more: &[&str]) -> Ran {
        let args = self.place.up_args();
        self.run(&args.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
    }

    fn kept_secret(&self, ran: Ran) -> Ran {
        let admin = CLUSTER.admin("");
        for secret in [self.server.password.expose_secret(), admin.password.expose_secret()] {
            let encoded = secret.replace('@', "%40").replace('/', "%2F").replace(':', "%3A");
            for text in [&ran.stdout, &ran.stderr] {
                assert!(!text.contains(secret) && !text.contains(&encoded), "a password was printed: {text}");
            }
        }
        ran
    }

    /// Refused with that code and these words, and nothing made.
    fn refused(&self, more: &[&str], code: i32, says: &[&str]) {
        let before = self.place.names();
        let ran = self.up(more).expect(code);
        for says in says {
            assert!(ran.stderr.contains(says), "it should say {says:?}, and says:\n{}", ran.stderr);
        }
        assert_eq!(self.place.names(), before, "something was made");
    }

    /// A file with the administrator's address.
    fn admin_file(&self) -> String {
        let path = self.place.root.with_file_name("admin");
        std::fs::write(&path, format!("{}\n", self.admin_address())).expect("a file");
        path.display().to_string()
    }

    fn admin_address(&self) -> String {
        testbed::postgres::url(&CLUSTER.admin(""))
    }

    fn lacking(&self) -> Lacking {
        CLUSTER.ready();
        wait(database::lacking(&CLUSTER.admin(""), &self.server, PATIENCE)).expect("an answer")
    }

    pub(crate) fn sql(&self, sql: &str) {
        wait(CLUSTER.execute(&self.server.name, sql));
    }

    /// Lets sessions of the database write again: one of the database itself could not.
    pub(crate) fn let_write(&self) {
        let sql = format!("alter database {} reset default_transaction_read_only", self.server.name);
        wait(CLUSTER.execute("postgres", &sql));
    }

    /// Lets sessions of the database begin again.
    pub(crate) fn let_in(&self) {
        wait(
            CLUSTER.execute("postgres", &format!("alter database {} connection limit -1", self.server.name)),
        );
    }

    fn has_tables(&self) -> bool {
        let contents = wait(database::contents(&self.server, PATIENCE)).expect("contents");
        matches!(contents, database::Contents::Mattermost(_))
    }
}

trait Waited {
    fn ready(&self);
}

impl Waited for Cluster {
    /// Returns when it answers.
    fn ready(&self) {
        wait(self.execute("postgres", "select 1"));
    }
}

const NOTHING: Lacking = Lacking { user: false, database: false };
const EVERYTHING: Lacking = Lacking { user: true, database: true };

#[test]
fn from_an_empty_database_to_verified_and_back() {
    let chat = Chat::created();
    let up = chat.up(&["--json"]).expect(0).json();
    assert_eq!((&up["changed"], &up["administrator"]), (&true.into(), &"admin".into()));
    let address = chat.server.to_string();
    assert!(chat.has_tables());
    assert!(!chat.place.root.join("data/mattermost.db").exists(), "the data is elsewhere");
    assert_eq!(chat.up(&["--json"]).expect(0).json()["changed"], false, "a second up changes nothing");
    // Without the variables, it stays where it is.
    assert_eq!(chat.place.up(&["--json"]).expect(0).json()["changed"], false);
    assert_eq!(chat.place.run(&["verify", "--json"]).expect(0).json()["passed"], true);
    assert_eq!(chat.place.status()["database"], address);
    assert!(chat.place.run(&["status"]).expect(0).stdout.contains(&address));

    chat.run(&["backup", "create"]).expect(0);
    let shown = chat.place.run(&["backup", "show", "--json"]).expect(0).json();
    assert_eq!(shown["manifest"]["database"]["engine"], "postgres", "{shown}");
    chat.place.run(&["backup", "check", "--files"]).expect(0);

    let status = chat.run(&["database", "status", "--json"]).expect(0).json();
    assert_eq!((&status["address"], &status["reached"]["schema"]), (&address.clone().into(), &true.into()));
    let origins = status["origins"].as_array().expect("origins");
    assert!(origins.contains(&serde_json::json!(["DB_HOST", "environment variable DB_HOST"])), "{status}");
    assert_eq!(status["reached"]["minimum"], "14.0");
    let text = chat.place.run(&["database", "status"]).expect(0).stdout;
    assert!(text.contains("14.0 or later") && text.contains("config.json"), "{text}");

    chat.place.run(&["down"]).expect(0);
    assert_eq!(chat.place.up(&["--json"]).expect(0).json()["changed"], true);
    chat.place.run(&["uninstall", "--yes", "--keep-data"]).expect(0);
    chat.up(&[]).expect(0);
    let gone = chat.place.run(&["uninstall", "--yes"]).expect(0);
    assert!(gone.stdout.contains(&format!("{address} is not Mainstay's and stays")), "{}", gone.stdout);
    assert!(chat.has_tables(), "it is left alone");
    // Its accounts are those of the secrets, which stay: with them a later deployment goes on with it.
    assert_eq!(chat.place.names(), ["secrets.toml"]);
    assert_eq!(chat.up(&["--json"]).expect(0).json()["changed"], true);
    chat.place.run(&["uninstall", "--yes"]).expect(0);
    std::fs::remove_file(chat.place.root.join("secrets.toml")).expect("removed");
    chat.refused(&[], 4, &["belongs to a deployment of Mainstay", "secrets.toml"]);
}

#[test]
fn a_linked_container_is_all_that_is_needed() {
    let mut chat = Chat::created();
    let [name, port] = [&chat.server.name, &chat.server.port.to_string()].map(Clone::clone);
    let password = chat.server.password.expose_secret().to_owned();
    chat.env.clear();
    for (variable, value) in [
        ("POSTGRES_PORT_5432_TCP_ADDR", "127.0.0.1"),
        ("POSTGRES_PORT_5432_TCP_PORT", &port),
        ("POSTGRES_ENV_POSTGRES_USER", &name),
        ("POSTGRES_ENV_POSTGRES_PASSWORD", &password),
    ] {
        chat.set(variable, value);
    }
    chat.up(&[]).expect(0);
    assert!(chat.has_tables());
    let status = chat.run(&["database", "status"]).expect(0).stdout;
    assert!(status.contains("POSTGRES_PORT_5432_TCP_ADDR"), "{status}");
}

#[test]
fn what_keeps_it_from_being_used_is_said_before_anything_is_made() {
    let mut chat = Chat::new();
    CLUSTER.ready();
    // PostgreSQL says the same of a wrong password and of no user.
    chat.refused(&[], 4, &["refused user", "CREATE ROLE", "--create-database FILE"]);
    let sql = chat.run(&["database", "sql"]).expect(0).stdout;
    assert!(sql.contains("CREATE DATABASE") && sql.contains("ALTER SCHEMA public OWNER TO"), "{sql}");
    let away = chat.run(&["database", "status", "--json"]).expect(4).json();
    assert_eq!(away["exit_code"], 4);

    wait(
        CLUSTER.execute("postgres", &format!("create role {} login password 'p@ss/w:rd?'", chat.server.user)),
    );
    chat.refused(&[], 4, &["has no database", "CREATE DATABASE"]);
    wait(CLUSTER.execute("postgres", &format!("create database {}", chat.server.name)));
    chat.refused(&[], 4, &["permission denied for schema public", "ALTER SCHEMA"]);
    chat.sql("create table orders (); alter schema public owner to pg_database_owner");
    chat.sql(&format!("grant all on schema public to {}", chat.server.user));
    chat.refused(&[], 8, &["tables that are not Mattermost's (orders)", "a database of its own"]);
    chat.sql("drop table orders; create table db_migrations (version bigint); insert into db_migrations values (900)");
    chat.refused(&[], 4, &["may not use table \"db_migrations\"", "belongs to \"postgres\"", "ALTER TABLE"]);
    chat.sql(&format!("grant all on db_migrations to {}", chat.server.user));
    chat.refused(&[], 8, &["belongs to a newer Mattermost (migration 900"]);

    let began = Instant::now();
    chat.set("DB_PORT", &testbed::child::free_port().to_string());
    chat.refused(&["--wait", "1"], 4, &["nothing listens on"]);
    assert!(began.elapsed() < Duration::from_secs(10));
    chat.set("DB_PORT", "x");
    chat.refused(&[], 3, &["`DB_PORT` is `x`"]);
    chat.env.clear();
    chat.set("MM_SQLSETTINGS_DATASOURCE", "postgres://u:p/ss@h/n");
    chat.refused(&[], 3, &["%2F"]);
    chat.set("MM_SQLSETTINGS_DATASOURCE", "u:p@tcp(127.0.0.1:1)/n");
    chat.refused(&[], 8, &["MySQL", "docs/move-database.md"]);
    chat.env.clear();
    chat.set("MYSQL_PORT_3306_TCP_ADDR", "127.0.0.1");
    chat.refused(&[], 8, &["links a mysql container", "PostgreSQL alone", "docs/move-database.md"]);
    assert!(processes_of(&chat.place.root).is_empty());
}

#[test]
fn a_database_that_is_not_there_yet_is_waited_for_and_the_wait_can_be_ended() {
    let mut cluster = Cluster::new(&Kind::default());
    let place = Place::new();
    let address = |cluster: &Cluster| {
        let server = cluster.to("postgres", "x", "postgres");
        format!("postgres://postgres:x@127.0.0.1:{}/postgres?sslmode=disable", server.port)
    };
    let waits = |cluster: &Cluster| -> Child {
        let mut up = place.command(&[]);
        up.args(place.up_args()).args(["--wait", "60"]).env("MM_SQLSETTINGS_DATASOURCE", address(cluster));
        up.stderr(Stdio::piped()).spawn().expect("the binary")
    };
    let first = waits(&cluster);
    std::thread::sleep(Duration::from_millis(500));
    assert!(Command::new("kill").args(["-INT", &first.id().to_string()]).status().expect("kill").success());
    let ended = Ran::from(first.wait_with_output().expect("it ends")).expect(4);
    assert!(ended.stderr.contains("nothing listens") && ended.stderr.contains("waiting"), "{}", ended.stderr);
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
    assert!(!place.root.exists());

    let second = waits(&cluster);
    std::thread::sleep(Duration::from_millis(300));
    cluster.start();
    // It is there now, and refuses: that is no reason to wait further.
    let ended = Ran::from(second.wait_with_output().expect("it ends")).expect(4);
    assert!(ended.stderr.contains("refused user"), "{}", ended.stderr);
}

#[test]
fn user_and_database_are_created_when_asked_for() {
    for way in ["file", "stdin", "variable"] {
        let mut chat = Chat::new();
        assert_eq!(chat.lacking(), EVERYTHING);
        let mut args = vec!["--create-database"];
        let file = chat.admin_file();
        if way == "variable" {
            chat.set("MAINSTAY_DATABASE_ADMIN_FILE", &file);
        }
        args.extend(match way {
            "file" => Some(&*file),
            "stdin" => Some("-"),
            _ => None,
        });
        let up_args = chat.place.up_args();
        let mut up = chat.command(&up_args.iter().map(String::as_str).collect::<Vec<_>>());
        let mut up = up
            .args(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("up");
        let mut stdin = up.stdin.take().expect("stdin");
        if way == "stdin" {
            writeln!(stdin, "{}", chat.admin_address()).expect("read");
        }
        drop(stdin);
        let ran: Ran = up.wait_with_output().expect("it ends").into();
        let ran = chat.kept_secret(ran).expect(0);
        assert!(ran.stderr.contains("Create user chat"), "{way}: {}", ran.stderr);
        assert_eq!(chat.lacking(), NOTHING);
        // Asked again, there is nothing to do.
        assert_eq!(chat.up(&["--create-database", &file, "--json"]).expect(0).json()["changed"], false);
        let journal = std::fs::read(chat.place.root.join("state.db")).expect("the journal");
        assert!(!String::from_utf8_lossy(&journal).contains("p@ss"), "{way}: a password is in the journal");
    }
}

#[test]
fn what_cannot_be_created_is_refused_and_nothing_made() {
    let mut chat = Chat::new();
    CLUSTER.ready();
    chat.refused(&["--create-database"], 2, &["MAINSTAY_DATABASE_ADMIN"]);
    chat.refused(&["--create-database", "/nowhere"], 4, &["/nowhere", "does not exist"]);
    chat.set("MAINSTAY_DATABASE_ADMIN", "secret word");
    chat.refused(&["--create-database"], 2, &["MAINSTAY_DATABASE_ADMIN: this is not a database address"]);
    chat.set("MAINSTAY_DATABASE_ADMIN", "mysql://root@127.0.0.1/");
    chat.refused(&["--create-database"], 3, &["two of one kind"]);
    let wrong = format!("postgres://postgres:wrong@127.0.0.1:{}/", chat.server.port);
    chat.set("MAINSTAY_DATABASE_ADMIN", &wrong);
    chat.refused(&["--create-database"], 4, &["the administrator cannot log in"]);
    assert_eq!(chat.lacking(), EVERYTHING);
    // A user that is there keeps its password.
    wait(CLUSTER.execute("postgres", &format!("create role {} login password 'other'", chat.server.user)));
    let file = chat.admin_file();
    chat.refused(&["--create-database", &file], 4, &["exists with another password"]);
}

#[test]
fn a_run_that_fails_takes_back_what_it_made_and_is_empty_and_loses_nothing_else() {
    for (fault, left) in [
        ("create-database:after", EVERYTHING),
        ("database:before", EVERYTHING),
        ("acceptance:before", NOTHING),
    ] {
        let chat = Chat::new();
        let file = chat.admin_file();
        let create = ["--create-database", &file];
        chat.up(&[&create[..], &["--inject-failure", fault]].concat()).expect(6);
        assert_eq!(chat.lacking(), left, "{fault}");
        if left == NOTHING {
            assert!(!chat.has_tables(), "{fault}: they are aside");
            chat.sql("do $$ begin assert (select count(*) from pg_tables where schemaname like 'mainstay_undone_%' and tablename = 'users') = 1; end $$");
        }
        chat.up(&create).expect(0);
        assert!(chat.has_tables());
    }
}

#[test]
fn killed_at_its_steps_the_next_up_ends_verified() {
    for fault in ["create-database:before", "create-database:after", "database:before", "database:after"] {
        let chat = Chat::new();
        let file = chat.admin_file();
        chat.up(&["--create-database", &file, "--inject-kill", fault]).expect(-9);
        // The file's name is in the plan, so it need not be said again.
        let up = chat.up(&["--json"]);
        assert_eq!(up.code, 0, "{fault}: {}", up.stderr);
        assert_eq!(chat.place.status()["up"], true, "{fault}");
    }
    for step in ["create-database", "database"] {
        let chat = Chat::new();
        let file = chat.admin_file();
        let undo = format!("{step}:undo");
        chat.up(&[
            "--create-database",
            &file,
            "--inject-failure",
            "acceptance:before",
            "--inject-kill",
            &undo,
        ])
        .expect(-9);
        let up = chat.up(&["--create-database", &file]);
        assert_eq!(up.code, 0, "{step}: {}", up.stderr);
        assert_eq!(chat.place.status()["up"], true, "{step}");
    }
}

#[test]
fn a_password_that_changed_is_told_and_the_new_one_taken() {
    let mut chat = Chat::created();
    chat.up(&[]).expect(0);
    chat.place.run(&["down"]).expect(0);
    chat.sql(&format!("alter role {} password 'another'", chat.server.user));
    let before = std::fs::read(chat.place.root.join("config/config.json")).expect("a file");
    chat.refused(&[], 4, &["refused user", "password"]);
    assert_eq!(std::fs::read(chat.place.root.join("config/config.json")).expect("a file"), before);
    chat.run(&["database", "status"]).expect(4);
    chat.set("DB_PASS", "another");
    assert_eq!(chat.up(&["--json"]).expect(0).json()["changed"], true);
    chat.place.run(&["verify"]).expect(0);
}

#[test]
fn data_is_not_left_behind() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let status: Value = place.run(&["database", "status", "--json"]).expect(0).json();
    assert!(status["file_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{status}");
    assert!(place.run(&["database", "sql"]).expect(2).stderr.contains("a file"));
    let chat = Chat::created();
    let mut up = place.command(&[]);
    up.args(place.up_args()).envs(chat.env.iter().map(|(name, value)| (name, value)));
    let refused = Ran::from(up.output().expect("up")).expect(8);
    assert!(refused.stderr.contains("the data is in the deployment's own file"), "{}", refused.stderr);
    assert!(!chat.has_tables());
    assert_eq!(place.status()["up"], true);
    eventually("the other was not touched", || !chat.place.root.exists());
}

#[test]
fn a_database_that_was_emptied_or_is_anothers_is_not_taken_for_a_new_one() {
    let chat = Chat::created();
    chat.up(&[]).expect(0);
    chat.place.run(&["down"]).expect(0);
    let address = chat.server.to_string();
    let row = "where name = 'MainstayDeployment'";
    chat.sql(&format!("update systems set value = 'feed' {row}"));
    chat.refused(&[], 8, &["belongs to another deployment (feed)", &address]);
    // As after a dump that was made before the deployment had an id.
    chat.sql(&format!("delete from systems {row}"));
    chat.up(&[]).expect(0);
    assert_eq!(chat.up(&["--json"]).expect(0).json()["changed"], false);

    // A copy would use the same database.
    let twin = Chat { place: Place::new(), server: chat.server.clone(), env: chat.env.clone() };
    let copied = Command::new("cp").arg("-a").args([&chat.place.root, &twin.place.root]).status();
    assert!(copied.expect("cp").success());
    twin.refused(&[], 8, &["is a copy of", "both would use", &address]);

    chat.place.run(&["down"]).expect(0);
    chat.sql("drop schema public cascade; create schema public");
    chat.sql(&format!("alter schema public owner to {}", chat.server.user));
    chat.refused(&[], 8, &["this is gone: the tables in", &address, "--start-empty"]);
    chat.up(&["--start-empty"]).expect(0);
    assert!(chat.has_tables());
    assert!(chat.place.root.join("set-aside").exists());
    assert_eq!(chat.up(&["--json"]).expect(0).json()["changed"], false);
}
