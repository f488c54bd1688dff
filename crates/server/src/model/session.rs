//! Sessions.

use super::maps::StringMap;
use super::record::record;
use super::team::TeamMember;
use crate::id::Id;
use crate::sql::Column;

record! {
    /// A login. The table has the token in clear text, as Mattermost's does.
    struct Session in "sessions" {
        id id: Id,
        token token: String,
        create_at createat: i64,
        expires_at expiresat: i64,
        last_activity_at lastactivityat: i64,
        user_id userid: Id,
        device_id deviceid: String,
        roles roles: String,
        is_oauth isoauth: bool,
        expired_notify expirednotify: bool,
        props props: Column<StringMap>,
    }
    computed {
        team_members: Vec<TeamMember>,
        local: bool,
    }
}

impl Session {
    /// The session as it may be shown in a list.
    pub(crate) fn without_secrets(mut self) -> Session {
        self.token.clear();
        self.props.remove("csrf");
        self
    }
}
