//! Whether the server and the managed PostgreSQL answer. A process that runs is not a server that works: it is asked all the time, where it
//! listens, and replaced when it has answered nothing for [`LIMIT`].
//!
//! Any answer counts, also a bad one: a server whose database is away answers, and another process would not bring the database back. A
//! PostgreSQL that recovers after a crash takes connections and no logins; it answers.
//! A server that has not answered since its start may be migrating its database, so it gets far longer.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::parts::Parts;
use super::postgres;
use crate::control::health;
use crate::control::protocol::{PartSpec, PostgresSpec, ServerSpec};
use crate::error::Error;
use crate::place::layout::Layout;

/// How often it is asked.
const INTERVAL: Duration = Duration::from_secs(5);

/// How often it is asked while it is silent, so that nobody is turned away longer than needed, and how often is looked for a program that its
/// supervisor has started again.
const QUICK: Duration = Duration::from_millis(500);

/// How often it is asked from its start to its first answer. Only one that has answered can fall silent, so the first answer is not missed.
const EAGER: Duration = Duration::from_millis(100);

/// How long it may take to answer once.
const DEADLINE: Duration = Duration::from_secs(5);

/// After this long without an answer the edge turns requests away: two questions stayed without one.
const SUSPECT: Duration = Duration::from_secs(12);

/// After this long without an answer it is replaced.
const LIMIT: Duration = Duration::from_secs(30);

/// How long the first start of a release may take: it may migrate (upstream unit: TimeoutStartSec 3600).
const FIRST_START: Duration = Duration::from_secs(3600);

/// How long a later start may take.
const LATER_START: Duration = Duration::from_secs(300);

/// What is known of one server.
#[derive(Debug, Default)]
struct Pulse {
    /// The process that was asked last.
    pid: u32,
    /// Whether this process has answered.
    has_answered: bool,
    /// Whether this server, as it was started, has ever answered.
    has_ever_answered: bool,
    /// For how long it has answered nothing.
    silent: Duration,
}

/// What follows from an answer, or from none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It answers.
    Well,
    /// It does not answer; that may pass, or it is starting.
    Wait,
    /// It takes connections and answers nothing.
    Silent,
    /// It must be replaced.
    Replace,
}

impl Pulse {
    /// Notes an answer of process `pid`, or none, `since_last` after the one before.
    fn note(&mut self, pid: u32, answered: bool, since_last: Duration) -> Verdict {
        if self.pid != pid {
            *self = Self { pid, has_ever_answered: self.has_ever_answered, ..Self::default() };
        }
        if answered {
            *self = Self { pid, has_answered: true, has_ever_answered: true, silent: Duration::ZERO };
            return Verdict::Well;
        }
        // While this machine slept, nobody waited for an answer.
        self.silent += since_last.min(INTERVAL + DEADLINE);
        match (self.has_answered, self.has_ever_answered) {
            (true, _) if self.silent >= LIMIT => Verdict::Replace,
            (true, _) if self.silent >= SUSPECT => Verdict::Silent,
            (false, true) if self.silent >= LATER_START => Verdict::Replace,
            (false, false) if self.silent >= FIRST_START => Verdict::Replace,
            _ => Verdict::Wait,
        }
    }

    /// After this long it is asked again.
    fn pause(&self, verdict: Verdict) -> Duration {
        match verdict {
            Verdict::Well => INTERVAL,
            _ if self.has_answered => QUICK,
            _ => EAGER,
        }
    }

    /// Completes "was ended by Mainstay: ".
    fn why(&self) -> String {
        let seconds = self.silent.as_secs();
        if self.has_answered {
            format!("it answered nothing for {seconds} s")
        } else {
            format!("it answered nothing in the {seconds} s since its start")
        }
    }
}

/// A program that is asked.
struct Watched {
    asked: Asked,
    pulse: Pulse,
    /// When it answered last, or did not.
    last: Instant,
    /// When it is asked next.
    due: Instant,
}

/// How it is asked.
enum Asked {
    Server(ServerSpec, reqwest::Client),
    Postgres(PostgresSpec),
}

impl Asked {
    /// # Errors
    /// It cannot be asked.
    fn of(spec: &PartSpec) -> Result<Option<Self>, Error> {
        Ok(match spec {
            PartSpec::Server(server) => Some(Self::Server(server.clone(), health::client(server, DEADLINE)?)),
            PartSpec::Postgres(postgres) => Some(Self::Postgres(postgres.clone())),
            PartSpec::App(_) | PartSpec::Edge(_) => None,
        })
    }

    fn is(&self, spec: &PartSpec) -> bool {
        match (self, spec) {
            (Self::Server(ours, _), PartSpec::Server(theirs)) => ours == theirs,
            (Self::Postgres(ours), PartSpec::Postgres(theirs)) => ours == theirs,
            _ => false,
        }
    }

