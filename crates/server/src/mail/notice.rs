//! A post that may be told by mail.

use crate::id::Id;
use crate::model::{Channel, Post, User};

/// A post, and whom it concerns.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) post: Post,
    pub(crate) channel: Channel,
    pub(crate) sender: User,
    /// Who is mentioned in it, or gets it as a direct message.
    pub(crate) mentions: Vec<Id>,
    /// Who follows its thread.
    pub(crate) followers: Vec<Id>,
}
