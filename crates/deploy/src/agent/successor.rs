//! How an agent becomes a newer one: what it hands over, and how that goes on.
//!
//! The state is JSON that two versions of the program share, so its format has a version and a golden file, like the protocol.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use ::edge::{Limits, UpstreamAddressError};
use host::{Handover, Held, HeldState, Spawner, Supervisor};
use plan::Lock;
use serde::{Deserialize, Serialize};

use super::edge::OpenEdge;
use super::parts::{Part, Parts, Run};
use super::running::Running;
use super::{app, postgres, server};
use crate::control::app::AppSpec;
use crate::control::protocol::{EdgeSpec, PostgresSpec, ScheduleEntry, ServerSpec};
use crate::error::{Error, reason};
use crate::place::layout::Layout;

/// The version of the state's format.
const FORMAT: u32 = 1;

/// What an agent hands over as data. Descriptors come in this order: the lock, the control socket, the connection that asked, then
/// for each part its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    format: u32,
    /// The version of the program that hands over.
    from: String,
    parts: Vec<HeldPart>,
    /// The entries; how their runs went is in a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    schedule: Vec<ScheduleEntry>,
    /// Whether requests wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    holds: bool,
}

/// A part between two programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HeldPart {
    name: String,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum What {
    Server {
        spec: ServerSpec,
        program: HeldState,
        /// Whether a descriptor follows: the program's output.
        output: bool,
    },
    Postgres {
        spec: PostgresSpec,
        program: HeldState,
        /// Whether a descriptor follows: the program's output.
        output: bool,
    },
    /// A descriptor follows: the listening socket.
    Edge {
        spec: EdgeSpec,
        /// The address of its server, or the absolute path of its socket.
        upstream: String,
    },
    App {
        spec: AppSpec,
        program: HeldState,
        /// Whether a descriptor follows: the program's output.
        output: bool,
    },
}

/// What the program before this one has handed over.
pub(super) struct Inheritance {
    /// The open file of the agent's lock.
    pub lock: OwnedFd,
    /// The socket that listens for commands.
    pub control: OwnedFd,
    /// The connection of the command that waits for the answer.
    pub asker: OwnedFd,
    pub parts: HeldParts,
    pub schedule: Vec<ScheduleEntry>,
    /// Whether requests wait.
    pub holds: bool,
}

/// Parts that are not watched.
pub(super) struct HeldParts {
    parts: Vec<HeldPart>,
    descriptors: std::vec::IntoIter<OwnedFd>,
}

/// The descriptors that a successor needs besides those of the parts.
///
/// # Errors
/// This process has no free descriptor.
pub(super) fn shared(lock: &Lock, control: &impl AsFd, asker: OwnedFd) -> Result<Vec<OwnedFd>, Error> {
    let failed = |error: std::io::Error| Error::not_ready(format!("cannot hand over: {}", reason(&error)));
    let lock = lock.as_fd().try_clone_to_owned().map_err(failed)?;
    let control = control.as_fd().try_clone_to_owned().map_err(failed)?;
    Ok(vec![lock, control, asker])
}

/// Every part, which is no longer watched, behind the [`shared`] descriptors; with the schedule, and whether requests wait. `from` is the
/// version of this program.
pub(super) async fn pack(
    from: &str,
    running: Vec<Part>,
    (schedule, holds): (Vec<ScheduleEntry>, bool),
    mut descriptors: Vec<OwnedFd>,
) -> Handover {
    let mut parts = Vec::new();
    for Part { name, running } in running {
        let what = match running {
            Run::Server(Running { spec, supervisor: Some(supervisor), .. }) => {
                let Some((program, output)) = held(&name, supervisor, &mut descriptors).await else {
                    continue;
                };
                What::Server { spec, program, output }
            }
            Run::App(Running { spec, supervisor: Some(supervisor), .. }) => {
                let Some((program, output)) = held(&name, supervisor, &mut descriptors).await else {
                    continue;
                };
                What::App { spec, program, output }
            }
            Run::Postgres(Running { spec, supervisor: Some(supervisor), .. }) => {
                let Some((program, output)) = held(&name, supervisor, &mut descriptors).await else {
                    continue;
                };
                What::Postgres { spec, program, output }
            }
            Run::Edge(edge) => match edge.take_address() {
                Some(listener) => {
                    descriptors.push(listener.into());
                    What::Edge { spec: edge.spec, upstream: edge.upstream.to_string() }
                }
                None => continue,
            },
            Run::Server(_) | Run::App(_) | Run::Postgres(_) => continue,
        };
        parts.push(HeldPart { name, what });
    }
    let state = State { format: FORMAT, from: from.to_owned(), parts, schedule, holds };
    // Numbers, texts and lists always become JSON.
    Handover { state: serde_json::to_vec(&state).unwrap_or_default(), descriptors }
}

