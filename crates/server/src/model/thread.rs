//! Threads: a root post and its replies.

use super::record::record;
use crate::id::Id;
use crate::sql::Column;

record! {
    /// The counters of a thread.
    struct Thread in "threads" {
        post_id postid: Id,
        reply_count replycount: i64,
        last_reply_at lastreplyat: i64,
        participants participants: Column<Vec<Id>>,
        channel_id channelid: Id,
        thread_delete_at threaddeleteat: i64,
        thread_team_id threadteamid: Id,
    }
}
