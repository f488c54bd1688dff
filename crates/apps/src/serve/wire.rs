//! Connections of callers: who may connect, how many at a time, and how long one may take.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use finding::Exit;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::front::Front;
use super::paced::Paced;
use crate::Error;

/// How many connections there may be.
const CONNECTIONS: usize = 512;
/// How long a caller may take to send the head of a request, or to ask again.
const HEAD_MAX: Duration = Duration::from_secs(5);
/// How long a caller may take no bytes of an answer.
const STALLED_MAX: Duration = Duration::from_secs(30);
/// How long calls may go on when the app stops.
const GRACE: Duration = Duration::from_secs(5);

/// Listens on an address. Another address than one of loopback needs `from`: whose connections are taken.
///
/// # Errors
/// The address is not allowed, or in use.
pub async fn bind(address: SocketAddr, from: &[IpAddr]) -> Result<TcpListener, Error> {
    may_listen(address, from)?;
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

/// Whether an app may listen there.
///
/// # Errors
/// Others reach the address, and it is not said which of them may.
pub fn may_listen(address: SocketAddr, from: &[IpAddr]) -> Result<(), Error> {
    if let Some(everybody) = from.iter().find(|one| one.is_unspecified()) {
        return Err(Error::new(Exit::Usage, format!("`--from {everybody}` is the address of no machine"))
            .hint("name the Mattermost server's address with `--from`"));
    }
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
    let visitors = Arc::new(Visitors::default());
    let graceful = GracefulShutdown::new();
    loop {
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
        if room.available_permits() == 0 {
            visitors.make_room();
        }
        let permit = tokio::select! {
            permit = room.clone().acquire_owned() => permit,
            () = cancel.cancelled() => break,
        };
        let Ok(permit) = permit else { break };
        let visitor = visitors.enter();
        let (front, calling) = (front.clone(), visitor.clone());
        let service = service_fn(move |request| {
            let (front, call) = (front.clone(), Calling::of(&calling));
            async move {
                let answer = front.respond(request).await;
                drop(call);
                Ok::<_, Infallible>(answer)
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_MAX)
            .max_headers(100)
            .serve_connection(TokioIo::new(Paced::new(stream)), service);
        let connection = graceful.watch(connection);
        let visitors = visitors.clone();
        tokio::spawn(async move {
            let _permit = permit;
            tokio::select! {
                _ = connection => {}
                () = visitor.leave.cancelled() => {}
            }
            visitors.remove(&visitor);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}

/// The connections that there are. Whoever sends half a request on each of many would keep the others out, also from this machine: when
/// there is no room, the one that has waited longest for a request is closed. Calls that are being answered are not.
#[derive(Debug, Default)]
struct Visitors(Mutex<Vec<Arc<Visitor>>>);

#[derive(Debug)]
struct Visitor {
    /// Since when it has asked for nothing; None during a call.
    idle_since: Mutex<Option<Instant>>,
    leave: CancellationToken,
}

impl Visitor {
    fn set(&self, idle_since: Option<Instant>) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = idle_since;
    }

    fn idle_since(&self) -> Option<Instant> {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitors {
    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Visitor>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Arc<Visitor> {
        let idle_since = Mutex::new(Some(Instant::now()));
        let visitor = Arc::new(Visitor { idle_since, leave: CancellationToken::new() });
        self.all().push(visitor.clone());
        visitor
    }

    fn remove(&self, visitor: &Arc<Visitor>) {
        self.all().retain(|one| !Arc::ptr_eq(one, visitor));
    }

    /// Closes the connection that has waited longest, if one waits.
    fn make_room(&self) {
        let all = self.all();
        let waiting = all.iter().filter(|one| !one.leave.is_cancelled());
        let waiting = waiting.filter_map(|one| Some((one.idle_since()?, one)));
        if let Some((_, longest)) = waiting.min_by_key(|(since, _)| *since) {
            longest.leave.cancel();
        }
    }
}

/// A call of a visitor.
struct Calling(Arc<Visitor>);

impl Calling {
    fn of(visitor: &Arc<Visitor>) -> Self {
        visitor.set(None);
        Self(visitor.clone())
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        self.0.set(Some(Instant::now()));
    }
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
        assert!(may_listen(at("127.0.0.1:80"), &[]).is_ok() && may_listen(at("[::1]:80"), &[]).is_ok());
        for open in ["0.0.0.0:80", "[::]:80", "10.0.0.7:80"] {
            assert_eq!(may_listen(at(open), &[]).unwrap_err().exit, Exit::Refused);
            assert!(may_listen(at(open), &[server]).is_ok());
        }
        let everybody = ["0.0.0.0".parse().unwrap()];
        assert_eq!(may_listen(at("10.0.0.7:80"), &everybody).unwrap_err().exit, Exit::Usage);
        assert!(is_taken(server, &[server]) && is_taken("::ffff:10.0.0.5".parse().unwrap(), &[server]));
        assert!(!is_taken("10.0.0.6".parse().unwrap(), &[server]));
    }
}
