//! Preferences.

use super::handle::Store;
use super::writer::Transaction;
use crate::bounds::PREFERENCES_OF_USER;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::model::{Post, Preference};
use crate::sql::query;

impl Store {
    /// A user's preferences; an empty `category` or `name` means all.
    pub(crate) async fn preferences(&self, user: Id, category: &str, name: &str) -> Result<Vec<Preference>> {
        let rows = query(
            "select * from preferences where userid = $1 and ($2 = '' or category = $2) and ($3 = '' or name = $3) \
             order by category, name",
        );
        Ok(rows.bind(user).bind(category).bind(name).fetch_all(&self.readers).await?)
    }

    /// The posts that `user` saved, the newest first.
    pub(crate) async fn flagged_posts(
        &self,
        user: Id,
        team: Option<Id>,
        channel: Option<Id>,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<Post>> {
        let rows = query(
            "select posts.* from preferences join posts on posts.id = preferences.name \
             join channels on channels.id = posts.channelid \
             where preferences.userid = $1 and preferences.category = 'flagged_post' and preferences.value = 'true' \
             and posts.deleteat = 0 and ($2 = '' or channels.teamid in ($2, '')) and ($3 = '' or channels.id = $3) \
             order by posts.createat desc, posts.id desc limit $4 offset $5",
        );
        let rows = rows.bind(user).bind(team.unwrap_or(Id::NONE)).bind(channel.unwrap_or(Id::NONE));
        Ok(rows.bind(limit).bind(offset).fetch_all(&self.readers).await?)
    }

    pub(crate) async fn save_preferences(&self, preferences: Vec<Preference>) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                for preference in &preferences {
                    tx.save_preference(preference).await?;
                }
                let Some(user) = preferences.first().map(|preference| preference.user_id) else {
                    return Ok(());
                };
                let all: i64 = query("select count(*) from preferences where userid = $1")
                    .bind(user)
                    .fetch_one(&mut *tx.connection)
                    .await?;
                if all <= PREFERENCES_OF_USER { Ok(()) } else { Err(AppError::body("preferences")) }
            })
        })
        .await
    }

    pub(crate) async fn delete_preferences(&self, preferences: Vec<Preference>) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                for preference in &preferences {
                    query("delete from preferences where userid = $1 and category = $2 and name = $3")
                        .bind(preference.user_id)
                        .bind(&preference.category)
                        .bind(&preference.name)
                        .execute(&mut *tx.connection)
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }
}

impl Transaction<'_> {
    pub(crate) async fn save_preference(&mut self, preference: &Preference) -> Result<()> {
        preference
            .bind_to(
                "insert into preferences (userid, category, name, value) values ($1, $2, $3, $4) \
                 on conflict (userid, category, name) do update set value = $4",
            )
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }
}
