//! PgBouncer in front of PostgreSQL.

use database::{ConnectionLimit, Contents, Limited, Reason};
use dsn::TlsMode;
use testbed::PATIENCE;
use testbed::pgbouncer::PgBouncer;

use crate::shared::shared;
use crate::{probe, with_tls};

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_recognised_and_questions_work_through_it() {
    let cluster = shared().await;
    cluster.execute("postgres", "create role pooled login password 'p w'").await;
    cluster.execute("postgres", "create database pooled owner pooled").await;
    let direct = with_tls(&cluster.to("pooled", "p w", "pooled"), TlsMode::Disable, None);
    assert!(!probe(&direct).await.unwrap().shares_sessions);
    let per_session = PgBouncer::start(&direct, "session", &[]);
    assert!(!probe(&per_session.through(&direct)).await.unwrap().shares_sessions);

    let pooler = PgBouncer::start(&direct, "transaction", &["default_pool_size = 2"]);
    let pooled = pooler.through(&direct);
    // Many at once: no statement of one is seen by another.
    let all = (0..20).map(|_| {
        let pooled = pooled.clone();
        tokio::spawn(async move {
            let contents = database::contents(&pooled, PATIENCE).await.unwrap();
            assert_eq!(contents, Contents::Nothing);
            probe(&pooled).await.unwrap()
        })
    });
    for facts in futures(all.collect()).await {
        assert_eq!(facts.encoding, "UTF8");
    }
    assert!(probe(&pooled).await.unwrap().shares_sessions);
}

async fn futures<T>(all: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut done = Vec::new();
    for one in all {
        done.push(one.await.unwrap());
    }
    done
}

#[tokio::test]
async fn what_a_pooler_refuses_is_told() {
    let cluster = shared().await;
    let direct = with_tls(&cluster.to("mm", "mm", "chat"), TlsMode::Disable, None);
    let pooler = PgBouncer::start(&direct, "transaction", &[]);
    let mut server = pooler.through(&direct);
    server.parameters.insert("search_path".into(), "public".into());
    assert!(matches!(probe(&server).await.unwrap_err(), Reason::PoolerParameter(_)));
    let mut wrong = pooler.through(&direct);
    wrong.password = "wrong".to_owned().into();
    assert_eq!(probe(&wrong).await.unwrap_err(), Reason::WrongPassword);
    let mut stranger = pooler.through(&direct);
    stranger.user = "stranger".into();
    assert_eq!(probe(&stranger).await.unwrap_err(), Reason::WrongPassword);
    let mut absent = pooler.through(&direct);
    absent.name = "absent".into();
    let reason = probe(&absent).await.unwrap_err();
    assert!(matches!(reason, Reason::UnknownDatabase | Reason::PoolerCutOff(_)), "{reason:?}");

    let mut nowhere = direct.clone();
    nowhere.port = testbed::child::free_port();
    let cut_off =
        PgBouncer::start(&nowhere, "transaction", &["query_wait_timeout = 2", "server_login_retry = 1"]);
    let reason = probe(&cut_off.through(&direct)).await.unwrap_err();
    assert!(matches!(reason, Reason::PoolerCutOff(_) | Reason::TooManyConnections), "{reason:?}");
    assert!(reason.may_pass());
}

#[tokio::test]
async fn parameters_of_the_address_are_the_servers() {
    let cluster = shared().await;
    let mut server = cluster.to("mm", "mm", "chat");
    server.parameters.insert("options".into(), "-c search_path=pg_catalog".into());
    let denied = probe(&server).await.unwrap_err();
    assert!(matches!(denied, Reason::SchemaDenied { schema, .. } if schema == "pg_catalog"));
    for (name, value) in [("passfile", "/x"), ("statement_timeout", "soon"), ("target_session_attrs", "rw")] {
        let mut server = cluster.to("mm", "mm", "chat");
        server.parameters.insert(name.into(), value.into());
        let reason = probe(&server).await.unwrap_err();
        assert!(matches!(&reason, Reason::Parameter(words) if words.contains(name)), "{name}: {reason:?}");
    }
    for (name, value) in
        [("binary_parameters", "yes"), ("connect_timeout", "10"), ("statement_timeout", "60000")]
    {
        let mut server = cluster.to("mm", "mm", "chat");
        server.parameters.insert(name.into(), value.into());
        probe(&server).await.unwrap();
    }
}

#[tokio::test]
async fn limits_of_connections_are_reported() {
    let cluster = shared().await;
    // ../shared/cases/connection-limit.sql
    for sql in [
        "create role lim login password 'pw' connection limit 3",
        "create database lim owner lim",
        "create database narrow owner lim connection limit 2",
    ] {
        cluster.execute("postgres", sql).await;
    }
    let limit = |connections, of| Some(ConnectionLimit { connections, of });
    assert_eq!(probe(&cluster.to("lim", "pw", "lim")).await.unwrap().limit, limit(3, Limited::Role));
    assert_eq!(probe(&cluster.to("lim", "pw", "narrow")).await.unwrap().limit, limit(2, Limited::Database));
    assert_eq!(probe(&cluster.to("mm", "mm", "chat")).await.unwrap().limit, None);
}
