//! Dumps of MariaDB, and back.

use database::dump::{self, Error};
use database::{ASIDE, bring_back, obstacle_aside, set_aside};
use dsn::{DataSource, Server, TlsMode};
use testbed::PATIENCE;

use super::dump_shared::{dumped, is_empty, loaded, read};
use super::mariadb::{MariaDb, shared};
use crate::dump::means;
use crate::with_tls;

const PASSWORD: &str = "it's # a \\n \"password\"";

/// Everything that a dump may come across.
const ALL: &str = r#"
    create table db_migrations (Version bigint primary key, Name varchar(64) not null);
    insert into db_migrations values (1, 'first'), (113, 'last');
    create table Posts (Id int auto_increment primary key, Message text, Raw longblob, Words int generated always as (length(Message)) stored, Half int);
    insert into Posts (Message, Raw, Half) values
        ('it''s 😀 "quoted" \\ back\\slash \t tab \n line \r return', x'00ff5c0a27', 0),
        ('),(\\'');', '', 1),
        ('INSERT INTO `Posts` VALUES (1),(2);', null, 0),
        ('-- Dump completed', null, 1);
    create table `odd ``name` (Id int); insert into `odd ``name` values (1), (2);
    create table empty (Id int);
    create view latest as select max(Id) from Posts;
    create trigger posts_count before insert on Posts for each row set new.Half = coalesce(new.Half, 7);
"#;

/// An empty database of the name's user.
async fn database(server: &MariaDb, name: &str) -> Server {
    let quoted = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
    let create = [
        format!("create database {name} character set utf8mb4"),
        format!("create user {name}@'%' identified by '{quoted}'"),
        format!("grant all on {name}.* to {name}@'%'"),
    ];
    server.execute(&create.each_ref().map(String::as_str)).await;
    server.to(name, PASSWORD, name)
}

async fn filled(server: &MariaDb, name: &str) -> Server {
    let source = database(server, name).await;
    // The trigger is root's.
    let procedure = format!(
        "create definer = {name}@'%' procedure add_post() insert into Posts (Message) values ('of a procedure')"
    );
    server.execute(&[&format!("use {name}; {ALL} {procedure}")]).await;
    source
}

#[tokio::test]
async fn what_is_dumped_is_what_is_loaded() {
    let server = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    let source = filled(server, "dump_source").await;
    server
        .execute(&["use dump_source; create table old (Id int) engine = MyISAM; insert into old values (1)"])
        .await;
    let dump = dump::begin(&DataSource::Server(source.clone()), &means(scratch.path())).await.unwrap();
    assert_eq!((dump.engine, dump.migration, &dump.apart), ("mysql", Some(113), &vec!["old".to_owned()]));
    assert!(dump.server.starts_with("MariaDB 10."), "{}", dump.server);
    let (text, rows) = read(dump).await;
    let rows = rows.unwrap();
    assert_eq!((rows["Posts"], rows["odd `name"], rows["empty"], rows["old"]), (4, 2, 0, 1));
    assert_eq!(dump::rows(&DataSource::Server(source.clone()), PATIENCE).await.unwrap(), rows);
    assert_eq!(dumped(&source, scratch.path()).await.0, text, "the same twice");

    let target = database(server, "dump_target").await;
    assert_eq!(loaded(&target, scratch.path(), text.clone()).await.unwrap(), rows);
    assert_eq!(dump::rows(&DataSource::Server(target.clone()), PATIENCE).await.unwrap(), rows);
    // Who loads it owns it.
    let named = |text: &str| {
        text.replace("dump_target", "dump_source").replace("`root`@`localhost`", "`dump_source`@`%`")
    };
    assert_eq!(named(&dumped(&target, scratch.path()).await.0), named(&text));
    let again = loaded(&target, scratch.path(), text).await.unwrap_err();
    assert!(matches!(again, Error::NotEmpty { .. }), "{again}");
    assert!(is_empty(scratch.path()), "no password is left");
}

