//! What a step does.

use crate::{Failure, Progress};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// One kind of effect and its undo, usually an enum with a variant a verb.
///
/// It is data: the journal keeps it as JSON and recovery reads it back, perhaps in a later version of the
/// program, so variants and fields are only ever added. It must hold no secrets.
pub trait Action: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Everything an effect may touch: file roots, clock, endpoints.
    type World: Send + Sync;

    /// Makes the change. What it returns is kept in the journal and handed to [`undo`](Action::undo).
    ///
    /// Runs again after a kill, from any point inside it, so it must look before it leaps.
    ///
    /// # Errors
    /// A [`Failure`] undoes this step and all before it.
    fn apply(
        &self,
        world: &Self::World,
        progress: &Progress,
    ) -> impl Future<Output = Result<Value, Failure>> + Send;

    /// Takes the change back. `output` is what `apply` returned, or `None` when it did not come to its end:
    /// it may have done everything, a part, or nothing.
    ///
    /// Runs again after a kill. Not called for a step whose [`undo`](crate::Step::undo) title is `None`.
    ///
    /// # Errors
    /// A [`Failure`] stops the run there: it needs a person, and recovery tries the same undo again.
    fn undo(
        &self,
        world: &Self::World,
        output: Option<&Value>,
        progress: &Progress,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}
