//! Deleting for good (`?permanent=true`): the files on disk first, then the rows.
//!
//! An account, team or channel is closed before, so that nothing is added meanwhile, and its own row goes last. A deletion that
//! was interrupted anywhere is therefore completed by asking again.

use crate::app::App;
use crate::error::Result;
use crate::files::Storage;
use crate::id::Id;
use crate::store::{Doomed, StoredPaths};

impl App {
    /// Deletes a post with its replies.
    pub(crate) async fn erase_post(&self, post: Id) -> Result<()> {
        self.erase_some(vec![post]).await
    }

    /// Deletes a channel, which must be archived, with its posts and files.
    pub(crate) async fn erase_channel(&self, channel: Id) -> Result<()> {
        self.erase_posts_of(Doomed::Channel(channel)).await?;
        self.remove_files(self.store.paths_of(Doomed::Channel(channel)).await?).await?;
        self.store.erase_channel(channel).await
    }

    /// Deletes a team, which must be archived, with its channels.
    pub(crate) async fn erase_team(&self, team: Id) -> Result<()> {
        for channel in self.store.all_channels_of_team(team).await? {
            self.erase_channel(channel).await?;
        }
        self.store.erase_team(team).await
    }

    /// Deletes an account, which must be deactivated, with its posts, the replies to them, and its files.
    pub(crate) async fn erase_account(&self, user: Id) -> Result<()> {
        self.erase_posts_of(Doomed::Account(user)).await?;
        self.remove_files(self.store.paths_of(Doomed::Account(user)).await?).await?;
        self.store.erase_account(user).await
    }

    async fn erase_posts_of(&self, doomed: Doomed) -> Result<()> {
        loop {
            let some = self.store.doomed_posts(doomed).await?;
            if some.is_empty() {
                return Ok(());
            }
            self.erase_some(some).await?;
        }
    }

    async fn erase_some(&self, posts: Vec<Id>) -> Result<()> {
        let posts = self.store.with_dependents(&posts).await?;
        self.remove_files(self.store.paths_of_posts(&posts).await?).await?;
        self.store.erase_posts(posts).await
    }

    async fn remove_files(&self, files: Vec<StoredPaths>) -> Result<()> {
        let paths = files.into_iter().flat_map(StoredPaths::all).collect();
        let removed = Storage::new(self.config.file.directory.as_str()).remove(paths).await;
        removed.map_err(crate::error::AppError::internal)
    }
}
