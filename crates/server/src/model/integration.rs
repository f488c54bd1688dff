//! Webhooks and slash commands.

use super::record::record;
use crate::id::Id;
use crate::sql::Column;

record! {
    /// An address to which other programs post messages.
    struct IncomingHook in "incomingwebhooks" {
        id id: Id,
        create_at createat: i64,
        update_at updateat: i64,
        delete_at deleteat: i64,
        user_id userid: Id,
        channel_id channelid: Id,
        team_id teamid: Id,
        display_name displayname: String,
        description description: String,
        username username: String,
        icon_url iconurl: String,
        channel_locked channellocked: bool,
    }
}

record! {
    /// Addresses that are told of posts.
    struct OutgoingHook in "outgoingwebhooks" {
        id id: Id,
        token token: String,
        create_at createat: i64,
        update_at updateat: i64,
        delete_at deleteat: i64,
        creator_id creatorid: Id,
        channel_id channelid: Id,
        team_id teamid: Id,
        trigger_words triggerwords: Column<Vec<String>>,
        trigger_when triggerwhen: i64,
        callback_urls callbackurls: Column<Vec<String>>,
        display_name displayname: String,
        description description: String,
        content_type contenttype: String,
        username username: String,
        icon_url iconurl: String,
    }
}

record! {
    /// A slash command that another program runs.
    struct Command in "commands" {
        id id: Id,
        token token: String,
        create_at createat: i64,
        update_at updateat: i64,
        delete_at deleteat: i64,
        creator_id creatorid: Id,
        team_id teamid: Id,
        trigger trigger: String,
        method method: String,
        username username: String,
        icon_url iconurl: String,
        auto_complete autocomplete: bool,
        auto_complete_desc autocompletedesc: String,
        auto_complete_hint autocompletehint: String,
        display_name displayname: String,
        description description: String,
        url url: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        plugin_id pluginid: String,
    }
}

record! {
    /// An address at which a slash command's program may answer later.
    struct DelayedAnswer in "commandwebhooks" {
        id id: Id,
        create_at createat: i64,
        command_id commandid: Id,
        user_id userid: Id,
        channel_id channelid: Id,
        root_id rootid: Id,
        use_count usecount: i64,
    }
}
