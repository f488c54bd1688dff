//! Previews that are made after the upload was answered.

use std::path::PathBuf;
use std::sync::Arc;

use image::ImageFormat;
use tokio::task::spawn_blocking;

use super::preview::Previews;
use super::{Storage, write_previews};
use crate::app::App;
use crate::bounds::WAITING_IMAGES;
use crate::error::Result;
use crate::model::FileInfo;

/// Notes previews in the file's row; returns their contents with their stored paths.
pub(super) fn describe(info: &mut FileInfo, previews: Previews) -> Vec<(String, Vec<u8>)> {
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

/// Makes the previews of a stored image in the background, as soon as its decoder has memory.
pub(crate) fn make(app: App, info: FileInfo, format: ImageFormat) {
    let Ok(place) = Arc::clone(&app.decoders.waiting).try_acquire_owned() else {
        tracing::warn!(file = %info.id, waiting = WAITING_IMAGES, "an image gets no preview: too many wait for theirs");
        return;
    };
    tokio::spawn(async move {
        let _place = place;
        let id = info.id;
        let stop = app.stop.clone();
        if let Some(Err(error)) = stop.run_until_cancelled(make_now(&app, info, format)).await {
            tracing::info!(file = %id, reason = error.detail_text(), "no preview was made of a file");
        }
    });
}

async fn make_now(app: &App, mut info: FileInfo, format: ImageFormat) -> Result<()> {
    use crate::error::AppError;
    let root = PathBuf::from(app.config.file.directory.as_str());
    let path = root.join(&info.path);
    let made = app.decoders.in_turn(path.clone(), format, info.size.unsigned_abs()).await;
    let Some(previews) = made.map_err(AppError::internal)? else { return Ok(()) };
    let described = describe(&mut info, previews);
    let stored: Vec<String> = described.iter().map(|(stored, _)| stored.clone()).collect();
    let written: Vec<_> = described.into_iter().map(|(stored, bytes)| (root.join(stored), bytes)).collect();
    let directories: Vec<PathBuf> = path.parent().map(PathBuf::from).into_iter().collect();
    let writing = spawn_blocking(move || write_previews(&written, &directories));
    // Where the file was deleted meanwhile, there is no directory, or no row.
    writing.await.map_err(AppError::internal)?.map_err(AppError::internal)?;
    if !app.store.add_previews(info).await? {
        let storage = Storage::new(app.config.file.directory.as_str());
        storage.remove(stored).await.map_err(AppError::internal)?;
    }
    Ok(())
}
