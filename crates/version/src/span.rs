//! A range of series.

use crate::series::Series;

/// The series from `since` on, up to but not including `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first series.
    pub since: Series,
    /// The first series after the last; `None` while there is no last one.
    pub until: Option<Series>,
}

impl Span {
    /// Whether `series` is in it.
    pub fn holds(self, series: Series) -> bool {
        self.since <= series && self.until.is_none_or(|until| series < until)
    }
}
