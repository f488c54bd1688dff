//! Dumps of PostgreSQL, and back.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use database::dump::{self, Error};
use database::{ASIDE, Failure, Reason, create};
use dsn::{DataSource, Server, TlsMode};
use testbed::PATIENCE;
use testbed::pgbouncer::PgBouncer;
use testbed::postgres::{Cluster, Kind};

use super::dump_shared::{dumped, is_empty, loaded, read, stream};
use crate::dump::means;
use crate::shared::shared;
use crate::with_tls;

/// Everything that a dump may come across.
const ALL: &str = r#"
    create extension pg_trgm;
    create type channel_type as enum ('O', 'P');
    create table db_migrations (version bigint primary key, name varchar not null);
    insert into db_migrations values (1, 'first'), (159, 'last');
    create table posts (number serial primary key, id varchar(26), half int, message text, props jsonb, raw bytea, kind channel_type default 'O',
                        words int generated always as (length(message)) stored);
    create index posts_message on posts using gin (to_tsvector('german', message));
    create index posts_trgm on posts using gin (message gin_trgm_ops);
    insert into posts (id, half, message, props, raw) values
        ('a', 0, E'it''s \U0001F600 "quoted" \\ back\\slash \t tab \n line', '{"a": "\u00e9"}', '\x00ff5c0a27'),
        ('b', 1, E'\\.', null, ''),
        (null, 0, '-- PostgreSQL database dump complete', null, null),
        ('c', 1, 'COPY public.posts (id) FROM stdin;', null, null);
    create table empty (id int);
    create table "odd "".name" ("a;b" text); insert into "odd "".name" values ('x'), ('y');
    create schema chat; create table chat.posts (id int); insert into chat.posts select generate_series(1, 1000);
    create table parts (id int) partition by range (id);
    create table parts_low partition of parts for values from (0) to (10);
    create table parts_high partition of parts for values from (10) to (20);
    insert into parts select generate_series(0, 19);
    create view latest as select max(number) from posts;
    create materialized view kinds as select kind, count(*) from posts group by kind;
    create function said() returns text language sql as $$ select 'COPY public.posts (id) FROM stdin;' $$;
    comment on table posts is 'of two
lines';
    select lo_from_bytea(4711, 'a large object');
"#;

/// An empty database of the name's role, whose password is hard to quote.
async fn database(cluster: &Cluster, name: &str) -> Server {
    let wanted = cluster.to(name, "p:a\\s's \"w", name);
    create(&cluster.admin(""), &wanted, PATIENCE).await.unwrap();
    wanted
}

async fn filled(cluster: &Cluster, name: &str) -> Server {
    let server = database(cluster, name).await;
    cluster.execute(name, &format!("set role {name}; {ALL}")).await;
    server
}

#[tokio::test]
async fn what_is_dumped_is_what_is_loaded() {
    let cluster = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    let source = filled(cluster, "source").await;
    cluster.execute("source", "alter role source set default_text_search_config = 'pg_catalog.german'").await;
    cluster.execute("source", "alter database source set search_path = chat, public").await;
    cluster.execute("source", &format!("create schema {ASIDE}1; create table {ASIDE}1.old (id int)")).await;
    let target = database(cluster, "target").await;
    cluster.execute("target", "create schema chat authorization target").await;

    let dump = dump::begin(&DataSource::Server(source.clone()), &means(scratch.path())).await.unwrap();
    // `db_migrations` is in another schema than the first of the path.
    assert_eq!((dump.engine, dump.migration), ("postgres", Some(159)));
    assert!(dump.server.starts_with("15."), "{}", dump.server);
    let (text, rows) = read(dump).await;
    let rows = rows.unwrap();
    assert_eq!((rows["posts"], rows["chat.posts"], rows["odd \".name"]), (4, 1000, 2));
    assert_eq!((rows["empty"], rows["parts_low"], rows["parts_high"]), (0, 10, 10));
    assert!(!rows.contains_key("parts") && !text.contains(ASIDE) && !text.contains("restrict"));
    assert_eq!(dumped(&source, scratch.path()).await.0, text, "the same twice");

    let taken = loaded(&target, scratch.path(), text.clone()).await.unwrap();
    assert_eq!(taken, rows);
    let found = dump::rows(&DataSource::Server(target.clone()), PATIENCE).await.unwrap();
    assert_eq!(found, rows);
    // A session of the role has its settings, and what is dumped there is the same.
    assert_eq!(dumped(&target, scratch.path()).await.0, text);
    let whole = "do $$ begin
        assert (select convert_from(lo_get(4711), 'utf8') = 'a large object'), 'the large object';
        assert nextval('posts_number_seq') = 5, 'the sequence';
        assert exists (select from pg_stats where tablename = 'posts'), 'statistics';
    end $$";
    cluster.execute("target", whole).await;

    let again = loaded(&target, scratch.path(), text).await.unwrap_err();
    assert!(matches!(&again, Error::NotEmpty { found, .. } if found == &["posts"]), "{again}");
    assert!(is_empty(scratch.path()), "no password is left");
}

