//! Teams and their members.

use std::collections::HashSet;
use std::sync::Arc;

use super::caches::Touched;
use super::handle::Store;
use super::writer::Transaction;
use crate::clock;
use crate::error::{AppError, Result, is_duplicate};
use crate::id::Id;
use crate::model::{Category, Channel, Post, Team, TeamMember, User};
use crate::sql::{escape_like, query};

/// The channels that every new member of a team joins.
const DEFAULT_CHANNELS: [(&str, &str); 2] = [("town-square", "Town Square"), ("off-topic", "Off-Topic")];

/// The result of joining a team.
pub(crate) struct Joined {
    pub(crate) member: TeamMember,
    /// The default channels that the user joined, with the system posts about it. Empty if the user was a member already.
    pub(crate) channels: Vec<(Channel, Post)>,
}

impl Store {
    pub(crate) async fn team(&self, id: Id) -> Result<Option<Arc<Team>>> {
        let load = async {
            let row = query("select * from teams where id = $1").bind(id);
            Ok(row.fetch_optional(&self.readers).await?.map(Arc::new))
        };
        self.caches.teams.get_or_load(id, load).await
    }

    pub(crate) async fn team_by_name(&self, name: &str) -> Result<Option<Team>> {
        Ok(query("select * from teams where name = $1").bind(name).fetch_optional(&self.readers).await?)
    }

    pub(crate) async fn team_by_invite(&self, invite_id: &str) -> Result<Option<Team>> {
        let row = query("select * from teams where inviteid = $1 and inviteid <> '' and deleteat = 0");
        Ok(row.bind(invite_id).fetch_optional(&self.readers).await?)
    }

    /// The active membership of `user` in `team`.
    pub(crate) async fn team_member(&self, team: Id, user: Id) -> Result<Option<Arc<TeamMember>>> {
        let load = async {
            let row = query("select * from teammembers where teamid = $1 and userid = $2 and deleteat = 0");
            let member: Option<TeamMember> = row.bind(team).bind(user).fetch_optional(&self.readers).await?;
            Ok(member.map(|member| Arc::new(member.with_roles())))
        };
        self.caches.team_members.get_or_load((team, user), load).await
    }

    /// All members of `team`.
    pub(crate) async fn members_of_team(&self, team: Id) -> Result<Arc<HashSet<Id>>> {
        let load = async {
            let rows = query("select userid from teammembers where teamid = $1 and deleteat = 0");
            Ok(Arc::new(rows.bind(team).fetch_all(&self.readers).await?.into_iter().collect()))
        };
        self.caches.members_of_team.get_or_load(team, load).await
    }

