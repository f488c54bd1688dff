//! Passwords for client programs: in files that nobody else may read, never among arguments.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use dsn::Server;
use secrecy::ExposeSecret as _;

use super::{Error, Scratch};

/// libpq's file of passwords with the one of this server, if there is one.
pub(super) fn pgpass(server: &Server, scratch: &Path) -> Result<Option<Scratch>, Error> {
    if !server.has_password() {
        return Ok(None);
    }
    let password = server.password.expose_secret();
    let escaped = password.replace('\\', "\\\\").replace(':', "\\:");
    write(scratch, "pgpass", &format!("*:*:*:*:{escaped}\n")).map(Some)
}

/// Writes a file in `scratch` that is removed with the value.
pub(super) fn write(scratch: &Path, name: &str, content: &str) -> Result<Scratch, Error> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = scratch.join(format!("{name}-{}-{number}", std::process::id()));
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = opened.map_err(|error| Error::file("write", &path, &error))?;
    let scratch = Scratch(path);
    file.write_all(content.as_bytes()).map_err(|error| Error::file("write", &scratch.0, &error))?;
    Ok(scratch)
}
