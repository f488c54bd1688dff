//! The way to the agent of a deployment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::first::{FirstAsk, FirstStatus};
use super::presence;
use super::protocol::{Answer, Ask, Status};
use crate::error::{Error, reason};
use crate::place::layout::Layout;

/// No line of the protocol is longer, in bytes.
const LINE_LIMIT: u64 = 64 * 1024;

/// How long an agent may take to answer what it has at hand.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);

/// How long an agent that runs without its socket may take to open it again: it looks every second.
const OPENING: Duration = Duration::from_secs(5);

/// Speaks to the agent of a deployment.
#[derive(Debug, Clone)]
pub struct Client {
    layout: Layout,
    socket: PathBuf,
}

impl Client {
    /// A client for the agent of this deployment.
    pub fn new(layout: Layout) -> Self {
        Self { socket: layout.socket(), layout }
    }

    /// The agent and what it runs, or `None` when no agent runs. An agent whose socket was deleted opens it again: that is waited for.
    ///
    /// # Errors
    /// The agent is there and does not answer.
    pub(crate) async fn status(&self) -> Result<Option<Status>, Error> {
        let deadline = tokio::time::Instant::now() + OPENING;
        loop {
            if let Some(status) = self.ask_status().await? {
                return Ok(Some(status));
            }
            let Some(pid) = presence::process(&self.layout) else { return Ok(None) };
            // One that was moved away does not make it again under the new name.
            if tokio::time::Instant::now() > deadline || presence::moved(&self.layout).is_some() {
                let socket = self.socket.display();
                return Err(Error::not_ready(format!(
                    "the agent (process {pid}) does not listen at {socket}"
                ))
                .hint("`mainstay down` ends it, and `mainstay up` starts everything again"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `None` where nobody listens at the socket.
    async fn ask_status(&self) -> Result<Option<Status>, Error> {
        match self.connect().await {
            Ok(stream) => match self.exchange(stream, &Ask::Status, STATUS_PATIENCE).await {
                Ok(status) => Ok(Some(status)),
                // It may have ended between: then it takes no second connection.
                Err(error) => match self.connect().await {
                    Err(away) if is_away(&away) => Ok(None),
                    _ => Err(error),
                },
            },
            Err(error) if is_away(&error) => Ok(None),
            Err(error) => Err(Error::path("connect to", &self.socket, &error)),
        }
    }

    /// Asks, and waits at most `patience`.
    ///
    /// # Errors
    /// No agent runs, it does not answer in time, or it refuses: with the kind and the hint of its refusal.
    pub(crate) async fn ask(&self, ask: &Ask, patience: Duration) -> Result<Status, Error> {
        let away = || Error::not_ready("no agent runs here").hint("start it with `mainstay up`");
        let status = self.status().await?.ok_or_else(away)?;
        match (status.protocol, FirstAsk::of(ask), self.connect().await) {
            (_, _, Err(error)) if is_away(&error) => Err(away()),
            (_, _, Err(error)) => Err(Error::path("connect to", &self.socket, &error)),
            (1, Some(ask), Ok(stream)) => self.exchange(stream, &ask, patience).await,
            (1, None, Ok(_)) => {
                Err(Error::not_ready("the agent is of an early Mainstay, which can only be stopped")
                    .hint("`mainstay up` replaces it"))
            }
            (_, _, Ok(stream)) => self.exchange(stream, ask, patience).await,
        }
    }

    async fn connect(&self) -> std::io::Result<UnixStream> {
        let short = ShortPath::of(&self.socket)?;
        UnixStream::connect(short.path()).await
    }

    async fn exchange<A: Serialize + Sync>(
        &self,
        stream: UnixStream,
        ask: &A,
        patience: Duration,
    ) -> Result<Status, Error> {
        let answer = tokio::time::timeout(patience, exchange(stream, ask))
            .await
            .map_err(|_| {
                Error::not_ready(format!("the agent did not answer within {} s", patience.as_secs()))
                    .hint("`mainstay down` ends it, and `mainstay up` starts everything again")
            })?
            .map_err(|error| Error::not_ready(format!("the agent hung up: {}", reason(&error))))?;
        match answer {
            Answer::Done(status) => Ok(*status),
            Answer::Refused(refusal) => Err(refusal.into()),
        }
    }
}

/// Reads an answer of this protocol or of the first.
pub(super) fn answer(line: Value) -> serde_json::Result<Answer> {
    #[derive(Deserialize)]
    struct First {
        done: FirstStatus,
    }
    match line.get("done") {
        Some(status) if status.get("protocol").is_none() => {
            let First { done } = First::deserialize(line)?;
            Ok(Answer::Done(Box::new(done.into())))
        }
        _ => Answer::deserialize(line),
    }
}

/// A socket path that fits the 107 bytes the kernel allows: a long one is reached through its open directory.
pub(crate) struct ShortPath {
    path: PathBuf,
    _directory: Option<std::fs::File>,
}

impl ShortPath {
    pub(crate) fn of(socket: &Path) -> std::io::Result<Self> {
        use std::os::fd::AsRawFd as _;
        const LONGEST: usize = 107;
        let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Ok(Self { path: socket.to_owned(), _directory: None });
        };
        if socket.as_os_str().len() <= LONGEST {
            return Ok(Self { path: socket.to_owned(), _directory: None });
        }
        let directory = std::fs::File::open(directory)?;
        let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _directory: Some(directory) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// No process listens: the socket is absent, or its agent has died.
fn is_away(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::NotFound | K::NotADirectory | K::ConnectionRefused)
}

async fn exchange<A: Serialize + Sync>(mut stream: UnixStream, ask: &A) -> std::io::Result<Answer> {
    write_line(&mut stream, ask).await?;
    let line = read_line(&mut stream).await?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok(answer(line)?)
}

pub(crate) async fn write_line<T: Serialize + Sync>(
    stream: &mut UnixStream,
    value: &T,
) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

pub(crate) async fn read_line<T: for<'a> Deserialize<'a>>(
    stream: &mut UnixStream,
) -> std::io::Result<Option<T>> {
    let mut line = Vec::new();
    BufReader::new(stream).take(LINE_LIMIT).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&line).map(Some).map_err(Into::into)
}
