//! Attached files.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::record::{is_zero, record};
use crate::id::Id;

record! {
    /// A stored file. Its paths are relative to `FileSettings.Directory`.
    struct FileInfo in "fileinfo" {
        id id: Id,
        #[serde(rename = "user_id")]
        creator_id creatorid: Id,
        #[serde(skip_serializing_if = "Id::is_none")]
        post_id postid: Id,
        channel_id channelid: Id,
        create_at createat: i64,
        update_at updateat: i64,
        delete_at deleteat: i64,
        #[serde(skip)]
        path path: String,
        #[serde(skip)]
        thumbnail_path thumbnailpath: String,
        #[serde(skip)]
        preview_path previewpath: String,
        name name: String,
        extension extension: String,
        size size: i64,
        mime_type mimetype: String,
        #[serde(skip_serializing_if = "is_zero")]
        width width: i64,
        #[serde(skip_serializing_if = "is_zero")]
        height height: i64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        has_preview_image haspreviewimage: bool,
        #[serde(serialize_with = "base64_or_null")]
        mini_preview minipreview: Option<Vec<u8>>,
        #[serde(skip)]
        content content: String,
        remote_id remoteid: String,
        archived archived: bool,
    }
}

fn base64_or_null<S: serde::Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => serializer.serialize_str(&BASE64_STANDARD.encode(bytes)),
        None => serializer.serialize_none(),
    }
}
