//! A local Lambda: each function of an app as processes on this machine, under AWS's Runtime API.
//!
//! # Promises
//! - AWS's own runtime clients run unchanged: `provided.*` bootstraps, Python and Node.js.
//! - A function is nobody: as root a user id of its own, otherwise Landlock keeps the user's files from it. It reads the system and its
//!   package, and writes in one directory.
//! - Whatever a function does, its call ends with an answer or a reason within the limits, and the next call has a process that works.
//! - What a function started ends with it.
//!
//! # Refuses
//! - Layers, extensions, telemetry, streamed answers.
//!
//! # Rejected designs
//! - One server for all processes: clients know an address and no path, so a process could not be told from another.
//! - `RLIMIT_AS` as the limit of memory: Node.js and Go reserve gigabytes that they never use.

mod api;
mod bounds;
mod failure;
mod instance;
mod limits;
mod log;
mod package;
mod place;
mod program;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use finding::Exit;
use host::guest::{MOST, Slot};
use host::{Shim, Spawner, User};
use tokio::sync::Semaphore;

pub use bounds::PAYLOAD_MAX;
pub use failure::Failure;
pub use log::Entry;
pub use place::AppDir;

use crate::event::{Request, Response};
use crate::file::{unread, unwritten};
use crate::{Error, Function, Manifest, names, route};
use instance::{Instance, Start};
use log::FunctionLog;
use program::{Kind, Program};

/// How long calls whose callers are gone may take to end, when the app stops.
const STOP_MAX: Duration = Duration::from_secs(5);

/// How an app is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where.
    pub dir: AppDir,
    /// Our own environment: `PATH` says where interpreters are.
    pub variables: BTreeMap<String, String>,
    /// What functions find in theirs.
    pub env: BTreeMap<String, String>,
    /// Bytes of memory that a process may use.
    pub memory: u64,
    /// How long a call may take.
    pub limit: Duration,
    /// How many calls one function answers at a time, each with a process of its own.
    pub concurrency: usize,
    /// How guests are started: [`Shim::guest`].
    pub shim: Shim,
}

/// A function, its package, and whether that is a `.jar`.
pub type Packaged = (Function, Vec<u8>, bool);

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// No function has a path that the call's path begins with.
    NoFunction,
    /// The call is larger than AWS allows.
    TooLarge,
    /// The function, by its name, and what happened.
    Failed(String, Failure),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoFunction => f.write_str("no function of the app answers this path"),
            Self::TooLarge => f.write_str("the call is larger than 6 MiB, AWS's limit"),
            Self::Failed(function, failure) => write!(f, "{function}: {failure}"),
        }
    }
}

impl std::error::Error for CallError {}

/// An app whose functions run here. [`Runtime::stop`] ends them; without it they end too, and nobody waits for it.
#[derive(Debug)]
pub struct Runtime {
    settings: Settings,
    functions: Vec<Function>,
    pools: Vec<Pool>,
    /// Every process has one, too.
    alive: Arc<()>,
    spawner: Spawner,
    _lock: place::Lock,
}

/// Whether every one of these functions could be run here, as far as its manifest tells.
///
/// # Errors
/// One of them could not; which, and why.
pub fn check(packages: &[crate::Package]) -> Result<(), Error> {
    if packages.len() > MOST as usize {
        return Err(too_many(packages.len()));
    }
    packages.iter().try_for_each(|package| program::kind(&package.function, package.is_jar).map(drop))
}

fn too_many(count: usize) -> Error {
    Error::new(Exit::Refused, format!("too many functions: {count}; {MOST} can run here"))
}

/// The processes of one function.
#[derive(Debug)]
struct Pool {
    program: Program,
    code: PathBuf,
    env: BTreeMap<String, String>,
    arn: String,
    log: Arc<FunctionLog>,
    room: Semaphore,
    idle: Mutex<Vec<Instance>>,
    started: AtomicU32,
}

