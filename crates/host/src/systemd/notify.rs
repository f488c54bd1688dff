//! What a service tells systemd about itself.
//!
//! The protocol is one datagram of text; see `sd_notify(3)`. A message that cannot be sent changes nothing for the service.

use std::collections::BTreeMap;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager that started this process.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// None where no service manager waits for messages. `variables` is the environment of this process.
    pub fn of(variables: &BTreeMap<String, String>) -> Option<Self> {
        let path = variables.get("NOTIFY_SOCKET").filter(|path| !path.is_empty())?;
        let address = match path.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(path),
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self { socket, address: address.ok()?, watchdog: watchdog(variables, std::process::id()) })
    }

    /// How long the service may be silent before it is taken for dead.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The service answers. `status` is what `systemctl status` shows of it.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nMAINPID={}\nSTATUS={status}\n", std::process::id()));
    }

    /// What `systemctl status` shows of the service.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={status}\n"));
    }

    /// The service is alive.
    pub fn alive(&self) {
        self.send("WATCHDOG=1\n");
    }

    /// The service has begun to stop.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping\n");
    }

    fn send(&self, text: &str) {
        if let Err(error) = self.socket.send_to_addr(text.as_bytes(), &self.address) {
            tracing::debug!(%error, "the service manager does not take a message");
        }
    }
}

/// The watchdog's time, if it watches this process.
fn watchdog(variables: &BTreeMap<String, String>, pid: u32) -> Option<Duration> {
    let watched = variables.get("WATCHDOG_PID").is_none_or(|watched| *watched == pid.to_string());
    let micros = variables.get("WATCHDOG_USEC")?.parse().ok().filter(|micros| *micros > 0 && watched)?;
    Some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_at_a_path_and_at_an_abstract_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let at_path = UnixDatagram::bind(&path).expect("a socket");
        let name = format!("mainstay-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).expect("a name");
        let at_name = UnixDatagram::bind_addr(&abstract_address).expect("a socket");
        for (said, socket) in [(path.display().to_string(), at_path), (format!("@{name}"), at_name)] {
            let variables = [("NOTIFY_SOCKET".to_owned(), said)].into();
            Notifier::of(&variables).expect("a notifier").ready("it answers");
            let mut text = [0; 256];
            let size = socket.recv(&mut text).expect("a message");
            let text = String::from_utf8_lossy(&text[..size]).into_owned();
            assert_eq!(text, format!("READY=1\nMAINPID={}\nSTATUS=it answers\n", std::process::id()));
        }
        assert!(Notifier::of(&BTreeMap::new()).is_none());
    }

    #[test]
    fn only_the_process_that_is_watched_must_say_that_it_lives() {
        let said = |pid: &str, micros: &str| {
            let text = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            watchdog(&[("WATCHDOG_PID", pid), ("WATCHDOG_USEC", micros)].map(text).into(), 7)
        };
        assert_eq!(said("7", "3000000"), Some(Duration::from_secs(3)));
        assert_eq!((said("8", "3000000"), said("7", "0"), said("7", "x")), (None, None, None));
    }
}