    pub(crate) async fn team_members(&self, team: Id, offset: i64, limit: i64) -> Result<Vec<TeamMember>> {
        let rows = query(
            "select * from teammembers where teamid = $1 and deleteat = 0 order by userid limit $2 offset $3",
        );
        let rows: Vec<TeamMember> = rows.bind(team).bind(limit).bind(offset).fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(TeamMember::with_roles).collect())
    }

    /// The number of members of `team`, and of those whose accounts are active.
    pub(crate) async fn team_stats(&self, team: Id) -> Result<(i64, i64)> {
        let row = query(
            "select count(*), count(*) filter (where users.deleteat = 0) from teammembers \
             join users on users.id = teammembers.userid where teammembers.teamid = $1 and teammembers.deleteat = 0",
        );
        Ok(row.bind(team).fetch_one(&self.readers).await?)
    }

    pub(crate) async fn memberships_in_teams(&self, user: Id) -> Result<Vec<TeamMember>> {
        let rows = query("select * from teammembers where userid = $1 and deleteat = 0");
        let rows: Vec<TeamMember> = rows.bind(user).fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(TeamMember::with_roles).collect())
    }

    pub(crate) async fn teams_of(&self, user: Id) -> Result<Vec<Team>> {
        let rows = query(
            "select teams.* from teams join teammembers on teammembers.teamid = teams.id \
             where teammembers.userid = $1 and teammembers.deleteat = 0 and teams.deleteat = 0 \
             order by teams.displayname",
        );
        Ok(rows.bind(user).fetch_all(&self.readers).await?)
    }

    /// Lists teams: the open ones if `open`, the others if `closed`, and only those that match `term` if it is not empty.
    /// Also returns their total number.
    pub(crate) async fn teams(
        &self,
        (open, closed): (bool, bool),
        term: &str,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<Team>, i64)> {
        const MATCHING: &str = "from teams where deleteat = 0 and (($1 and allowopeninvite) or ($2 and not allowopeninvite)) \
             and (lower(displayname) like $3 escape '\\' or name like $3 escape '\\')";
        let pattern = format!("%{}%", escape_like(&term.to_lowercase()));
        let teams = query(format!("select * {MATCHING} order by displayname limit $4 offset $5"))
            .bind(open)
            .bind(closed)
            .bind(&pattern)
            .bind(limit)
            .bind(offset)
            .fetch_all(&self.readers)
            .await?;
        let total = query(format!("select count(*) {MATCHING}"))
            .bind(open)
            .bind(closed)
            .bind(&pattern)
            .fetch_one(&self.readers)
            .await?;
        Ok((teams, total))
    }

    /// Stores a new team with its default channels; its creator, if there is one, joins as its administrator.
    pub(crate) async fn create_team(
        &self,
        team: Team,
        creator: Option<Arc<User>>,
    ) -> Result<(Team, Option<Joined>)> {
        self.write(move |tx| {
            Box::pin(async move {
                team.insert().execute(&mut *tx.connection).await.map_err(name_taken)?;
                tx.touched.push(Touched::Team(team.id));
                for (name, display_name) in DEFAULT_CHANNELS {
                    let channel = Channel {
                        id: Id::random(),
                        create_at: team.create_at,
                        update_at: team.create_at,
                        team_id: team.id,
                        kind: "O".to_owned(),
                        display_name: display_name.to_owned(),
                        name: name.to_owned(),
                        ..Channel::default()
                    };
                    tx.insert_channel(&channel).await?;
                }
                let joined = match creator {
                    Some(creator) => Some(tx.join_team(team.id, &creator, true, i64::MAX).await?),
                    None => None,
                };
                Ok((team, joined))
            })
        })
        .await
    }

    /// Makes `user` a member of `team`, unless it already has `max_users` members.
    pub(crate) async fn join_team(&self, team: Id, user: Arc<User>, max_users: i64) -> Result<Joined> {
        self.write(move |tx| Box::pin(async move { tx.join_team(team, &user, false, max_users).await })).await
    }

    /// Ends a membership in a team and its channels. Returns the ids of these channels.
    pub(crate) async fn leave_team(&self, team: Id, user: Id) -> Result<Vec<Id>> {
        self.write(move |tx| {
            Box::pin(async move {
                let now = clock::now();
                query("update teammembers set deleteat = $1, roles = '', schemeadmin = false where teamid = $2 and userid = $3")
                    .bind(now)
                    .bind(team)
                    .bind(user)
                    .execute(&mut *tx.connection)
                    .await?;
                tx.touched.push(Touched::TeamMember { team, user });
                let channels: Vec<Id> = query(
                    "delete from channelmembers where userid = $1 and channelid in \
                     (select id from channels where teamid = $2) returning channelid",
                )
                .bind(user)
                .bind(team)
                .fetch_all(&mut *tx.connection)
                .await?;
                for channel in &channels {
                    tx.note_leaving(*channel, user, now).await?;
                }
                Ok(channels)
            })
        })
        .await
    }

    /// Changes a team: `change` gets the stored one.
    pub(crate) async fn update_team<F>(&self, id: Id, change: F) -> Result<Team>
    where
        F: FnOnce(&mut Team) -> Result<()> + Send + 'static,
    {
        self.write(move |tx| {
            Box::pin(async move {
                let row = query("select * from teams where id = $1").bind(id);
                let mut team: Team =
                    row.fetch_optional(&mut *tx.connection).await?.ok_or_else(no_such_team)?;
                change(&mut team)?;
                team.update_at = clock::now().max(team.update_at + 1);
                team.bind_to(
                    "update teams set createat = $2, updateat = $3, deleteat = $4, displayname = $5, name = $6, \
                     description = $7, email = $8, type = $9, companyname = $10, alloweddomains = $11, inviteid = $12, \
                     allowopeninvite = $13, lastteamiconupdate = $14, schemeid = $15, groupconstrained = $16, \
                     cloudlimitsarchived = $17 where id = $1",
                )
                .execute(&mut *tx.connection)
                .await
                .map_err(name_taken)?;
                tx.touched.push(Touched::Team(id));
                Ok(team)
            })
        })
        .await
    }

    /// Sets whether a member is an administrator, and the explicit roles.
    pub(crate) async fn set_team_roles(
        &self,
        team: Id,
        user: Id,
        admin: bool,
        explicit: String,
    ) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let done = query(
                    "update teammembers set schemeadmin = $3, roles = $4 where teamid = $1 and userid = $2 and deleteat = 0",
                )
                .bind(team)
                .bind(user)
                .bind(admin)
                .bind(explicit)
                .execute(&mut *tx.connection)
                .await?;
                tx.touched.push(Touched::TeamMember { team, user });
                if done == 0 { Err(no_such_member()) } else { Ok(()) }
            })
        })
        .await
    }
}

