//! What is in a database, put aside, and taken back.

use database::{
    ASIDE, Contents, Created, Lacking, Made, Reason, Schema, bring_back, contents, create, discard, lacking,
    obstacle_aside, others, set_aside,
};
use dsn::Server;
use secrecy::ExposeSecret as _;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use testbed::PATIENCE;

use super::mariadb;
use crate::{probe, shared};

/// Everything that a Mattermost makes: tables with keys, indexes and sequences, enums, a materialized view, a function.
const MATTERMOST: &str = "
    create type channel_type as enum ('O', 'P');
    create table systems (name varchar(64) primary key, value varchar(1024));
    create table db_migrations (version bigint primary key, name varchar not null);
    create table channels (id varchar(26) primary key, number serial, kind channel_type);
    create index idx_channels_kind on channels (kind);
    create function channel_count() returns bigint language sql as 'select count(*) from channels';
    insert into systems values ('Version', '5.39.0'), ('Other', 'x');
    insert into db_migrations values (1, 'create_teams'), (159, 'last');
    insert into channels (id, kind) values ('x', 'O');
    create materialized view kinds as select kind, count(*) from channels group by kind;";

fn mattermost() -> Contents {
    Contents::Mattermost(Schema { version: Some("5.39.0".into()), migration: Some(159), deployment: None })
}

