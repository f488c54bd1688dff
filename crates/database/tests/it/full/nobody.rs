//! Where no database server is.

use std::time::{Duration, Instant};

use database::{Reason, Unreached};
use dsn::{Engine, Host, Server};
use tokio::net::TcpListener;

use testbed::{ANY_VERSION, child};

use crate::probe;

fn at(engine: Engine, port: u16) -> Server {
    let mut server = Server::new(engine, Host::parse("127.0.0.1").unwrap());
    (server.port, server.user) = (port, "mm".into());
    server
}

#[tokio::test]
async fn nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    for engine in [Engine::Postgres, Engine::MySql] {
        assert_eq!(probe(&at(engine, child::free_port())).await.unwrap_err(), Unreached::Refused.into());
        let mut local = at(engine, 5432);
        local.host = Host::Socket(dir.path().join("none"));
        assert_eq!(probe(&local).await.unwrap_err(), Reason::NoSocket);
        let mut unknown = at(engine, 5432);
        // No label may be this long, so no name server is asked.
        unknown.host = Host::Name(format!("{}.invalid", "a".repeat(64)));
        assert_eq!(probe(&unknown).await.unwrap_err(), Unreached::UnknownHost.into());
    }
}

#[tokio::test]
async fn somebody_listens_and_is_no_database() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let patience = Duration::from_millis(200);
    for engine in [Engine::Postgres, Engine::MySql] {
        let server = at(engine, silent.local_addr().unwrap().port());
        let failure = database::probe(&server, ANY_VERSION, patience).await.unwrap_err();
        assert_eq!(failure.reason, Reason::timed_out(patience));

        // A forwarder without a server behind it.
        let rude = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = at(engine, rude.local_addr().unwrap().port());
        let hangs_up = tokio::spawn(async move {
            while let Ok((stream, _)) = rude.accept().await {
                drop(stream);
            }
        });
        assert_eq!(probe(&server).await.unwrap_err(), Unreached::Dropped.into());
        hangs_up.abort();
    }
}

#[tokio::test]
async fn waiting_ends_at_its_deadline_with_the_last_reason() {
    let server = at(Engine::Postgres, child::free_port());
    let (started, deadline) = (Instant::now(), Duration::from_millis(700));
    let mut tries = Vec::new();
    let failure = database::wait_ready(&server, ANY_VERSION, deadline, |waiting| tries.push(waiting.tries));
    assert_eq!(failure.await.unwrap_err().reason, Unreached::Refused.into());
    // Pauses of 100 and 200 ms fit; one of 400 ms would end too late.
    assert_eq!(tries, [1, 2]);
    assert!(started.elapsed() >= Duration::from_millis(300));
}
