//! How long people will wait during an upgrade, and how that is known.

use std::collections::BTreeMap;

use plan::{Journal, Phase, Run, Step};
use serde_json::Value;

use crate::action::{Action, Hold};
use crate::place::layout::Layout;
use crate::state::rehearsal::{Rehearsals, Rehearsed};
use crate::state::run_times::step_ms;
use crate::state::words::UPGRADE;

/// How many runs back an upgrade is looked for.
const RUNS: u32 = 200;

/// How long the steps of an upgrade are thought to take, and how that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Measured {
    /// Milliseconds by the name of the step.
    pub steps: BTreeMap<String, u64>,
    /// Where the numbers come from.
    pub source: String,
}

impl Measured {
    /// What was measured of an upgrade to that release: its rehearsal, otherwise the last upgrade, whatever release that was to.
    pub(super) async fn of(layout: &Layout, from: &str, to: &str) -> Option<Self> {
        let is_of_it = |rehearsed: &Rehearsed| rehearsed.from == from && rehearsed.to == to;
        match Rehearsals::read(layout).passed.filter(is_of_it) {
            Some(rehearsed) => {
                let source = format!("from the rehearsal of {:.0}", rehearsed.at);
                Some(Self { steps: rehearsed.steps, source })
            }
            None => Self::of_last_upgrade(layout).await,
        }
    }

    async fn of_last_upgrade(layout: &Layout) -> Option<Self> {
        let journal = Journal::open_read_only(&layout.journal()).await.ok()?;
        let runs = journal.runs(RUNS).await.ok()?;
        let is_upgrade = |run: &&Run| {
            run.plan.operation == UPGRADE && matches!(run.state.phase, Phase::Done) && !run.abandoned
        };
        let run = runs.iter().find(is_upgrade)?;
        let ms = |step: &plan::Step<Value>| {
            Some((step.name.clone(), u64::try_from(step_ms(run, &step.name)?).ok()?))
        };
        let steps = run.plan.steps.iter().filter_map(ms).collect();
        let source = format!("as in the upgrade of {:.0}, run {}", run.started_at, run.id);
        Some(Self { steps, source })
    }

    /// Puts the measured times into a plan.
    pub(super) fn put_into(&self, steps: &mut [Step<Action>]) {
        for step in steps {
            if let Some(ms) = self.steps.get(&step.name) {
                step.estimate = std::time::Duration::from_millis(*ms);
            }
        }
    }
}

/// How long people would wait by a plan, in ms: from the step that lets requests wait to the one that lets them through.
pub(super) fn downtime(steps: &[Step<Action>]) -> Option<u64> {
    let holds = |step: &Step<Action>| matches!(step.action, Action::Hold(Hold { on: true }));
    let from = steps.iter().position(holds)?;
    let waiting = steps[from..].iter().take_while(|step| !Hold::admits(step));
    let ms: u128 = waiting.map(|step| step.estimate.as_millis()).sum();
    u64::try_from(ms).ok()
}

/// The sentence of a plan about that.
pub(super) fn in_words(ms: u64, measured: Option<&Measured>) -> String {
    let seconds = ms.div_ceil(1000).max(1);
    match measured {
        Some(Measured { source, .. }) => format!("people wait for about {seconds} s ({source})"),
        None => "how long people will wait is not known: nothing was measured here; `mainstay upgrade --rehearse` measures it on a copy"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Census, Comparison};

    #[test]
    fn people_wait_from_the_hold_to_the_end_and_measured_times_count() {
        let mut steps = vec![
            Comparison::step(),
            Hold { on: true }.step(),
            Census::step(),
            Comparison::step(),
            Hold { on: false }.step(),
        ];
        assert_eq!(downtime(&steps), Some(10 + 200 + 200));
        let measured = Measured {
            steps: [("count".to_owned(), 3000), ("other".to_owned(), 9)].into(),
            source: "from the upgrade of today".to_owned(),
        };
        measured.put_into(&mut steps);
        assert_eq!(downtime(&steps), Some(10 + 3000 + 200));
        assert_eq!(downtime(&steps[3..]), None, "nobody waits");
        assert_eq!(in_words(3210, Some(&measured)), "people wait for about 4 s (from the upgrade of today)");
        assert!(in_words(3210, None).contains("--rehearse"));
    }
}
