//! Every reason PostgreSQL can be made to give.

use std::sync::{Arc, Mutex};

use database::{CertificateFlaw, Product, Reason, Unreached, Version, Warning};
use dsn::{Host, TlsMode};

use testbed::postgres::{Cluster, Kind};
use testbed::{ANY_VERSION, PATIENCE};

use crate::shared::shared;
use crate::{probe, with_tls};

#[tokio::test]
async fn a_database_that_can_be_used() {
    let cluster = shared().await;
    let facts = probe(&cluster.to("mm", "mm", "chat")).await.unwrap();
    assert_eq!((facts.product, facts.encoding.as_str()), (Product::Postgres, "UTF8"));
    assert_eq!((facts.collation.as_str(), facts.max_connections), ("C.UTF-8", 100));
    assert!(facts.version >= Version { major: 15, minor: 0, patch: 0 });
    assert!(facts.tls, "TLS is used where it is offered");
    assert_eq!(facts.warnings, []);

    let plain = probe(&with_tls(&cluster.to("mm", "mm", "chat"), TlsMode::Disable, None)).await.unwrap();
    assert!(!plain.tls);
    let mut local = cluster.to("mm", "mm", "chat");
    local.host = Host::Socket(cluster.dir().to_owned());
    assert!(!probe(&local).await.unwrap().tls);

    let odd = probe(&cluster.to("mm", "mm", "plain")).await.unwrap();
    let warnings = [Warning::PlainLocale("C".into()), Warning::SearchLanguage("pg_catalog.german".into())];
    assert_eq!(odd.warnings, warnings);
}

#[tokio::test]
async fn logins_that_are_refused() {
    let cluster = shared().await;
    for (user, password, name, reason) in [
        ("mm", "wrong", "chat", Reason::WrongPassword),
        ("mm", "", "chat", Reason::WrongPassword),
        ("stranger", "mm", "chat", Reason::WrongPassword),
        ("mm", "mm\n", "chat", Reason::LoginCharacters),
        ("mm", "😀", "chat", Reason::LoginCharacters),
        ("nobody", "", "chat", Reason::UnknownUser),
        ("unwelcome", "mm", "chat", Reason::HostNotAllowed),
        ("mm", "mm", "absent", Reason::UnknownDatabase),
        ("guest", "guest", "closed", Reason::DatabaseDenied),
        ("busy", "busy", "chat", Reason::TooManyConnections),
    ] {
        for mode in [TlsMode::Prefer, TlsMode::Disable] {
            let server = with_tls(&cluster.to(user, password, name), mode, None);
            assert_eq!(probe(&server).await.unwrap_err(), reason, "{server:?}");
        }
    }
}

#[tokio::test]
async fn databases_that_cannot_be_used() {
    let cluster = shared().await;
    let closed = Reason::SchemaDenied { schema: "public".into(), owner: Some("pg_database_owner".into()) };
    assert_eq!(probe(&cluster.to("guest", "guest", "chat")).await.unwrap_err(), closed);
    let mut elsewhere = cluster.to("mm", "mm", "chat");
    elsewhere.parameters.insert("search_path".into(), "pg_catalog".into());
    let denied = probe(&elsewhere).await.unwrap_err();
    assert_eq!(denied, Reason::SchemaDenied { schema: "pg_catalog".into(), owner: Some("postgres".into()) });

    let latin = probe(&cluster.to("mm", "mm", "latin")).await.unwrap_err();
    assert_eq!(latin, Reason::Encoding("LATIN1".into()));
    let frozen = probe(&cluster.to("mm", "mm", "frozen")).await.unwrap_err();
    assert_eq!(frozen, Reason::ReadOnly { standby: false });

    let failure = database::probe(&cluster.to("mm", "mm", "chat"), 990_000, PATIENCE).await.unwrap_err();
    let minimum = Version { major: 99, minor: 0, patch: 0 };
    assert!(matches!(failure.reason, Reason::TooOld { minimum: m, .. } if m == minimum), "{failure}");
}

