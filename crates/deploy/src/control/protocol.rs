//! The agent's control protocol: one JSON line asked, one JSON line answered, over a Unix socket of mode 0600.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::error::{Error, Kind, reason};

/// No line of the protocol is longer, in bytes.
const LINE_LIMIT: u64 = 64 * 1024;

/// What the agent is asked to do. Each may be asked again: the answer is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// Say how things are.
    Status,
    /// Supervise this server; answered when its process has been started.
    StartServer(ServerSpec),
    /// Stop the server; answered when its process group is gone.
    StopServer,
    /// Answer there; answered when the address is bound.
    OpenEdge(EdgeSpec),
    /// Let requests in flight finish, then stop answering.
    CloseEdge,
    /// Close the edge, stop the server, end.
    Stop,
}

/// Which server to run, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSpec {
    /// The release directory.
    pub release: PathBuf,
    /// The system user it runs as; `None` keeps the agent's.
    pub user: Option<String>,
    /// The loopback address it listens on.
    pub listen: SocketAddr,
    /// Variables that go before its config.json: none, but for the moment in which the first accounts are made.
    #[serde(default)]
    pub overrides: BTreeMap<String, String>,
}

/// Where the edge answers, and what stands in front of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeSpec {
    /// Where people, or their load balancer, connect.
    pub listen: SocketAddr,
    /// Whether people say `https`: TLS ends in front of the edge then.
    pub https: bool,
    /// The networks of load balancers that are believed.
    pub proxies: Vec<String>,
}

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's process id.
    pub agent_pid: u32,
    /// When the agent started, in ms since the epoch.
    pub since: i64,
    /// The server that is supervised, if any.
    pub server: Option<ServerStatus>,
    /// The edge, if it is open.
    pub edge: Option<EdgeStatus>,
}

/// How the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// What it was started as.
    pub spec: ServerSpec,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// How often it had to be started again.
    pub restarts: u64,
    /// Its last end, in words, if it is not running.
    pub last_exit: Option<String>,
}

/// How the edge is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeStatus {
    /// What it was opened as.
    #[serde(flatten)]
    pub spec: EdgeSpec,
    /// Open connections.
    pub connections: u64,
    /// Open websockets, a part of the connections.
    pub websockets: u64,
    /// Requests since it opened.
    pub requests: u64,
    /// Requests that the server did not answer.
    pub upstream_errors: u64,
}

/// What the agent says: the state after what was asked, or why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// Done; this is how things are now.
    Done(Box<Status>),
    /// Not done.
    Refused {
        /// What was not expected.
        what: String,
        /// What to do next.
        hint: Option<String>,
    },
}

/// Speaks to the agent of a deployment.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client for the agent that listens at `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// How things are, or `None` when no agent runs.
    ///
    /// # Errors
    /// The socket is there but its agent does not answer.
    pub(crate) async fn status(&self) -> Result<Option<Status>, Error> {
        match self.connect().await {
            Ok(stream) => self.exchange(stream, &Ask::Status, Duration::from_secs(5)).await.map(Some),
            Err(error) if is_away(&error) => Ok(None),
            Err(error) => Err(Error::path("connect to", &self.socket, &error)),
        }
    }

    /// Asks, and waits at most `patience`.
    ///
    /// # Errors
    /// No agent runs, it does not answer in time, or it refuses.
    pub(crate) async fn ask(&self, ask: &Ask, patience: Duration) -> Result<Status, Error> {
        match self.connect().await {
            Ok(stream) => self.exchange(stream, ask, patience).await,
            Err(error) if is_away(&error) => {
                Err(Error::not_ready("no agent runs here").hint("start it with `mainstay up`"))
            }
            Err(error) => Err(Error::path("connect to", &self.socket, &error)),
        }
    }

    async fn connect(&self) -> std::io::Result<UnixStream> {
        let short = ShortPath::of(&self.socket)?;
        UnixStream::connect(short.path()).await
    }

    async fn exchange(&self, stream: UnixStream, ask: &Ask, patience: Duration) -> Result<Status, Error> {
        let answer = tokio::time::timeout(patience, exchange(stream, ask))
            .await
            .map_err(|_| {
                Error::not_ready(format!("the agent did not answer within {} s", patience.as_secs()))
            })?
            .map_err(|error| Error::not_ready(format!("the agent hung up: {}", reason(&error))))?;
        match answer {
            Answer::Done(status) => Ok(*status),
            Answer::Refused { what, hint } => Err(Error { kind: Kind::NotReady, what, hint, detail: None }),
        }
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

/// Nobody listens: the socket is absent, or its agent has died.
fn is_away(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::NotFound | K::ConnectionRefused)
}

async fn exchange(mut stream: UnixStream, ask: &Ask) -> std::io::Result<Answer> {
    write_line(&mut stream, ask).await?;
    read_line(&mut stream).await?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
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
