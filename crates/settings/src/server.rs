//! Which server settings are for.

use version::Series;

/// The server that settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Its version: which keys there are.
    pub version: Series,
    /// Its code: what it does with them.
    pub line: Line,
}

/// Which code a server is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Mainstay's own server.
    Builtin,
    /// Mattermost's Team Edition, without the enterprise code.
    Team,
    /// Mattermost with the enterprise code; a licence decides the rest.
    Enterprise,
}

impl Line {
    /// What messages call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Builtin => "the built-in server",
            Self::Team => "the Team Edition",
            Self::Enterprise => "the enterprise editions",
        }
    }
}

/// A version alone means a server that does everything that its version knows.
impl From<Series> for Server {
    fn from(version: Series) -> Self {
        Self { version, line: Line::Enterprise }
    }
}