#[tokio::test]
async fn tls_in_every_mode() {
    let cluster = shared().await;
    let (ca, chat) = (cluster.ca(), cluster.to("mm", "mm", "chat"));
    let mut named = chat.clone();
    named.host = Host::Name("localhost".into());
    let bad = |flaw| Err(Unreached::Certificate(flaw).into());
    for (server, mode, ca, found) in [
        (&chat, TlsMode::Require, None, Ok(true)),
        (&chat, TlsMode::VerifyFull, Some(&*ca), Ok(true)),
        (&named, TlsMode::VerifyCa, Some(&*ca), Ok(true)),
        // libpq's rule: naming an authority means that it is checked.
        (&named, TlsMode::Require, Some(&*ca), Ok(true)),
        (
            &named,
            TlsMode::VerifyFull,
            Some(&*ca),
            bad(CertificateFlaw::OtherName(vec!["127.0.0.1".to_owned()])),
        ),
        (&chat, TlsMode::VerifyCa, None, bad(CertificateFlaw::UnknownAuthority)),
        (&chat, TlsMode::VerifyFull, None, bad(CertificateFlaw::UnknownAuthority)),
    ] {
        let server = with_tls(server, mode, ca);
        assert_eq!(probe(&server).await.map(|facts| facts.tls), found, "{server:?}");
    }
    let missing = with_tls(&chat, TlsMode::VerifyFull, Some(&cluster.dir().join("missing.pem")));
    assert!(matches!(probe(&missing).await, Err(Reason::AuthorityFile(..))));
    let nonsense = with_tls(&chat, TlsMode::Require, Some(&cluster.dir().join("log")));
    assert!(matches!(probe(&nonsense).await, Err(Reason::AuthorityFile(..))));

    let strict = cluster.to("mm", "mm", "tlsonly");
    assert!(probe(&strict).await.unwrap().tls);
    for password in ["mm", "wrong"] {
        let server = with_tls(&cluster.to("mm", password, "tlsonly"), TlsMode::Disable, None);
        assert_eq!(probe(&server).await.unwrap_err(), Reason::TlsRequired);
    }
}

#[tokio::test]
async fn waits_for_a_server_that_is_not_started_yet() {
    let mut cluster = Cluster::new(&Kind { certificate: Some(true), ..Kind::default() });
    let server = cluster.admin("postgres");
    let expired = with_tls(&server, TlsMode::VerifyFull, Some(&cluster.ca()));
    let mut seen = Vec::new();
    let ready = database::wait_ready(&server, ANY_VERSION, PATIENCE, |waiting| {
        // Started only once it was missed: the wait cannot have been spared.
        if seen.is_empty() {
            cluster.start();
        }
        seen.push(waiting.failure.reason.clone());
    });
    ready.await.unwrap();
    assert_eq!(seen[0], Unreached::Refused.into());
    assert_eq!(probe(&expired).await.unwrap_err(), Unreached::Certificate(CertificateFlaw::Expired).into());
}

#[tokio::test]
async fn waits_for_a_server_that_is_starting() {
    // Recovery asks for files from an archive that is slow until told to go on.
    let settings = [("restore_command", "until test -e $DIR/go; do sleep 0.05; done; false")];
    let kind = Kind { settings: &settings, signal: Some("recovery.signal"), ..Kind::default() };
    let mut cluster = Cluster::new(&kind);
    cluster.start();
    let (server, go) = (cluster.admin("postgres"), cluster.dir().join("go"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let ready = database::wait_ready(&server, ANY_VERSION, PATIENCE, |waiting| {
        if waiting.failure.reason == Reason::StartingUp {
            std::fs::write(&go, "").unwrap();
        }
        seen.lock().unwrap().push(waiting.failure.reason.clone());
    });
    ready.await.unwrap_or_else(|failure| panic!("{failure}\n{}", cluster.log()));
    let seen = seen.lock().unwrap();
    assert!(seen.contains(&Reason::StartingUp), "{seen:?}");
    assert!(
        seen.iter()
            .all(|reason| matches!(reason, Reason::StartingUp | Reason::Unreached(Unreached::Refused))),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_standby_and_no_tls() {
    let mut cluster = Cluster::new(&Kind { signal: Some("standby.signal"), ..Kind::default() });
    cluster.start();
    let server = cluster.admin("postgres");
    let found = database::wait_ready(&server, ANY_VERSION, PATIENCE, |_| ()).await.unwrap_err();
    assert_eq!(found.reason, Reason::ReadOnly { standby: true }, "{found}\n{}", cluster.log());
    for mode in [TlsMode::Require, TlsMode::VerifyFull] {
        assert_eq!(probe(&with_tls(&server, mode, None)).await.unwrap_err(), Reason::TlsNotOffered);
    }
}