#[tokio::test]
async fn on_postgres_a_schema_is_known_and_moved_aside_whole() {
    let cluster = shared::shared().await;
    let wanted = cluster.to("aside", "pw", "aside");
    create(&cluster.admin(""), &wanted, PATIENCE).await.unwrap();
    assert_eq!(contents(&wanted, PATIENCE).await.unwrap(), Contents::Nothing);
    // An extension's are nobody's; another schema's are not in the way.
    cluster
        .execute("aside", "create extension pg_stat_statements; create schema other; create table other.x ()")
        .await;
    assert_eq!(contents(&wanted, PATIENCE).await.unwrap(), Contents::Nothing);
    set_aside(&wanted, "never", PATIENCE).await.unwrap();

    cluster.execute("aside", &format!("set role aside; {MATTERMOST}")).await;
    assert_eq!(contents(&wanted, PATIENCE).await.unwrap(), mattermost());
    for _ in 0..2 {
        assert_eq!(obstacle_aside(&wanted, PATIENCE).await.unwrap(), None);
        set_aside(&wanted, "it's \"aside\"", PATIENCE).await.unwrap();
        assert_eq!(contents(&wanted, PATIENCE).await.unwrap(), Contents::Nothing);
    }
    let whole = r#"do $$ begin
        assert (select channel_type 'O' = kind from channels), 'the enum';
        assert (select count(*) = 1 from kinds), 'the view';
        assert (select count(*) = 2 from systems), 'the rows';
        assert channel_count() = 1, 'the function';
        assert not exists (select from pg_namespace where nspname = 'never'), 'nothing was moved there';
        insert into channels (id) values ('y');
    end $$"#;
    cluster.execute("aside", &format!(r#"set search_path = "it's ""aside"""; {whole}"#)).await;
    // And the place is free for the same again.
    cluster.execute("aside", &format!("set role aside; {MATTERMOST}")).await;
    assert_eq!(contents(&wanted, PATIENCE).await.unwrap(), mattermost());
}

#[tokio::test]
async fn a_table_of_another_role_is_named_with_its_owner() {
    let cluster = shared::shared().await;
    let wanted = cluster.to("tenant", "pw", "tenant");
    create(&cluster.admin(""), &wanted, PATIENCE).await.unwrap();
    cluster.execute("tenant", &format!("create role landlord; {MATTERMOST} alter table systems owner to landlord; grant all on all tables in schema public to tenant; revoke all on systems from tenant")).await;
    let denied = contents(&wanted, PATIENCE).await.unwrap_err();
    let expected = Reason::TableDenied { table: Some("systems".into()), owner: Some("landlord".into()) };
    assert_eq!(denied.reason, expected);
    // Granted tables can be used, whoever owns them.
    cluster.execute("tenant", "grant all on systems to tenant").await;
    assert_eq!(contents(&wanted, PATIENCE).await.unwrap(), mattermost());
}

#[tokio::test]
async fn who_else_uses_a_database_is_told() {
    let cluster = shared::shared().await;
    let wanted = cluster.to("busybody", "pw", "busybody");
    create(&cluster.admin(""), &wanted, PATIENCE).await.unwrap();
    assert_eq!(others(&wanted, PATIENCE).await.unwrap(), []);
    let (one, two) = (
        database::postgres_options(&wanted).await.unwrap().connect().await.unwrap(),
        database::postgres_options(&wanted).await.unwrap().connect().await.unwrap(),
    );
    assert_eq!(others(&wanted, PATIENCE).await.unwrap(), [("127.0.0.1".to_owned(), 2)]);
    drop((one, two));
    let mariadb = mariadb::shared().await;
    mariadb.execute(&["create database busybody"]).await;
    let root = Server { name: "busybody".into(), ..mariadb.admin() };
    assert_eq!(others(&root, PATIENCE).await.unwrap(), []);
}

#[tokio::test]
async fn somebody_elses_tables_are_told_by_name() {
    let cluster = shared::shared().await;
    let wanted = cluster.to("shop", "pw", "shop");
    create(&cluster.admin(""), &wanted, PATIENCE).await.unwrap();
    cluster
        .execute(
            "shop",
            "create table orders (); create view a_view as select 1; create table c (); create table d ()",
        )
        .await;
    let some = ["a_view", "c", "d"].map(String::from).to_vec();
    assert_eq!(contents(&wanted, PATIENCE).await.unwrap(), Contents::Strangers(some));
    let mariadb = mariadb::shared().await;
    mariadb.execute(&["create database shop", "create table shop.orders (id int)"]).await;
    let mut root = mariadb.admin();
    root.name = "shop".into();
    assert_eq!(contents(&root, PATIENCE).await.unwrap(), Contents::Strangers(vec!["orders".into()]));
}

#[tokio::test]
async fn on_mariadb_a_schema_is_known_by_its_old_names() {
    let mariadb = mariadb::shared().await;
    let wanted = mariadb.to("old", "pw", "old");
    create(&mariadb.admin(), &wanted, PATIENCE).await.unwrap();
    assert_eq!(contents(&wanted, PATIENCE).await.unwrap(), Contents::Nothing);
    mariadb
        .execute(&[
            "create table old.Systems (Name varchar(64) primary key, Value varchar(1024))",
            "insert into old.Systems values ('Version', '5.39.0')",
            "create table old.db_migrations (Version bigint primary key, Name varchar(64))",
            "insert into old.db_migrations values (159, 'last')",
        ])
        .await;
    assert_eq!(contents(&wanted, PATIENCE).await.unwrap(), mattermost());
}

#[tokio::test]
async fn on_mariadb_tables_are_moved_into_another_database_and_back() {
    let mariadb = mariadb::shared().await;
    let wanted = mariadb.to("moved", "pw", "moved");
    create(&mariadb.admin(), &wanted, PATIENCE).await.unwrap();
    let obstacle =
        obstacle_aside(&wanted, PATIENCE).await.unwrap().expect("it may use its own database alone");
    assert!(obstacle.what.contains("may not create a database"), "{obstacle:?}");
    // What it says to do is what is needed.
    mariadb.execute(&[obstacle.fix.strip_prefix("as root: ").expect("SQL")]).await;
    assert_eq!(obstacle_aside(&wanted, PATIENCE).await.unwrap(), None);
    assert_eq!(
        obstacle_aside(&mariadb.to("mm", "mm", "chat"), PATIENCE).await.unwrap().map(|found| found.fix),
        Some("as root: GRANT ALL PRIVILEGES ON `mainstay\\_undone\\_%`.* TO 'mm'@'%'".to_owned())
    );

    let name = format!("{ASIDE}moved");
    set_aside(&wanted, &name, PATIENCE).await.unwrap();
    mariadb.execute(&["use moved; create view seen as select 1"]).await;
    let obstacle = obstacle_aside(&wanted, PATIENCE).await.unwrap().expect("a view");
    assert!(obstacle.what.contains("view \"seen\""), "{obstacle:?}");
    const TABLES: &str = "
        create table Systems (Name varchar(64) primary key, Value varchar(1024));
        insert into Systems values ('Version', '5.39.0');
        create table db_migrations (Version bigint primary key, Name varchar(64));
        insert into db_migrations values (159, 'last');
        create table `odd ``name` (Id int primary key);
        insert into `odd ``name` values (1);
        create table Children (Parent int, constraint FK_Parent foreign key (Parent) references `odd ``name` (Id) on delete cascade);
        insert into Children values (1);";
    mariadb.execute(&["use moved; drop view seen", &format!("use moved; {TABLES}")]).await;
    for _ in 0..2 {
        set_aside(&wanted, &name, PATIENCE).await.unwrap();
        assert_eq!(contents(&wanted, PATIENCE).await.unwrap(), Contents::Nothing);
    }
    // The place is free for the same, which is moved aside in its turn.
    mariadb.execute(&[&format!("use moved; {TABLES}")]).await;
    set_aside(&wanted, &format!("{name}2"), PATIENCE).await.unwrap();
    for _ in 0..2 {
        bring_back(&wanted, &name, PATIENCE).await.unwrap();
        assert_eq!(contents(&wanted, PATIENCE).await.unwrap(), mattermost());
    }
    mariadb.execute(&["use moved; delete from `odd ``name`"]).await;
    let rows = database::dump::rows(&dsn::DataSource::Server(wanted), PATIENCE).await.unwrap();
    assert_eq!((rows["Children"], rows["Systems"]), (0, 1), "the keys still hold");
}

/// What the run made.
const ALL: Created = Created { user: Made::New, database: Made::New };
const NOTHING: Lacking = Lacking { user: false, database: false };
const EVERYTHING: Lacking = Lacking { user: true, database: true };

#[tokio::test]
async fn what_was_made_is_taken_back_while_it_is_empty() {
    let cluster = shared::shared().await;
    let mariadb = mariadb::shared().await;
    for (admin, wanted, table) in [
        (cluster.admin(""), cluster.to("brief", "pw", "brief"), None),
        (mariadb.admin(), mariadb.to("brief", "pw", "brief"), Some("create table brief.t (id int)")),
    ] {
        let now = || async { lacking(&admin, &wanted, PATIENCE).await.unwrap() };
        assert_eq!(now().await, EVERYTHING);
        assert_eq!(create(&admin, &wanted, PATIENCE).await.unwrap(), ALL);
        assert_eq!(now().await, NOTHING);
        // Twice: an undo may be killed and run again.
        for _ in 0..2 {
            discard(&admin, &wanted, ALL, PATIENCE).await.unwrap();
            assert_eq!(now().await, EVERYTHING, "{wanted}");
        }
        create(&admin, &wanted, PATIENCE).await.unwrap();
        let theirs = Created { user: Made::Existing, database: Made::Existing };
        discard(&admin, &wanted, theirs, PATIENCE).await.unwrap();
        probe(&wanted).await.unwrap();
        match table {
            Some(sql) => mariadb.execute(&[sql]).await,
            // Even what was only put aside keeps it.
            None => cluster.execute("brief", "create schema aside").await,
        }
        discard(&admin, &wanted, ALL, PATIENCE).await.unwrap();
        assert_eq!(now().await, NOTHING, "{wanted}: somebody's data is in it");
        probe(&wanted).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_somebody_is_connected_to_stays() {
    let cluster = shared::shared().await;
    let wanted = cluster.to("busy2", "pw", "busy2");
    create(&cluster.admin(""), &wanted, PATIENCE).await.unwrap();
    let admin = cluster.admin("busy2");
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(admin.port).database("busy2");
    let options = options.username("postgres").password(admin.password.expose_secret());
    let connection = options.connect().await.unwrap();
    discard(&cluster.admin(""), &wanted, ALL, PATIENCE).await.unwrap();
    assert_eq!(lacking(&cluster.admin(""), &wanted, PATIENCE).await.unwrap(), NOTHING);
    drop(connection);
}
