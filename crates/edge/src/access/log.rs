//! Takes the lines out of the workers' books and hands them to `tracing`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::digest::{Digest, Said};
use super::entry::{Book, Line};
use crate::headers::LONGEST_METHOD;

/// How often.
const PERIOD: Duration = Duration::from_millis(250);

/// The access log of one edge.
#[derive(Debug)]
pub(crate) struct Log {
    books: Vec<Arc<Book>>,
    digest: Digest,
}

impl Log {
    pub(crate) fn of(books: Vec<Arc<Book>>) -> Log {
        Log { books, digest: Digest::new(Instant::now()) }
    }

    /// Writes until `end`, and then what is left.
    pub(crate) async fn keep(mut self, end: CancellationToken) {
        while end.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
            self.write();
        }
        self.write();
        for said in self.digest.end_window(Instant::now()) {
            say(&said);
        }
    }

    fn write(&mut self) {
        let (mut lines, mut lost) = (Vec::new(), 0);
        for book in &self.books {
            let (more, more_lost) = book.take();
            lines.extend(more);
            lost += more_lost;
        }
        lines.sort_by_key(|line| line.ended);
        for said in self.digest.take(lines, lost, Instant::now()) {
            say(&said);
        }
    }
}

fn say(said: &Said) {
    match said {
        Said::Request(line) => request(line),
        Said::More { client, count, last } => {
            let client = client.map(|client| client.to_canonical().to_string());
            let client = client.as_deref().unwrap_or("several clients");
            let (status, last) = last.as_ref().map_or((0, String::new()), |line| (line.status, target(line)));
            if status >= 400 || last.is_empty() {
                tracing::warn!(target: "edge::access", client, count, status, last, "more requests");
            } else {
                tracing::info!(target: "edge::access", client, count, status, last, "more requests");
            }
        }
    }
}

fn request(line: &Line) {
    let Line { status, bytes, ms, complete, .. } = *line;
    let client = line.client.to_canonical();
    let request = target(line);
    match status {
        500.. => {
            tracing::error!(target: "edge::access", %client, status, bytes, ms, complete, "{request}");
        }
        400.. => tracing::warn!(target: "edge::access", %client, status, bytes, ms, complete, "{request}"),
        _ => tracing::info!(target: "edge::access", %client, status, bytes, ms, complete, "{request}"),
    }
}

/// The method and the path.
fn target(line: &Line) -> String {
    match &line.method {
        // A method is a token, which has ASCII letters alone.
        Some(method) => {
            let name = method.as_str();
            format!("{} {}", name.get(..LONGEST_METHOD).unwrap_or(name), line.path.shown())
        }
        None => "no request was read".to_owned(),
    }
}