#[tokio::test]
async fn a_dump_is_one_moment_while_others_write() {
    let cluster = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    let source = filled(cluster, "busy_source").await;
    let ends = Arc::new(AtomicBool::new(false));
    let writes = {
        let ends = Arc::clone(&ends);
        tokio::spawn(async move {
            let mut number = 0;
            while !ends.load(Ordering::Relaxed) {
                number += 1;
                let both =
                    "insert into posts (half, message) values (0, repeat('x', 2000)), (1, repeat('y', 2000));
                            insert into chat.posts values (1), (2)";
                cluster.execute("busy_source", both).await;
            }
            number
        })
    };
    for number in 0..3 {
        let (text, rows) = dumped(&source, scratch.path()).await;
        let rows = rows.unwrap();
        // Both statements or neither: 4 and 1000 rows were there before.
        assert_eq!(rows["posts"] - 4, rows["chat.posts"] - 1000);
        let target = database(cluster, &format!("busy_target{number}")).await;
        let taken = loaded(&target, scratch.path(), text).await.unwrap();
        assert_eq!(taken, rows);
    }
    ends.store(true, Ordering::Relaxed);
    assert!(writes.await.unwrap() > 3, "it wrote meanwhile");
}

#[tokio::test]
async fn a_dump_whose_server_ends_fails() {
    let mut cluster = Cluster::new(&Kind::default());
    cluster.start();
    cluster
        .execute(
            "postgres",
            "create table posts as select i, repeat(md5(i::text), 50) from generate_series(1, 30000) i",
        )
        .await;
    let server = cluster.admin("postgres");
    let scratch = tempfile::tempdir().unwrap();
    let dump = dump::begin(&DataSource::Server(server), &means(scratch.path())).await.unwrap();
    let mut stream = stream(dump);
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = vec![0; 100_000];
        stream.read_exact(&mut text).unwrap();
        cluster.stop();
        stream.read_to_end(&mut text).unwrap();
        (stream.finish().unwrap_err(), text)
    });
    let (error, text) = reading.await.unwrap();
    assert!(matches!(&error, Error::Failed { program: "pg_dump", .. }), "{error}");
    assert!(
        error.to_string().contains("PQgetCopyData") || error.to_string().contains("connection"),
        "{error}"
    );

    // What was read of it is not taken.
    let other = shared().await;
    let target = database(other, "half_target").await;
    let refused =
        loaded(&target, scratch.path(), String::from_utf8_lossy(&text).into_owned()).await.unwrap_err();
    assert!(matches!(refused, Error::Incomplete(_)), "{refused}");
    assert!(dump::rows(&DataSource::Server(target), PATIENCE).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_database_refuses_is_told_and_nothing_stays() {
    let cluster = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    let source = filled(cluster, "refused_source").await;
    let (text, _) = dumped(&source, scratch.path()).await;
    let target = database(cluster, "refused_target").await;
    let bad = text.replace("CREATE TABLE public.empty", "CREATE TABLE public.empty_and_misspelt");
    let refused = loaded(&target, scratch.path(), bad).await.unwrap_err().to_string();
    assert!(refused.starts_with("psql failed: ") && refused.contains("public.empty"), "{refused}");
    // At the very end, after the large objects, which a dump has in a transaction of their own.
    let bad = text.replace("DO $mainstay$", "DO nothing $mainstay$");
    let refused = loaded(&target, scratch.path(), bad).await.unwrap_err().to_string();
    assert!(refused.contains("syntax error"), "{refused}");
    assert!(dump::rows(&DataSource::Server(target.clone()), PATIENCE).await.unwrap().is_empty());
    // psql obeys none of its own commands in a dump.
    let mark = scratch.path().join("mark");
    let evil = format!("\\! touch {}\n{text}", mark.display());
    let refused = loaded(&target, scratch.path(), evil).await.unwrap_err().to_string();
    assert!(refused.contains("restrict") && !mark.exists(), "{refused}");
    assert!(dump::rows(&DataSource::Server(target.clone()), PATIENCE).await.unwrap().is_empty());
    loaded(&target, scratch.path(), text).await.unwrap();
}

#[tokio::test]
async fn dropping_a_dump_ends_everything() {
    let cluster = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    let source = database(cluster, "dropped").await;
    let many = "create table posts as select i, repeat(md5(i::text), 50) from generate_series(1, 30000) i; alter table posts owner to dropped";
    cluster.execute("dropped", many).await;
    let (address, means) = (DataSource::Server(source.clone()), means(scratch.path()));
    let begin = || dump::begin(&address, &means);
    let others = || database::others(&source, PATIENCE);
    // Before its first byte, amid its rows, and from another thread while somebody waits for more.
    drop(begin().await.unwrap());
    let mut stream = stream(begin().await.unwrap());
    let mut text = vec![0; 100_000];
    stream.read_exact(&mut text).unwrap();
    drop(stream);
    let mut stream = super::dump_shared::stream(begin().await.unwrap());
    let stopper = stream.stopper();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        stream.read_exact(&mut [0; 100_000]).unwrap();
        begun.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        stream.read_to_end(&mut text).unwrap();
        stream.finish().unwrap_err()
    });
    has_begun.await.unwrap();
    stopper.stop();
    let error = reading.await.unwrap();
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    let deadline = Instant::now() + PATIENCE;
    while !others().await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", others().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_empty(scratch.path()));
}