impl Transaction<'_> {
    async fn join_team(&mut self, team: Id, user: &User, admin: bool, max_users: i64) -> Result<Joined> {
        let row =
            query("select * from teammembers where teamid = $1 and userid = $2").bind(team).bind(user.id);
        let former: Option<TeamMember> = row.fetch_optional(&mut *self.connection).await?;
        if let Some(member) = former.as_ref().filter(|member| member.delete_at == 0) {
            return Ok(Joined { member: member.clone().with_roles(), channels: Vec::new() });
        }
        let members: i64 = query(
            "select count(*) from teammembers join users on users.id = teammembers.userid \
             where teammembers.teamid = $1 and teammembers.deleteat = 0 and users.deleteat = 0",
        )
        .bind(team)
        .fetch_one(&mut *self.connection)
        .await?;
        if members >= max_users {
            let id = match former {
                None => "app.team.join_user_to_team.save_member.max_accounts.app_error",
                Some(_) => "app.team.join_user_to_team.max_accounts.app_error",
            };
            return Err(AppError::bad_request(
                id,
                "This team has reached the maximum number of allowed accounts.",
            ));
        }
        let member = TeamMember {
            team_id: team,
            user_id: user.id,
            scheme_user: true,
            scheme_admin: admin,
            create_at: clock::now(),
            ..TeamMember::default()
        };
        member
            .bind_to(
                "insert into teammembers (teamid, userid, roles, deleteat, schemeuser, schemeadmin, schemeguest, createat) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (teamid, userid) do update set \
                 roles = $3, deleteat = $4, schemeuser = $5, schemeadmin = $6, schemeguest = $7, createat = $8",
            )
            .execute(&mut *self.connection)
            .await?;
        self.touched.push(Touched::TeamMember { team, user: user.id });
        self.insert_initial_categories(user.id, team).await?;
        let channels = self.join_default_channels(team, user, admin).await?;
        Ok(Joined { member: member.with_roles(), channels })
    }

    async fn insert_initial_categories(&mut self, user: Id, team: Id) -> Result<()> {
        for category in Category::initial(user, team) {
            category
                .bind_to(
                    "insert into sidebarcategories (id, userid, teamid, sortorder, sorting, type, displayname, muted, \
                     collapsed) values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (id) do nothing",
                )
                .execute(&mut *self.connection)
                .await?;
        }
        Ok(())
    }

    async fn join_default_channels(
        &mut self,
        team: Id,
        user: &User,
        admin: bool,
    ) -> Result<Vec<(Channel, Post)>> {
        let rows = query(
            "select * from channels where teamid = $1 and name in ('town-square', 'off-topic') and deleteat = 0 \
             order by name desc",
        );
        let channels: Vec<Channel> = rows.bind(team).fetch_all(&mut *self.connection).await?;
        let mut joined = Vec::new();
        for channel in channels {
            if !self.add_channel_member(channel.id, user.id, admin).await? {
                continue;
            }
            let (kind, place) = match channel.name.as_str() {
                "town-square" => ("system_join_team", "team"),
                _ => ("system_join_channel", "channel"),
            };
            let text = format!("{} joined the {place}.", user.username);
            let post = self.insert_system_post(&channel, user, kind, text, Id::NONE).await?;
            joined.push((channel, post));
        }
        Ok(joined)
    }
}

fn name_taken(error: sqlx::Error) -> AppError {
    if is_duplicate(&error) {
        AppError::bad_request("app.team.save.existing.app_error", "A team with that name already exists.")
    } else {
        error.into()
    }
}

pub(crate) fn no_such_team() -> AppError {
    AppError::not_found("app.team.get.find.app_error", "Unable to find the existing team.")
}

pub(crate) fn no_such_invite() -> AppError {
    AppError::not_found("app.team.get_by_invite_id.finding.app_error", "Unable to find the existing team.")
}

pub(crate) fn no_such_member() -> AppError {
    AppError::not_found(
        "app.team.get_member.missing.app_error",
        "No team member found for that user and team.",
    )
}
