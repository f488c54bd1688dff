//! The statuses of users.

use super::record::record;
use crate::id::Id;

record! {
    /// A user's status: `online`, `away`, `dnd`, `offline` or `ooo`. `dnd_end_time` is the only time in seconds.
    struct Status in "status" {
        user_id userid: Id,
        status status: String,
        manual manual: bool,
        last_activity_at lastactivityat: i64,
        dnd_end_time dndendtime: i64,
        #[serde(skip)]
        previous prevstatus: String,
    }
}