    async fn answers(&self, layout: &Layout) -> bool {
        match self {
            Self::Server(spec, client) => health::answers(client, spec).await,
            Self::Postgres(_) => database::cluster::listens(&layout.postgres_socket(), DEADLINE).await,
        }
    }
}

/// Asks every server for ever, tells its edges, and has it replaced.
pub(super) async fn watch(parts: &Parts, layout: &Layout) {
    let mut watched: BTreeMap<String, Watched> = BTreeMap::new();
    loop {
        let running = parts.running_programs();
        if let Some(spec) = parts.postgres()
            && let Err(error) = postgres::bring_back_socket(layout, &spec)
        {
            tracing::error!(%error, "the directory of PostgreSQL's socket cannot be brought back");
        }
        watched
            .retain(|name, known| running.iter().any(|(other, now, _)| other == name && known.asked.is(now)));
        let mut next = Instant::now() + QUICK;
        for (name, spec, pid) in running {
            let began = Instant::now();
            let Watched { asked, pulse, last, due } = match watched.entry(name.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => match Asked::of(&spec) {
                    Ok(Some(asked)) => {
                        new.insert(Watched { asked, pulse: Pulse::default(), last: began, due: began })
                    }
                    Ok(None) => continue,
                    Err(error) => {
                        tracing::error!(part = name, %error, "the server cannot be asked");
                        continue;
                    }
                },
            };
            if pulse.pid != pid {
                // A process that was not asked yet is not known to be silent.
                parts.set_silent(&name, pid, false);
            } else if began < *due {
                next = next.min(*due);
                continue;
            }
            let answered = asked.answers(layout).await;
            let verdict = pulse.note(pid, answered, last.elapsed());
            *last = Instant::now();
            *due = began + pulse.pause(verdict);
            next = next.min(*due);
            let is_silent = matches!(verdict, Verdict::Silent | Verdict::Replace);
            parts.set_silent(&name, pid, is_silent);
            if verdict == Verdict::Replace {
                let why = pulse.why();
                tracing::error!(part = name, pid, why, "the server is replaced");
                parts.replace(&name, pid, &why, pulse.silent);
            }
        }
        // Whoever does not answer for long has used up its pause: the others have their turn first.
        let earliest = Instant::now() + EAGER;
        tokio::select! {
            () = sleep_until(next.max(earliest)) => {}
            () = parts.added() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The verdict after so many seconds without an answer.
    fn after(pulse: &mut Pulse, pid: u32, seconds: u32) -> Verdict {
        let mut verdict = Verdict::Wait;
        for _ in 0..seconds {
            verdict = pulse.note(pid, false, SECOND);
        }
        verdict
    }

    #[test]
    fn a_server_that_answered_is_turned_away_from_and_then_replaced() {
        let mut pulse = Pulse::default();
        assert_eq!(pulse.note(7, true, SECOND), Verdict::Well);
        assert_eq!(after(&mut pulse, 7, 11), Verdict::Wait);
        assert_eq!(after(&mut pulse, 7, 1), Verdict::Silent);
        assert_eq!(after(&mut pulse, 7, 17), Verdict::Silent);
        assert_eq!(after(&mut pulse, 7, 1), Verdict::Replace);
        assert_eq!(pulse.why(), "it answered nothing for 30 s");
        assert_eq!(pulse.note(7, true, SECOND), Verdict::Well);
        assert_eq!(after(&mut pulse, 7, 9), Verdict::Wait);
    }

    #[test]
    fn a_first_start_may_migrate_and_a_later_one_may_not_take_as_long() {
        let mut pulse = Pulse::default();
        assert_eq!(after(&mut pulse, 7, 3599), Verdict::Wait);
        assert_eq!(after(&mut pulse, 7, 1), Verdict::Replace);
        let mut pulse = Pulse::default();
        pulse.note(7, true, SECOND);
        assert_eq!(after(&mut pulse, 8, 299), Verdict::Wait);
        assert_eq!(after(&mut pulse, 8, 1), Verdict::Replace);
        assert_eq!(pulse.why(), "it answered nothing in the 300 s since its start");
    }

    #[test]
    fn the_first_answer_is_waited_for_closely() {
        let mut pulse = Pulse::default();
        let verdict = pulse.note(7, false, EAGER);
        assert_eq!(pulse.pause(verdict), EAGER);
        let verdict = pulse.note(7, true, EAGER);
        assert_eq!(pulse.pause(verdict), INTERVAL);
        let verdict = pulse.note(7, false, INTERVAL);
        assert_eq!(pulse.pause(verdict), QUICK);
        let verdict = pulse.note(8, false, QUICK);
        assert_eq!(pulse.pause(verdict), EAGER);
    }

    #[test]
    fn a_machine_that_slept_is_no_server_that_was_silent() {
        let mut pulse = Pulse::default();
        pulse.note(7, true, SECOND);
        assert_eq!(pulse.note(7, false, Duration::from_secs(8 * 3600)), Verdict::Wait);
        assert_eq!(pulse.note(7, true, SECOND), Verdict::Well);
    }
}