/// A program that is not watched any more, and whether its output is the next of the descriptors; `None` where it is lost.
async fn held(
    name: &str,
    supervisor: Supervisor,
    descriptors: &mut Vec<OwnedFd>,
) -> Option<(HeldState, bool)> {
    match supervisor.hand_over().await {
        Ok(Held { state, output }) => {
            let follows = output.is_some();
            descriptors.extend(output);
            Some((state, follows))
        }
        Err(error) => {
            tracing::error!(%error, part = name, "the part cannot be handed over");
            None
        }
    }
}

/// Reads what was handed over.
///
/// # Errors
/// It is damaged, or of a format that this program does not know.
pub(super) fn unpack(handover: Handover) -> Result<Inheritance, Error> {
    let unreadable = |what: String| Error::not_ready(format!("what was handed over cannot be used: {what}"));
    let State { format, from, parts, schedule, holds } =
        serde_json::from_slice(&handover.state).map_err(|error| unreadable(error.to_string()))?;
    if format != FORMAT {
        return Err(unreadable(format!("Mainstay {from} wrote format {format}, and this reads {FORMAT}")));
    }
    let mut descriptors = handover.descriptors.into_iter();
    let mut next = || descriptors.next().ok_or_else(|| unreadable("a descriptor is missing".to_owned()));
    let (lock, control, asker) = (next()?, next()?, next()?);
    Ok(Inheritance { lock, control, asker, parts: HeldParts { parts, descriptors }, schedule, holds })
}

/// How an agent looks after its parts.
pub(super) struct Care<'a> {
    pub layout: &'a Layout,
    pub env: &'a BTreeMap<String, String>,
    pub mainstay: &'a Path,
    pub spawner: &'a Spawner,
    pub limits: Limits,
    pub hold: &'a Arc<::edge::Hold>,
}

impl HeldParts {
    /// Goes on with every part, and adds it to `parts`.
    ///
    /// # Errors
    /// One of them cannot be taken over, nor those after it.
    pub(super) fn adopt(mut self, care: &Care<'_>, parts: &Parts) -> Result<(), Error> {
        let missing = || Error::not_ready("what was handed over lacks a descriptor");
        for HeldPart { name, what } in self.parts {
            let mut held = |state, follows| match follows {
                true => Ok(Held { state, output: Some(self.descriptors.next().ok_or_else(missing)?) }),
                false => Ok::<_, Error>(Held { state, output: None }),
            };
            let running = match what {
                What::Server { spec, program, output } => {
                    let held = held(program, output)?;
                    let command = server::command(care.layout, care.env, &name, &spec)?;
                    let adopted =
                        Supervisor::adopt(care.spawner, command, server::policy(care.layout, &spec), held);
                    Run::Server(Running::new(spec, adopted, &name, care.layout.restarts())?)
                }
                What::App { spec, program, output } => {
                    let held = held(program, output)?;
                    let command = app::command(care.layout, care.mainstay, &spec);
                    let adopted = Supervisor::adopt(care.spawner, command, app::policy(care.layout), held);
                    Run::App(Running::new(spec, adopted, &name, care.layout.restarts())?)
                }
                What::Postgres { spec, program, output } => {
                    let held = held(program, output)?;
                    let command = postgres::command(care.layout, care.env, &name, &spec)?;
                    let adopted = Supervisor::adopt(care.spawner, command, postgres::policy(), held);
                    Run::Postgres(Running::new(spec, adopted, &name, care.layout.restarts())?)
                }
                What::Edge { spec, upstream } => {
                    let upstream = upstream
                        .parse()
                        .map_err(|error: UpstreamAddressError| Error::not_ready(error.to_string()))?;
                    let listener = self.descriptors.next().ok_or_else(missing)?;
                    Run::Edge(OpenEdge::open(
                        spec,
                        upstream,
                        care.limits.clone(),
                        care.hold,
                        Some(listener.into()),
                    )?)
                }
            };
            parts.add(Part { name, running });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden file is never edited: a newer program reads what an older one wrote.
    #[test]
    fn the_first_format_is_read_for_ever() {
        let golden = include_str!("../../tests/golden/agent/handover-1.json");
        let state: State = serde_json::from_str(golden).expect("it is read");
        assert_eq!((state.format, &*state.from, state.parts.len()), (1, "0.1.0", 3));
        let written = serde_json::to_value(&state).expect("it is written");
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(golden).expect("JSON"));
    }

    #[test]
    fn a_server_on_a_socket_is_handed_over() {
        let golden = include_str!("../../tests/golden/agent/handover-1-socket.json");
        let state: State = serde_json::from_str(golden).expect("it is read");
        let socket = state.parts.iter().find_map(|part| match &part.what {
            What::Server { spec, .. } => spec.socket.clone(),
            What::Edge { .. } | What::App { .. } | What::Postgres { .. } => None,
        });
        let upstream = state.parts.iter().find_map(|part| match &part.what {
            What::Edge { upstream, .. } => Some(upstream.clone()),
            What::Server { .. } | What::App { .. } | What::Postgres { .. } => None,
        });
        assert_eq!(socket.and_then(|path| path.into_os_string().into_string().ok()), upstream);
        let written = serde_json::to_value(&state).expect("it is written");
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(golden).expect("JSON"));
    }

