//! The parts of Mattermost's JSON that this test reads.
//!
//! Servers from 5.37 to 12 send different fields: one that is missing or `null` counts as empty; unknown ones are ignored.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AppError {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub message: String,
    #[serde(deserialize_with = "nullable")]
    pub status_code: u16,
}

impl AppError {
    /// Reads an error body; `None` if the JSON is not an error.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let error: Self = serde_json::from_slice(body).ok()?;
        // A user, a team and a post have an `id` too, but never a `status_code`.
        (!error.id.is_empty() && error.status_code >= 400).then_some(error)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ping {
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    pub database_status: Option<String>,
    pub filestore_status: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct User {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub username: String,
    #[serde(deserialize_with = "nullable")]
    pub roles: String,
    #[serde(deserialize_with = "nullable")]
    pub email_verified: bool,
    #[serde(deserialize_with = "nullable")]
    pub delete_at: i64,
}

/// A personal access token, as it is told once.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Token {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub token: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Team {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub invite_id: String,
    #[serde(deserialize_with = "nullable")]
    pub delete_at: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Channel {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Post {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub channel_id: String,
    #[serde(deserialize_with = "nullable")]
    pub root_id: String,
    #[serde(deserialize_with = "nullable")]
    pub message: String,
    #[serde(deserialize_with = "nullable")]
    pub file_ids: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PostList {
    #[serde(deserialize_with = "nullable")]
    pub posts: HashMap<String, Post>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Upload {
    #[serde(deserialize_with = "nullable")]
    pub file_infos: Vec<FileInfo>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FileInfo {
    #[serde(deserialize_with = "nullable")]
    pub id: String,
}

/// The flat map of `GET /config/client`, whose values are strings.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct ClientConfig(HashMap<String, Value>);

impl ClientConfig {
    /// The value of a key; `None` if it is missing or empty.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a switch is on; `None` if the server does not say.
    pub(crate) fn switch(&self, key: &str) -> Option<bool> {
        self.get(key).map(|value| value == "true")
    }
}

/// One text frame of the websocket: an event or an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Frame {
    #[serde(deserialize_with = "nullable")]
    pub event: String,
    #[serde(deserialize_with = "nullable")]
    pub data: Value,
    pub seq: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    pub seq_reply: Option<i64>,
    pub error: Option<AppError>,
}

impl Frame {
    /// The post inside a `posted` event, which carries it as JSON inside JSON.
    pub(crate) fn posted(&self) -> Option<Post> {
        (self.event == "posted").then_some(())?;
        serde_json::from_str(self.data.get("post")?.as_str()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_missing_fields_are_empty() {
        let post: Post =
            serde_json::from_str(r#"{"id":"p","root_id":null,"file_ids":null,"props":{"x":1}}"#).unwrap();
        assert_eq!((post.id.as_str(), post.root_id.as_str(), post.file_ids.len()), ("p", "", 0));
    }

    #[test]
    fn an_error_is_not_taken_for_a_resource() {
        assert!(AppError::read(br#"{"id":"a.b","message":"no","status_code":403}"#).is_some());
        assert!(AppError::read(br#"{"id":"8w6mkfhb","message":"a post"}"#).is_none());
        assert!(AppError::read(b"<html>502</html>").is_none());
    }

    #[test]
    fn a_posted_event_holds_json_inside_json() {
        let frame: Frame = serde_json::from_str(
            r#"{"event":"posted","data":{"post":"{\"id\":\"p1\",\"message\":\"hi\"}"},"seq":3}"#,
        )
        .unwrap();
        assert_eq!(frame.posted().map(|post| post.id), Some("p1".to_owned()));
        assert_eq!(frame.seq, Some(3));
    }
}
