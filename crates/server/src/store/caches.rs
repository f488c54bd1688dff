//! The caches of rows, and their invalidation.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::bounds::PAGES_KEPT;
use crate::cache::Cache;
use crate::id::Id;
use crate::model::{Channel, ChannelMember, OutgoingHook, Role, Session, Team, TeamMember, User};

/// A row that a write changed, and that caches must forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Touched {
    User(Id),
    Team(Id),
    TeamMember {
        team: Id,
        user: Id,
    },
    Channel(Id),
    ChannelMember {
        channel: Id,
        user: Id,
    },
    Session(String),
    /// All sessions of a user.
    Sessions(Id),
    /// The outgoing webhooks of a team.
    OutgoingHooks(Id),
    /// Posts of a channel, or what clients get with them.
    Posts(Id),
    /// Posts of any channel.
    AllPosts,
    /// Which threads a user follows.
    Follows(Id),
}

/// The newest posts of a channel, as a request asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PageKey {
    pub(crate) channel: Id,
    pub(crate) per_page: i64,
    pub(crate) roots_only: bool,
    pub(crate) without_roots: bool,
    /// The only reader who gets it: threads say whether the reader follows them. None if all readers get the same.
    pub(crate) reader: Option<Id>,
}

/// The caches. Their capacities bound memory; an entry takes a few hundred bytes.
pub(super) struct Caches {
    pub(super) users: Cache<Id, Option<Arc<User>>>,
    pub(super) teams: Cache<Id, Option<Arc<Team>>>,
    pub(super) team_members: Cache<(Id, Id), Option<Arc<TeamMember>>>,
    pub(super) channels: Cache<Id, Option<Arc<Channel>>>,
    pub(super) channel_members: Cache<(Id, Id), Option<Arc<ChannelMember>>>,
    pub(super) members_of_channel: Cache<Id, Arc<HashSet<Id>>>,
    pub(super) members_of_team: Cache<Id, Arc<HashSet<Id>>>,
    pub(super) sessions: Cache<String, Option<Arc<Session>>>,
    pub(super) outgoing_hooks: Cache<Id, Arc<Vec<OutgoingHook>>>,
    pub(super) roles: Cache<String, Option<Arc<Role>>>,
    /// Answers to requests for the newest posts.
    pub(super) pages: Cache<PageKey, Bytes>,
}

impl Caches {
    pub(super) fn new() -> Caches {
        Caches {
            users: Cache::new(2_000),
            teams: Cache::new(1_000),
            team_members: Cache::new(5_000),
            channels: Cache::new(5_000),
            channel_members: Cache::new(20_000),
            members_of_channel: Cache::new(500),
            members_of_team: Cache::new(200),
            sessions: Cache::new(5_000),
            outgoing_hooks: Cache::new(1_000),
            roles: Cache::new(100),
            pages: Cache::new(PAGES_KEPT / 2),
        }
    }

    pub(super) fn forget(&self, touched: Touched) {
        match touched {
            Touched::User(id) => {
                self.users.forget(&id);
                // Whoever takes part in a thread is shown with it.
                self.pages.forget_where(|page, _| page.reader.is_some());
            }
            Touched::Team(id) => self.teams.forget(&id),
            Touched::TeamMember { team, user } => {
                self.team_members.forget(&(team, user));
                self.members_of_team.forget(&team);
            }
            Touched::Channel(id) => {
                self.channels.forget(&id);
                self.pages.forget_where(|page, _| page.channel == id);
            }
            Touched::ChannelMember { channel, user } => {
                self.channel_members.forget(&(channel, user));
                self.members_of_channel.forget(&channel);
                self.pages.forget_where(|page, _| page.reader == Some(user));
            }
            Touched::OutgoingHooks(team) => self.outgoing_hooks.forget(&team),
            Touched::Session(token) => self.sessions.forget(&token),
            Touched::Posts(channel) => self.pages.forget_where(|page, _| page.channel == channel),
            Touched::AllPosts => self.pages.forget_where(|_, _| true),
            Touched::Follows(user) => self.pages.forget_where(|page, _| page.reader == Some(user)),
            Touched::Sessions(user) => self
                .sessions
                .forget_where(|_, session| session.as_ref().is_some_and(|session| session.user_id == user)),
        }
    }
}
