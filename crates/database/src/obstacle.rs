//! Why tables cannot be moved aside, and how the place is called that they are moved into.

/// How the names of schemas begin that something was moved aside to. No dump has them. On MySQL they are databases.
pub const ASIDE: &str = "mainstay_undone_";

/// Why nothing can be moved aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What is missing, or in the way.
    pub what: String,
    /// What to do about it.
    pub fix: String,
}
