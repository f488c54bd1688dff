//! Where the server listens for its clients' requests.
//!
//! **Who is believed about a client's address.** Only the edge knows it, and says it in `X-Real-IP`. Every local user can connect
//! to a TCP port, on loopback too, and send that header: it would lock accounts for addresses of others and put them into the
//! log. So it counts on a Unix socket alone, which only the server's user and root can open; on TCP the client is who connects.
//!
//! Rejected: a secret that the edge sends with each request, which costs both sides work for each one and leaves the port open to
//! whoever wants to go around the edge and its limits.

use std::path::Path;

use tokio::net::{TcpListener, UnixListener};

use crate::config::Config;
use crate::failure::ServerError;
use crate::socket_file::{self, SocketFile};

/// Connections that may wait until they are accepted: what the system allows by default. Many clients connect at once after a
/// restart.
const QUEUE: u32 = 4096;

const KEY: &str = "ServiceSettings.ListenAddress";

/// The socket on which clients' requests arrive.
#[derive(Debug)]
pub struct Front(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    /// Anybody may connect, and says nothing that is believed.
    Open(TcpListener),
    /// The edge alone connects.
    BehindEdge(UnixListener, SocketFile),
}

impl From<TcpListener> for Front {
    fn from(listener: TcpListener) -> Front {
        Front(Kind::Open(listener))
    }
}

impl Front {
    /// Listens at `ServiceSettings.ListenAddress`: an address with a port, or the absolute path of a Unix socket.
    pub async fn listen(config: &Config) -> Result<Front, ServerError> {
        let address = config.listen_address();
        if !address.starts_with('/') {
            return match TcpListener::bind(&address).await {
                Ok(listener) => Ok(listener.into()),
                Err(error) => {
                    let reason = error.to_string();
                    Err(ServerError::Front { address, reason, hint: String::new() })
                }
            };
        }
        match socket_file::open(Path::new(&address), KEY, QUEUE) {
            Ok((listener, file)) => Ok(Front(Kind::BehindEdge(listener, file))),
            Err(refusal) => {
                let hint = format!(". {}", refusal.hint);
                Err(ServerError::Front { address, reason: refusal.reason, hint })
            }
        }
    }
}
