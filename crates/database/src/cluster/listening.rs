//! Whether a PostgreSQL takes connections.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Asks whether TLS can be had. It is answered before any login, and leaves no line in PostgreSQL's log.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Whether the PostgreSQL whose socket is in the directory takes connections: it may still be starting, and take no logins yet.
pub async fn listens(directory: &Path, limit: Duration) -> bool {
    let asked = async {
        let mut stream = UnixStream::connect(directory.join(".s.PGSQL.5432")).await?;
        stream.write_all(&TLS_REQUEST).await?;
        stream.read_u8().await
    };
    matches!(tokio::time::timeout(limit, asked).await, Ok(Ok(_)))
}
