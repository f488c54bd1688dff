//! JSON bodies and answers. Bodies are read as leniently as Go does, because the official clients rely on it: `null` and
//! absent fields are zero, unknown fields are ignored, the last of duplicate fields counts, and names match in any case.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

use crate::app::App;
use crate::error::{AppError, Result};
use crate::unread;

/// How long the server waits for the next part of a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A request's body as a `T`, which must be a struct with `#[serde(default)]` or a list.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = AppError;

    async fn from_request(request: Request, app: &App) -> Result<Body<T>> {
        let bytes = read(request, app.config.service.maximum_payload_size_bytes as usize).await?;
        parse(&bytes).map(Body)
    }
}

/// A body as it was sent, within the bound of all bodies.
pub(crate) struct RawBody(pub(crate) Bytes);

impl RawBody {
    pub(crate) async fn receive(request: Request, app: &App) -> Result<RawBody> {
        read(request, app.config.service.maximum_payload_size_bytes as usize).await.map(RawBody)
    }
}

/// A body as a flat map of strings. If one value is not a string, the whole map is empty, as in Mattermost.
pub(crate) struct StringMapBody(BTreeMap<String, String>);

impl StringMapBody {
    /// The value of `name`, or the empty string.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl FromRequest<App> for StringMapBody {
    type Rejection = AppError;

    async fn from_request(request: Request, app: &App) -> Result<StringMapBody> {
        let bytes = read(request, app.config.service.maximum_payload_size_bytes as usize).await?;
        Ok(StringMapBody(string_map(&bytes)))
    }
}

/// A body as a map of booleans. If it is anything else, or missing, all are false, as in Mattermost.
pub(crate) struct FlagsBody(BTreeMap<String, bool>);

impl FlagsBody {
    /// Whether `name` is true.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).copied().unwrap_or_default()
    }
}

impl FromRequest<App> for FlagsBody {
    type Rejection = AppError;

    async fn from_request(request: Request, app: &App) -> Result<FlagsBody> {
        let bytes = read(request, app.config.service.maximum_payload_size_bytes as usize).await?;
        Ok(FlagsBody(serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}

fn string_map(bytes: &[u8]) -> BTreeMap<String, String> {
    serde_json::from_slice::<BTreeMap<String, Option<String>>>(bytes)
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name, value.unwrap_or_default()))
        .collect()
}

/// The whole body, or at once 413 if it is longer than `limit` bytes.
async fn read(request: Request, limit: usize) -> Result<Bytes> {
    let body = request.into_body();
    if unread::is_declared_larger(&body, limit as u64) {
        unread::receive(body.into_data_stream());
        return Err(too_large(limit));
    }
    let mut body = body.into_data_stream();
    let mut collected = BytesMut::new();
    while let Some(data) = timeout(BODY_TIMEOUT, body.next()).await.map_err(|_| AppError::body("body"))? {
        let data = data.map_err(|_| AppError::body("body"))?;
        if collected.len() + data.len() > limit {
            unread::receive(body);
            return Err(too_large(limit));
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.freeze())
}

fn too_large(limit: usize) -> AppError {
    AppError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "api.context.request_body_too_large.app_error",
        format!("The request body is larger than the {limit} bytes that are allowed."),
    )
}

/// Parses a `T`; the error is a 400.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let malformed = |error: serde_json::Error| AppError::body("body").detail(error.to_string());
    let mut value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    normalise(&mut value);
    serde_json::from_value(value).map_err(malformed)
}

/// Drops nulls and converts names to lower case at the top level of an object, or of each object in a list. Deeper
/// levels are the client's own data (a post's props) and must be stored as they were sent.
fn normalise(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            if map.keys().any(|name| name.bytes().any(|byte| byte.is_ascii_uppercase())) {
                for (name, value) in std::mem::take(map) {
                    // Capitals sort before lower-case letters, so the exact name comes last and overrides the others.
                    map.insert(name.to_ascii_lowercase(), value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().filter(|item| item.is_object()).for_each(normalise),
        _ => {}
    }
}

/// A field that Mattermost knows and this server does not: it may be there, with nothing in it.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Absent(Value);

impl Absent {
    /// Refuses with 501 if one of these fields has a value, because it would be ignored.
    pub(crate) fn all(fields: &[(&str, &Absent)]) -> Result<()> {
        let is_empty = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::Bool(true) => false,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
        };
        match fields.iter().find(|(_, field)| !is_empty(&field.0)) {
            Some((name, _)) => Err(AppError::not_implemented(&format!("the field {name}"))),
            None => Ok(()),
        }
    }
}

/// A JSON answer. Its type is exactly `application/json`, because both official clients compare for equality.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => json_response(bytes.into()),
            Err(error) => AppError::internal(error).into_response(),
        }
    }
}

/// An answer with these bytes, which must be JSON.
pub(crate) fn json_response(bytes: Bytes) -> Response {
    let mut response = bytes.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Mattermost's answer if there is nothing to return.
pub(crate) fn ok() -> Json<Value> {
    Json(serde_json::json!({"status": "OK"}))
}

/// An answer with status 201.
pub(crate) fn created<T: Serialize>(value: T) -> (StatusCode, Json<T>) {
    (StatusCode::CREATED, Json(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample {
        name: String,
        count: i64,
        props: serde_json::Map<String, Value>,
    }

    fn sample(text: &str) -> Option<Sample> {
        parse(text.as_bytes()).ok()
    }

    #[test]
    fn null_and_absent_fields_are_zero_and_unknown_ones_are_ignored() {
        assert_eq!(sample(r#"{"name":null,"other":[1]}"#), Some(Sample::default()));
    }

    #[test]
    fn the_last_of_duplicate_fields_counts() {
        assert_eq!(sample(r#"{"count":1,"count":2}"#).map(|s| s.count), Some(2));
    }

    #[test]
    fn names_match_in_any_case_and_the_exact_one_is_preferred() {
        assert_eq!(sample(r#"{"NAME":"a"}"#).map(|s| s.name), Some("a".to_owned()));
        assert_eq!(sample(r#"{"name":"exact","Name":"other"}"#).map(|s| s.name), Some("exact".to_owned()));
    }

    #[test]
    fn nulls_in_a_clients_own_data_are_kept() {
        let props = sample(r#"{"props":{"A":null}}"#).map(|s| s.props);
        assert_eq!(props.and_then(|props| props.get("A").cloned()), Some(Value::Null));
    }

    #[test]
    fn wrong_types_and_broken_text_are_refused() {
        for text in [r#"{"count":"1"}"#, "{", "", "[]x", "\u{feff}{}", r#"{"name":"\ud800"}"#] {
            assert_eq!(sample(text), None, "{text}");
        }
        assert!(parse::<Sample>(b"{\"name\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_flat_map_with_one_wrong_value_is_empty() {
        assert_eq!(string_map(br#"{"a":"x","b":null}"#).get("a").map(String::as_str), Some("x"));
        assert!(string_map(br#"{"a":"x","b":1}"#).is_empty());
        assert!(string_map(b"[]").is_empty());
    }
}
