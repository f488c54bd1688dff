//! How a container of the image is run: the image's configuration document.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::digest::Digest;
use crate::entry::Owner;
use crate::error::OciError;
use crate::program::{self, Architecture};
use crate::stack::Stack;

/// How a container of the image is run. Sets and maps are sorted, so that the same image has the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// The processor that it is built for.
    pub architecture: Architecture,
    /// The program that is always run, with its first arguments.
    pub entrypoint: Vec<String>,
    /// The further arguments, unless `docker run` gives others.
    pub cmd: Vec<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Ports that it listens on.
    pub exposed_ports: BTreeSet<(u16, Protocol)>,
    /// Directories that hold data. The layers must have them, with the owner that will write there.
    pub volumes: BTreeSet<String>,
    /// The user that runs it.
    pub user: Owner,
    /// The working directory.
    pub workdir: String,
    /// Labels: `org.opencontainers.image.version` and the like.
    pub labels: BTreeMap<String, String>,
    /// The name of the signal that stops it: `SIGTERM`.
    pub stop_signal: Option<String>,
    /// How Docker checks that it works. Other runtimes ignore this.
    pub healthcheck: Option<Healthcheck>,
    /// When it was built, in seconds since the epoch. Leave it 0 for reproducible images.
    pub created: i64,
}

/// The protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A command that Docker runs in the container; exit code 0 means healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// Program and arguments. It is not run by a shell: there may be none.
    pub command: Vec<String>,
    /// Time between two checks.
    pub interval: Duration,
    /// How long a check may take.
    pub timeout: Duration,
    /// Time after the start in which failures do not count.
    pub start_period: Duration,
    /// Number of consecutive failures after which the container is unhealthy.
    pub retries: u32,
}

impl Default for ImageSpec {
    fn default() -> Self {
        Self {
            architecture: Architecture::NATIVE,
            entrypoint: Vec::new(),
            cmd: Vec::new(),
            env: BTreeMap::new(),
            exposed_ports: BTreeSet::new(),
            volumes: BTreeSet::new(),
            user: Owner::ROOT,
            workdir: "/".to_owned(),
            labels: BTreeMap::new(),
            stop_signal: None,
            healthcheck: None,
            created: 0,
        }
    }
}

impl ImageSpec {
    /// Refuses values that a runtime would refuse or misread, and an image that cannot start.
    pub(crate) fn check(&self, stack: &Stack<'_>) -> Result<(), OciError> {
        let refuse = |field, given: &str, why: &str| {
            Err(OciError::Spec { field, given: given.to_owned(), why: why.to_owned() })
        };
        let Some(program) = self.entrypoint.first().or(self.cmd.first()) else {
            return refuse("entrypoint", "", "neither entrypoint nor cmd says what to run");
        };
        program::check(program, self.architecture, stack)?;
        for name in self.env.keys() {
            if name.is_empty() || name.contains(['=', '\0']) {
                return refuse("env", name, "a variable's name must not be empty or contain =");
            }
        }
        if self.exposed_ports.iter().any(|(port, _)| *port == 0) {
            return refuse("port", "0", "a port is a number from 1 to 65535");
        }
        for volume in &self.volumes {
            if !stack.is_directory(volume) {
                let why = "no layer has this directory, so the runtime would create it for root only; \
                           add it with the owner that will write there";
                return refuse("volume", volume, why);
            }
        }
        if !self.workdir.starts_with('/') {
            return refuse("workdir", &self.workdir, "it must begin with /");
        }
        if self.labels.keys().any(String::is_empty) {
            return refuse("label", "", "a label must have a name");
        }
        if let Some(signal) = &self.stop_signal {
            let letters = signal.strip_prefix("SIG").unwrap_or_default();
            if letters.is_empty() || !letters.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()) {
                return refuse("stop signal", signal, "it must be the name of a signal, for example SIGTERM");
            }
        }
        if self.healthcheck.as_ref().is_some_and(|check| check.command.is_empty()) {
            return refuse("healthcheck", "", "its command must not be empty");
        }
        self.created().map(drop)
    }

    /// The configuration document of an image with layers of these digests.
    pub(crate) fn document(&self, diff_ids: &[Digest]) -> Result<Vec<u8>, OciError> {
        let created = self.created()?;
        let history = diff_ids.iter().map(|_| History { created: created.clone(), created_by: "mainstay" });
        let list = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
        let document = Document {
            created: created.clone(),
            architecture: self.architecture,
            os: "linux",
            config: Config {
                user: format!("{}:{}", self.user.uid, self.user.gid),
                exposed_ports: self.exposed_ports.iter().map(|port| (port_name(*port), Empty {})).collect(),
                env: self.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
                entrypoint: list(&self.entrypoint),
                cmd: list(&self.cmd),
                volumes: self.volumes.iter().map(|path| (path.clone(), Empty {})).collect(),
                working_dir: self.workdir.clone(),
                labels: self.labels.clone(),
                stop_signal: self.stop_signal.clone(),
                healthcheck: self.healthcheck.as_ref().map(Test::from),
            },
            rootfs: RootFs { kind: "layers", diff_ids: diff_ids.to_vec() },
            history: history.collect(),
        };
        serde_json::to_vec(&document).map_err(|e| OciError::Spec {
            field: "configuration",
            given: String::new(),
            why: e.to_string(),
        })
    }

    fn created(&self) -> Result<String, OciError> {
        let time = Timestamp::from_second(self.created).map_err(|_| OciError::Spec {
            field: "creation time",
            given: self.created.to_string(),
            why: "it must be in seconds since 1970, before the year 10000".to_owned(),
        })?;
        Ok(time.to_string())
    }
}

fn port_name((port, protocol): (u16, Protocol)) -> String {
    match protocol {
        Protocol::Tcp => format!("{port}/tcp"),
        Protocol::Udp => format!("{port}/udp"),
    }
}

/// The document that the OCI image specification's `config.md` describes, with Docker's health check.
#[derive(Serialize)]
struct Document {
    created: String,
    architecture: Architecture,
    os: &'static str,
    config: Config,
    rootfs: RootFs,
    history: Vec<History>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    user: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: BTreeMap<String, Empty>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    volumes: BTreeMap<String, Empty>,
    working_dir: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Test>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<Digest>,
}

#[derive(Serialize)]
struct History {
    created: String,
    created_by: &'static str,
}

/// Docker's form: `CMD` before the command, times in nanoseconds.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Test {
    test: Vec<String>,
    interval: u64,
    timeout: u64,
    start_period: u64,
    retries: u32,
}

impl From<&Healthcheck> for Test {
    fn from(check: &Healthcheck) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX >> 1);
        Self {
            test: std::iter::once("CMD".to_owned()).chain(check.command.iter().cloned()).collect(),
            interval: nanoseconds(check.interval),
            timeout: nanoseconds(check.timeout),
            start_period: nanoseconds(check.start_period),
            retries: check.retries,
        }
    }
}
