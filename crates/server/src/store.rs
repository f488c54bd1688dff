//! The database: one writer with group commit, a few readers, and caches that the writer invalidates.

mod analytics;
mod attempts;
mod caches;
mod categories;
mod channels;
mod commands;
mod database;
mod drafts;
mod erasure;
mod files;
mod handle;
mod hooks;
mod mail_tokens;
mod migration;
mod posts;
mod preferences;
mod reactions;
mod roles;
mod search;
mod sessions;
mod statuses;
mod systems;
mod teams;
mod threads;
mod tokens;
mod unread;
mod users;
mod writer;

pub(crate) use caches::PageKey;
pub(crate) use channels::{no_such_channel, no_such_member as no_such_channel_member};
pub(crate) use commands::duplicate_trigger;
pub(crate) use database::Database;
pub(crate) use erasure::{Doomed, StoredPaths};
pub(crate) use handle::Store;
pub(crate) use hooks::HookFilter;
pub(crate) use mail_tokens::{OfAccount, OfInvitation, Purpose, TOKEN};
pub(crate) use migration::{is_pending, migrate};
pub(crate) use posts::{NewPost, Page, Written, no_such_post};
pub(crate) use search::Scope as SearchScope;
pub(crate) use teams::{Joined, no_such_invite, no_such_member as no_such_team_member, no_such_team};
pub(crate) use threads::{Followed, ThreadPage};
pub(crate) use unread::ChannelUnread;
pub(crate) use users::{
    Admission, USER_LIMIT, UserFilter, address_taken, expired_invitation, invalid_invitation, no_open_server,
    no_such_user,
};
