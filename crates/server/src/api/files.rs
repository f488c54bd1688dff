//! `/files`: upload, download, thumbnail, preview, information and public link.

use std::io::SeekFrom;

use aws_lc_rs::{constant_time, digest};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use multer::Multipart;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::parameters::{Params, Search};
use crate::app::App;
use crate::bounds::{FORM_FIELD, POST_FILES};
use crate::error::{AppError, Result};
use crate::files::{self, Attachment, Incoming, Range, ReceiveError, Storage, kind, name};
use crate::id::Id;
use crate::json::{Json, created};
use crate::late_previews;
use crate::model::FileInfo;
use crate::permission::{GET_PUBLIC_LINK, UPLOAD_FILE};
use crate::session::Caller;
use crate::unread;

/// The routes below `/api/v4`.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/files", post(upload))
        .route("/files/{file_id}", get(original))
        .route("/files/{file_id}/thumbnail", get(thumbnail))
        .route("/files/{file_id}/preview", get(preview))
        .route("/files/{file_id}/info", get(info))
        .route("/files/{file_id}/link", get(link))
}

/// The public route outside the API: whoever has the link may read the file.
pub(crate) fn public_router() -> Router<App> {
    Router::new().route("/files/{file_id}/public", get(public))
}

// ---- upload

#[derive(Serialize)]
struct Uploaded {
    file_infos: Vec<FileInfo>,
    client_ids: Vec<String>,
}

/// What a form may need beside each of its files, in bytes: its other fields and the lines between them.
const FORM_OVERHEAD: u64 = 64 << 10;

/// What has arrived of an upload so far.
#[derive(Default)]
struct Received {
    channel: Option<Id>,
    client_ids: Vec<String>,
    files: Vec<Attachment>,
}

async fn upload(caller: Caller, search: Search, request: Request) -> Result<Response> {
    if !caller.app.config.file.enable_file_attachments {
        return Err(AppError::forbidden(
            "api.file.attachments.disabled.app_error",
            "File attachments are disabled on this server.",
        ));
    }
    search.refuse(&["bookmark"])?;
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(|value| multer::parse_boundary(value).ok());
    let limit = caller.app.config.file.max_file_size.unsigned_abs();
    // A form has at most so many files, and little else.
    let most = if boundary.is_some() {
        limit.saturating_add(FORM_OVERHEAD).saturating_mul(POST_FILES as u64)
    } else {
        limit
    };
    let body = request.into_body();
    if unread::is_declared_larger(&body, most) {
        unread::receive(body.into_data_stream());
        return Err(too_large(limit));
    }
    let mut body = body.into_data_stream();
    let mut received = Received::default();
    let result = match boundary {
        Some(boundary) => {
            // Borrowed, so that the rest can be discarded if the upload is refused.
            let form = Multipart::new(body.by_ref(), boundary);
            read_form(&caller, &search, form, &mut received).await
        }
        None => read_raw(&caller, &search, &mut body, &mut received).await,
    };
    if let Err(error) = result {
        unread::receive(body);
        return Err(error);
    }
    let (file_infos, client_ids) = keep(&caller.app, received).await?;
    Ok(created(Uploaded { file_infos, client_ids }).into_response())
}

