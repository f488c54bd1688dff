//! The database: one writer with group commit, a few readers, and caches that the writer empties.

pub(crate) mod cache;
mod categories;
mod channels;
mod drafts;
mod files;
mod open;
mod posts;
mod preferences;
mod reactions;
mod roles;
mod sessions;
pub(crate) mod sql;
mod statuses;
mod systems;
mod teams;
mod threads;
mod unread;
mod users;
mod writer;

use std::collections::HashSet;
use std::sync::Arc;

use cache::Cache;
pub(crate) use channels::{no_such_channel, no_such_member as no_such_channel_member};
use futures_util::future::BoxFuture;
pub(crate) use open::{Database, migrate};
pub(crate) use posts::{NewPost, Page, Written, no_such_post};
use sql::Pool;
pub(crate) use teams::{Joined, no_such_member as no_such_team_member, no_such_team};
pub(crate) use threads::Followed;
pub(crate) use unread::ChannelUnread;
pub(crate) use users::{Admission, USER_LIMIT, UserFilter, no_open_server, no_such_user};
pub(crate) use writer::{Transaction, Writer};

use crate::error::Result;
use crate::id::Id;
use crate::model::{Channel, ChannelMember, Role, Session, Team, TeamMember, User};

/// What a write changed, so that caches forget it.
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
    /// All sessions of a person.
    Sessions(Id),
}

/// The caches. Capacities bound memory; an entry is some hundred bytes.
struct Caches {
    users: Cache<Id, Option<Arc<User>>>,
    teams: Cache<Id, Option<Arc<Team>>>,
    team_members: Cache<(Id, Id), Option<Arc<TeamMember>>>,
    channels: Cache<Id, Option<Arc<Channel>>>,
    channel_members: Cache<(Id, Id), Option<Arc<ChannelMember>>>,
    members_of_channel: Cache<Id, Arc<HashSet<Id>>>,
    members_of_team: Cache<Id, Arc<HashSet<Id>>>,
    sessions: Cache<String, Option<Arc<Session>>>,
    roles: Cache<String, Option<Arc<Role>>>,
}

/// The database's readers, writer and caches.
pub(crate) struct Store {
    writer: Writer,
    readers: Pool,
    caches: Arc<Caches>,
}

impl Caches {
    fn new() -> Caches {
        Caches {
            users: Cache::new(2_000),
            teams: Cache::new(1_000),
            team_members: Cache::new(5_000),
            channels: Cache::new(5_000),
            channel_members: Cache::new(20_000),
            members_of_channel: Cache::new(500),
            members_of_team: Cache::new(200),
            sessions: Cache::new(5_000),
            roles: Cache::new(100),
        }
    }

    fn forget(&self, touched: Touched) {
        match touched {
            Touched::User(id) => self.users.forget(&id),
            Touched::Team(id) => self.teams.forget(&id),
            Touched::TeamMember { team, user } => {
                self.team_members.forget(&(team, user));
                self.members_of_team.forget(&team);
            }
            Touched::Channel(id) => self.channels.forget(&id),
            Touched::ChannelMember { channel, user } => {
                self.channel_members.forget(&(channel, user));
                self.members_of_channel.forget(&channel);
            }
            Touched::Session(token) => self.sessions.forget(&token),
            Touched::Sessions(user) => self
                .sessions
                .forget_where(|_, session| session.as_ref().is_some_and(|session| session.user_id == user)),
        }
    }
}

impl Store {
    /// Runs `job` in the writer's next transaction; returns when it is durable. See [`Writer::write`].
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c, 't> FnOnce(&'c mut Transaction<'t>) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.writer.write(job).await
    }
}
