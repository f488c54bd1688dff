//! The built-in server: Mattermost's API v4 and websocket over SQLite or PostgreSQL.
//!
//! It promises:
//! - the wire of Mattermost 11.6: paths, JSON, headers, error ids, cookies, event sequence numbers;
//! - that an answered write is on the disk, also when the process is killed in the next instant;
//! - that of concurrent first sign-ups exactly one becomes administrator;
//! - Mattermost's table and column names and types, so that on PostgreSQL the official server takes the database over;
//! - the same behaviour on both engines: the same tests run on each;
//! - that a PostgreSQL server may go and come back: what is asked meanwhile fails, and what comes after works;
//! - bounded queues and caches: a slow websocket, a large body or a flood of either costs its sender only.
//!
//! It refuses: routes that it does not implement, with 501 and the error id [`NOT_IMPLEMENTED`], never with an empty
//! 200; MySQL, which no Mattermost speaks since 11.0; a second server on the same database; msgpack on the websocket; licences, plugins, integrations.
//!
//! Rejected designs:
//! - a transaction per request: each would wait for its own fsync. One writer commits what waits together;
//! - a compile-time checked query layer: the SQL must stay readable beside Mattermost's own tables;
//! - sqlx's `Any` driver: it knows no `jsonb`, no arrays and no enums, and would copy every value once more;
//! - a trait with an implementation for each engine: a hundred statements twice, of which four differ;
//! - several writers on PostgreSQL: what reads before it writes (the first account, a limit, a counter) would need locks
//!   that SQLite does not have; what waits together is committed together instead;
//! - events through a broadcast channel per topic: every idle socket would pay for it. Sockets have a queue each,
//!   which is empty until something happens, and an event is serialised once for all of them;
//! - ids as strings: they are 26 bytes, copied for free, and cannot be confused with other text.

mod access;
mod answer;
mod api;
mod app;
mod avatar;
mod cache;
mod clock;
mod config;
mod cors;
mod error;
mod event;
mod failure;
mod files;
mod hub;
mod id;
mod json;
mod listener;
mod mention;
mod model;
mod password;
mod permission;
mod presence;
mod publish;
mod rules;
mod session;
mod sql;
mod store;
mod web;
mod websocket;

pub mod contract;

pub use config::{Config, ConfigError};
pub use error::NOT_IMPLEMENTED;
pub use failure::ServerError;

use app::App;
use store::{Database, Store};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Creates the database and its tables, or adds what is missing. Safe to run again.
pub async fn migrate(config: &Config) -> Result<(), ServerError> {
    store::migrate(&Database::of(&config.sql)?).await
}

/// Serves until `stop` is cancelled; then accepts nobody, closes websockets, and returns when all is written.
///
/// The schema is brought up to date first, as the official server does at its start.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), ServerError> {
    migrate(&config).await?;
    files::directory::prepare(&config)?;
    let (store, written) = Store::open(Database::of(&config.sql)?).await?;
    let app = App::new(config, store, stop.clone()).await?;
    let reaper = tokio::spawn(app.clone().drop_old_connections());
    let router = answer::around(app.clone(), api::router()).with_state(app.clone());
    let served = listener::run(listener, router, stop).await;
    reaper.abort();
    let _aborted = reaper.await;
    // The writer ends, with everything committed, when the last handle to it is gone.
    drop(app);
    if tokio::time::timeout(listener::GRACE, written).await.is_err() {
        tracing::warn!("requests were still running at the end; what they write is not waited for");
    }
    served
}