/// What a restore does, and what its undo does.
#[tokio::test]
async fn a_dump_takes_the_place_of_tables_that_were_moved_aside() {
    const KEYED: &str = "
        create table Policies (Id int primary key);
        create table Members (Policy int, constraint FK_Members_Policies foreign key (Policy) references Policies (Id) on delete cascade);
        insert into Policies values (1), (2);
        insert into Members values (1), (2);";
    let server = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    let place = database(server, "dump_replaced").await;
    let obstacle = obstacle_aside(&place, PATIENCE).await.unwrap().expect("it has one database");
    server
        .execute(&[&format!("use dump_replaced; {KEYED}"), obstacle.fix.strip_prefix("as root: ").unwrap()])
        .await;
    let (text, rows) = dumped(&place, scratch.path()).await;
    let rows = rows.unwrap();
    server.execute(&["delete from dump_replaced.Policies where Id = 1"]).await;
    let (before, loaded_later) = (format!("{ASIDE}replaced"), format!("{ASIDE}loaded"));
    set_aside(&place, &before, PATIENCE).await.unwrap();
    // The names of its keys count for a whole database: they went with their tables.
    assert_eq!(loaded(&place, scratch.path(), text).await.unwrap(), rows);
    set_aside(&place, &loaded_later, PATIENCE).await.unwrap();
    bring_back(&place, &before, PATIENCE).await.unwrap();
    let there = dump::rows(&DataSource::Server(place), PATIENCE).await.unwrap();
    assert_eq!((rows["Policies"], rows["Members"], there["Policies"], there["Members"]), (2, 2, 1, 1));
}

#[tokio::test]
async fn a_dump_is_one_moment_while_others_write() {
    let server = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    let source = filled(server, "dump_busy").await;
    let writes = tokio::spawn(async move {
        for _ in 0..40 {
            server
                .execute(&["use dump_busy; start transaction; insert into Posts (Half) values (0); insert into empty values (1); commit"])
                .await;
        }
    });
    for _ in 0..3 {
        let (_, rows) = dumped(&source, scratch.path()).await;
        let rows = rows.unwrap();
        assert_eq!(rows["Posts"] - 4, rows["empty"]);
    }
    writes.await.unwrap();
}

#[tokio::test]
async fn what_is_not_whole_is_not_taken() {
    let server = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    let source = filled(server, "dump_refused").await;
    let (text, _) = dumped(&source, scratch.path()).await;
    let target = database(server, "dump_refusing").await;
    let half = text[..text.floor_char_boundary(text.len() / 2)].to_owned();
    let refused = loaded(&target, scratch.path(), half).await.unwrap_err();
    assert!(matches!(refused, Error::Incomplete(_)), "{refused}");
    let other = database(server, "dump_refusing_too").await;
    let bad = text.replace("CREATE TABLE `empty`", "CREATE TABLE `emptier`");
    let refused = loaded(&other, scratch.path(), bad).await.unwrap_err().to_string();
    assert!(refused.contains("dump_refusing_too.empty"), "{refused}");
    let mark = scratch.path().join("mark");
    let evil = format!("\\! touch {}\n{text}", mark.display());
    let third = database(server, "dump_refusing_three").await;
    assert!(loaded(&third, scratch.path(), evil).await.is_err() && !mark.exists());
}

#[tokio::test]
async fn tls_and_a_socket_are_as_in_the_address() {
    let server = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    let chat = server.to("encrypted", "mm", "chat");
    for (mode, ca) in
        [(TlsMode::Require, None), (TlsMode::VerifyFull, Some(server.ca())), (TlsMode::Prefer, None)]
    {
        let (_, rows) = dumped(&with_tls(&chat, mode, ca.as_deref()), scratch.path()).await;
        assert!(rows.is_ok(), "{mode:?}: {rows:?}");
    }
    let mut socket = server.admin();
    socket.name = "chat".into();
    assert!(dumped(&socket, scratch.path()).await.1.is_ok());
}

#[tokio::test]
async fn a_dump_whose_server_ends_fails() {
    let server = MariaDb::start(false, &[]);
    let scratch = tempfile::tempdir().unwrap();
    let source = filled(&server, "ending").await;
    let many = "use ending; insert into Posts (Message) select repeat(md5(seq), 50) from seq_1_to_30000";
    server.execute(&[many]).await;
    let dump = dump::begin(&DataSource::Server(source), &means(scratch.path())).await.unwrap();
    let mut stream = super::dump_shared::stream(dump);
    let reading = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        stream.read_exact(&mut [0; 100_000]).unwrap();
        drop(server);
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        stream.finish().unwrap_err()
    });
    let error = reading.await.unwrap();
    assert!(matches!(error, Error::Failed { program: "mysqldump", .. }), "{error}");
}
