//! Users and databases made, by us and by the engine's own client from our script.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use database::{CreateError, Created, Made, Reason, create, script};
use dsn::Server;
use secrecy::ExposeSecret as _;

use testbed::{PATIENCE, child, postgres};

use super::mariadb;
use crate::{probe, shared};

/// Names and passwords that would run as SQL, shell or psql commands, if anything let them.
const HOSTILE: [(&str, &str, &str); 4] = [
    ("mm_user", "chat_%db", "pass"),
    (r#"u"; DROP ROLE mm; --"#, r#"d"; DROP DATABASE chat; --"#, r"'; DROP ROLE mm; --"),
    (r"it's \ a `user`", "host=elsewhere 'dbname'=`x`", r"\'; \! touch /tmp/x; $$ :password"),
    ("Ünï Ж", "postgres://ä@b/%20:password", "päss \"wörd\" 100%"),
];

/// Fed to the client, which must take all of it.
fn client(program: &Path, args: &[String], input: &str, password: &str) {
    let mut child = Command::new(program)
        .args(args)
        .env("PGPASSWORD", password)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{input}\n{}", String::from_utf8_lossy(&done.stderr));
}

async fn created_twice(admin: &Server, wanted: &Server) {
    let first = create(admin, wanted, PATIENCE).await.unwrap_or_else(|error| panic!("{wanted}: {error}"));
    assert_eq!(first, Created { user: Made::New, database: Made::New }, "{wanted}");
    probe(wanted).await.unwrap_or_else(|reason| panic!("{wanted}: {reason:?}"));
    let second = create(admin, wanted, PATIENCE).await.unwrap();
    assert_eq!(second, Created { user: Made::Existing, database: Made::Existing }, "{wanted}");
    probe(wanted).await.unwrap();
}

#[tokio::test]
async fn on_postgres_with_any_name() {
    let cluster = shared::shared().await;
    for (user, name, password) in HOSTILE {
        created_twice(&cluster.admin(""), &cluster.to(user, password, name)).await;
    }
    // What the hostile ones would have dropped.
    probe(&cluster.to("mm", "mm", "chat")).await.unwrap();
    assert!(
        !cluster.log().contains("wörd") && !cluster.log().contains("PASSWORD 'pass'"),
        "passwords are not logged"
    );
}

#[tokio::test]
async fn on_postgres_by_a_role_that_is_no_superuser() {
    let cluster = shared::shared().await;
    cluster.execute("postgres", "CREATE ROLE maker LOGIN CREATEROLE CREATEDB PASSWORD 'maker'").await;
    created_twice(&cluster.to("maker", "maker", "postgres"), &cluster.to("made", "pw", "made")).await;
    let denied =
        create(&cluster.to("mm", "mm", "chat"), &cluster.to("x", "x", "x"), PATIENCE).await.unwrap_err();
    assert!(matches!(denied, CreateError::Denied { .. }), "{denied}");
    assert!(denied.to_string().contains("CREATEROLE"), "{denied}");
}

#[tokio::test]
async fn by_psql_with_any_name() {
    let cluster = shared::shared().await;
    let admin = cluster.admin("postgres");
    for (user, name, password) in HOSTILE {
        let wanted = cluster.to(&format!("s {user}"), password, &format!("s {name}"));
        let version = probe(&admin).await.unwrap().version;
        let text = script(&wanted, version).unwrap();
        assert!(!text.contains(password) || password == "pass", "{text}");
        let args =
            ["--no-psqlrc", "--host=127.0.0.1", "--username=postgres", "--dbname=postgres"].map(String::from);
        let port = format!("--port={}", admin.port);
        let given = format!("--set=password={password}");
        let args = [&args[..], &[port, given, "--file=-".into()]].concat();
        client(&postgres::program("psql"), &args, &text, admin.password.expose_secret());
        probe(&wanted).await.unwrap_or_else(|reason| panic!("{wanted}: {reason:?}\n{text}"));
    }
}

#[tokio::test]
async fn on_mariadb_with_any_name() {
    let mariadb = mariadb::shared().await;
    for (user, name, password) in HOSTILE {
        created_twice(&mariadb.admin(), &mariadb.to(user, password, name)).await;
    }
    // An underscore in a grant is no wildcard of ours.
    mariadb.execute(&["CREATE DATABASE `chatX%db`"]).await;
    let (user, _, password) = HOSTILE[0];
    assert_eq!(probe(&mariadb.to(user, password, "chatX%db")).await.unwrap_err(), Reason::DatabaseDenied);
    let denied =
        create(&mariadb.to("mm", "mm", "chat"), &mariadb.to("x", "x", "x"), PATIENCE).await.unwrap_err();
    assert!(matches!(denied, CreateError::Denied { .. }), "{denied}");
}

#[tokio::test]
async fn by_the_mariadb_client_with_any_name() {
    let mariadb = mariadb::shared().await;
    let program = child::program(&["/usr/bin/mariadb"], "mariadb-client");
    let socket = format!("--socket={}", mariadb.dir().join("m.sock").display());
    let args =
        ["--no-defaults".to_owned(), "--user=root".into(), "--default-character-set=utf8mb4".into(), socket];
    for (user, name, _) in HOSTILE {
        let wanted = mariadb.to(&format!("s {user}"), "plain", &format!("s {name}"));
        let text = script(&wanted, probe(&mariadb.admin()).await.unwrap().version).unwrap();
        client(&program, &args, &text.replace("BY <PASSWORD>", "BY 'plain'"), "");
        probe(&wanted).await.unwrap_or_else(|reason| panic!("{wanted}: {reason:?}\n{text}"));
    }
}

#[tokio::test]
async fn what_exists_is_left_as_it_is() {
    let cluster = shared::shared().await;
    // mm exists with another password, and its database is its own.
    let found =
        create(&cluster.admin("postgres"), &cluster.to("mm", "other", "chat"), PATIENCE).await.unwrap();
    assert_eq!(found, Created { user: Made::Existing, database: Made::Existing });
    assert_eq!(probe(&cluster.to("mm", "other", "chat")).await.unwrap_err(), Reason::WrongPassword);
    probe(&cluster.to("mm", "mm", "chat")).await.unwrap();

    // A database of somebody else's: privileges are added, the owner stays.
    cluster.execute("postgres", "CREATE DATABASE theirs").await;
    create(&cluster.admin("postgres"), &cluster.to("newcomer", "pw", "theirs"), PATIENCE).await.unwrap();
    probe(&cluster.to("newcomer", "pw", "theirs")).await.unwrap();
    let sql = "DO $$ BEGIN ASSERT (SELECT datdba::regrole::text = 'postgres' FROM pg_database WHERE datname = 'theirs'); END $$";
    cluster.execute("postgres", sql).await;
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_before_anything_is_asked() {
    // Nobody listens there: a connection would fail otherwise than these do.
    let mut nowhere = shared::shared().await.to("u", "p", "n");
    nowhere.port = child::free_port();
    let refused = |user: &str, password: &str, name: &str| {
        let wanted = Server {
            user: user.into(),
            password: password.to_owned().into(),
            name: name.into(),
            ..nowhere.clone()
        };
        let nowhere = nowhere.clone();
        async move { create(&nowhere, &wanted, PATIENCE).await.unwrap_err() }
    };
    assert!(matches!(refused("u", "", "n").await, CreateError::NoPassword));
    assert!(matches!(refused("", "p", "n").await, CreateError::Name(_)));
    assert!(matches!(refused("u", "p", "a\nb").await, CreateError::Name(_)));
    assert!(matches!(refused("u", "p\n", "n").await, CreateError::Name(_)));
    assert!(matches!(refused("😀", "p", "n").await, CreateError::Name(_)));
    assert!(matches!(refused("u", "p", &"n".repeat(64)).await, CreateError::Name(_)));
    assert!(matches!(refused("u", "p", "n").await, CreateError::Admin(_)));
    let mysql = mariadb::shared().await.to("u", "p", "n");
    let mixed = create(&nowhere, &mysql, PATIENCE).await.unwrap_err();
    assert!(matches!(mixed, CreateError::Engines { .. }), "{mixed}");
}