#[tokio::test]
async fn limits_of_the_role_do_not_break_a_dump_or_are_told() {
    let cluster = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    let source = filled(cluster, "limited").await;
    let limits = "alter role limited set statement_timeout = '50ms'; alter role limited set idle_in_transaction_session_timeout = '50ms';
                  alter role limited set lock_timeout = '50ms'; alter role limited set default_transaction_read_only = on";
    cluster.execute("limited", limits).await;
    let many = "insert into posts (message) select repeat(md5(i::text), 30) from generate_series(1, 30000) i";
    cluster.execute("limited", many).await;
    let mut stream =
        stream(dump::begin(&DataSource::Server(source.clone()), &means(scratch.path())).await.unwrap());
    let reading = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(300));
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        stream.finish()
    });
    assert_eq!(reading.await.unwrap().unwrap()["posts"], 30_004);

    cluster.execute("limited", "alter role limited connection limit 1").await;
    let (_, failed) = dumped(&source, scratch.path()).await;
    let failed = failed.unwrap_err().to_string();
    assert!(failed.contains("too many connections"), "{failed}");
    cluster.execute("limited", "alter role limited connection limit 0").await;
    let failed = dump::begin(&DataSource::Server(source), &means(scratch.path())).await.unwrap_err();
    assert!(matches!(failed, Error::Server(Failure { reason: Reason::TooManyConnections, .. })), "{failed}");
}

#[tokio::test]
async fn a_replica_can_be_dumped() {
    let mut cluster = Cluster::new(&Kind { signal: Some("standby.signal"), ..Kind::default() });
    cluster.start();
    let server = cluster.admin("postgres");
    // It takes logins, for reading alone.
    let _ = database::wait_ready(&server, testbed::ANY_VERSION, PATIENCE, |_| ()).await;
    let scratch = tempfile::tempdir().unwrap();
    let (text, rows) = dumped(&server, scratch.path()).await;
    assert!(rows.unwrap().is_empty() && text.contains("dump complete"));
}

#[tokio::test]
async fn tls_and_a_socket_are_as_in_the_address() {
    let cluster = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    let server = cluster.to("mm", "mm", "tlsonly");
    for (mode, ca) in
        [(TlsMode::Require, None), (TlsMode::VerifyFull, Some(cluster.ca())), (TlsMode::Prefer, None)]
    {
        let (_, rows) = dumped(&with_tls(&server, mode, ca.as_deref()), scratch.path()).await;
        assert!(rows.is_ok(), "{mode:?}: {rows:?}");
    }
    let mut socket = cluster.to("mm", "mm", "tlsonly");
    socket.host = dsn::Host::Socket(cluster.dir().to_owned());
    assert!(dumped(&socket, scratch.path()).await.1.is_ok());
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_named() {
    let cluster = shared().await;
    let scratch = tempfile::tempdir().unwrap();
    cluster.execute("postgres", "create role pooldump login password 'pooled'").await;
    cluster.execute("postgres", "create database pooldump owner pooldump").await;
    let direct = with_tls(&cluster.to("pooldump", "pooled", "pooldump"), TlsMode::Disable, None);
    let pooler = PgBouncer::start(&direct, "transaction", &["default_pool_size = 2"]);
    let source = DataSource::Server(pooler.through(&direct));
    let error = dump::begin(&source, &means(scratch.path())).await.unwrap_err();
    assert!(matches!(error, Error::Pooler { .. }) && error.remedy().is_some(), "{error}");
    let pooler = PgBouncer::start(&direct, "session", &[]);
    let (_, rows) = dumped(&pooler.through(&direct), scratch.path()).await;
    assert!(rows.unwrap().is_empty());
}