    #[test]
    fn an_app_is_handed_over() {
        let golden = include_str!("../../tests/golden/agent/handover-1-app.json");
        let state: State = serde_json::from_str(golden).expect("it is read");
        assert!(state.parts.iter().any(|part| matches!(&part.what, What::App { output: true, .. })));
        let written = serde_json::to_value(&state).expect("it is written");
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(golden).expect("JSON"));
    }

    #[test]
    fn a_managed_database_is_handed_over() {
        let golden = include_str!("../../tests/golden/agent/handover-1-postgres.json");
        let state: State = serde_json::from_str(golden).expect("it is read");
        let is_postgres = |part: &HeldPart| matches!(part.what, What::Postgres { output: true, .. });
        assert!(state.parts.iter().any(is_postgres));
        let written = serde_json::to_value(&state).expect("it is written");
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(golden).expect("JSON"));
    }

    #[test]
    fn the_schedule_is_handed_over() {
        let golden = include_str!("../../tests/golden/agent/handover-1-schedule.json");
        let state: State = serde_json::from_str(golden).expect("it is read");
        assert_eq!(state.schedule.first().map(|entry| &*entry.cron), Some("0 3 * * *"));
        let written = serde_json::to_value(&state).expect("it is written");
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(golden).expect("JSON"));
    }

    #[test]
    fn a_hold_is_handed_over() {
        let golden = include_str!("../../tests/golden/agent/handover-1-hold.json");
        let state: State = serde_json::from_str(golden).expect("it is read");
        assert!(state.holds);
        let written = serde_json::to_value(&state).expect("it is written");
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(golden).expect("JSON"));
    }

    #[test]
    fn another_format_and_a_missing_descriptor_are_refused() {
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").expect("there is one"));
        let handover = |state: &str, descriptors: usize| Handover {
            state: state.into(),
            descriptors: (0..descriptors).map(|_| null()).collect(),
        };
        let refused = |handover| unpack(handover).map(|_| ()).expect_err("refused").what;
        let other = refused(handover(r#"{"format":2,"from":"9.0.0","parts":[]}"#, 3));
        assert!(other.contains("Mainstay 9.0.0 wrote format 2, and this reads 1"), "{other}");
        assert!(
            refused(handover(r#"{"format":1,"from":"0.1.0","parts":[]}"#, 2))
                .contains("a descriptor is missing")
        );
        assert!(unpack(handover(r#"{"format":1,"from":"0.1.0","parts":[]}"#, 3)).is_ok());
    }
}
