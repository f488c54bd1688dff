//! Mattermost's objects: a struct for each, which gives the JSON name and the table's column of every field.

mod access_token;
mod attempts;
mod audit;
mod category;
mod channel;
mod file_info;
mod integration;
mod maps;
mod post;
mod preference;
mod record;
mod role;
mod session;
mod status;
mod team;
mod thread;
mod user;

pub(crate) use access_token::AccessToken;
pub(crate) use attempts::{AccountLock, Attempts, FORGOTTEN, KNOWN, STRANGERS, Standing};
pub(crate) use audit::Audit;
pub(crate) use category::{Category, CategoryWithChannels};
pub(crate) use channel::{Channel, ChannelKind, ChannelMember};
pub(crate) use file_info::FileInfo;
pub(crate) use integration::{Command, DelayedAnswer, IncomingHook, OutgoingHook};
pub(crate) use maps::{Props, StringMap};
pub(crate) use post::{Draft, Post, PostList, Reaction};
pub(crate) use preference::Preference;
pub(crate) use role::Role;
pub(crate) use session::Session;
pub(crate) use status::Status;
pub(crate) use team::{Team, TeamMember};
pub(crate) use thread::Thread;
pub(crate) use user::{User, default_notify_props, default_timezone};