impl Runtime {
    /// Unpacks the app into its directory. No function is started before its first call.
    ///
    /// # Errors
    /// The app runs already; a package cannot be unpacked or run here; the directory cannot be written.
    pub fn prepare(
        settings: Settings,
        manifest: &Manifest,
        manifest_bytes: &[u8],
        assets: impl Iterator<Item = Result<(String, Vec<u8>), Error>>,
        packages: impl Iterator<Item = Result<Packaged, Error>>,
    ) -> Result<Self, Error> {
        let not_ready = |why: String| Error::new(Exit::NotReady, why);
        let dir = &settings.dir;
        let lock = dir.take()?;
        dir.fill_bucket((&manifest.app_id, &manifest.version), manifest_bytes, assets)?;
        for (name, text) in [program::PYTHON_CLIENT, program::NODE_CLIENT] {
            let path = dir.clients().join(name);
            fs::write(&path, text)
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o644)))
                .map_err(|error| unwritten(&path, &error))?;
        }
        let user = match host::guest::user(0) {
            Some(user) => user,
            None => User::current().map_err(|error| not_ready(error.to_string()))?,
        };
        user.can_enter(&dir.clients())
            .map_err(|error| not_ready(format!("functions run as another user, and {error}")))?;
        let (mut functions, mut pools) = (Vec::new(), Vec::new());
        for (index, package) in packages.enumerate() {
            let (function, archive, is_jar) = package?;
            let kind = program::kind(&function, is_jar)?;
            pools.push(Pool::prepare(&settings, manifest, &function, &kind, &archive, index, &user)?);
            functions.push(function);
        }
        if pools.len() > MOST as usize {
            return Err(too_many(pools.len()));
        }
        let spawner = Spawner::start().map_err(|error| not_ready(format!("cannot start: {error}")))?;
        Ok(Self { settings, functions, pools, alive: Arc::default(), spawner, _lock: lock })
    }

    /// How the app is run.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its functions.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// Has the function that answers `path` answer a call: `body` is its JSON.
    ///
    /// # Errors
    /// There is no such function, or it does not answer.
    pub async fn call(&self, path: &str, body: &str) -> Result<Response, CallError> {
        let function = route(&self.functions, path).ok_or(CallError::NoFunction)?;
        let index = self.functions.iter().position(|one| std::ptr::eq(one, function)).unwrap_or_default();
        let payload = Request::call(path, body).to_json();
        if payload.len() > PAYLOAD_MAX {
            return Err(CallError::TooLarge);
        }
        let failed = |failure| CallError::Failed(function.name.clone(), failure);
        let answer = self.invoke(index, payload.into()).await.map_err(failed)?;
        Response::decode(None, &answer).map_err(|fault| failed(Failure::Fault(fault)))
    }

    /// Has a function, by its place in [`Runtime::functions`], answer an event.
    async fn invoke(&self, index: usize, payload: Bytes) -> Result<Bytes, Failure> {
        let Some(pool) = self.pools.get(index) else {
            return Err(Failure::NotStarted("there is no such function".into()));
        };
        let limit = self.settings.limit;
        let _permit = match tokio::time::timeout(limit, pool.room.acquire()).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(Failure::Busy(limit)),
        };
        loop {
            let mut held = Held(Some(self.ready(pool).await?));
            let answered = match &mut held.0 {
                Some(instance) => instance.call(&request_id(), payload.clone(), limit).await,
                None => Err(Failure::NoAnswer),
            };
            let Some(instance) = held.0.take() else { return answered };
            if answered.as_ref().is_err_and(|failure| instance.has_lost(failure)) {
                instance.end().await;
                continue;
            }
            let is_of_use = matches!(answered, Ok(_) | Err(Failure::Fault(_)));
            if is_of_use && instance.is_alive() {
                pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
            } else {
                instance.end().await;
            }
            return answered;
        }
    }

    /// A process that waits for a call, or a new one.
    async fn ready(&self, pool: &Pool) -> Result<Instance, Failure> {
        loop {
            let idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(instance) if instance.is_alive() => return Ok(instance),
                Some(instance) => instance.end().await,
                None => break,
            }
        }
        let slot = match Slot::take() {
            Some(slot) => slot,
            // All are taken: one that waits for a call of another function makes room.
            None => {
                let idle = self.pools.iter().find_map(|pool| {
                    let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
                    (!idle.is_empty()).then(|| idle.remove(0))
                });
                match idle {
                    Some(instance) => instance.end().await,
                    None => return Err(Failure::Busy(Duration::ZERO)),
                }
                Slot::take().ok_or(Failure::Busy(Duration::ZERO))?
            }
        };
        let number = pool.started.fetch_add(1, Ordering::Relaxed) + 1;
        let started = self.start(pool, slot, number).await;
        if let Err(failure) = &started {
            pool.log.say(number, None, &failure.to_string());
        }
        started
    }

    async fn start(&self, pool: &Pool, slot: Slot, number: u32) -> Result<Instance, Failure> {
        let failed = |error: std::io::Error| Failure::NotStarted(finding::disk::reason(&error));
        let work = self.settings.dir.work(slot.number());
        host::disk::remove_tree(&work).map_err(|error| Failure::NotStarted(error.to_string()))?;
        fs::create_dir(&work).map_err(failed)?;
        fs::set_permissions(&work, Permissions::from_mode(0o700)).map_err(failed)?;
        let user = slot.user();
        if let Some(user) = &user {
            chown(&work, Some(user.uid), Some(user.gid)).map_err(failed)?;
        }
        let mut env = pool.env.clone();
        for name in ["HOME", "TMPDIR"] {
            env.insert(name.into(), work.display().to_string());
        }
        let start = Start {
            program: pool.program.program.clone(),
            args: pool.program.args.clone(),
            env,
            arn: pool.arn.clone(),
            code: pool.code.clone(),
            read: [&pool.program.read[..], &[self.settings.dir.clients()]].concat(),
            work,
            pid_file: self.settings.dir.pid_file(slot.number()),
            user,
            memory: self.settings.memory,
            shim: self.settings.shim.clone(),
        };
        Instance::start(&self.spawner, start, number, slot, pool.log.clone(), self.alive.clone()).await
    }

    /// Ends every process that waits for a call, and waits until all have ended. To be called after the last call.
    pub async fn stop(&self) {
        for pool in &self.pools {
            let idle = std::mem::take(&mut *pool.idle.lock().unwrap_or_else(PoisonError::into_inner));
            for instance in idle {
                instance.end().await;
            }
        }
        let deadline = tokio::time::Instant::now() + STOP_MAX;
        while Arc::strong_count(&self.alive) > 1 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The process of a call. A caller who goes away drops it, and it ends.
struct Held(Option<Instance>);

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(instance), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(instance.end());
        }
    }
}

