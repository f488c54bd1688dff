//! Real PostgreSQL and MariaDB servers on loopback, and every way they can refuse us.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "in a test, a panic is the report")]

mod dump;
mod shared;

/// What needs root or programs other than our own, or takes long: `cargo xtask test --quick` skips it.
mod full {
    mod contents;
    mod creation;
    mod dump_mysql;
    mod dump_postgres;
    mod dump_shared;
    mod mariadb;
    mod mariadb_reasons;
    mod nobody;
    mod pooler;
    mod postgres_reasons;
    mod transfer;
    mod watching;
}

use database::{Facts, Failure, Reason};
use dsn::{Server, Tls, TlsMode};
use testbed::{ANY_VERSION, PATIENCE};

async fn probe(server: &Server) -> Result<Facts, Reason> {
    database::probe(server, ANY_VERSION, PATIENCE).await.map_err(|Failure { reason, server: of }| {
        assert_eq!(&*of, server, "a failure names the server it is about");
        reason
    })
}

fn with_tls(server: &Server, mode: TlsMode, ca: Option<&std::path::Path>) -> Server {
    Server { tls: Tls { mode, ca: ca.map(Into::into), said: true }, ..server.clone() }
}
