//! Connections of callers: who may connect, how many at a time, and how long one may take.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use finding::Exit;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::front::Front;
use crate::Error;

/// How many connections there may be.
const CONNECTIONS: usize = 512;
/// How long a caller may take to send the head of a request, or to ask again.
const HEAD_MAX: Duration = Duration::from_secs(15);
/// How long a caller may take no bytes of an answer.
const STALLED_MAX: Duration = Duration::from_secs(30);
/// How long calls may go on when the app stops.
const GRACE: Duration = Duration::from_secs(5);

/// Listens on an address. Another address than one of loopback needs `from`: whose connections are taken.
///
/// # Errors
/// The address is not allowed, or in use.
pub async fn bind(address: SocketAddr, from: &[IpAddr]) -> Result<TcpListener, Error> {
    allowed(address, from)?;
    TcpListener::bind(address).await.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there; name another port with `--listen`".into()
            }
            io::ErrorKind::AddrNotAvailable => "it is not an address of this machine".into(),
            _ => error.to_string(),
        };
        Error::new(Exit::NotReady, format!("cannot listen on {address}: {why}"))
    })
}

/// Whether the app may listen there.
fn allowed(address: SocketAddr, from: &[IpAddr]) -> Result<(), Error> {
    if address.ip().is_loopback() || !from.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Exit::Refused,
        format!("{address} can be reached from other machines, and nobody says from which"),
    )
    .hint("listen on 127.0.0.1, or name the Mattermost server's address with `--from`"))
}

/// Whether a peer's connection is taken.
fn is_taken(peer: IpAddr, from: &[IpAddr]) -> bool {
    let peer = peer.to_canonical();
    from.is_empty() || peer.is_loopback() || from.iter().any(|one| one.to_canonical() == peer)
}

/// Serves until `cancel`, and then lets calls end, for a few seconds.
pub async fn serve(listener: TcpListener, front: Arc<Front>, from: Vec<IpAddr>, cancel: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = cancel.cancelled() => break,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if !is_taken(peer.ip(), &from) {
            tracing::warn!(%peer, "a connection was closed: it does not come from an address named with --from");
            continue;
        }
        patient(&stream);
        let front = front.clone();
        let service = service_fn(move |request| {
            let front = front.clone();
            async move { Ok::<_, Infallible>(front.respond(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_MAX)
            .max_headers(100)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let _permit = permit;
            let _ = connection.await;
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}

/// The kernel ends the connection of a caller who takes no bytes.
fn patient(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let limit = u32::try_from(STALLED_MAX.as_millis()).unwrap_or(u32::MAX);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_needs_to_know_who() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let server: IpAddr = "10.0.0.5".parse().unwrap();
        assert!(allowed(at("127.0.0.1:80"), &[]).is_ok() && allowed(at("[::1]:80"), &[]).is_ok());
        for open in ["0.0.0.0:80", "[::]:80", "10.0.0.7:80"] {
            assert_eq!(allowed(at(open), &[]).unwrap_err().exit, Exit::Refused);
            assert!(allowed(at(open), &[server]).is_ok());
        }
        assert!(is_taken(server, &[server]) && is_taken("::ffff:10.0.0.5".parse().unwrap(), &[server]));
        assert!(!is_taken("10.0.0.6".parse().unwrap(), &[server]));
    }
}
