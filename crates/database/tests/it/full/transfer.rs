//! Rows moved into PostgreSQL: from SQLite, and from MariaDB with Mattermost's tables as they are there.

use std::path::Path;
use std::time::Instant;

use database::create;
use database::dump::rows;
use database::transfer::{Error, Misfit, Moved, Way, run};
use dsn::{DataSource, Server};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use testbed::PATIENCE;
use testbed::postgres::Cluster;

use super::mariadb::{MariaDb, shared as mariadb};
use crate::shared::shared;

/// The tables of the built-in server, which have the names and types of Mattermost's.
const TABLES: &str = include_str!("../../../../server/src/store/migration/tables.sql");

/// Texts that are easily broken on the way.
const HOSTILE: [&str; 8] =
    ["", "\\N", "\\.", "tab\tnew\nline\rback\\slash", "it's \"quoted\"", "😀 ä 漢", "null", "{\"a\": 1}"];

/// An empty database with Mattermost's tables.
async fn target(cluster: &Cluster, name: &str) -> Server {
    let wanted = cluster.to(name, "secret", name);
    create(&cluster.admin(""), &wanted, PATIENCE).await.unwrap();
    let types =
        "create type team_type as enum ('I', 'O'); create type channel_type as enum ('P', 'G', 'O', 'D');";
    cluster.execute(name, &format!("set role {name}; {types} {TABLES}")).await;
    wanted
}

async fn asked(server: &Server, sql: &str) -> String {
    let options = database::postgres_options(server).await.unwrap();
    let mut connection = options.connect().await.unwrap();
    let sql = format!("select coalesce(string_agg(t::text, '|'), '') from ({sql}) as t");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap()
}

async fn moved(from: &DataSource, to: &Server, way: &Way) -> Result<Moved, Error> {
    run(from, to, way, PATIENCE, |_, _| {}).await
}

/// An SQLite file as the built-in server makes one, with many posts.
async fn sqlite(path: &Path, posts: usize) -> DataSource {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut file = options.connect().await.unwrap();
    file.execute(sqlx::raw_sql(TABLES)).await.unwrap();
    file.execute("begin").await.unwrap();
    for at in 0..posts {
        let message = HOSTILE[at % HOSTILE.len()];
        let insert = "insert into posts (id, createat, message, props, fileids, ispinned, hasreactions) values (?, ?, ?, ?, '[]', ?, ?)";
        let query = sqlx::query(insert)
            .bind(format!("p{at:025}"))
            .bind(1_700_000_000_000_i64 + at as i64)
            .bind(message)
            .bind((at % 3 > 0).then(|| format!("{{\"b\": {at}.0, \"a\": [\"{at}\", null]}}")))
            .bind(at % 2 == 0)
            .bind((at % 5 > 0).then_some(false));
        file.execute(query).await.unwrap();
    }
    let insert = "insert into fileinfo (id, minipreview, size, name) values ('f', x'00ff5c0a27', 9007199254740993, 'a')";
    file.execute(insert).await.unwrap();
    file.execute("insert into teams (id, type, name) values ('t', 'O', 'town')").await.unwrap();
    file.execute("commit").await.unwrap();
    file.close().await.unwrap();
    DataSource::Sqlite(path.to_owned())
}

#[tokio::test]
async fn every_row_of_an_sqlite_file_goes_over_and_the_file_stays_as_it_is() {
    const POSTS: usize = 20_000;
    let (cluster, dir) = (shared().await, tempfile::tempdir().unwrap());
    let path = dir.path().join("mattermost.db");
    let source = sqlite(&path, POSTS).await;
    let before = std::fs::read(&path).unwrap();
    let to = target(cluster, "from_sqlite").await;
    // Something that a release has put there.
    cluster.execute("from_sqlite", "insert into systems values ('Fresh', 'yes')").await;
    let (began, mut told) = (Instant::now(), Vec::new());
    let done =
        run(&source, &to, &Way::default(), PATIENCE, |done, total| told.push((done, total))).await.unwrap();
    eprintln!("{POSTS} posts in {:?}", began.elapsed());
    assert_eq!((done.tables["posts"].rows, done.tables["systems"].rows), (POSTS as u64, 0));
    assert_eq!(told.last(), Some(&(POSTS as u64 + 2, POSTS as u64 + 2)));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(rows(&DataSource::Server(to.clone()), PATIENCE).await.unwrap()["posts"], POSTS as u64);
    let hostile = asked(&to, "select message from posts order by id limit 8").await;
    for text in HOSTILE {
        // A composite's text doubles quotes and backslashes.
        let there = asked(&to, &format!("select count(*) from posts where message = $q${text}$q$")).await;
        assert_eq!(there, format!("({})", POSTS / HOSTILE.len()), "{text:?} {hostile}");
    }
    let file = "select encode(minipreview, 'hex'), size, type, props from fileinfo, teams, (select props from posts where props->>'b' = '1.0') p";
    assert_eq!(
        asked(&to, file).await,
        r#"(00ff5c0a27,9007199254740993,O,"{""a"": [""1"", null], ""b"": 1.0}")"#
    );
    // Again, as after a kill: the same.
    let again = moved(&source, &to, &Way::default()).await.unwrap();
    assert_eq!(again, done);
    // What comes out otherwise than it went in is seen, and nothing of it stays.
    let changes = "create function other() returns trigger language plpgsql as $$ begin new.message := lower(new.message); return new; end $$;
                   create trigger other before insert on posts for each row execute function other()";
    cluster.execute("from_sqlite", changes).await;
    let differs = moved(&source, &to, &Way::default()).await.unwrap_err();
    assert!(matches!(&differs, Error::Differs { table, .. } if table == "posts"), "{differs}");
    assert_eq!(
        asked(&to, "select count(*) from posts where message like '%\\N'").await,
        format!("({})", POSTS / HOSTILE.len())
    );
}