/// Reads a form: `channel_id` (in the query or as a field), then any number of `client_ids` and `files`.
async fn read_form(
    caller: &Caller,
    search: &Search,
    mut form: Multipart<'_>,
    received: &mut Received,
) -> Result<()> {
    if search.has("channel_id") {
        received.channel = Some(permitted(caller, search.text("channel_id")).await?);
    }
    while let Some(mut field) = form.next_field().await.map_err(unreadable)? {
        match field.name().unwrap_or_default() {
            "channel_id" => {
                let text = read_text(&mut field).await?;
                received.channel = Some(permitted(caller, &text).await?);
            }
            "client_ids" if received.client_ids.len() == POST_FILES => {
                return Err(AppError::body("client_ids"));
            }
            "client_ids" => received.client_ids.push(read_text(&mut field).await?),
            "files" => {
                let channel = received.channel.ok_or_else(|| {
                    AppError::body("channel_id").detail("it must come before the files".to_owned())
                })?;
                if received.files.len() == POST_FILES {
                    return Err(AppError::bad_request(
                        "api.file.upload_file.too_many_files.app_error",
                        format!("At most {POST_FILES} files may be uploaded at once."),
                    ));
                }
                let client_name = field.file_name().unwrap_or_default().to_owned();
                let (info, mut incoming) = begin(caller, channel, &client_name).await?;
                while let Some(chunk) = field.chunk().await.map_err(unreadable)? {
                    write(&mut incoming, &chunk).await?;
                }
                received.files.push(
                    files::complete(&caller.app.decoders, info, incoming)
                        .await
                        .map_err(AppError::internal)?,
                );
            }
            other => {
                return Err(AppError::bad_request(
                    "api.file.upload_file.unknown_field.app_error",
                    "The form has a field that is not channel_id, client_ids or files.",
                )
                .detail(other.chars().take(64).collect()));
            }
        }
    }
    if received.files.is_empty() {
        return Err(AppError::bad_request(
            "api.file.upload_file.no_files.app_error",
            "The request carries no file. Send the files as the form's field \"files\".",
        ));
    }
    Ok(())
}

/// Reads a body that is one file; its channel and name are in the query.
async fn read_raw(
    caller: &Caller,
    search: &Search,
    body: &mut (impl Stream<Item = Result<Bytes, axum::Error>> + Unpin),
    received: &mut Received,
) -> Result<()> {
    if search.text("filename").is_empty() {
        return Err(AppError::parameter("filename"));
    }
    let channel = permitted(caller, search.text("channel_id")).await?;
    let (info, mut incoming) = begin(caller, channel, search.text("filename")).await?;
    while let Some(chunk) = body.next().await {
        write(&mut incoming, &chunk.map_err(unreadable)?).await?;
    }
    received.client_ids.extend(search.has("client_id").then(|| search.text("client_id").to_owned()));
    received
        .files
        .push(files::complete(&caller.app.decoders, info, incoming).await.map_err(AppError::internal)?);
    Ok(())
}

/// The channel with the id `text`, if the caller may upload to it.
async fn permitted(caller: &Caller, text: &str) -> Result<Id> {
    let id = Id::parse(text).ok_or_else(|| AppError::body("channel_id"))?;
    let channel = caller.app.store.channel(id).await?.ok_or_else(|| AppError::permission(UPLOAD_FILE))?;
    caller.must_in_channel(&channel, UPLOAD_FILE).await?;
    super::channels::archiving::refuse(
        &channel,
        "app.upload.create.cannot_upload_to_deleted_channel.app_error",
        "Cannot upload to a deleted channel.",
    )?;
    Ok(id)
}

async fn begin(caller: &Caller, channel: Id, client_name: &str) -> Result<(FileInfo, Incoming)> {
    let limit = caller.app.config.file.max_file_size.unsigned_abs();
    let begun = files::receive(&storage(&caller.app), channel, caller.user.id, client_name, limit).await;
    begun.map_err(AppError::internal)
}

async fn write(incoming: &mut Incoming, chunk: &[u8]) -> Result<()> {
    incoming.write(chunk).await.map_err(|error| match error {
        ReceiveError::TooLarge { limit } => too_large(limit),
        ReceiveError::Disk(error) => AppError::internal(error),
    })
}

fn too_large(limit: u64) -> AppError {
    AppError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "api.file.upload_file.too_large_detailed.app_error",
        format!("The file is larger than the {limit} bytes that are allowed."),
    )
}

async fn read_text(field: &mut multer::Field<'_>) -> Result<String> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(unreadable)? {
        text.extend_from_slice(&chunk);
        if text.len() > FORM_FIELD {
            return Err(AppError::body(field.name().unwrap_or("field")));
        }
    }
    String::from_utf8(text).map_err(|_| AppError::body(field.name().unwrap_or("field")))
}

