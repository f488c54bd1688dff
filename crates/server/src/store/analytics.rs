//! Numbers and entries for administrators.

use super::handle::Store;
use crate::error::Result;
use crate::id::Id;
use crate::model::Audit;
use crate::sql::query;

/// Mattermost's names of the numbers, and how they are counted.
const COUNTS: [(&str, &str); 5] = [
    ("channel_open_count", "select count(*) from channels where type = 'O' and deleteat = 0"),
    ("channel_private_count", "select count(*) from channels where type = 'P' and deleteat = 0"),
    ("post_count", "select count(*) from posts where deleteat = 0"),
    ("unique_user_count", "select count(*) from users where deleteat = 0"),
    ("team_count", "select count(*) from teams where deleteat = 0"),
];

impl Store {
    /// How much there is on the whole server.
    pub(crate) async fn counts(&self) -> Result<Vec<(&'static str, i64)>> {
        let mut counts = Vec::new();
        for (name, statement) in COUNTS {
            counts.push((name, query(statement).fetch_one(&self.readers).await?));
        }
        Ok(counts)
    }

    /// The newest entries of `user`, or of everybody.
    pub(crate) async fn audits(&self, user: Option<Id>, offset: i64, limit: i64) -> Result<Vec<Audit>> {
        let rows = query(
            "select * from audits where $1 = '' or userid = $1 order by createat desc limit $2 offset $3",
        );
        let user = user.unwrap_or(Id::NONE);
        Ok(rows.bind(user).bind(limit).bind(offset).fetch_all(&self.readers).await?)
    }
}
