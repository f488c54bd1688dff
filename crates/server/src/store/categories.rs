//! The sidebar's categories.

use super::handle::Store;
use super::writer::Transaction;
use crate::error::Result;
use crate::id::Id;
use crate::model::{Category, Preference};
use crate::sql::query;

impl Store {
    pub(crate) async fn categories(&self, user: Id, team: Id) -> Result<Vec<Category>> {
        let rows =
            query("select * from sidebarcategories where userid = $1 and teamid = $2 order by sortorder, id");
        Ok(rows.bind(user).bind(team).fetch_all(&self.readers).await?)
    }

    /// The channels that the user put into a category by hand, in order: category and channel.
    pub(crate) async fn sidebar_channels(&self, user: Id) -> Result<Vec<(String, Id)>> {
        let rows =
            query("select categoryid, channelid from sidebarchannels where userid = $1 order by sortorder");
        Ok(rows.bind(user).fetch_all(&self.readers).await?)
    }

    /// Stores a new category below the favourites, with these channels.
    pub(crate) async fn create_category(&self, category: Category, channels: Vec<Id>) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query("update sidebarcategories set sortorder = sortorder + 10 where userid = $1 and teamid = $2 and sortorder > 0")
                    .bind(category.user_id)
                    .bind(category.team_id)
                    .execute(&mut *tx.connection)
                    .await?;
                let category = Category { sort_order: 10, ..category };
                category.insert().execute(&mut *tx.connection).await?;
                tx.fill_category(&category, &channels).await
            })
        })
        .await
    }

    /// Changes categories and their channels together.
    pub(crate) async fn update_categories(&self, changes: Vec<(Category, Vec<Id>)>) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                for (category, _) in &changes {
                    query(
                        "update sidebarcategories set displayname = $2, sorting = $3, muted = $4, collapsed = $5 \
                         where id = $1",
                    )
                    .bind(&category.id)
                    .bind(&category.display_name)
                    .bind(&category.sorting)
                    .bind(category.muted)
                    .bind(category.collapsed)
                    .execute(&mut *tx.connection)
                    .await?;
                    query("delete from sidebarchannels where userid = $1 and categoryid = $2")
                        .bind(category.user_id)
                        .bind(&category.id)
                        .execute(&mut *tx.connection)
                        .await?;
                    if category.kind == "favorites" {
                        query("delete from preferences where userid = $1 and category = 'favorite_channel' and name in \
                               (select channelid from channelmembers join channels on channels.id = channelid \
                               where channelmembers.userid = $1 and channels.teamid in ($2, ''))")
                            .bind(category.user_id)
                            .bind(category.team_id)
                            .execute(&mut *tx.connection)
                            .await?;
                    }
                }
                for (category, channels) in &changes {
                    tx.fill_category(category, channels).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Puts the categories of `user` into this order.
    pub(crate) async fn order_categories(&self, user: Id, order: Vec<String>) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                for (place, id) in (0_i64..).zip(&order) {
                    query("update sidebarcategories set sortorder = $3 where userid = $1 and id = $2")
                        .bind(user)
                        .bind(id)
                        .bind(place * 10)
                        .execute(&mut *tx.connection)
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }

    pub(crate) async fn delete_category(&self, user: Id, id: String) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                for statement in [
                    "delete from sidebarchannels where userid = $1 and categoryid = $2",
                    "delete from sidebarcategories where userid = $1 and id = $2",
                ] {
                    query(statement).bind(user).bind(&id).execute(&mut *tx.connection).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

impl Transaction<'_> {
    /// Puts `channels` into a category, out of the others of its team. Clients that know no categories see the favourites as
    /// preferences.
    async fn fill_category(&mut self, category: &Category, channels: &[Id]) -> Result<()> {
        query(
            "delete from sidebarchannels where userid = $1 and channelid = any($2) and categoryid in \
             (select id from sidebarcategories where userid = $1 and teamid = $3)",
        )
        .bind(category.user_id)
        .bind(channels)
        .bind(category.team_id)
        .execute(&mut *self.connection)
        .await?;
        for (place, channel) in (0_i64..).zip(channels) {
            query("insert into sidebarchannels (channelid, userid, categoryid, sortorder) values ($1, $2, $3, $4)")
                .bind(*channel)
                .bind(category.user_id)
                .bind(&category.id)
                .bind(place * 10)
                .execute(&mut *self.connection)
                .await?;
            if category.kind == "favorites" {
                self.save_preference(&Preference {
                    user_id: category.user_id,
                    category: "favorite_channel".to_owned(),
                    name: channel.to_string(),
                    value: "true".to_owned(),
                })
                .await?;
            }
        }
        Ok(())
    }
}
