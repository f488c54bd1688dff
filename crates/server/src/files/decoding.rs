//! The memory of all image decoders together, and who waits for it.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use image::ImageFormat;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::preview::{self, PreviewError, Previews};
use crate::bounds::{IMAGE_MEMORY, SMALL_IMAGE, SMALL_IMAGES_MEMORY, WAITING_IMAGES};

/// What all image decoders may use together.
#[derive(Debug, Clone)]
pub(crate) struct Decoders {
    /// Decoders that need much memory share this, in KiB.
    large: Arc<Semaphore>,
    /// Decoders that need little have this for themselves, in KiB: they take milliseconds, and never wait for large ones.
    small: Arc<Semaphore>,
    /// Room for the images whose previews are made later.
    pub(crate) waiting: Arc<Semaphore>,
}

impl Default for Decoders {
    fn default() -> Decoders {
        Decoders {
            large: Arc::new(Semaphore::new((IMAGE_MEMORY >> 10) as usize)),
            small: Arc::new(Semaphore::new((SMALL_IMAGES_MEMORY >> 10) as usize)),
            waiting: Arc::new(Semaphore::new(WAITING_IMAGES)),
        }
    }
}

/// What became of an image's previews.
pub(super) enum Made {
    Previews(Previews),
    /// The memory that its decoder needs is in use.
    Later,
}

/// Whether a decoder may wait for others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    None,
    Any,
}

impl Decoders {
    /// The previews of an image file of `length` bytes, unless its decoder would have to wait for large ones.
    pub(super) async fn at_once(
        &self,
        path: PathBuf,
        format: ImageFormat,
        length: u64,
    ) -> Result<Made, PreviewError> {
        let previews = self.pictures(path, format, length, Patience::None).await?;
        Ok(previews.map_or(Made::Later, Made::Previews))
    }

    /// The same, as soon as enough of the memory is free.
    pub(crate) async fn in_turn(
        &self,
        path: PathBuf,
        format: ImageFormat,
        length: u64,
    ) -> Result<Option<Previews>, PreviewError> {
        self.pictures(path, format, length, Patience::Any).await
    }

    async fn pictures(
        &self,
        path: PathBuf,
        format: ImageFormat,
        length: u64,
        patience: Patience,
    ) -> Result<Option<Previews>, PreviewError> {
        let file = path.clone();
        // Some decoders read the whole file to find the header.
        let look = move || preview::memory_needed(BufReader::new(File::open(file)?), format, length);
        let Some(needed) = self.decode(length, patience, look).await? else { return Ok(None) };
        let make = move || preview::previews(BufReader::new(File::open(path)?), format);
        self.decode(needed, patience, make).await
    }

    /// Runs a decoder that needs `bytes` of memory outside the async threads. They stay reserved until the decoder ends, even
    /// if nobody waits for it any more. A decoder that panics is an error. `None`: it would have to wait.
    async fn decode<T: Send + 'static>(
        &self,
        bytes: u64,
        patience: Patience,
        work: impl FnOnce() -> Result<T, PreviewError> + Send + 'static,
    ) -> Result<Option<T>, PreviewError> {
        let Some(reserved) = self.reserve(bytes, patience).await else { return Ok(None) };
        let done = spawn_blocking(move || {
            let _reserved = reserved;
            work()
        });
        done.await.map_err(|panic| PreviewError::Panic(panic.to_string()))?.map(Some)
    }

    /// Reserves `bytes` of the decoders' memory; `None` if a large one would have to wait and may not.
    async fn reserve(&self, bytes: u64, patience: Patience) -> Option<OwnedSemaphorePermit> {
        let kib = (bytes.min(IMAGE_MEMORY) >> 10) as u32;
        if bytes <= SMALL_IMAGE {
            return Arc::clone(&self.small).acquire_many_owned(kib).await.ok();
        }
        let large = Arc::clone(&self.large);
        match patience {
            Patience::None => large.try_acquire_many_owned(kib).ok(),
            Patience::Any => large.acquire_many_owned(kib).await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    fn picture(directory: &std::path::Path, side: u32) -> Result<(PathBuf, u64), Box<dyn std::error::Error>> {
        let path = directory.join(format!("{side}.png"));
        RgbImage::new(side, side).save(&path)?;
        let length = path.metadata()?.len();
        Ok((path, length))
    }

    #[tokio::test]
    async fn a_small_image_never_waits_and_a_large_one_is_left_for_later()
    -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let (small, small_length) = picture(directory.path(), 400)?;
        let (large, large_length) = picture(directory.path(), 1500)?;
        let decoders = Decoders::default();
        let in_use = decoders.large.acquire_many((IMAGE_MEMORY >> 10) as u32).await?;
        let made = decoders.at_once(small, ImageFormat::Png, small_length).await?;
        assert!(matches!(made, Made::Previews(previews) if previews.width == 400));
        let made = decoders.at_once(large.clone(), ImageFormat::Png, large_length).await?;
        assert!(matches!(made, Made::Later));
        drop(in_use);
        let made = decoders.in_turn(large, ImageFormat::Png, large_length).await?;
        assert_eq!(made.map(|previews| previews.width), Some(1500));
        Ok(())
    }
}
