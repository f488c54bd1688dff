//! What a run came to, as the command line tells it.

use plan::{NotUndone, Outcome, Plan};

use crate::action::Action;
use crate::error::{Error, Exit};

/// A run that failed and was undone.
pub(super) struct Failed {
    /// Why.
    error: Error,
    /// What stays.
    pub(super) not_undone: Vec<NotUndone>,
}

/// An outcome as the command line tells it.
pub(super) fn ended(outcome: Outcome) -> Result<Result<(), Failed>, Error> {
    match outcome {
        Outcome::Done { .. } => Ok(Ok(())),
        Outcome::Undone { failure, step, not_undone, .. } => {
            let kind =
                if failure.code == Some(Exit::NotVerified.code()) { Exit::NotVerified } else { Exit::Undone };
            let detail = match &*failure.detail {
                "" => format!("in step `{step}`"),
                detail => format!("in step `{step}`: {detail}"),
            };
            let mut error = Error::new(kind, failure.message).detail(detail);
            error.hint = failure.hint.map(Into::into);
            Ok(Err(Failed { error, not_undone }))
        }
        Outcome::NeedsYou { failure, step, .. } => {
            let cause = failure.hint.unwrap_or_else(|| "remove the cause".to_owned());
            let cause = cause.trim_end_matches(", then run the command again");
            Err(Error::new(Exit::NeedsYou, format!("`{step}` could not be undone: {}", failure.message))
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
        let Self { mut error, not_undone } = self;
        if let Some(lasting) = lasting(&not_undone) {
            error.exit = Exit::NeedsYou;
            error.what = format!("{}; it was undone, but for this: {lasting}", error.what);
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
        let Self { mut error, not_undone } = self;
        let (operation, what) = (&plan.operation, &error.what);
        error.what = match lasting(&not_undone) {
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

/// What stays although it was undone, in words.
fn lasting(not_undone: &[NotUndone]) -> Option<String> {
    let lines = not_undone.iter().map(|lasting| format!("{} ({})", lasting.title, lasting.why));
    let lines = lines.collect::<Vec<_>>();
    (!lines.is_empty()).then(|| lines.join("; "))
}
