//! A bare edge, until Ctrl-C: `relay LISTEN UPSTREAM [MAX_CONNECTIONS]`.
//!
//! UPSTREAM is an address, or the path of a Unix socket. LISTEN is an address, or `-` if standard input is a listening socket that the parent process handed over.

use std::error::Error;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::AsFd;

use edge::{Edge, Limits, UpstreamAddress};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(listen), Some(upstream)) = (args.next(), args.next()) else {
        return Err("usage: relay LISTEN UPSTREAM [MAX_CONNECTIONS]".into());
    };
    let upstream: UpstreamAddress = upstream.parse()?;
    // The access log is made as in the agent, for measurements, and not kept.
    tracing_subscriber::fmt().json().with_writer(std::io::sink).init();
    let mut limits = Limits::default();
    if let Some(most) = args.next() {
        limits.max_connections = most.parse()?;
    }

    let edge = if listen == "-" {
        let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
        Edge::from_listener(TcpListener::from(socket), upstream, limits)?
    } else {
        Edge::bind(listen.parse()?, upstream, limits)?
    };
    writeln!(std::io::stdout(), "{}", edge.local_addr())?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopping.cancel();
        }
    });
    Ok(edge.serve(stop).await?)
}