/// Some of Mattermost's tables as its migrations up to 9.2 make them on MySQL, and what else is found there.
const MYSQL: &str = "
    create table db_migrations (Version bigint primary key, Name varchar(64) not null);
    insert into db_migrations values (112, 'last');
    create table Users (Id varchar(26) primary key, CreateAt bigint(20), Username varchar(64) unique, Email varchar(128) unique,
        EmailVerified tinyint(1), Nickname varchar(64), Roles text, Props longtext, NotifyProps json, FailedAttempts int(11), Timezone json);
    create table Teams (Id varchar(26) primary key, Name varchar(64) unique, Type enum('I','O'), AllowOpenInvite tinyint(1));
    create table Channels (Id varchar(26) primary key, Type enum('D','O','G','P'), Name varchar(64), TeamId varchar(26), Header text, Shared tinyint(1));
    create table ChannelMembers (ChannelId varchar(26), UserId varchar(26), SchemeUser tinyint(4), SchemeAdmin tinyint(4), NotifyProps json,
        primary key (ChannelId, UserId));
    create table Posts (Id varchar(26) primary key, CreateAt bigint(20), Message text, Props json, IsPinned tinyint(1), FileIds text, ParentId varchar(26));
    create table FileInfo (Id varchar(26) primary key, Path text, MiniPreview mediumblob, Width int, HasPreviewImage tinyint(1));
    create table Preferences (UserId varchar(26), Category varchar(32), Name varchar(32), Value text, primary key (UserId, Category, Name)) character set latin1;
    create table Roles (Id varchar(26) primary key, Name varchar(64) unique, Permissions longtext, BuiltIn tinyint(1)) character set utf8;
    create table Systems (Name varchar(64) primary key, Value text);
    create table focalboard_blocks (Id varchar(36) primary key, Title text);
    insert into Users values ('u1', 1700000000000, 'anna', 'anna@example.com', 1, 'Ännchen', 'system_user', '{\"a\":\"b\"}', '{\"x\": true}', 0, '{}'),
        ('u2', null, 'bob', 'bob@example.com', 0, null, null, null, null, null, null);
    insert into Teams values ('t1', 'town', 'O', 1);
    insert into Channels values ('c1', 'O', 'town-square', 't1', 'a header', null), ('c2', 'D', 'u1__u2', '', '', 0);
    insert into ChannelMembers values ('c1', 'u1', 1, 0, '{}'), ('c1', 'u2', 1, null, '{\"desktop\": \"all\"}');
    insert into FileInfo values ('f1', 'a/b.png', x'00ff5c0a27', 10, 1), ('f2', repeat('ä', 513), null, null, null);
    insert into Preferences values ('u1', 'display', 'name', 'Grüße'), ('u2', 'theme', '', '');
    insert into Roles values ('r1', 'system_user', ' create_post read', 1);
    insert into Systems values ('Version', '9.2.0');
    insert into focalboard_blocks values ('b1', 'a board');";

/// The database of MariaDB with all of it and a few hundred posts.
async fn mysql(server: &MariaDb, name: &str) -> DataSource {
    let create = [
        format!("create database {name} character set utf8mb4"),
        format!("create user {name}@'%' identified by 'secret'"),
        format!("grant all on {name}.* to {name}@'%'"),
        format!("use {name}; {MYSQL}"),
    ];
    server.execute(&create.each_ref().map(String::as_str)).await;
    let posts: Vec<String> = (0..400)
        .map(|at: usize| {
            let message = HOSTILE[at % HOSTILE.len()].replace('\\', "\\\\").replace('\'', "\\'");
            let props = if at.is_multiple_of(3) {
                "null".to_owned()
            } else {
                format!("'{{\"n\": {at}, \"t\": \"\\\\u00e4\"}}'")
            };
            format!("('p{at:03}', {at}, '{message}', {props}, {}, '[]', '')", at % 2)
        })
        .collect();
    let posts = format!("use {name}; insert into Posts values {}", posts.join(", "));
    server.execute(&[&posts]).await;
    DataSource::Server(server.to(name, "secret", name))
}

