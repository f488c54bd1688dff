//! Attached files: their types, names and places, and the previews of images.
//!
//! Promises: a file is synced to disk before its row is stored; a refused or broken upload leaves nothing behind (only a
//! crash can leave a directory without a row); names given by clients do not decide paths. The layout is Mattermost's.
//! Rejected: making previews when they are first shown, because the first reader would have to wait, and every reader
//! could start a decoder.

pub(crate) mod directory;
pub(crate) mod kind;
pub(crate) mod name;
mod preview;
mod range;
mod storage;

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use image::ImageFormat;
use jiff::Zoned;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;

use crate::bounds::{IMAGE_BYTES, IMAGE_MEMORY};
use crate::clock;
use crate::id::Id;
use crate::model::FileInfo;
use preview::{PreviewError, Previews};
pub(crate) use range::Range;
pub(crate) use storage::{Incoming, Kept, ReceiveError, Storage};

/// The memory that all image decoders may use together, in KiB: an upload waits until there is enough for its image.
static DECODERS: Semaphore = Semaphore::const_new((IMAGE_MEMORY >> 10) as usize);

/// A received file and its row. The file is deleted on drop unless it is kept.
pub(crate) struct Attachment {
    pub(crate) info: FileInfo,
    pub(crate) kept: Kept,
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

/// Syncs a file that has arrived completely, and makes the previews if it is an image.
pub(crate) async fn complete(mut info: FileInfo, incoming: Incoming) -> std::io::Result<Attachment> {
    info.size = incoming.written() as i64;
    info.mime_type = kind::media_type(&info.name, incoming.head()).to_owned();
    let kept = incoming.finish().await?;
    let pictures = match preview::format(&info.mime_type) {
        Some(format) if info.size as u64 <= IMAGE_BYTES => {
            match pictures(kept.path(&info.path), format, info.size as u64).await {
                Ok(pictures) => Some(pictures),
                Err(reason) => {
                    tracing::info!(file = %info.id, %reason, "no preview was made of a file");
                    None
                }
            }
        }
        _ => None,
    };
    let mut written = Vec::new();
    if let Some(pictures) = pictures {
        let base = info
            .path
            .rsplit_once('.')
            .filter(|(base, _)| !base.ends_with('/'))
            .map_or(&*info.path, |(base, _)| base);
        info.thumbnail_path = format!("{base}_thumb.{}", pictures.extension);
        written.push((kept.path(&info.thumbnail_path), pictures.thumbnail));
        if let Some(preview) = pictures.preview {
            info.preview_path = format!("{base}_preview.{}", pictures.extension);
            written.push((kept.path(&info.preview_path), preview));
        }
        info.has_preview_image = !info.preview_path.is_empty();
        info.width = i64::from(pictures.width);
        info.height = i64::from(pictures.height);
        info.mini_preview = Some(pictures.miniature);
    }
    let directories = kept.new_directories();
    spawn_blocking(move || write_previews(&written, &directories)).await.map_err(std::io::Error::other)??;
    Ok(Attachment { info, kept })
}

/// The previews of an image file of `length` bytes; waits until enough of the decoders' memory is free.
async fn pictures(path: PathBuf, format: ImageFormat, length: u64) -> Result<Previews, PreviewError> {
    let file = path.clone();
    // Some decoders read the whole file to find the header.
    let needed =
        decode(length, move || preview::memory_needed(BufReader::new(File::open(file)?), format, length));
    decode(needed.await?, move || preview::previews(BufReader::new(File::open(path)?), format)).await
}

/// Runs a decoder that needs `bytes` of memory outside the async threads, as soon as they are free. They stay reserved until
/// the decoder ends, even if nobody waits for it any more. A decoder that panics is an error.
async fn decode<T: Send + 'static>(
    bytes: u64,
    work: impl FnOnce() -> Result<T, PreviewError> + Send + 'static,
) -> Result<T, PreviewError> {
    let reserved = reserve(bytes).await;
    let done = spawn_blocking(move || {
        let _reserved = reserved;
        work()
    });
    done.await.map_err(|panic| PreviewError::Panic(panic.to_string()))?
}

/// Reserves `bytes` of the decoders' memory.
async fn reserve(bytes: u64) -> Option<SemaphorePermit<'static>> {
    let kib = (bytes.min(IMAGE_MEMORY) >> 10) as u32;
    DECODERS.acquire_many(kib).await.ok()
}

/// Writes the previews, and syncs the directories that are new.
fn write_previews(written: &[(PathBuf, Vec<u8>)], directories: &[PathBuf]) -> std::io::Result<()> {
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
