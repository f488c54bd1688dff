//! The agent's protocol, version 2: one JSON line asked, one JSON line answered, over a Unix socket of mode 0600.
//!
//! Programs of different versions speak it with each other, so a message that was ever sent is read for ever: each has a golden
//! file in `tests/golden/agent`. A field that is added has a default; what is not understood is refused. docs/design/agent.md.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use edge::UpstreamAddress;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::app::AppSpec;
use crate::error::{Error, Exit};

/// The version of this protocol.
pub(crate) const PROTOCOL: u32 = 2;

/// The part that is the Mattermost server.
pub(crate) const SERVER: &str = "server";

/// The part that is the managed database.
pub(crate) const DATABASE: &str = "database";

/// The part that is the edge.
pub(crate) const EDGE: &str = "edge";

/// What the agent is asked to do. Each may be asked again: the answer is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// Report what runs.
    Status,
    /// Run a part; a part of that name that runs with another spec is replaced. Answered when the process has been started, or
    /// the address is bound.
    Start {
        /// What the part is called.
        part: String,
        /// What it is.
        spec: PartSpec,
    },
    /// Stop a part; answered when its processes and connections are gone.
    Stop {
        /// What the part is called.
        part: String,
    },
    /// Stop every part, the last started first, and end.
    ShutDown,
    /// Replace the schedule.
    Schedule {
        /// Every entry that there shall be.
        entries: Vec<ScheduleEntry>,
    },
    /// Let requests wait at every edge, but for those with the pass that the deployment's directory has; or let them through.
    Hold {
        /// Whether they wait.
        on: bool,
    },
    /// Become this program, which goes on with every part. Answered by the new program.
    HandOver {
        /// The absolute path of a newer `mainstay`.
        program: PathBuf,
        /// Whether it may be an older one: the way back of an update.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        older: bool,
    },
}

impl Ask {
    /// Run this server.
    pub(crate) fn start_server(spec: ServerSpec) -> Self {
        Self::Start { part: SERVER.to_owned(), spec: PartSpec::Server(spec) }
    }

    /// Run the managed PostgreSQL.
    pub(crate) fn start_postgres(spec: PostgresSpec) -> Self {
        Self::Start { part: DATABASE.to_owned(), spec: PartSpec::Postgres(spec) }
    }

    /// Open this edge, or change the open one to it.
    pub(crate) fn open_edge(spec: EdgeSpec) -> Self {
        Self::Start { part: EDGE.to_owned(), spec: PartSpec::Edge(spec) }
    }

    /// Stop a part.
    pub(crate) fn stop(part: &str) -> Self {
        Self::Stop { part: part.to_owned() }
    }
}

/// What a part is. The agent starts, watches and stops it by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PartSpec {
    /// A supervised Mattermost server.
    Server(ServerSpec),
    /// The HTTP proxy in front of it.
    Edge(EdgeSpec),
    /// A supervised app.
    App(AppSpec),
    /// The PostgreSQL in the deployment's directory.
    Postgres(PostgresSpec),
}

impl PartSpec {
    /// What needs others comes after them: parts are started in this order and stopped in the reverse one.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Postgres(_) => 0,
            Self::Server(_) => 1,
            Self::App(_) => 2,
            Self::Edge(_) => 3,
        }
    }
}

/// How the managed PostgreSQL runs. Where its data and its programs are follows from the deployment's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresSpec {
    /// The system user that it runs as; `None` keeps the agent's.
    pub user: Option<String>,
    /// The server's system user, whose group may enter the socket's directory.
    pub reader: Option<String>,
}

/// Which server to run, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSpec {
    /// The release directory.
    pub release: PathBuf,
    /// The system user it runs as; `None` keeps the agent's.
    pub user: Option<String>,
    /// The loopback address it listens on, unless it has a socket. Agents from before there were sockets use this one.
    pub listen: SocketAddr,
    /// The Unix socket it listens on instead: nobody but the edge and Mainstay reaches it there. `None` for releases that cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// Variables that go before its config.json: none, but for the moment in which the first accounts are made.
    #[serde(default)]
    pub overrides: BTreeMap<String, String>,
    /// The path of the site URL, below which the server answers: `/chat`; empty for a site at `/`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}

