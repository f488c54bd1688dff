//! What a caller may do, and loading the objects that a request names.
//!
//! A check looks at the caller's roles in the channel, then in the team, then in the system. A role is a row of the
//! `roles` table, so what it grants can differ from [`crate::permission::DEFAULT_ROLES`].

use std::sync::Arc;

use http::StatusCode;

use crate::app::App;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::model::{Channel, ChannelKind, Post, Team};
use crate::permission::{EDIT_OTHER_USERS, MANAGE_SYSTEM, READ_CHANNEL_CONTENT, READ_PUBLIC_CHANNEL};
use crate::session::Caller;
use crate::store;

impl App {
    /// Whether one of the space-separated `roles` grants `permission`.
    async fn roles_grant(&self, roles: &str, permission: &str) -> Result<bool> {
        for name in roles.split_whitespace() {
            if let Some(role) = self.store.role(name).await?
                && role.delete_at == 0
                && role.permissions.iter().any(|granted| granted == permission)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Caller {
    /// Whether the caller's own roles grant `permission`.
    pub(crate) async fn may(&self, permission: &str) -> Result<bool> {
        Ok(self.is_local() || self.app.roles_grant(&self.user.roles, permission).await?)
    }

    pub(crate) async fn must(&self, permission: &str) -> Result<()> {
        allowed(self.may(permission).await?, permission)
    }

    /// Whether the caller's roles in `team`, or in the system, grant `permission`.
    pub(crate) async fn may_in_team(&self, team: Id, permission: &str) -> Result<bool> {
        if !team.is_none()
            && !self.is_local()
            && let Some(member) = self.app.store.team_member(team, self.user.id).await?
            && self.app.roles_grant(&member.roles, permission).await?
        {
            return Ok(true);
        }
        self.may(permission).await
    }

    pub(crate) async fn must_in_team(&self, team: Id, permission: &str) -> Result<()> {
        allowed(self.may_in_team(team, permission).await?, permission)
    }

    /// Whether the caller's roles in `channel`, in its team, or in the system, grant `permission`.
    pub(crate) async fn may_in_channel(&self, channel: &Channel, permission: &str) -> Result<bool> {
        if !self.is_local()
            && let Some(member) = self.app.store.channel_member(channel.id, self.user.id).await?
            && self.app.roles_grant(&member.roles, permission).await?
        {
            return Ok(true);
        }
        self.may_in_team(channel.team_id, permission).await
    }

    pub(crate) async fn must_in_channel(&self, channel: &Channel, permission: &str) -> Result<()> {
        allowed(self.may_in_channel(channel, permission).await?, permission)
    }

    /// Allows members to read a channel's posts, and everyone in the team if the channel is public.
    pub(crate) async fn must_read(&self, channel: &Channel) -> Result<()> {
        if channel.kind() == ChannelKind::Public
            && self.may_in_team(channel.team_id, READ_PUBLIC_CHANNEL).await?
        {
            return Ok(());
        }
        self.must_in_channel(channel, READ_CHANNEL_CONTENT).await
    }

    /// Allows acting for `user` to that user, and to callers who may edit other accounts.
    pub(crate) async fn must_act_for(&self, user: Id) -> Result<()> {
        if user == self.user.id { Ok(()) } else { self.must(EDIT_OTHER_USERS).await }
    }
}

impl Caller {
    /// The channel `id`, archived or not; 404 if there is none.
    pub(crate) async fn channel(&self, id: Id) -> Result<Arc<Channel>> {
        self.app.store.channel(id).await?.ok_or_else(store::no_such_channel)
    }

    /// The team `id`, archived or not; 404 if there is none.
    pub(crate) async fn team(&self, id: Id) -> Result<Arc<Team>> {
        self.app.store.team(id).await?.ok_or_else(store::no_such_team)
    }

    /// The post `id` with its channel, if the caller may read it.
    pub(crate) async fn readable_post(&self, id: Id) -> Result<(Post, Arc<Channel>)> {
        let post = self.app.store.post(id).await?.ok_or_else(store::no_such_post)?;
        let channel = self.channel(post.channel_id).await?;
        self.must_read(&channel).await?;
        Ok((post, channel))
    }
}

impl Caller {
    /// Whether the request wants to delete `what` (`user`, `team`, `channel`) for good. Refused unless `enabled` says that the
    /// API may; the local channel always may.
    pub(crate) async fn wants_erasure(&self, permanent: bool, what: &str, enabled: bool) -> Result<bool> {
        if !permanent || enabled || self.is_local() {
            return Ok(permanent);
        }
        // Mattermost tells only administrators which setting it is.
        let (suffix, message) = match self.may(MANAGE_SYSTEM).await? {
            true => (
                ".for_admin",
                format!(
                    "Permanent deletion is disabled: ServiceSettings.EnableAPI{}Deletion.",
                    capital(what)
                ),
            ),
            false => (
                "",
                format!(
                    "Permanent {what} deletion feature is not enabled. Please contact your System Administrator."
                ),
            ),
        };
        let id = format!("api.user.delete_{what}.not_enabled{suffix}.app_error");
        Err(AppError::new(StatusCode::UNAUTHORIZED, id, message))
    }
}

/// `word` with a capital letter, as in the names of settings.
fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

fn allowed(granted: bool, permission: &str) -> Result<()> {
    if granted { Ok(()) } else { Err(AppError::permission(permission)) }
}
