//! Reactions.

use super::caches::Touched;
use super::handle::Store;
use super::writer::Transaction;
use crate::clock;
use crate::error::{AppError, Result};
use crate::id::Id;
use crate::model::Reaction;
use crate::sql::query;

impl Store {
    pub(crate) async fn reactions(&self, posts: &[Id]) -> Result<Vec<Reaction>> {
        let rows = query(
            "select * from reactions where postid = any($1) and coalesce(deleteat, 0) = 0 \
             order by createat",
        );
        Ok(rows.bind(posts).fetch_all(&self.readers).await?)
    }

    /// Stores a reaction, if it does not exist yet. The post may have at most `most` different emoji.
    pub(crate) async fn add_reaction(&self, reaction: Reaction, most: i64) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                let others: i64 = query(
                    "select count(distinct emojiname) from reactions \
                     where postid = $1 and emojiname <> $2 and coalesce(deleteat, 0) = 0",
                )
                .bind(reaction.post_id)
                .bind(&reaction.emoji_name)
                .fetch_one(&mut *tx.connection)
                .await?;
                let known: bool = query(
                    "select exists (select 1 from reactions \
                     where postid = $1 and emojiname = $2 and coalesce(deleteat, 0) = 0)",
                )
                .bind(reaction.post_id)
                .bind(&reaction.emoji_name)
                .fetch_one(&mut *tx.connection)
                .await?;
                if others >= most && !known {
                    return Err(AppError::bad_request(
                        "app.reaction.save.save.too_many_reactions",
                        format!("Reaction limit has been reached for this post: it has {most} different emoji."),
                    ));
                }
                reaction
                    .bind_to(
                        "insert into reactions (userid, postid, emojiname, createat, updateat, deleteat, remoteid, channelid) \
                         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (postid, userid, emojiname) \
                         do update set updateat = $5, deleteat = 0",
                    )
                    .execute(&mut *tx.connection)
                    .await?;
                tx.note_reactions(reaction.post_id).await
            })
        })
        .await
    }

    pub(crate) async fn remove_reaction(&self, user: Id, post: Id, emoji: String) -> Result<()> {
        self.write(move |tx| {
            Box::pin(async move {
                query("delete from reactions where userid = $1 and postid = $2 and emojiname = $3")
                    .bind(user)
                    .bind(post)
                    .bind(emoji)
                    .execute(&mut *tx.connection)
                    .await?;
                tx.note_reactions(post).await
            })
        })
        .await
    }
}

impl Transaction<'_> {
    /// Updates `posts.hasreactions` from the table of reactions.
    pub(super) async fn note_reactions(&mut self, post: Id) -> Result<()> {
        let channel: Option<Id> = query(
            "update posts set updateat = greatest(updateat + 1, $2), hasreactions = exists \
             (select 1 from reactions where postid = $1 and coalesce(deleteat, 0) = 0) where id = $1 \
             returning channelid",
        )
        .bind(post)
        .bind(clock::now())
        .fetch_optional(&mut *self.connection)
        .await?;
        self.touched.extend(channel.map(Touched::Posts));
        Ok(())
    }
}