impl ServerSpec {
    /// Where it listens.
    pub fn upstream(&self) -> UpstreamAddress {
        self.socket.clone().map_or_else(|| self.listen.into(), Into::into)
    }

    /// The server's address for an HTTP client that [connects there](ServerSpec::upstream), without a slash at its end.
    pub(crate) fn base(&self) -> String {
        format!("http://{}{}", self.listen, self.path)
    }
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
    /// The networks that many people share: no limit for one address holds there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<String>,
    /// The users of this machine whose programs may be such a load balancer, by name, or `everybody`; `None`: those of services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_users: Option<Vec<String>>,
    /// How many seconds a request waits in a hold at most; `None`: the edge's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<u64>,
}

/// The agent and what it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's process id. It stays when the agent hands over.
    pub agent_pid: u32,
    /// When the agent's program started, in ms since the epoch.
    pub since: i64,
    /// The version of the agent's program; `None` with protocol 1, which does not tell it.
    pub version: Option<String>,
    /// Which build of that version it is, as [`host::build::id`] says; `None` with agents that do not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The version of the protocol that the agent speaks.
    pub protocol: u32,
    /// Whether requests wait at the edges.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds: bool,
    /// What begins by itself, and how it went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<Scheduled>,
    /// The parts that run, by name. What a newer agent says besides is left out.
    #[serde(flatten, deserialize_with = "known_parts")]
    pub parts: BTreeMap<String, PartStatus>,
}

/// The parts among what is said, each of a kind that this program knows.
fn known_parts<'de, D: Deserializer<'de>>(all: D) -> Result<BTreeMap<String, PartStatus>, D::Error> {
    let all = BTreeMap::<String, Value>::deserialize(all)?;
    Ok(all.into_iter().filter_map(|(name, part)| Some((name, PartStatus::deserialize(part).ok()?))).collect())
}

/// How a part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PartStatus {
    /// A supervised server.
    Server(ServerStatus),
    /// The edge.
    Edge(EdgeStatus),
    /// A supervised app.
    App(AppStatus),
    /// The managed PostgreSQL.
    Postgres(PostgresStatus),
}

/// How the managed PostgreSQL is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresStatus {
    /// What it was started as.
    pub spec: PostgresSpec,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// How often it had to be started again.
    pub restarts: u64,
    /// Its last end, in words, if it is not running.
    pub last_exit: Option<String>,
    /// The last end that nobody asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_restart: Option<LastRestart>,
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
    /// The last end that nobody asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_restart: Option<LastRestart>,
}

/// Why a part had to be started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRestart {
    /// When it ended, in ms since the epoch.
    pub at: i64,
    /// How it ended, in words that complete "the server ...".
    pub why: String,
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
    /// Requests since it opened, or since the agent handed over.
    pub requests: u64,
    /// Requests that the server did not answer.
    pub upstream_errors: u64,
}

/// How an app is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStatus {
    /// What it was started as.
    pub spec: AppSpec,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// How often it had to be started again.
    pub restarts: u64,
    /// Its last end, in words, if it is not running.
    pub last_exit: Option<String>,
    /// The last end that nobody asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_restart: Option<LastRestart>,
}

/// An operation that the agent begins by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleEntry {
    /// What it is called.
    pub name: String,
    /// When: a cron expression of five fields, in the machine's time.
    pub cron: String,
    /// How many seconds after that at most; always the same within it.
    #[serde(default)]
    pub jitter: u32,
    /// Whether one run makes up for those that were missed.
    #[serde(default)]
    pub catch_up: bool,
    /// The operation and its arguments, as on the command line.
    pub arguments: Vec<String>,
}

/// An entry of the schedule, and how it went. Times are in ms since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The entry.
    #[serde(flatten)]
    pub entry: ScheduleEntry,
    /// When the next run begins.
    pub next: Option<i64>,
    /// The last run that began.
    pub last: Option<LastRun>,
    /// Whether it still runs.
    pub running: bool,
    /// Runs that no agent was there to begin, since the entry was made.
    pub missed: u32,
    /// Runs left out because the one before was still running.
    pub skipped: u32,
}