fn unreadable(cause: impl std::fmt::Display) -> AppError {
    AppError::bad_request(
        "api.file.upload_file.read_request.app_error",
        "The upload is incomplete or malformed.",
    )
    .detail(cause.to_string())
}

/// Stores the rows and keeps the files. This runs in a separate task, so that a client that disconnects cannot stop it
/// between a row and its file.
async fn keep(app: &App, received: Received) -> Result<(Vec<FileInfo>, Vec<String>)> {
    let app = app.clone();
    let task = tokio::spawn(async move {
        let mut infos = Vec::with_capacity(received.files.len());
        for Attachment { info, kept, waiting } in received.files {
            app.store.create_file(info.clone()).await?;
            kept.keep();
            if let Some(format) = waiting {
                late_previews::make(app.clone(), info.clone(), format);
            }
            infos.push(info);
        }
        Ok((infos, received.client_ids))
    });
    task.await.map_err(AppError::internal)?
}

// ---- download

fn storage(app: &App) -> Storage {
    Storage::new(app.config.file.directory.as_str())
}

fn missing() -> AppError {
    AppError::not_found("app.file_info.get.app_error", "There is no such file.")
}

/// The file, if the caller may read its channel, or uploaded it and has not attached it to a post yet.
async fn readable(caller: &Caller, id: Id) -> Result<FileInfo> {
    let info = caller.app.store.file(id).await?.ok_or_else(missing)?;
    if info.post_id.is_none() && info.creator_id == caller.user.id {
        return Ok(info);
    }
    let channel = caller.app.store.channel(info.channel_id).await?.ok_or_else(missing)?;
    caller.must_read(&channel).await?;
    Ok(info)
}

async fn original(caller: Caller, params: Params, search: Search, request: HeaderMap) -> Result<Response> {
    let info = readable(&caller, params.id("file_id")?).await?;
    let served = Served { path: &info.path, media_type: &info.mime_type, name: &info.name };
    send(&caller.app, &served, &request, search.flag("download")).await
}

async fn thumbnail(caller: Caller, params: Params, search: Search, request: HeaderMap) -> Result<Response> {
    let info = readable(&caller, params.id("file_id")?).await?;
    let none = ("api.file.get_file_thumbnail.no_thumbnail.app_error", "The file has no thumbnail.");
    picture(&caller.app, &info, &info.thumbnail_path, none, &request, search.flag("download")).await
}

async fn preview(caller: Caller, params: Params, search: Search, request: HeaderMap) -> Result<Response> {
    let info = readable(&caller, params.id("file_id")?).await?;
    let none = ("api.file.get_file_preview.no_preview.app_error", "The file has no preview.");
    picture(&caller.app, &info, &info.preview_path, none, &request, search.flag("download")).await
}

async fn info(caller: Caller, params: Params) -> Result<Json<FileInfo>> {
    Ok(Json(readable(&caller, params.id("file_id")?).await?))
}

async fn picture(
    app: &App,
    info: &FileInfo,
    path: &str,
    (id, message): (&'static str, &'static str),
    request: &HeaderMap,
    download: bool,
) -> Result<Response> {
    if path.is_empty() {
        return Err(AppError::bad_request(id, message));
    }
    let media_type = if path.ends_with(".png") { "image/png" } else { "image/jpeg" };
    send(app, &Served { path, media_type, name: &info.name }, request, download).await
}

/// A stored file, and how to serve it.
struct Served<'a> {
    path: &'a str,
    media_type: &'a str,
    name: &'a str,
}

