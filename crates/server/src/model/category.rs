//! The sidebar's categories.

use serde::Serialize;

use super::record::record;
use crate::id::Id;

record! {
    /// A group of channels in a user's sidebar of one team.
    struct Category in "sidebarcategories" {
        id id: String,
        user_id userid: Id,
        team_id teamid: Id,
        sort_order sortorder: i64,
        sorting sorting: String,
        #[serde(rename = "type")]
        kind type: String,
        display_name displayname: String,
        muted muted: bool,
        collapsed collapsed: bool,
    }
}

/// A category and its channels.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CategoryWithChannels {
    #[serde(flatten)]
    pub(crate) category: Category,
    pub(crate) channel_ids: Vec<Id>,
}

impl Category {
    /// The three categories that every user has in a team.
    pub(crate) fn initial(user_id: Id, team_id: Id) -> [Category; 3] {
        [
            ("favorites", "Favorites", 0),
            ("channels", "Channels", 10),
            ("direct_messages", "Direct Messages", 20),
        ]
        .map(|(kind, display_name, sort_order)| Category {
            id: format!("{kind}_{user_id}_{team_id}"),
            user_id,
            team_id,
            sort_order,
            sorting: if kind == "direct_messages" { "recent" } else { "" }.to_owned(),
            kind: kind.to_owned(),
            display_name: display_name.to_owned(),
            muted: false,
            collapsed: false,
        })
    }
}
