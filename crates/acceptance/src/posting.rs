//! One post of a user of the test.

use serde_json::json;

use crate::person::Person;
use crate::site::Site;
use crate::symptom::{Fault, Symptom};
use crate::wire::Post;

/// Sends a post with a unique text, and checks that the server stored it unchanged.
pub(crate) async fn post(
    site: &Site,
    author: &Person,
    channel: &str,
    root: &str,
    files: &[&str],
) -> Result<Post, Fault> {
    let message = match (root.is_empty(), files.is_empty()) {
        (true, _) => format!("Hello, Town Square! This is {}.", author.name),
        (false, true) => format!("And hello from {}.", author.name),
        (false, false) => format!("A picture from {}.", author.name),
    };
    let request = json!({ "channel_id": channel, "message": message, "root_id": root, "file_ids": files });
    let post: Post = site.post("posts").by(author.token()?).body(&request).json().await?;
    let same = post.message == message
        && post.channel_id == channel
        && post.root_id == root
        && post.file_ids.iter().eq(files.iter());
    if same && !post.id.is_empty() {
        return Ok(post);
    }
    let what = "the stored post is not the one that was sent".to_owned();
    Err(Fault { during: "POST /api/v4/posts".to_owned(), symptom: Symptom::Wrong { what } })
}