/// Streams the file, or the requested range of it.
async fn send(app: &App, served: &Served<'_>, request: &HeaderMap, download: bool) -> Result<Response> {
    let (mut file, length) = storage(app).open(served.path).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => missing().detail(error.to_string()),
        _ => AppError::internal(error),
    })?;
    let mut headers = HeaderMap::new();
    let text = |text: &str| HeaderValue::from_str(text).map_err(AppError::internal);
    let media_type = kind::served_type(served.media_type);
    let inline = !download && kind::is_shown(served.media_type);
    headers.insert(header::CONTENT_TYPE, text(media_type)?);
    headers.insert(header::CONTENT_DISPOSITION, text(&name::disposition(inline, served.name))?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=86400"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let range = request
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
        .map(|value| Range::parse(value, length));
    match range {
        Some(Range::Part { first, last }) => {
            file.seek(SeekFrom::Start(first)).await.map_err(AppError::internal)?;
            let part = last - first + 1;
            headers.insert(header::CONTENT_RANGE, text(&format!("bytes {first}-{last}/{length}"))?);
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part));
            let body = Body::from_stream(ReaderStream::new(file.take(part)));
            Ok((StatusCode::PARTIAL_CONTENT, headers, body).into_response())
        }
        Some(Range::Outside) => {
            headers.insert(header::CONTENT_RANGE, text(&format!("bytes */{length}"))?);
            Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response())
        }
        Some(Range::Whole) | None => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
        }
    }
}

// ---- public links

#[derive(Serialize)]
struct Link {
    link: String,
}

/// The secret part of a public link: the digest of the salt and the file's id, as in Mattermost.
fn link_hash(salt: &str, id: Id) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(salt.as_bytes());
    hash.update(id.as_str().as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(hash.finish())
}

fn must_be_public(app: &App) -> Result<()> {
    // Without a salt, anybody could compute the hash of any id.
    if app.config.file.enable_public_link && !app.config.file.public_link_salt.is_empty() {
        return Ok(());
    }
    Err(AppError::forbidden(
        "api.file.get_public_link.disabled.app_error",
        "Public links are disabled on this server.",
    ))
}

fn must_be_attached(info: &FileInfo) -> Result<()> {
    if info.post_id.is_none() {
        return Err(AppError::bad_request(
            "api.file.get_public_link.no_post.app_error",
            "The file is not attached to a post, so it has no public link.",
        ));
    }
    Ok(())
}

async fn link(caller: Caller, params: Params, request: HeaderMap) -> Result<Json<Link>> {
    let config = &caller.app.config;
    must_be_public(&caller.app)?;
    let info = readable(&caller, params.id("file_id")?).await?;
    must_be_attached(&info)?;
    let channel = caller.app.store.channel(info.channel_id).await?.ok_or_else(missing)?;
    caller.must_in_channel(&channel, GET_PUBLIC_LINK).await?;
    let site = match config.service.site_url.trim_end_matches('/') {
        "" => {
            let host = request.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            format!("http://{host}")
        }
        site => site.to_owned(),
    };
    let hash = link_hash(&config.file.public_link_salt, info.id);
    Ok(Json(Link { link: format!("{site}/files/{}/public?h={hash}", info.id) }))
}

async fn public(
    State(app): State<App>,
    params: Params,
    search: Search,
    request: HeaderMap,
) -> Result<Response> {
    must_be_public(&app)?;
    let id = params.id("file_id")?;
    let expected = link_hash(&app.config.file.public_link_salt, id);
    if constant_time::verify_slices_are_equal(expected.as_bytes(), search.text("h").as_bytes()).is_err() {
        return Err(AppError::bad_request(
            "api.file.get_file.public_invalid.app_error",
            "The public link is not valid.",
        ));
    }
    let info = app.store.file(id).await?.ok_or_else(missing)?;
    must_be_attached(&info)?;
    let served = Served { path: &info.path, media_type: &info.mime_type, name: &info.name };
    send(&app, &served, &request, false).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_hash_is_the_documented_digest() {
        let id = Id::parse(&"a".repeat(26)).unwrap_or_default();
        let digest = digest::digest(&digest::SHA256, format!("salt{id}").as_bytes());
        assert_eq!(link_hash("salt", id), BASE64_URL_SAFE_NO_PAD.encode(digest));
    }
}
