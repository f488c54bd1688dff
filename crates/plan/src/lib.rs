//! Plans: steps, their durable journal, their undo, their events. Knows nothing of Mattermost.
//!
//! # What it promises
//! - **Old state or new state.** Kill the process anywhere, even during an undo or a recovery:
//!   [`Engine::recover`] takes the run to its end or all the way back, and the journal says which.
//! - **A journal entry is durable before its effect.** [`Journal`] commits with SQLite's `synchronous=FULL`
//!   before an action is first polled, and again before the next step begins.
//! - **No illegal history.** One pure function decides what may follow what. The engine advances by it and
//!   [`State::after`] replays by it, so an overwritten journal is an error and not a surprise.
//! - **One operation at a time.** An [`Engine`] cannot be made without the [`Lock`], which names its holder.
//! - **Talk is data.** The engine sends [`Event`]s to a [`Reader`]; nothing here prints.
//!
//! # What it asks of an action
//! - `apply` and `undo` may be run again after a kill, and `undo` also after half an `apply`.
//! - **Actions and outputs hold no secrets.** The plan, every output and every failure are written to the
//!   journal as they serialise, and `state.db` is kept for years. Carry a path or a name, and read the
//!   secret from the world.
//! - Work ends when its future is dropped: that is how Ctrl-C reaches it. A thread or a child process that
//!   outlives its future would run on beside the undo.
//!
//! # What it refuses
//! - A new run while an earlier one is unfinished: recover it first.
//! - A plan that cannot be read back, or that names two steps alike.
//! - A journal that is damaged, or that a newer version wrote. Neither is touched.
//!
//! # Words
//! | word | meaning |
//! |---|---|
//! | plan | steps in order, as data: printed by `--plan`, run by the engine, kept by the journal |
//! | step | one action with its name, its title, its undo's title and an estimate |
//! | run | one execution of a plan |
//! | entry | one line of the journal: `started`, `succeeded`, `failed`, `undo-started`, `undo-finished`, `undo-failed` |
//! | outcome | how a run ended: done, undone, or it needs you (an undo failed) |
//!
//! # Rejected designs
//! - *A graph of steps.* An upgrade is a line. A graph costs an order nobody can predict from the plan.
//! - *Recovery as code of its own.* The journal keeps the plan, so recovery is the ordinary loop entered in
//!   the middle. Giving up is the ordinary loop with its cancellation already asked for.
//! - *A log file of JSON lines.* A torn last line has to be told from damage; SQLite does that, and operators
//!   can read it with `sqlite3 state.db`.
//! - *redb.* As safe and smaller, but nothing on a server can open it, and SQLite is linked already.
//! - *An injected clock.* Times in the journal are for people; no decision reads one.

#![forbid(unsafe_code)]

mod action;
mod engine;
mod event;
mod failure;
mod faults;
mod journal;
mod lock;
mod plan;
mod progress;
mod state;

pub use action::Action;
pub use engine::{Engine, EngineError, Outcome, Recovery};
pub use event::{Event, Heading, Place, Reader};
pub use failure::Failure;
pub use faults::{FaultError, FaultKind, Faults};
pub use journal::{Journal, JournalError, Run, RunId};
pub use lock::{Holder, Lock, LockError, Whereabouts};
pub use plan::{FORMAT, NotUndone, Plan, PlanError, Step, Undo};
pub use progress::{Progress, Unit};
pub use state::{Entry, EntryKind, Phase, ReplayError, State};
