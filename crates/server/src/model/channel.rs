//! Channels and their members.

use serde_json::Value;

use super::maps::StringMap;
use super::maps::string_map;
use super::record::record;
use super::team::effective_roles;
use crate::id::Id;
use crate::sql::Column;

/// The four kinds of channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChannelKind {
    Public,
    Private,
    Direct,
    Group,
}

record! {
    /// A channel. `kind` is `O` (public), `P` (private), `D` (direct) or `G` (group).
    struct Channel in "channels" {
        id id: Id,
        create_at createat: i64,
        update_at updateat: i64,
        delete_at deleteat: i64,
        team_id teamid: Id,
        #[serde(rename = "type")]
        kind type: String,
        display_name displayname: String,
        name name: String,
        header header: String,
        purpose purpose: String,
        last_post_at lastpostat: i64,
        total_msg_count totalmsgcount: i64,
        extra_update_at extraupdateat: i64,
        creator_id creatorid: Id,
        scheme_id schemeid: Option<Id>,
        group_constrained groupconstrained: Option<bool>,
        autotranslation autotranslation: bool,
        shared shared: Option<bool>,
        total_msg_count_root totalmsgcountroot: i64,
        last_root_post_at lastrootpostat: i64,
        default_category_name defaultcategoryname: String,
    }
    computed {
        props: Option<Value>,
        policy_id: Option<Id>,
        banner_info: Option<Value>,
        policy_enforced: bool,
        policy_is_active: bool,
    }
}

record! {
    /// A membership in a channel. The table keeps only explicit roles; [`ChannelMember::with_roles`] adds the others.
    struct ChannelMember in "channelmembers" {
        channel_id channelid: Id,
        user_id userid: Id,
        explicit_roles roles: String,
        last_viewed_at lastviewedat: i64,
        msg_count msgcount: i64,
        mention_count mentioncount: i64,
        mention_count_root mentioncountroot: i64,
        urgent_mention_count urgentmentioncount: i64,
        msg_count_root msgcountroot: i64,
        notify_props notifyprops: Column<StringMap>,
        last_update_at lastupdateat: i64,
        scheme_guest schemeguest: bool,
        scheme_user schemeuser: bool,
        scheme_admin schemeadmin: bool,
        #[serde(skip)]
        autotranslation autotranslation: bool,
        autotranslation_disabled autotranslationdisabled: bool,
    }
    computed {
        roles: String,
    }
}

impl Channel {
    pub(crate) fn kind(&self) -> ChannelKind {
        match self.kind.as_str() {
            "P" => ChannelKind::Private,
            "D" => ChannelKind::Direct,
            "G" => ChannelKind::Group,
            _ => ChannelKind::Public,
        }
    }

    /// Direct and group channels belong to no team.
    pub(crate) fn is_direct_or_group(&self) -> bool {
        matches!(self.kind(), ChannelKind::Direct | ChannelKind::Group)
    }
}

impl ChannelMember {
    /// A new member who has read nothing yet, and has the account's notification settings.
    pub(crate) fn new(channel_id: Id, user_id: Id, admin: bool, now: i64) -> ChannelMember {
        let member = ChannelMember {
            channel_id,
            user_id,
            notify_props: Column(default_notify_props()),
            last_update_at: now,
            scheme_user: true,
            scheme_admin: admin,
            ..ChannelMember::default()
        };
        member.with_roles()
    }

    /// Fills `roles` from the flags and the explicit roles.
    pub(crate) fn with_roles(mut self) -> ChannelMember {
        self.roles = effective_roles(
            "channel",
            self.scheme_guest,
            self.scheme_user,
            self.scheme_admin,
            &self.explicit_roles,
        );
        self
    }

    /// The membership as `viewer` sees it: without the times when another user read the channel.
    pub(crate) fn seen_by(mut self, viewer: Id) -> ChannelMember {
        if self.user_id != viewer {
            self.last_viewed_at = -1;
            self.last_update_at = -1;
        }
        self
    }
}

fn default_notify_props() -> StringMap {
    string_map(&[
        ("desktop", "default"),
        ("mark_unread", "all"),
        ("push", "default"),
        ("email", "default"),
        ("ignore_channel_mentions", "default"),
        ("channel_auto_follow_threads", "off"),
    ])
}
