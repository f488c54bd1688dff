//! Why an effect did not happen, in two texts.

use serde::{Deserialize, Serialize};
use std::{any::Any, error::Error, fmt};

/// A failed effect: what the user did not expect and what to do next, apart from the cause chain for the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What the user did not expect, as one sentence.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The cause chain, for the log. May be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The exit code this failure maps to, where it is not "failed and undone".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
}

impl Failure {
    /// A failure that says only what the user did not expect.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, detail: String::new(), code: None }
    }

    /// A failure with the causes of `error` in its detail.
    pub fn because(message: impl Into<String>, error: &(dyn Error + 'static)) -> Self {
        let chain = std::iter::successors(Some(error), |&error| error.source());
        let detail = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        Self::new(message).detail(detail)
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with a text for the log.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The same, with its own exit code.
    #[must_use]
    pub fn code(mut self, code: u8) -> Self {
        self.code = Some(code);
        self
    }

    pub(crate) fn interrupted() -> Self {
        Self::new("interrupted")
    }

    /// A panic is a bug in Mainstay. The step is undone all the same.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let said = panic.downcast_ref::<&str>().copied();
        let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::new("this step has a bug and stopped").detail(said.unwrap_or("panic")).code(1)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_chain_goes_to_the_detail_and_not_to_the_message() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the answer")]
        struct Outer(#[source] std::io::Error);
        let failure =
            Failure::because("the download broke off", &Outer(std::io::Error::other("reset by peer")));
        assert_eq!(failure.to_string(), "the download broke off");
        assert_eq!(failure.detail, "cannot read the answer: reset by peer");
    }
}
