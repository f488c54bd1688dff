//! What a run came to, as the command line tells it.

use plan::{NotUndone, Outcome, Plan, Step};
use release::ReleaseId;

use super::stops::checkpoints;
use crate::action::{Action, HOOK_STEP};
use crate::error::{Error, Exit};

/// A run that failed and was undone.
pub(super) struct Failed {
    /// Why.
    error: Error,
    /// What stays.
    pub(super) not_undone: Vec<NotUndone>,
    /// The checkpoint that it went back to.
    kept: Option<String>,
}

/// An outcome as the command line tells it.
pub(super) fn ended(outcome: Outcome) -> Result<Result<(), Failed>, Error> {
    match outcome {
        Outcome::Done { .. } => Ok(Ok(())),
        Outcome::Undone { failure, step, not_undone, kept, .. } => {
            let own = [Exit::NotVerified, Exit::Busy];
            let kind = own.into_iter().find(|exit| failure.code == Some(exit.code()));
            let otherwise = if step == HOOK_STEP { Exit::Refused } else { Exit::Undone };
            let kind = kind.unwrap_or(otherwise);
            let detail = match &*failure.detail {
                "" => format!("in step `{step}`"),
                detail => format!("in step `{step}`: {detail}"),
            };
            let mut error = Error::new(kind, failure.message).detail(detail);
            error.hint = failure.hint.map(Into::into);
            Ok(Err(Failed { error, not_undone, kept }))
        }
        Outcome::NeedsYou { failure, step, failed_step, cause: first, .. } => {
            let cause = failure.hint.unwrap_or_else(|| "remove the cause".to_owned());
            let cause = cause.trim_end_matches(", then run the command again");
            let first = match first.message == failure.message {
                true => String::new(),
                false => format!("`{failed_step}` failed: {}; then ", first.message),
            };
            let what = format!("{first}`{step}` could not be undone: {}", failure.message);
            Err(Error::new(Exit::NeedsYou, what)
                .hint(format!(
                    "{cause}; then run the same command: it goes on from there. `mainstay down` stops what runs"
                ))
                .detail(failure.detail))
        }
    }
}

impl Failed {
    /// With what the undo came to. `after` is the plan that the same operation would make now: where it is the one that was undone,
    /// the deployment is as it was before.
    pub(super) fn error(self, before: &Plan<Action>, after: Result<Plan<Action>, Error>) -> Error {
        let Self { mut error, not_undone, kept } = self;
        if let Some(lasting) = lasting(&not_undone) {
            error.exit = Exit::NeedsYou;
            error.what = format!("{}; it was undone, but for this: {lasting}", error.what);
            return error;
        }
        if let Some(stop) = kept.and_then(|kept| Stay::of(before, &kept)) {
            error.what = match after {
                Ok(after) if stop.is_what_is_left(&after) => {
                    format!(
                        "{}; it went back to {}, the last stop that was proven, and the rest of the way is as it was",
                        error.what, stop.release
                    )
                }
                Ok(after) => format!(
                    "{}; it went back to {}, the last stop that was proven, which is not quite as it was: {after}",
                    error.what, stop.release
                ),
                Err(why) => format!(
                    "{}; it went back to {}, the last stop that was proven, but whether that is as it was cannot be told: {why}",
                    error.what, stop.release
                ),
            };
            return error;
        }
        error.what = match after {
            Ok(after) if after.to_string() == before.to_string() => {
                format!("{}; everything is as before", error.what)
            }
            Ok(after) => {
                format!("{}; it was undone, and the deployment is not quite as before: {after}", error.what)
            }
            Err(why) => {
                format!(
                    "{}; it was undone, but whether everything is as before cannot be told: {why}",
                    error.what
                )
            }
        };
        error
    }

    /// Of a run that was interrupted earlier, and failed when it was resumed. What was there before it is not known any more.
    pub(super) fn of_earlier_run(self, plan: &Plan<Action>) -> Error {
        let Self { mut error, not_undone, kept } = self;
        let stop = kept.and_then(|kept| Stay::of(plan, &kept));
        let (operation, what) = (&plan.operation, &error.what);
        error.what = match lasting(&not_undone) {
            None if let Some(stop) = stop => format!(
                "the interrupted `{operation}` went on and failed: {what}; it went back to {}, the last stop that was proven",
                stop.release
            ),
            None => format!("the interrupted `{operation}` went on and failed: {what}; it was undone"),
            Some(lasting) => {
                error.exit = Exit::NeedsYou;
                format!(
                    "the interrupted `{operation}` went on and failed: {what}; it was undone, but for this: {lasting}"
                )
            }
        };
        error
    }
}

/// A stop at which a run stayed.
struct Stay {
    release: ReleaseId,
    /// The titles of the steps after it.
    left: Vec<String>,
}

impl Stay {
    fn of(plan: &Plan<Action>, checkpoint: &str) -> Option<Self> {
        let release = checkpoints(&plan.steps).remove(checkpoint)?;
        let at = plan.steps.iter().position(|step| step.name == checkpoint)?;
        Some(Self { release, left: titles(&plan.steps[at + 1..]) })
    }

    /// Whether a plan does what was left to do.
    fn is_what_is_left(&self, plan: &Plan<Action>) -> bool {
        titles(&plan.steps) == self.left
    }
}

/// Without what comes first of all, or between two stops.
fn titles(steps: &[Step<Action>]) -> Vec<String> {
    let is_of_stop = |step: &&Step<Action>| {
        // config.json may be right already, which is known only when the stop before it stands.
        !matches!(
            step.action,
            Action::Fetching(_)
                | Action::BeforeRemoval(_)
                | Action::Snapshot(_)
                | Action::HandOver(_)
                | Action::Hook(_)
                | Action::Configuration(_)
        )
    };
    steps.iter().filter(is_of_stop).map(|step| step.title.clone()).collect()
}

/// What stays although it was undone, in words.
fn lasting(not_undone: &[NotUndone]) -> Option<String> {
    let lines = not_undone.iter().map(|lasting| format!("{} ({})", lasting.title, lasting.why));
    let lines = lines.collect::<Vec<_>>();
    (!lines.is_empty()).then(|| lines.join("; "))
}
