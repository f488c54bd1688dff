//! What other programs send to incoming webhooks.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use multer::Multipart;
use serde_json::{Map, Value};

use super::super::channels;
use super::super::parameters::Params;
use super::incoming::may_post;
use super::{Answer, Look, must_be_on};
use crate::app::App;
use crate::error::{AppError, Result};
use crate::json::{self, RawBody};
use crate::model::{Channel, IncomingHook};
use crate::session::Caller;

pub(super) fn router() -> Router<App> {
    Router::new().route("/hooks/{hook_id}", post(receive))
}

async fn receive(State(app): State<App>, params: Params, request: Request) -> Result<Response> {
    let service = &app.config.service;
    let enabled = service.enable_incoming_webhooks;
    must_be_on(enabled, "web.incoming_webhook.disabled.app_error", "Incoming webhooks")?;
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    let RawBody(body) = RawBody::receive(request, &app).await?;
    let message = parse(&kind, &body).await?;
    if message.is_empty() {
        return Err(AppError::bad_request("web.incoming_webhook.text.app_error", "No text specified."));
    }
    let hook =
        app.store.incoming_hook(params.id("hook_id")?).await?.ok_or_else(|| {
            AppError::bad_request("web.incoming_webhook.invalid.app_error", "Invalid webhook.")
        })?;
    let owner = app.store.user(hook.user_id).await?.filter(|user| user.delete_at == 0);
    let owner = owner.ok_or_else(|| {
        AppError::forbidden("web.incoming_webhook.user.app_error", "The webhook's user is not active.")
    })?;
    let owner = Caller::acting_for(&app, owner);
    let channel = channel(&owner, &hook, &message.channel).await?;
    if hook.channel_locked && channel.id != hook.channel_id {
        return Err(AppError::forbidden(
            "web.incoming_webhook.channel_locked.app_error",
            "This webhook is not permitted to post to the requested channel.",
        ));
    }
    may_post(&owner, &channel).await.map_err(|_| {
        AppError::forbidden(
            "web.incoming_webhook.permissions.app_error",
            "Inappropriate channel permissions.",
        )
    })?;
    let look =
        Look { username: &hook.username, icon_url: &hook.icon_url, display_name: Some(&hook.display_name) };
    message.post(&owner, &channel, crate::id::Id::NONE, &look).await?;
    Ok(plain_ok())
}

/// Mattermost's answer to programs, which is no JSON.
pub(in crate::api) fn plain_ok() -> Response {
    let mut response = "ok".into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    *response.status_mut() = StatusCode::OK;
    response
}

/// The channel that a message names (`name`, `#name`, `@user`), or the webhook's own.
async fn channel(owner: &Caller, hook: &IncomingHook, wanted: &str) -> Result<Channel> {
    let store = &owner.app.store;
    let missing =
        || AppError::not_found("web.incoming_webhook.channel.app_error", "Couldn't find the channel.");
    let found = match wanted.strip_prefix('@') {
        Some(name) => {
            let other = store.users_by_names(&[name.to_lowercase()]).await?.into_iter().next();
            Some(channels::direct_with(owner, other.ok_or_else(missing)?.id).await?)
        }
        None if wanted.is_empty() => store.channel_with_counters(hook.channel_id).await?,
        None => store.channel_by_name(hook.team_id, wanted.trim_start_matches('#'), false).await?,
    };
    found.filter(|channel| channel.delete_at == 0).ok_or_else(missing)
}

/// Reads JSON, a form whose field `payload` is JSON, or a multipart form with the same fields as the JSON.
async fn parse(content_type: &str, body: &[u8]) -> Result<Answer> {
    let unreadable = |detail: String| {
        AppError::bad_request("web.incoming_webhook.parse.app_error", "Unable to parse incoming data.")
            .detail(detail)
    };
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let text = match kind.as_str() {
        "application/x-www-form-urlencoded" => {
            let payload = url::form_urlencoded::parse(body).find(|(name, _)| name == "payload");
            payload.map(|(_, value)| value.into_owned().into_bytes()).unwrap_or_default()
        }
        "multipart/form-data" => {
            let fields = form(content_type, body).await.map_err(|error| unreadable(error.to_string()))?;
            match fields.get("payload") {
                Some(Value::String(payload)) => payload.clone().into_bytes(),
                _ => serde_json::to_vec(&fields).map_err(AppError::internal)?,
            }
        }
        _ => body.to_vec(),
    };
    let parsed = json::parse(&text).or_else(|_| json::parse(&without_controls(&text)));
    parsed.map_err(|error: AppError| unreadable(error.detail_text().to_owned()))
}

/// The fields of a multipart form. Those that are objects or lists in JSON are JSON here, too.
async fn form(content_type: &str, body: &[u8]) -> Result<Map<String, Value>, multer::Error> {
    let boundary = multer::parse_boundary(content_type)?;
    let whole = stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(body))]);
    let mut form = Multipart::new(whole, boundary);
    let mut fields = Map::new();
    while let Some(field) = form.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        let text = field.text().await?;
        let value = match name.as_str() {
            "attachments" | "props" => serde_json::from_str(&text).unwrap_or_default(),
            _ => Value::String(text),
        };
        fields.insert(name, value);
    }
    Ok(fields)
}

/// JSON whose texts have line breaks in them, as shell scripts send it: inside texts, control characters are escaped.
fn without_controls(text: &[u8]) -> Vec<u8> {
    let (mut inside, mut escaped) = (false, false);
    let mut done = Vec::with_capacity(text.len() + 16);
    for byte in text {
        match byte {
            b'\n' if inside => done.extend(b"\\n"),
            b'\r' if inside => done.extend(b"\\r"),
            b'\t' if inside => done.extend(b"\\t"),
            0..0x20 if inside => {}
            _ => done.push(*byte),
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_form_of_a_message_is_read() {
        let multipart = "--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhi\r\n--b--\r\n";
        for (kind, body) in [
            ("application/json", r#"{"text":"hi","username":null,"unknown":1}"#),
            ("application/json; charset=utf-8", r#"{"TEXT":"hi"}"#),
            ("", r#"{"text":"hi"}"#),
            ("application/x-www-form-urlencoded", "payload=%7B%22text%22%3A%22hi%22%7D"),
            ("multipart/form-data; boundary=b", multipart),
        ] {
            let read = parse(kind, body.as_bytes()).await.ok().map(|message| message.text);
            assert_eq!(read.as_deref(), Some("hi"), "{kind} {body}");
        }
        let lines = parse("application/json", b"{\"text\":\"a\nb\\\"\tc\"}").await.ok();
        assert_eq!(lines.map(|message| message.text).as_deref(), Some("a\nb\"\tc"));
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        for (kind, body) in [
            ("application/json", &b"{"[..]),
            ("application/json", b"[1]"),
            ("application/json", b"{\"text\":1}"),
            ("application/json", b"{\"attachments\":{}}"),
            ("application/json", b"\xff"),
            ("application/x-www-form-urlencoded", b"text=hi"),
            ("multipart/form-data", b"x"),
            ("multipart/form-data; boundary=b", b"--b\r\n\r\n"),
        ] {
            assert!(parse(kind, body).await.is_err(), "{kind} {body:?}");
        }
    }
}