#[tokio::test]
async fn what_mysql_has_is_named_where_it_does_not_fit_and_moved_where_it_does() {
    let (cluster, server) = (shared().await, mariadb().await);
    let source = mysql(server, "moves").await;
    let to = target(cluster, "from_mysql").await;
    // Nothing is left behind silently.
    let refused = moved(&source, &to, &Way::default()).await.unwrap_err();
    assert!(matches!(&refused, Error::NoPlace(what) if what.len() == 1), "{refused}");
    assert!(refused.to_string().contains("focalboard_blocks (1 row)"), "{refused}");
    assert!(refused.remedy().is_some_and(|hint| hint.contains("--leave-out")));
    server.execute(&["use moves; update Posts set ParentId = 'p000' where Id = 'p001'"]).await;
    let refused = moved(&source, &to, &Way::default()).await.unwrap_err().to_string();
    assert!(refused.contains("Posts.ParentId (1 row says something)"), "{refused}");

    // Nothing is cut, lost or guessed unless somebody says so.
    let leave_out = vec!["Focalboard_Blocks".to_owned(), "posts.parentid".to_owned()];
    let way = Way { leave_out: leave_out.clone(), repair: false };
    let spoil = "use moves; update Posts set Message = concat('a', char(0), 'b') where Id = 'p000';
                 update Posts set Props = '{\"a\": \"\\\\u0000\"}' where Id in ('p001', 'p002');
                 update Users set Props = '{\"a' where Id = 'u2'";
    server.execute(&[spoil]).await;
    let Error::Unfit(unfit) = moved(&source, &to, &way).await.unwrap_err() else { panic!("it does not fit") };
    let found: Vec<_> =
        unfit.iter().map(|one| (&*one.column, one.misfit, one.rows, one.some.join(","))).collect();
    let expected = [
        ("path", Misfit::Long(512), 1, "f2".to_owned()),
        ("message", Misfit::Nul, 1, "p000".to_owned()),
        ("props", Misfit::Nul, 2, "p001,p002".to_owned()),
        ("props", Misfit::NotJson, 1, "u2".to_owned()),
    ];
    assert_eq!(found, expected);
    assert_eq!(asked(&to, "select count(*) from users").await, "(0)", "nothing stays");
    let repaired = Way { leave_out, repair: true };
    let Error::Unfit(left) = moved(&source, &to, &repaired).await.unwrap_err() else {
        panic!("it does not fit")
    };
    assert!(left.iter().any(|one| one.misfit == Misfit::NotJson), "nobody can know what was meant: {left:?}");

    server.execute(&["use moves; update Users set Props = null where Id = 'u2'"]).await;
    let before = rows(&source, PATIENCE).await.unwrap();
    let done = moved(&source, &to, &repaired).await.unwrap();
    assert_eq!(rows(&source, PATIENCE).await.unwrap(), before, "the source stays");
    assert_eq!((done.tables["posts"].rows, done.tables["users"].rows, done.repaired.len()), (400, 2, 3));
    assert!(!done.tables.contains_key("db_migrations"));
    for (sql, expected) in [
        (
            "select nickname, emailverified, props, failedattempts from users where id = 'u1'",
            r#"(Ännchen,t,"{""a"": ""b""}",0)"#,
        ),
        ("select createat is null, nickname is null, emailverified from users where id = 'u2'", "(t,t,f)"),
        ("select type, allowopeninvite from teams", "(O,t)"),
        ("select shared is null, type from channels where id = 'c1'", "(t,O)"),
        (
            "select schemeadmin is null, notifyprops from channelmembers where userid = 'u2'",
            r#"(t,"{""desktop"": ""all""}")"#,
        ),
        ("select encode(minipreview, 'hex'), width from fileinfo where id = 'f1'", "(00ff5c0a27,10)"),
        ("select length(path) from fileinfo where id = 'f2'", "(512)"),
        ("select value from preferences where userid = 'u1'", "(Grüße)"),
        ("select message, props from posts where id = 'p000'", "(ab,)"),
        ("select props->>'a' = '' from posts where id = 'p001'", "(t)"),
        ("select props->>'t' from posts where id = 'p004'", "(ä)"),
    ] {
        assert_eq!(asked(&to, sql).await, expected, "{sql}");
    }
    for (at, text) in HOSTILE.iter().enumerate().skip(1) {
        let there = asked(&to, &format!("select count(*) from posts where message = $q${text}$q$")).await;
        assert_eq!(there, "(50)", "{at} {text:?}");
    }
}
