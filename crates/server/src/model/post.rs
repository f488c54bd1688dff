//! Posts, reactions, drafts.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::file_info::FileInfo;
use super::maps::Props;
use super::record::record;
use super::user::User;
use crate::id::Id;
use crate::sql::Column;

record! {
    /// A message. `kind` is empty for a user's message and `system_…` for one of the server.
    struct Post in "posts" {
        id id: Id,
        create_at createat: i64,
        update_at updateat: i64,
        edit_at editat: i64,
        delete_at deleteat: i64,
        is_pinned ispinned: bool,
        user_id userid: Id,
        channel_id channelid: Id,
        root_id rootid: Id,
        original_id originalid: Id,
        message message: String,
        #[serde(rename = "type")]
        kind type: String,
        props props: Column<Props>,
        hashtags hashtags: String,
        #[serde(skip)]
        filenames filenames: Column<Vec<String>>,
        file_ids fileids: Column<Vec<Id>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        has_reactions hasreactions: bool,
        #[serde(skip)]
        remote_id remoteid: String,
    }
    computed {
        pending_post_id: String,
        reply_count: i64,
        last_reply_at: i64,
        participants: Option<Vec<User>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        is_following: Option<bool>,
        metadata: Metadata,
    }
}

/// What a client needs besides the text to show a post.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Metadata {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<FileInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reactions: Vec<Reaction>,
}

/// A page of posts. `order` has the requested posts; `posts` also has the roots of replies.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PostList {
    pub(crate) order: Vec<Id>,
    pub(crate) posts: BTreeMap<Id, Post>,
    pub(crate) next_post_id: Id,
    pub(crate) prev_post_id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) has_next: Option<bool>,
    pub(crate) first_inaccessible_post_time: i64,
}

record! {
    /// A user's emoji on a post.
    struct Reaction in "reactions" {
        user_id userid: Id,
        post_id postid: Id,
        emoji_name emojiname: String,
        create_at createat: i64,
        update_at updateat: i64,
        delete_at deleteat: i64,
        remote_id remoteid: String,
        channel_id channelid: Id,
    }
}

record! {
    /// A message that is not sent yet.
    struct Draft in "drafts" {
        create_at createat: i64,
        update_at updateat: i64,
        delete_at deleteat: i64,
        user_id userid: Id,
        channel_id channelid: Id,
        root_id rootid: Id,
        message message: String,
        props props: Column<Props>,
        file_ids fileids: Column<Vec<Id>>,
        priority priority: Column<Value>,
        #[serde(rename = "type")]
        kind type: String,
    }
    computed {
        metadata: Metadata,
    }
}
