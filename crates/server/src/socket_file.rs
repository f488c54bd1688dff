//! The file of a Unix socket that the server listens on.
//!
//! Its mode is the protection: 0600 before it accepts the first connection, owned by the server's user. A file left by a server
//! that was killed is replaced. A socket that answers, and anything that is not a socket, is refused and stays: the official
//! server removes whatever has that name.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket};

/// The longest address of a Unix socket, in bytes: Linux keeps 108, and the last one ends the text.
const LONGEST: usize = 107;

/// The socket's file, which is removed at the end.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode: a server that started later may have replaced the file.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| identity(&file) == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a socket's file was not removed");
        }
    }
}

/// Why a socket was not opened.
pub(crate) struct Refusal {
    /// What is in the way.
    pub(crate) reason: String,
    /// What to do next.
    pub(crate) hint: String,
}

/// Opens the socket that the setting `key` names; `queue` connections may wait until they are accepted.
pub(crate) fn open(path: &Path, key: &str, queue: u32) -> Result<(UnixListener, SocketFile), Refusal> {
    let refuse = |reason: String, hint: &str| Refusal { reason, hint: hint.to_owned() };
    let length = path.as_os_str().len();
    if length > LONGEST {
        let reason = format!("its path has {length} bytes, but a Unix socket's has at most {LONGEST}");
        return Err(refuse(reason, &format!("Name a shorter one in {key}")));
    }
    make_way(path).map_err(|obstacle| match obstacle {
        Obstacle::Alive => refuse(
            "another server answers on it".to_owned(),
            &format!("Stop that server, or name another socket in {key}"),
        ),
        Obstacle::NoSocket => refuse(
            "it exists and is not a socket".to_owned(),
            &format!("Move it away, or name another file in {key}"),
        ),
        Obstacle::Failed(error) => refuse(error.to_string(), hint(&error)),
    })?;
    listen(path, queue).map_err(|error| refuse(error.to_string(), hint(&error)))
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "Create its directory, and give it to the server's user",
        _ => "Give its directory to the server's user, and check that the disk is not full",
    }
}

/// What is in the way of a new socket.
enum Obstacle {
    Alive,
    NoSocket,
    Failed(io::Error),
}

/// Removes the socket of a server that has ended.
fn make_way(path: &Path) -> Result<(), Obstacle> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Obstacle::Failed(error)),
        Ok(file) if !file.file_type().is_socket() => return Err(Obstacle::NoSocket),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Obstacle::Alive),
        // Nobody listens any more.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(Obstacle::Failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Its queue is full: a server that hangs is still a server.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Obstacle::Alive),
        Err(error) => Err(Obstacle::Failed(error)),
    }
}

/// Binds the socket. No connection is possible before its mode is set, because nothing listens yet.
fn listen(path: &Path, queue: u32) -> io::Result<(UnixListener, SocketFile)> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(&fs::symlink_metadata(path)?) };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok((socket.listen(queue)?, file))
}

fn identity(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
