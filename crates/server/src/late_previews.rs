//! Previews that are made after the upload was answered.

use std::path::PathBuf;
use std::sync::Arc;

use image::ImageFormat;
use tokio::task::spawn_blocking;

use crate::app::App;
use crate::bounds::WAITING_IMAGES;
use crate::error::{AppError, Result};
use crate::files::{Storage, describe, write_previews};
use crate::model::FileInfo;

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
