//! A database behind a pooler, with few connections, or with an authority of its own.

use std::sync::LazyLock;

use dsn::Server;
use testbed::pgbouncer::PgBouncer;
use testbed::postgres::{Cluster, Kind, url};

use crate::place::{Place, Ran};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let mut cluster = Cluster::new(&Kind { certificate: Some(false), ..Kind::default() });
    cluster.start();
    cluster
});

/// A database of its own and its owner. Returns when the server answers.
fn database(name: &str, limit: &str) -> Server {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for sql in [
        format!("create role {name} login password 'pw' {limit}"),
        format!("create database {name} owner {name}"),
    ] {
        runtime.block_on(CLUSTER.execute("postgres", &sql));
    }
    CLUSTER.to(name, "pw", name)
}

fn run(place: &Place, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = place.command(args);
    command.envs(variables.iter().copied());
    command.output().expect("the binary runs").into()
}

fn up(place: &Place, variables: &[(&str, &str)]) -> Ran {
    let args = place.up_args();
    run(place, variables, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_pooler_in_transaction_mode_is_named_and_one_in_session_mode_works() {
    let server = database("pooled", "");
    let place = Place::new();
    let pooler = PgBouncer::start(&server, "transaction", &[]);
    let address = url(&pooler.through(&server));
    let refused =
        up(&place, &[("MM_SQLSETTINGS_DATASOURCE", &address), ("MM_SQLSETTINGS_DRIVERNAME", "postgres")]);
    let refused = refused.expect(4).stderr;
    assert!(
        refused.contains("pool_mode = transaction") && refused.contains("pool_mode = session"),
        "{refused}"
    );
    assert!(!place.root.exists());

    let pooler = PgBouncer::start(&server, "session", &["default_pool_size = 40"]);
    let address = url(&pooler.through(&server));
    let said = [("MM_SQLSETTINGS_DATASOURCE", address.as_str()), ("MM_SQLSETTINGS_DRIVERNAME", "postgres")];
    up(&place, &said).expect(0);
    run(&place, &said, &["verify"]).expect(0);
    run(&place, &said, &["down"]).expect(0);
}

#[test]
fn a_role_with_few_connections_is_told_which_key_helps() {
    let server = database("lim", "connection limit 3");
    let (place, address) = (Place::new(), url(&server));
    let said = [("MM_SQLSETTINGS_DATASOURCE", address.as_str()), ("MM_SQLSETTINGS_DRIVERNAME", "postgres")];
    let refused = up(&place, &said).expect(4).stderr;
    assert!(refused.contains("may have 3 connections"), "{refused}");
    assert!(refused.contains("MM_SQLSETTINGS_MAXOPENCONNS=2"), "{refused}");
    assert!(!place.root.exists());
}

#[test]
fn tls_is_verified_with_an_authority_of_ones_own_and_prefer_is_refused() {
    let server = database("tls", "");
    let (place, port, ca) = (Place::new(), server.port.to_string(), CLUSTER.ca().display().to_string());
    let parts = [
        ("DB_ADAPTER", "postgres"),
        ("DB_HOST", "127.0.0.1"),
        ("DB_PORT", port.as_str()),
        ("DB_NAME", "tls"),
        ("DB_USER", "tls"),
        ("DB_PASS", "pw"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&parts[..], more].concat();
    let unknown = up(&place, &with(&[("DB_SSLMODE", "verify-ca")])).expect(4).stderr;
    assert!(unknown.contains("DB_SSLROOTCERT"), "{unknown}");
    let prefer = up(&place, &with(&[("DB_SSLMODE", "prefer")])).expect(3).stderr;
    assert!(prefer.contains("allowed: disable, require, verify-ca, verify-full"), "{prefer}");
    let address = url(&server).replace("sslmode=disable", "sslmode=prefer");
    let prefer =
        up(&place, &[("MM_SQLSETTINGS_DATASOURCE", &address), ("MM_SQLSETTINGS_DRIVERNAME", "postgres")]);
    let prefer = prefer.expect(3).stderr;
    assert!(prefer.contains("sslmode=prefer") && prefer.contains("sslmode=verify-full"), "{prefer}");
    assert!(!place.root.exists());

    let said = [&parts[..], &[("DB_SSLROOTCERT", ca.as_str())]].concat();
    up(&place, &said).expect(0);
    let status = run(&place, &said, &["database", "status", "--json"]).expect(0).json();
    assert_eq!(status["reached"]["tls"], true, "{status}");
    run(&place, &said, &["down"]).expect(0);
    let (place, _) = (Place::new(), database("tls2", ""));
    let said = [&parts[..], &[("DB_SSLMODE", "verify-full"), ("PGSSLROOTCERT", ca.as_str())]].concat();
    let said = said.into_iter().map(|(name, value)| (name, if value == "tls" { "tls2" } else { value }));
    let said: Vec<_> = said.collect();
    up(&place, &said).expect(0);
    run(&place, &said, &["down"]).expect(0);
}
