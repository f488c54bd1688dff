//! Every reason MariaDB can be made to give.

use database::{CertificateFlaw, Product, Reason, Unreached, Version, Warning};
use dsn::{Engine, Host, TlsMode};
use sqlx::ConnectOptions as _;
use sqlx::mysql::MySqlConnectOptions;

use super::mariadb::{MariaDb, shared};
use crate::{probe, with_tls};

#[tokio::test]
async fn a_database_that_can_be_used() {
    let mariadb = shared().await;
    let facts = probe(&mariadb.to("mm", "mm", "chat")).await.unwrap();
    assert_eq!((facts.product, facts.encoding.as_str()), (Product::MariaDb, "utf8mb4"));
    assert!(facts.version >= Version { major: 10, minor: 5, patch: 0 }, "{}", facts.version);
    assert!(facts.tls, "TLS is used where it is offered");
    assert_eq!(facts.warnings, []);
    assert!(!probe(&mariadb.admin()).await.unwrap().tls);
    let narrow = probe(&mariadb.to("mm", "mm", "narrow")).await.unwrap();
    assert_eq!(narrow.warnings, [Warning::NarrowEncoding("utf8mb3".into())]);
}

#[tokio::test]
async fn logins_that_are_refused() {
    let mariadb = shared().await;
    for (user, password, name, reason) in [
        ("mm", "wrong", "chat", Reason::WrongPassword),
        ("mm", "", "chat", Reason::WrongPassword),
        ("stranger", "mm", "chat", Reason::WrongPassword),
        ("mm", "mm", "closed", Reason::DatabaseDenied),
        ("mm", "mm", "absent", Reason::DatabaseDenied),
    ] {
        for mode in [TlsMode::Prefer, TlsMode::Disable] {
            let server = with_tls(&mariadb.to(user, password, name), mode, None);
            assert_eq!(probe(&server).await.unwrap_err(), reason, "{server:?}");
        }
    }
    let mut root = mariadb.admin();
    root.name = "absent".into();
    assert_eq!(probe(&root).await.unwrap_err(), Reason::UnknownDatabase);
}

#[tokio::test]
async fn tls_in_every_mode() {
    let mariadb = shared().await;
    let (ca, chat) = (mariadb.ca(), mariadb.to("mm", "mm", "chat"));
    let mut named = chat.clone();
    named.host = Host::Name("localhost".into());
    let bad = |flaw| Err(Unreached::Certificate(flaw).into());
    for (server, mode, ca, found) in [
        (&chat, TlsMode::Disable, None, Ok(false)),
        (&chat, TlsMode::Require, None, Ok(true)),
        (&chat, TlsMode::VerifyFull, Some(&*ca), Ok(true)),
        (&named, TlsMode::VerifyCa, Some(&*ca), Ok(true)),
        (
            &named,
            TlsMode::VerifyFull,
            Some(&*ca),
            bad(CertificateFlaw::OtherName(vec!["127.0.0.1".to_owned()])),
        ),
        (&chat, TlsMode::VerifyFull, None, bad(CertificateFlaw::UnknownAuthority)),
    ] {
        let server = with_tls(server, mode, ca);
        assert_eq!(probe(&server).await.map(|facts| facts.tls), found, "{server:?}");
    }
    let user = mariadb.to("encrypted", "mm", "chat");
    assert_eq!(probe(&with_tls(&user, TlsMode::Disable, None)).await.unwrap_err(), Reason::TlsRequired);
    assert!(probe(&user).await.unwrap().tls);
}

#[tokio::test]
async fn a_server_for_tls_and_known_hosts_only() {
    let mariadb = MariaDb::start(true, &["--require-secure-transport=ON"]);
    mariadb.execute(&["DELETE FROM mysql.global_priv WHERE Host <> 'localhost'", "FLUSH PRIVILEGES"]).await;
    let plain = with_tls(&mariadb.to("mm", "mm", "chat"), TlsMode::Disable, None);
    for server in [&plain, &mariadb.to("mm", "mm", "chat")] {
        assert_eq!(probe(server).await.unwrap_err(), Reason::HostNotAllowed);
    }
    mariadb
        .execute(&[
            "CREATE USER mm@'%' IDENTIFIED BY 'mm'",
            "CREATE DATABASE chat",
            "GRANT ALL ON chat.* TO mm@'%'",
        ])
        .await;
    assert_eq!(probe(&plain).await.unwrap_err(), Reason::TlsRequired);
    assert!(probe(&mariadb.to("mm", "mm", "chat")).await.unwrap().tls);
}

#[tokio::test]
async fn a_full_server_and_a_read_only_one() {
    let mariadb = MariaDb::start(false, &["--max-connections=10"]);
    let setup =
        ["CREATE DATABASE chat", "CREATE USER mm@'%' IDENTIFIED BY 'mm'", "GRANT ALL ON chat.* TO mm@'%'"];
    mariadb.execute(&setup).await;
    let server = mariadb.to("mm", "mm", "chat");
    assert_eq!(probe(&with_tls(&server, TlsMode::Require, None)).await.unwrap_err(), Reason::TlsNotOffered);
    assert!(!probe(&server).await.unwrap().tls);

    mariadb.execute(&["SET GLOBAL read_only = ON"]).await;
    assert_eq!(probe(&server).await.unwrap_err(), Reason::ReadOnly { standby: false });

    let options =
        MySqlConnectOptions::new().host("127.0.0.1").port(server.port).username("mm").password("mm");
    let mut held = Vec::new();
    while let Ok(connection) = options.connect().await {
        held.push(connection);
        assert!(held.len() <= 10, "the server has a limit");
    }
    assert_eq!(probe(&server).await.unwrap_err(), Reason::TooManyConnections);
}

#[tokio::test]
async fn the_wrong_kind_of_database() {
    let mariadb = shared().await.to("mm", "mm", "chat");
    let mut wrong = crate::shared::shared().await.to("mm", "mm", "chat");
    wrong.port = mariadb.port;
    assert_eq!(wrong.engine, Engine::Postgres);
    let reason = probe(&wrong).await.unwrap_err();
    assert!(matches!(reason, Reason::OtherProtocol(_)), "{reason:?}");
}
