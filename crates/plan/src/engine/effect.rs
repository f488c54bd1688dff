//! One effect: watched for reports, cancellation and panics, and struck by the faults asked for.

use super::{ActiveRun, Engine};
use crate::{
    Action, EntryKind, Event, Failure, Place, Progress,
    faults::{FaultKind, Moment},
    progress::Report,
};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::Value;
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};
use tokio::{select, sync::mpsc::Receiver};
use tokio_util::sync::CancellationToken;

impl<A: Action> Engine<'_, A> {
    /// Applies a step whose `started` is durable; what is to be written of it.
    pub(super) async fn apply(
        &mut self,
        active: &mut ActiveRun<'_, A>,
        step: usize,
        world: &A::World,
    ) -> EntryKind {
        active.begin_effect();
        self.reader.read(&Event::StepStarted { place: active.place(step) });
        match self.try_apply(active, step, world).await {
            Ok(output) => EntryKind::Succeeded(output),
            Err(failure) => {
                let step = &active.plan.steps[step].name;
                tracing::warn!(%step, detail = failure.detail, "{failure}");
                EntryKind::Failed(failure)
            }
        }
    }

    /// Undoes a step whose `undo-started` is durable; what is to be written of it.
    pub(super) async fn undo(
        &mut self,
        active: &mut ActiveRun<'_, A>,
        step: usize,
        world: &A::World,
    ) -> EntryKind {
        active.begin_effect();
        let undo = active.plan.steps[step].undo.title().unwrap_or_default().to_owned();
        self.reader.read(&Event::UndoStarted { place: active.place(step), undo });
        match self.try_undo(active, step, world).await {
            Ok(()) => EntryKind::UndoFinished,
            Err(failure) => {
                let step = &active.plan.steps[step].name;
                tracing::error!(%step, detail = failure.detail, "undo failed: {failure}");
                EntryKind::UndoFailed(failure)
            }
        }
    }

    async fn try_apply(
        &mut self,
        active: &ActiveRun<'_, A>,
        step: usize,
        world: &A::World,
    ) -> Result<Value, Failure> {
        let place = active.place(step);
        self.inject(&place.step, Moment::Before)?;
        let (progress, inbox) = Progress::channel();
        let effect = active.plan.steps[step].action.apply(world, &progress);
        let output = self.watch(effect, inbox, &active.cancel, &place).await?;
        self.inject(&place.step, Moment::After)?;
        Ok(output)
    }

    async fn try_undo(
        &mut self,
        active: &ActiveRun<'_, A>,
        step: usize,
        world: &A::World,
    ) -> Result<(), Failure> {
        let place = active.place(step);
        self.inject(&place.step, Moment::Undo)?;
        let (progress, inbox) = Progress::channel();
        let output = active.state.outputs.get(step);
        let effect = active.plan.steps[step].action.undo(world, output, &progress);
        // Half an undo is worth nothing: Ctrl-C waits for it.
        self.watch(effect, inbox, &CancellationToken::new(), &place).await
    }

    /// Drives an effect and passes its reports on; cancelled, it is dropped before this returns.
    async fn watch<T>(
        &mut self,
        effect: impl Future<Output = Result<T, Failure>>,
        mut inbox: Receiver<Report>,
        cancel: &CancellationToken,
        place: &Place,
    ) -> Result<T, Failure> {
        let mut effect = pin!(without_panic(effect));
        let result = loop {
            select! {
                biased;
                () = cancel.cancelled() => break Err(Failure::interrupted()),
                result = &mut effect => break result,
                Some(report) = inbox.recv() => self.pass_on(report, place),
            }
        };
        while let Ok(report) = inbox.try_recv() {
            self.pass_on(report, place);
        }
        result
    }

    fn pass_on(&mut self, report: Report, place: &Place) {
        let place = place.clone();
        self.reader.read(&match report {
            Report::Amount { done, total, unit } => Event::Progress { place, done, total, unit },
            Report::Said(text) => Event::Said { place, text },
            Report::Waiting { text, ms } => Event::Waiting { text, ms },
        });
    }

    fn inject(&self, step: &str, moment: Moment) -> Result<(), Failure> {
        match self.faults.kind(step, moment) {
            None => Ok(()),
            Some(FaultKind::Fail) => Err(Failure::new(format!("a failure was injected at {step}:{moment}"))),
            Some(FaultKind::Kill) => {
                let _ = kill_process(getpid(), Signal::KILL);
                std::process::abort();
            }
        }
    }
}

/// Turns a panic of the effect into its failure.
async fn without_panic<T>(effect: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut effect = pin!(effect);
    // The effect is not polled again after a panic, and what it shares is the world, which it leaves to undo.
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| effect.as_mut().poll(context)))
            .unwrap_or_else(|panic| Poll::Ready(Err(Failure::panicked(&*panic))))
    })
    .await
}
