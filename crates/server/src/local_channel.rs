//! The local channel: the administrator API on a Unix socket (`ServiceSettings.EnableLocalMode`). Its requests need no
//! authentication, so only who may open the [socket's file](crate::socket_file) can send any.

use std::path::Path;

use tokio::net::UnixListener;

use crate::config::Service;
use crate::failure::ServerError;
use crate::socket_file::{self, SocketFile};

/// Connections that may wait until they are accepted.
const QUEUE: u32 = 128;

const KEY: &str = "ServiceSettings.LocalModeSocketLocation";

/// The socket, and its file, which is removed at the end.
pub(crate) struct LocalChannel {
    pub(crate) listener: UnixListener,
    pub(crate) file: SocketFile,
}

/// Opens the socket; `None` if the local channel is off.
pub(crate) fn open(settings: &Service) -> Result<Option<LocalChannel>, ServerError> {
    if !settings.enable_local_mode {
        return Ok(None);
    }
    let path = Path::new(&settings.local_mode_socket_location);
    let refused = |reason, hint| ServerError::LocalChannel { path: path.to_owned(), reason, hint };
    if path.as_os_str().is_empty() {
        let hint = "Name a file, or set EnableLocalMode to false".to_owned();
        return Err(refused(format!("{KEY} is empty"), hint));
    }
    let (listener, file) =
        socket_file::open(path, KEY, QUEUE).map_err(|refusal| refused(refusal.reason, refusal.hint))?;
    Ok(Some(LocalChannel { listener, file }))
}
