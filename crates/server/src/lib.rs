//! The built-in server: Mattermost's API v4 and websocket on SQLite or PostgreSQL.
//!
//! It promises:
//! - Mattermost 11.6's API as clients see it: paths, JSON, headers, error ids, cookies, event sequence numbers;
//! - a write is on disk before it is answered, even if the process is killed right after;
//! - if several people sign up first at the same time, exactly one becomes administrator;
//! - Mattermost's table names, column names and types, so that the official server can take over a PostgreSQL database;
//! - the same behaviour on both engines: the same tests run on each;
//! - a PostgreSQL server may stop and start again: requests fail in between and work afterwards;
//! - a client's address is what the edge says, over a Unix socket that nobody else reaches; without it, who connects;
//! - a local channel (`ServiceSettings.EnableLocalMode`): a Unix socket with the administrator API, without a password;
//! - mails by way of the mail server that the configuration names: no request waits for it, and no answer tells a stranger whether an address
//!   has an account;
//! - the addresses of integrations are on no private network, unless the configuration allows it, and no post waits for them;
//! - everything that clients send and that serving them takes is bounded, in bytes ([`BOUNDS`]): slow websockets, large bodies
//!   and floods of them slow down only the clients that send them.
//!
//! It refuses: routes that it does not implement, with 501 and the error id [`NOT_IMPLEMENTED`], never with an empty
//! 200; MySQL, which Mattermost does not support since 11.0; a second server on the same database; msgpack on the
//! websocket; licences and plugins.
//!
//! Rejected designs:
//! - a transaction for each request: each would need its own fsync. One writer commits all waiting writes together;
//! - a query layer checked at compile time: the SQL must be easy to compare with Mattermost's own tables;
//! - sqlx's `Any` driver: it supports no `jsonb`, arrays or enums, and copies every value once more;
//! - a trait with an implementation for each engine: a hundred statements would exist twice, although only four differ;
//! - several writers on PostgreSQL: a write that depends on a read (the first account, a limit, a counter) would need
//!   locks that SQLite does not have;
//! - a broadcast channel for each topic of events: idle sockets would have to read them too. Each socket has its own
//!   queue, and an event is serialised once for all of them;
//! - ids as strings: 26 bytes are cheap to copy, and cannot be confused with other text.

mod access;
mod account_mail;
mod answer;
mod api;
mod app;
mod avatar;
mod bounds;
mod cache;
mod clock;
mod config;
mod cors;
mod erasure;
mod error;
mod event;
mod failure;
mod files;
mod front;
mod hub;
mod id;
mod json;
mod late_previews;
mod listener;
mod local_channel;
mod mail;
mod mention;
mod model;
mod notification;
mod outgoing;
mod password;
mod peer;
mod permission;
mod presence;
mod publish;
mod rate_limit;
mod rules;
mod search;
mod session;
mod sign_in;
mod socket_file;
mod sql;
mod store;
mod subpath;
mod unread;
mod web;
mod websocket;

pub mod contract;

pub use bounds::{BOUNDS, Bound};
pub use config::{Config, ConfigError};
pub use error::NOT_IMPLEMENTED;
pub use failure::ServerError;
pub use front::Front;
pub use listener::{HEAD_BYTES, HEAD_LINES};

use app::{App, Work};
use front::Kind;
use listener::{EdgeSocket, LocalSocket};
use local_channel::LocalChannel;
use store::{Database, Store};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Creates the database and its tables, or adds missing ones. Safe to run again.
pub async fn migrate(config: &Config) -> Result<(), ServerError> {
    store::migrate(&Database::of(&config.sql)?).await
}

/// Whether [`migrate`] would change anything. Changes nothing.
pub async fn is_pending(config: &Config) -> Result<bool, ServerError> {
    store::is_pending(&Database::of(&config.sql)?).await
}

/// Serves the requests that arrive on `front` until `stop` is cancelled. Then accepts no more connections, closes websockets, and returns when all writes
/// are committed.
///
/// Brings the schema up to date first, as the official server does when it starts.
pub async fn serve(
    config: Config,
    front: impl Into<Front>,
    stop: CancellationToken,
) -> Result<(), ServerError> {
    let Front(front) = front.into();
    migrate(&config).await?;
    files::directory::prepare(&config)?;
    let local = local_channel::open(&config.service)?;
    let (store, written) = Store::open(Database::of(&config.sql)?).await?;
    let (app, Work { delivery, notices, occasions }) = App::new(config, store, stop.clone()).await?;
    let delivered = tokio::spawn(async move {
        if let Some(delivery) = delivery {
            delivery.run().await;
        }
    });
    let told = tokio::spawn(notification::run(app.clone(), notices));
    let mut keepers = JoinSet::new();
    keepers.spawn(app.clone().drop_old_connections());
    keepers.spawn(presence::keep_times(app.clone()));
    keepers.spawn(api::tell_hooks(app.clone(), occasions));
    let router = answer::around(app.clone(), api::router()).with_state(app.clone());
    let router = subpath::below(&app.config.service.site_url, router);
    let local_router = answer::around(app.clone(), api::local_router()).with_state(app.clone());
    let local_stop = stop.clone();
    let served = tokio::try_join!(
        async move {
            match front {
                Kind::Open(listener) => listener::run(listener, router, stop).await,
                Kind::BehindEdge(listener, _file) => listener::run(EdgeSocket(listener), router, stop).await,
            }
        },
        async move {
            let Some(LocalChannel { listener, file: _file }) = local else { return Ok(()) };
            listener::run(LocalSocket(listener), local_router, local_stop).await
        }
    );
    keepers.shutdown().await;
    let _ended = tokio::time::timeout(listener::GRACE, told).await;
    // When its last handle is dropped, the writer commits everything and ends, and so does the delivery of mails.
    drop(app);
    if tokio::time::timeout(listener::GRACE, written).await.is_err() {
        tracing::warn!("some requests were still running at the end; their writes may be lost");
    }
    if tokio::time::timeout(listener::GRACE, delivered).await.is_err() {
        tracing::warn!("the mail server takes too long; some mails were not sent");
    }
    served.map(|_| ())
}
