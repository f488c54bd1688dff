//! What the tests of dumps share.

use std::io::{Read as _, Write as _};
use std::path::Path;

use database::dump::{self, Content, Dump, Error, Rows, Stream};
use dsn::{DataSource, Server};

use crate::dump::means;

/// The stream of a dump.
pub(crate) fn stream(dump: Dump) -> Stream {
    match dump.content {
        Content::Stream(stream) => *stream,
        Content::File(copy) => panic!("a file: {}", copy.path().display()),
    }
}

/// Reads a dump to its end, on a thread of its own.
pub(crate) async fn read(dump: Dump) -> (String, Result<Rows, Error>) {
    let mut stream = stream(dump);
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        (String::from_utf8(text).unwrap(), stream.finish())
    });
    reading.await.unwrap()
}

/// The dump of a server, from its beginning to its end.
pub(crate) async fn dumped(server: &Server, scratch: &Path) -> (String, Result<Rows, Error>) {
    read(dump::begin(&DataSource::Server(server.clone()), &means(scratch)).await.unwrap()).await
}

/// Loads a text, on a thread of its own.
pub(crate) async fn loaded(server: &Server, scratch: &Path, text: String) -> Result<Rows, Error> {
    let mut load = dump::load(server, &means(scratch)).await?;
    let writing = tokio::task::spawn_blocking(move || {
        // What the program said is told at the end.
        let _ = load.write_all(text.as_bytes());
        load.finish()
    });
    writing.await.unwrap()
}

/// Whether nothing is left in a directory.
pub(crate) fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}
