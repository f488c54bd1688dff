//! A migration is watched, and databases are compared with what they were, on real servers.

use std::time::Duration;

use database::{Catalogue, SchemaDifference, Watcher, catalogue, counted, create};
use dsn::{DataSource, Server};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use testbed::PATIENCE;

use super::mariadb;
use crate::shared;

async fn session(server: &Server) -> PgConnection {
    database::postgres_options(server).await.unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn who_holds_the_lock_that_a_migration_waits_for_is_seen() {
    let cluster = shared::shared().await;
    let wanted = cluster.to("watched", "pw", "watched");
    create(&cluster.admin(""), &wanted, PATIENCE).await.unwrap();
    cluster.execute("watched", "set role watched; create table posts (id int)").await;
    let mut foreign = session(&cluster.admin("watched")).await;
    foreign.execute("set application_name = 'a report'").await.unwrap();
    foreign.execute("begin; lock table posts in access share mode; select 'hunter2'").await.unwrap();
    let mut watcher = Watcher::begin(&wanted, PATIENCE).await.unwrap().expect("PostgreSQL");
    assert_eq!(watcher.look().await.unwrap().sessions, [], "only those that begin later");

    let mut migration = session(&wanted).await;
    let migrated = tokio::spawn(async move {
        migration.execute("begin; alter table posts add column message text").await.unwrap();
        migration
    });
    let mut seen = watcher.look().await.unwrap();
    for _ in 0..200 {
        if seen.sessions.iter().any(|session| session.waits.is_some()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        seen = watcher.look().await.unwrap();
    }
    let waits = seen.sessions[0].waits.as_ref().expect("it waits");
    assert_eq!(waits.table.as_deref(), Some("posts"));
    let holder = &waits.holders[0];
    assert_eq!((waits.holders.len(), holder.application.as_str()), (1, "a report"));
    assert!(holder.pid > 0 && !holder.statement.contains("hunter2"), "{holder:?}");
    assert_eq!(seen.locks, []);

    foreign.execute("rollback").await.unwrap();
    let mut migration = migrated.await.unwrap();
    let seen = watcher.look().await.unwrap();
    let [(pid, table, mode)] = &seen.locks[..] else { panic!("{seen:?}") };
    assert_eq!((*pid, table.as_str(), mode.as_str()), (seen.sessions[0].pid, "posts", "AccessExclusiveLock"));
    assert!(seen.sessions[0].waits.is_none());
    migration.execute("commit").await.unwrap();
    migration.close().await.unwrap();
    watcher.end().await;
}

const BEFORE: &str = "create table systems (name varchar(64) primary key, value text);
    insert into systems values ('recorded', 'x');
    create table db_migrations (version bigint primary key, name varchar(64));
    insert into db_migrations values (1, 'first');
    create table posts (id int primary key, message text, parentid int);
    create index posts_parent on posts (parentid);
    insert into posts values (1, 'a', 0), (2, 'b', 0)";

const CHANGE: [&str; 3] = [
    "drop index posts_parent",
    "alter table posts drop column parentid",
    "create table drafts (id int primary key)",
];

/// What both engines say of it.
async fn judge(server: &Server, before: &Catalogue) {
    let source = DataSource::Server(server.clone());
    let after = catalogue(&source, PATIENCE).await.unwrap();
    let expected = SchemaDifference {
        tables_added: vec!["drafts".to_owned()],
        columns_removed: vec!["posts.parentid".to_owned()],
        indexes_removed: vec!["posts.posts_parent".to_owned()],
        ..SchemaDifference::default()
    };
    assert_eq!(before.difference(&after), expected);
    let rows = counted(&source, &["systems"], PATIENCE).await.unwrap();
    assert_eq!((rows.rows["posts"], rows.rows.contains_key("systems")), (2, false));
    assert!(rows.uncounted.is_empty());
    // There is not even time to log in, or none to count.
    if let Ok(hurried) = counted(&source, &["systems"], Duration::from_nanos(1)).await {
        assert!(hurried.rows.is_empty() && hurried.uncounted.contains(&"posts".to_owned()), "{hurried:?}");
    }
}

#[tokio::test]
async fn the_shape_of_a_database_is_compared_on_both_engines() {
    let cluster = shared::shared().await;
    let wanted = cluster.to("shape", "pw", "shape");
    create(&cluster.admin(""), &wanted, PATIENCE).await.unwrap();
    cluster.execute("shape", &format!("set role shape; {BEFORE}")).await;
    let before = catalogue(&DataSource::Server(wanted.clone()), PATIENCE).await.unwrap();
    let migrations: Vec<&str> = before.migrations.iter().map(String::as_str).collect();
    assert_eq!(migrations, ["first", "recorded"]);
    cluster.execute("shape", &format!("set role shape; {}", CHANGE.join("; "))).await;
    cluster.execute("shape", "create schema strange; create table strange.secret ()").await;
    let source = DataSource::Server(wanted.clone());
    let rows = counted(&source, &[], PATIENCE).await.unwrap();
    assert_eq!(rows.uncounted, ["strange.secret"], "this role may not read it");
    cluster.execute("shape", "drop table strange.secret").await;
    judge(&wanted, &before).await;

    let mariadb = mariadb::shared().await;
    mariadb.execute(&["create database shape"]).await;
    let root = Server { name: "shape".into(), ..mariadb.admin() };
    let within: Vec<String> = std::iter::once("use shape".to_owned())
        .chain(BEFORE.split(';').map(|sql| sql.trim().to_owned()))
        .collect();
    mariadb.execute(&within.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let before = catalogue(&DataSource::Server(root.clone()), PATIENCE).await.unwrap();
    assert!(before.migrations.contains("first"));
    let change = ["use shape", "drop index posts_parent on posts", CHANGE[1], CHANGE[2]];
    mariadb.execute(&change).await;
    judge(&root, &before).await;
}
