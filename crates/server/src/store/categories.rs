//! The sidebar's categories.

use super::handle::Store;
use crate::error::Result;
use crate::id::Id;
use crate::model::Category;
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
}