impl Pool {
    fn prepare(
        settings: &Settings,
        manifest: &Manifest,
        function: &Function,
        kind: &Kind,
        archive: &[u8],
        index: usize,
        user: &User,
    ) -> Result<Self, Error> {
        let code = settings.dir.code(index);
        fs::create_dir(&code)
            .and_then(|()| fs::set_permissions(&code, Permissions::from_mode(0o755)))
            .map_err(|error| unwritten(&code, &error))?;
        package::unpack(&function.name, archive, &code)?;
        let code = code.canonicalize().map_err(|error| unread(&code, &error))?;
        let clients = settings.dir.clients();
        let program = Program::find(kind, function, &code, &clients, &settings.variables, user)?;
        let name = names::lambda(&manifest.app_id, &manifest.version, &function.name);
        Ok(Self {
            program,
            env: environment(settings, function, &name, &code),
            code,
            arn: format!("arn:aws:lambda:local:000000000000:function:{name}"),
            log: Arc::new(FunctionLog::new(&function.name, &settings.dir.log(&function.name))),
            room: Semaphore::new(settings.concurrency),
            idle: Mutex::default(),
            started: AtomicU32::new(0),
        })
    }
}

/// What a function finds in its environment: what AWS sets, where it has a meaning here, and what the operator gave.
fn environment(
    settings: &Settings,
    function: &Function,
    name: &str,
    code: &std::path::Path,
) -> BTreeMap<String, String> {
    // No LD_LIBRARY_PATH: it would load the package's libraries into our own program, before it has given up its rights.
    let root = code.display().to_string();
    let mut env = settings.env.clone();
    // AWS's. Ours may lead into directories that are nobody else's business.
    env.entry("PATH".to_owned()).or_insert_with(|| "/usr/local/bin:/usr/bin:/bin:/opt/bin".to_owned());
    env.extend(
        [
            ("_HANDLER", function.handler.clone()),
            ("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", function.runtime)),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", (settings.memory >> 20).to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "local".to_owned()),
            ("LAMBDA_TASK_ROOT", root),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
            ("PYTHONUNBUFFERED", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    env
}

/// A random id in the form of AWS's.
fn request_id() -> String {
    let hex = crate::names::hex(&rand::random::<[u8; 16]>());
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}
