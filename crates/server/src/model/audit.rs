//! What people did, as the official server notes it.

use super::record::record;
use crate::id::Id;

record! {
    /// An entry. This server writes none, and shows those that another one left.
    struct Audit in "audits" {
        id id: Id,
        create_at createat: i64,
        user_id userid: Id,
        action action: String,
        extra_info extrainfo: String,
        ip_address ipaddress: String,
        session_id sessionid: Id,
    }
}
