//! Attached files: their types, names and places, and the previews of images.
//!
//! Promises: a file is synced to disk before its row is stored; a refused or broken upload leaves nothing behind (only a
//! crash can leave a directory without a row); names given by clients do not decide paths. The layout is Mattermost's.
//! **No upload waits for others' pictures.** A small image has memory set aside for its kind; where a large one would have to wait for
//! its decoder, the upload is answered, and the previews are made afterwards. Until then the file has none, and its info says so:
//! clients show the file itself. A server that stops in between never makes them.
//! Rejected: making previews when they are first shown, because the first reader would have to wait, and every reader
//! could start a decoder.

mod decoding;
pub(crate) mod directory;
pub(crate) mod kind;
pub(crate) mod name;
mod preview;
mod range;
mod storage;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use jiff::Zoned;
use tokio::task::spawn_blocking;

use crate::bounds::IMAGE_BYTES;
use crate::clock;
use crate::id::Id;
use crate::model::FileInfo;
pub(crate) use decoding::Decoders;
use decoding::Made;
use preview::Previews;
pub(crate) use range::Range;
pub(crate) use storage::{Incoming, Kept, ReceiveError, Storage};

/// A received file and its row. The file is deleted on drop unless it is kept.
pub(crate) struct Attachment {
    pub(crate) info: FileInfo,
    pub(crate) kept: Kept,
    /// An image whose previews are still to be made, with `late_previews`.
    pub(crate) waiting: Option<ImageFormat>,
}

/// Begins to receive a file of `user` in `channel`, which the client calls `client_name`.
pub(crate) async fn receive(
    storage: &Storage,
    channel: Id,
    user: Id,
    client_name: &str,
    limit: u64,
) -> std::io::Result<(FileInfo, Incoming)> {
    let now = clock::now();
    let id = Id::random();
    let name = name::shown(client_name);
    let directory = name::directory(&Zoned::now(), channel, user, id);
    let stored = name::stored(&name);
    let info = FileInfo {
        id,
        creator_id: user,
        channel_id: channel,
        create_at: now,
        update_at: now,
        path: format!("{directory}/{stored}"),
        extension: kind::extension(&name).to_lowercase().chars().take(64).collect(),
        name,
        ..FileInfo::default()
    };
    Ok((info, storage.receive(&directory, &stored, limit).await?))
}

/// Syncs a file that has arrived completely, and makes the previews if it is an image and its decoder need not wait.
pub(crate) async fn complete(
    decoders: &Decoders,
    mut info: FileInfo,
    incoming: Incoming,
) -> std::io::Result<Attachment> {
    info.size = incoming.written() as i64;
    info.mime_type = kind::media_type(&info.name, incoming.head()).to_owned();
    let kept = incoming.finish().await?;
    let image = preview::format(&info.mime_type).filter(|_| info.size as u64 <= IMAGE_BYTES);
    let made = match image {
        Some(format) => Some(decoders.at_once(kept.path(&info.path), format, info.size as u64).await),
        None => None,
    };
    let (previews, waiting) = match made {
        None => (None, None),
        Some(Ok(Made::Previews(previews))) => (Some(previews), None),
        Some(Ok(Made::Later)) => (None, image),
        Some(Err(reason)) => {
            tracing::info!(file = %info.id, %reason, "no preview was made of a file");
            (None, None)
        }
    };
    let written = previews.map(|previews| describe(&mut info, previews)).unwrap_or_default();
    let written = written.into_iter().map(|(path, bytes)| (kept.path(&path), bytes)).collect::<Vec<_>>();
    let directories = kept.new_directories();
    spawn_blocking(move || write_previews(&written, &directories)).await.map_err(std::io::Error::other)??;
    Ok(Attachment { info, kept, waiting })
}

/// Notes previews in the file's row; returns their contents with their stored paths.
pub(crate) fn describe(info: &mut FileInfo, previews: Previews) -> Vec<(String, Vec<u8>)> {
    let Previews { width, height, extension, thumbnail, preview, miniature } = previews;
    let base = info.path.rsplit_once('.').filter(|(base, _)| !base.ends_with('/'));
    let base = base.map_or(&*info.path, |(base, _)| base).to_owned();
    info.thumbnail_path = format!("{base}_thumb.{extension}");
    let mut written = vec![(info.thumbnail_path.clone(), thumbnail)];
    if let Some(preview) = preview {
        info.preview_path = format!("{base}_preview.{extension}");
        written.push((info.preview_path.clone(), preview));
    }
    info.has_preview_image = !info.preview_path.is_empty();
    info.width = i64::from(width);
    info.height = i64::from(height);
    info.mini_preview = Some(miniature);
    written
}

/// Writes the previews, and syncs the directories that are new.
pub(crate) fn write_previews(written: &[(PathBuf, Vec<u8>)], directories: &[PathBuf]) -> std::io::Result<()> {
    for (path, bytes) in written {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    directories.iter().try_for_each(|directory: &PathBuf| sync_directory(directory))
}

fn sync_directory(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}
