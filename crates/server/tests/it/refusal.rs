//! Unusable databases, and servers that start at the same time.

use dsn::Server;
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;
use testbed::postgres::url;

use crate::engine::{self, CLUSTER};
use crate::site::{Site, config};

/// The error with which the server refuses to start on `server`.
async fn refusal(server: &Server) -> String {
    let directory = TempDir::new().expect("a temporary directory");
    engine::prepare(directory.path()).await;
    let settings = json!({"SqlSettings": {"DataSource": url(server)}});
    let migrated = server::migrate(&config(directory.path(), &settings)).await;
    migrated.expect_err("it cannot be used").to_string()
}

#[tokio::test]
async fn the_error_for_an_unusable_database_has_the_reason_and_a_hint() {
    for sql in [
        "create role guest login password 'gu3st-secret'",
        "create database locked",
        "REVOKE ALL ON DATABASE locked FROM PUBLIC",
        "create database foreign_schema",
        "create database taken",
        "create database latin encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0",
    ] {
        CLUSTER.execute("postgres", sql).await;
    }
    CLUSTER.execute("foreign_schema", "revoke create on schema public from public").await;
    // Another program's table with the name of one of Mattermost's.
    CLUSTER.execute("taken", "GRANT ALL ON SCHEMA public TO guest").await;
    CLUSTER.execute("taken", "create table teams (id int)").await;
    let mut nobody = CLUSTER.to("guest", "gu3st-secret", "chat");
    nobody.port = testbed::child::free_port();
    nobody.parameters.insert("connect_timeout".to_owned(), "1".to_owned());
    for (server, expected) in [
        (CLUSTER.to("guest", "wr0ng-secret", "postgres"), "refused user \"guest\""),
        (CLUSTER.to("guest", "gu3st-secret", "nowhere"), "nowhere"),
        (CLUSTER.to("guest", "gu3st-secret", "locked"), "locked"),
        (CLUSTER.to("guest", "gu3st-secret", "foreign_schema"), "schema"),
        (CLUSTER.to("guest", "gu3st-secret", "latin"), "UTF8"),
        (CLUSTER.to("guest", "gu3st-secret", "taken"), "teams"),
        (nobody, "nothing listens on"),
    ] {
        let text = refusal(&server).await;
        assert!(text.contains(expected) && !text.contains("secret"), "{server}: {text}");
    }
}

#[tokio::test]
async fn servers_that_start_at_the_same_time_create_one_schema() {
    let directory = TempDir::new().expect("a temporary directory");
    engine::prepare(directory.path()).await;
    // Make the database empty: it is a copy of a migrated one.
    let name = engine::name(directory.path());
    CLUSTER.execute(&name, "drop schema public cascade; create schema public authorization nobody").await;
    let config = config(directory.path(), &json!({}));
    for migrated in join_all((0..8).map(|_| server::migrate(&config))).await {
        migrated.expect("they migrate one after the other");
    }
    let id = engine::ask(directory.path(), "select value from systems where name = 'DiagnosticId'").await;
    assert_eq!(id.len(), 26);
    let site = Site::in_directory(directory, json!({})).await;
    let again = engine::ask(site.directory(), "select value from systems where name = 'DiagnosticId'").await;
    assert_eq!(id, again, "existing rows are kept");
}

/// The schema needs no change by the official server: it has the same types, and no table of migrations.
#[tokio::test]
async fn columns_have_mattermosts_types() {
    let site = Site::new().await;
    site.sign_up("ada").await.team("harbour").await;
    let types = "select string_agg(udt_name || coalesce('(' || character_maximum_length || ')', ''), ' ' order by \
                 table_name, column_name) from information_schema.columns where (table_name, column_name) in \
                 (('channels', 'type'), ('posts', 'props'), ('posts', 'fileids'), ('posts', 'createat'), \
                 ('teams', 'type'), ('threads', 'participants'), ('users', 'id'), ('users', 'failedattempts'))";
    assert_eq!(
        engine::ask(site.directory(), types).await,
        "channel_type int8 varchar(300) jsonb team_type jsonb int4 varchar(26)"
    );
    let migrations = "select coalesce(to_regclass('db_migrations')::text, 'none')";
    assert_eq!(engine::ask(site.directory(), migrations).await, "none");
}
