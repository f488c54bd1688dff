//! Who is there.

use super::record::record;
use crate::id::Id;

record! {
    /// A person's status: `online`, `away`, `dnd`, `offline` or `ooo`. `dnd_end_time` is in seconds, alone of all times.
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
