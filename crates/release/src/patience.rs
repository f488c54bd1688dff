//! How long servers are waited for.
use std::time::Duration;

/// Limits of time. The defaults suit people; tests are quicker.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long a connection may take.
    pub connect: Duration,
    /// How long nothing, or next to nothing, may come.
    pub silence: Duration,
    /// How often in a row a server is asked without getting any further.
    pub tries: u32,
    /// How long to wait before the second try; later ones wait twice as long each.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            tries: 4,
            pause: Duration::from_millis(500),
        }
    }
}
