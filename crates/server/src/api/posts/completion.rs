//! Adds to stored posts what clients get with them: reply counters, files and reactions. The number of queries does not
//! depend on the number of posts.

use std::collections::{BTreeSet, HashMap};

use crate::error::Result;
use crate::id::Id;
use crate::model::{Post, PostList, Thread, User};
use crate::session::Caller;

impl Caller {
    pub(super) async fn complete_one(&self, post: Post) -> Result<Post> {
        let completed = self.complete(vec![post]).await?;
        completed.into_iter().next().ok_or_else(crate::store::no_such_post)
    }

    /// `posts`, in their order, with everything that clients get with a post.
    pub(crate) async fn complete(&self, mut posts: Vec<Post>) -> Result<Vec<Post>> {
        self.add_threads(&mut posts).await?;
        self.add_files(&mut posts).await?;
        self.add_reactions(&mut posts).await?;
        Ok(posts.into_iter().map(|post| if post.delete_at == 0 { post } else { post.emptied() }).collect())
    }

    async fn add_threads(&self, posts: &mut [Post]) -> Result<()> {
        let roots: BTreeSet<Id> = posts.iter().map(Post::thread).collect();
        let roots: Vec<Id> = roots.into_iter().collect();
        let store = &self.app.store;
        let threads: HashMap<Id, Thread> =
            store.threads(&roots).await?.into_iter().map(|thread| (thread.post_id, thread)).collect();
        if threads.is_empty() {
            return Ok(());
        }
        let followed = store.following(self.user.id, &roots).await?;
        let people: BTreeSet<Id> =
            threads.values().flat_map(|thread| thread.participants.iter().copied()).collect();
        let people = store.users_by_ids(&people.into_iter().collect::<Vec<_>>()).await?;
        let people: HashMap<Id, User> =
            self.view_all(people).await?.into_iter().map(|user| (user.id, user)).collect();
        for post in posts {
            let Some(thread) = threads.get(&post.thread()) else { continue };
            post.reply_count = thread.reply_count;
            if post.root_id.is_none() {
                post.last_reply_at = thread.last_reply_at;
                post.participants =
                    Some(thread.participants.iter().filter_map(|id| people.get(id)).cloned().collect());
                post.is_following = Some(followed.contains(&post.id));
            }
        }
        Ok(())
    }

    async fn add_files(&self, posts: &mut [Post]) -> Result<()> {
        let with_files: Vec<Id> =
            posts.iter().filter(|post| !post.file_ids.is_empty()).map(|post| post.id).collect();
        if with_files.is_empty() {
            return Ok(());
        }
        let files = self.app.store.files_of_posts(&with_files).await?;
        for post in posts {
            post.metadata.files = post
                .file_ids
                .iter()
                .filter_map(|id| files.iter().find(|file| file.id == *id && file.post_id == post.id))
                .cloned()
                .collect();
        }
        Ok(())
    }

    async fn add_reactions(&self, posts: &mut [Post]) -> Result<()> {
        let with_reactions: Vec<Id> =
            posts.iter().filter(|post| post.has_reactions).map(|post| post.id).collect();
        if with_reactions.is_empty() {
            return Ok(());
        }
        let mut reactions = self.app.store.reactions(&with_reactions).await?;
        for post in posts.iter_mut().rev() {
            post.metadata.reactions =
                reactions.extract_if(.., |reaction| reaction.post_id == post.id).collect();
        }
        Ok(())
    }
}

impl Post {
    /// A deleted post as clients get it: without what it said.
    pub(super) fn emptied(self) -> Post {
        Post {
            message: String::new(),
            hashtags: String::new(),
            has_reactions: false,
            metadata: Default::default(),
            ..self
        }
    }

    /// The root of the post's thread: the post itself, unless it is a reply.
    pub(super) fn thread(&self) -> Id {
        if self.root_id.is_none() { self.id } else { self.root_id }
    }
}

impl PostList {
    /// A list of `posts` in their order.
    pub(crate) fn of(posts: Vec<Post>) -> PostList {
        let order = posts.iter().map(|post| post.id).collect();
        PostList {
            order,
            posts: posts.into_iter().map(|post| (post.id, post)).collect(),
            ..PostList::default()
        }
    }
}