/// A scheduled run. Times are in ms since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// When it was due.
    pub due: i64,
    /// When it began.
    pub started: i64,
    /// When it was seen to have ended.
    pub ended: Option<i64>,
    /// Its exit code; `None` while it runs, and where another agent began it.
    pub exit: Option<u8>,
    /// Why it could not begin.
    #[serde(default)]
    pub failure: Option<String>,
    /// What ran.
    pub arguments: Vec<String>,
}

/// What the agent says: the state after what was asked, or why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// Done; this is how things are now.
    Done(Box<Status>),
    /// Not done.
    Refused(Refusal),
}

/// Why the agent did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// What was not expected.
    what: String,
    /// What to do next.
    hint: Option<String>,
    /// The exit code of the command that asked.
    #[serde(default = "not_ready")]
    exit: u8,
}

fn not_ready() -> u8 {
    4
}

impl Status {
    /// The server, if it is supervised.
    pub fn server(&self) -> Option<&ServerStatus> {
        match self.parts.get(SERVER)? {
            PartStatus::Server(server) => Some(server),
            PartStatus::Edge(_) | PartStatus::App(_) | PartStatus::Postgres(_) => None,
        }
    }

    /// The managed database, if it is supervised.
    pub fn postgres(&self) -> Option<&PostgresStatus> {
        match self.parts.get(DATABASE)? {
            PartStatus::Postgres(postgres) => Some(postgres),
            PartStatus::Edge(_) | PartStatus::App(_) | PartStatus::Server(_) => None,
        }
    }

    /// The edge, if it is open.
    pub fn edge(&self) -> Option<&EdgeStatus> {
        match self.parts.get(EDGE)? {
            PartStatus::Edge(edge) => Some(edge),
            PartStatus::Server(_) | PartStatus::App(_) | PartStatus::Postgres(_) => None,
        }
    }

    /// The apps that it runs.
    pub fn apps(&self) -> impl Iterator<Item = &AppStatus> {
        self.parts.values().filter_map(|part| match part {
            PartStatus::App(app) => Some(app),
            PartStatus::Server(_) | PartStatus::Postgres(_) | PartStatus::Edge(_) => None,
        })
    }

    /// The app of this id, if it is supervised.
    pub(crate) fn app(&self, id: &str) -> Option<&AppStatus> {
        self.apps().find(|app| app.spec.app_id == id)
    }

    /// What runs, in the order in which it can be started.
    pub(crate) fn specs(&self) -> Vec<(String, PartSpec)> {
        let mut specs: Vec<_> =
            self.parts.iter().map(|(name, status)| (name.clone(), status.spec())).collect();
        specs.sort_by_key(|(_, spec)| spec.rank());
        specs
    }

    /// What begins by itself.
    pub(crate) fn scheduled(&self) -> Vec<ScheduleEntry> {
        self.schedule.iter().map(|scheduled| scheduled.entry.clone()).collect()
    }
}

/// The entries that `mainstay.toml` wants.
pub(crate) fn entries(wanted: &[settings::ScheduledOperation]) -> Vec<ScheduleEntry> {
    let entry = |wanted: &settings::ScheduledOperation| ScheduleEntry {
        name: wanted.operation.to_owned(),
        cron: wanted.cron.clone(),
        jitter: wanted.jitter,
        catch_up: wanted.catch_up,
        arguments: wanted.arguments(),
    };
    wanted.iter().map(entry).collect()
}

impl PartStatus {
    pub(crate) fn spec(&self) -> PartSpec {
        match self {
            Self::Server(server) => PartSpec::Server(server.spec.clone()),
            Self::Edge(edge) => PartSpec::Edge(edge.spec.clone()),
            Self::App(app) => PartSpec::App(app.spec.clone()),
            Self::Postgres(postgres) => PartSpec::Postgres(postgres.spec.clone()),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { exit: error.exit.code(), what: error.what, hint: error.hint.map(Into::into) }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        // A refusal that ends with 0 would be none.
        let exit = Exit::from_code(refusal.exit).filter(|exit| *exit != Exit::Done);
        Self {
            exit: exit.unwrap_or(Exit::NotReady),
            what: refusal.what,
            hint: refusal.hint.map(Into::into),
            detail: None,
        }
    }
}
