//! The thumbnail, preview and miniature of an image. An image that would take too much memory or time to decode gets
//! none of them: its header is checked before anything is decoded.

use std::borrow::Cow;
use std::io::{BufRead, Cursor, Seek};

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{
    AnimationDecoder, DynamicImage, ExtendedColorType, GenericImageView, ImageDecoder, ImageFormat,
    ImageReader, Limits,
};

use crate::bounds::{IMAGE_DECODED_BYTES, IMAGE_PIXELS, IMAGE_SIDE};

/// The most memory that a decoder may allocate by itself, in bytes.
const MOST_MEMORY: u64 = 256 << 20;
/// Bytes of memory for each pixel: the decoded image, a copy in another form, and the decoder's own data. Progressive
/// JPEGs and animations need the most.
const BYTES_PER_PIXEL: u64 = 12;
const THUMBNAIL: (u32, u32) = (120, 100);
const PREVIEW_WIDTH: u32 = 1920;
const MINIATURE: u32 = 16;
const JPEG_QUALITY: u8 = 90;

/// The previews of an image, and its size in pixels after its orientation was applied.
#[derive(Debug)]
pub(crate) struct Previews {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The extension of thumbnail and preview: `png` if the image has transparent pixels, otherwise `jpg`.
    pub(crate) extension: &'static str,
    pub(crate) thumbnail: Vec<u8>,
    /// None for an animation, which is its own preview.
    pub(crate) preview: Option<Vec<u8>>,
    /// 16 x 16, always JPEG.
    pub(crate) miniature: Vec<u8>,
}

/// Why an image has no previews.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreviewError {
    #[error(
        "the image has {width} x {height} pixels of {bytes} bytes in all; at most {IMAGE_PIXELS} pixels, {IMAGE_SIDE} on a \
         side, and {IMAGE_DECODED_BYTES} bytes are decoded"
    )]
    TooLarge { width: u32, height: u32, bytes: u64 },
    #[error("the image cannot be decoded: {0}")]
    Decode(#[from] image::ImageError),
    #[error("the image cannot be resized: {0}")]
    Resize(String),
    #[error("the image's decoder failed: {0}")]
    Panic(String),
    #[error("the image cannot be read: {0}")]
    Read(#[from] std::io::Error),
}

/// The image format of a media type, if previews are made of it.
pub(crate) fn format(media_type: &str) -> Option<ImageFormat> {
    match media_type {
        "image/png" => Some(ImageFormat::Png),
        "image/jpeg" => Some(ImageFormat::Jpeg),
        "image/gif" => Some(ImageFormat::Gif),
        "image/webp" => Some(ImageFormat::WebP),
        _ => None,
    }
}

/// The memory in bytes that [`previews`] needs for this file of `length` bytes. Reads only the header, and refuses an image
/// that is too large.
pub(crate) fn memory_needed<R: BufRead + Seek>(
    source: R,
    format: ImageFormat,
    length: u64,
) -> Result<u64, PreviewError> {
    let decoder = ImageReader::with_format(source, format).into_decoder()?;
    let (width, height) = check(&decoder)?;
    Ok(u64::from(width) * u64::from(height) * BYTES_PER_PIXEL + length + (1 << 20))
}

/// The size of the image that `decoder` is about to decode. Refuses one that is too large.
fn check(decoder: &impl ImageDecoder) -> Result<(u32, u32), PreviewError> {
    let (width, height) = decoder.dimensions();
    let (pixels, bytes) = (u64::from(width) * u64::from(height), decoder.total_bytes());
    if pixels > IMAGE_PIXELS || width.max(height) > IMAGE_SIDE || bytes > IMAGE_DECODED_BYTES {
        return Err(PreviewError::TooLarge { width, height, bytes });
    }
    Ok((width, height))
}

/// Decodes `source` and makes its previews. Takes up to a second of one core: call it outside the async threads, and only
/// while [`memory_needed`] is reserved.
pub(crate) fn previews<R: BufRead + Seek>(
    mut source: R,
    format: ImageFormat,
) -> Result<Previews, PreviewError> {
    let moving = format == ImageFormat::Gif && is_moving(&mut source)?;
    let mut decoder = ImageReader::with_format(source, format).into_decoder()?;
    check(&decoder)?;
    decoder.set_limits(limits())?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let image = eight_bit(image);
    let (width, height) = image.dimensions();
    let opaque =
        !image.color().has_alpha() || image.as_rgba8().is_some_and(|all| all.pixels().all(|p| p.0[3] == 255));
    let thumbnail = resized(&image, fit(width, height, THUMBNAIL))?;
    let miniature = resized(&thumbnail, (MINIATURE, MINIATURE))?;
    let preview = match moving {
        true => None,
        false => {
            let preview = resized(&image, fit(width, height, (PREVIEW_WIDTH, u32::MAX)))?;
            Some(encoded(&preview, opaque)?)
        }
    };
    Ok(Previews {
        width,
        height,
        extension: if opaque { "jpg" } else { "png" },
        thumbnail: encoded(&thumbnail, opaque)?,
        preview,
        miniature: encoded(&miniature, true)?,
    })
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_MEMORY);
    limits
}

fn is_moving<R: BufRead + Seek>(source: &mut R) -> Result<bool, PreviewError> {
    let mut decoder = GifDecoder::new(&mut *source)?;
    check(&decoder)?;
    let moving = decoder.set_limits(limits()).is_ok()
        && decoder.into_frames().nth(1).is_some_and(|frame| frame.is_ok());
    source.rewind()?;
    Ok(moving)
}

/// Converts to three or four channels of eight bits each, without a copy if the image already is like that.
fn eight_bit(image: DynamicImage) -> DynamicImage {
    if image.color().has_alpha() {
        DynamicImage::ImageRgba8(image.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(image.into_rgb8())
    }
}

/// The largest size with the same proportions that fits into `bounds` and does not exceed the image's own.
fn fit(width: u32, height: u32, bounds: (u32, u32)) -> (u32, u32) {
    let scale =
        (f64::from(bounds.0) / f64::from(width)).min(f64::from(bounds.1) / f64::from(height)).min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    (side(width).min(bounds.0), side(height).min(bounds.1))
}

/// `image` in another size; the image itself, not a copy, if it has this size already.
fn resized(image: &DynamicImage, (width, height): (u32, u32)) -> Result<Cow<'_, DynamicImage>, PreviewError> {
    if image.dimensions() == (width, height) {
        return Ok(Cow::Borrowed(image));
    }
    let broken = |error: &dyn std::fmt::Display| PreviewError::Resize(error.to_string());
    let pixels = if image.color().has_alpha() { PixelType::U8x4 } else { PixelType::U8x3 };
    let mut target = Image::new(width, height, pixels);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize(image, &mut target, &options).map_err(|error| broken(&error))?;
    let bytes = target.into_vec();
    let image = if pixels == PixelType::U8x4 {
        image::RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8)
    } else {
        image::RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8)
    };
    image.map(Cow::Owned).ok_or_else(|| broken(&"its size is impossible"))
}

/// Encodes as JPEG if no pixel is transparent, otherwise as PNG.
fn encoded(image: &DynamicImage, opaque: bool) -> Result<Vec<u8>, PreviewError> {
    let mut bytes = Cursor::new(Vec::new());
    if !opaque {
        image.write_to(&mut bytes, ImageFormat::Png)?;
        return Ok(bytes.into_inner());
    }
    let three_channels = match image.as_rgb8() {
        Some(image) => Cow::Borrowed(image),
        None => Cow::Owned(image.to_rgb8()),
    };
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode(
        three_channels.as_raw(),
        image.width(),
        image.height(),
        ExtendedColorType::Rgb8,
    )?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::IMAGE_BYTES;
    use image::{Rgb, RgbImage, Rgba, RgbaImage};

    fn png(image: impl Into<DynamicImage>) -> Result<Vec<u8>, PreviewError> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, ImageFormat::Png)?;
        Ok(bytes.into_inner())
    }

    fn size(bytes: &[u8]) -> Result<(u32, u32), PreviewError> {
        Ok(image::load_from_memory(bytes)?.dimensions())
    }

    #[test]
    fn previews_fit_and_keep_the_proportions() -> Result<(), PreviewError> {
        for ((width, height), thumbnail, preview) in [
            ((3000, 1500), (120, 60), (1920, 960)),
            ((100, 400), (25, 100), (100, 400)),
            ((1, 1), (1, 1), (1, 1)),
            ((5000, 1), (120, 1), (1920, 1)),
            ((1, 5000), (1, 100), (1, 5000)),
        ] {
            let file = png(RgbImage::from_pixel(width, height, Rgb([200, 30, 60])))?;
            let made = previews(Cursor::new(file), ImageFormat::Png)?;
            assert_eq!((made.width, made.height, made.extension), (width, height, "jpg"));
            assert_eq!(size(&made.thumbnail)?, thumbnail);
            assert_eq!(size(&made.preview.unwrap_or_default())?, preview);
            assert_eq!(size(&made.miniature)?, (16, 16));
            assert_eq!(image::guess_format(&made.miniature)?, ImageFormat::Jpeg);
        }
        Ok(())
    }

    #[test]
    fn transparency_is_kept() -> Result<(), PreviewError> {
        let clear = png(RgbaImage::from_pixel(300, 300, Rgba([1, 2, 3, 10])))?;
        let made = previews(Cursor::new(clear), ImageFormat::Png)?;
        assert_eq!(made.extension, "png");
        assert_eq!(image::load_from_memory(&made.thumbnail)?.get_pixel(5, 5).0[3], 10);
        let solid = png(RgbaImage::from_pixel(300, 300, Rgba([1, 2, 3, 255])))?;
        assert_eq!(previews(Cursor::new(solid), ImageFormat::Png)?.extension, "jpg");
        Ok(())
    }

    #[test]
    fn orientation_is_applied() -> Result<(), PreviewError> {
        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = JpegEncoder::new(&mut bytes);
        // A TIFF header with one entry: orientation (0x0112) = 6, a quarter turn.
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        image::ImageEncoder::set_exif_metadata(&mut encoder, exif)
            .map_err(|error| PreviewError::Resize(error.to_string()))?;
        encoder.encode_image(&RgbImage::new(60, 20))?;
        let made = previews(Cursor::new(bytes.into_inner()), ImageFormat::Jpeg)?;
        assert_eq!((made.width, made.height), (20, 60));
        Ok(())
    }

    /// A PNG whose header claims `width` x `height` pixels over the data of one.
    fn claims(width: u32, height: u32) -> Result<Vec<u8>, PreviewError> {
        let mut file = png(RgbImage::new(1, 1))?;
        file[16..20].copy_from_slice(&width.to_be_bytes());
        file[20..24].copy_from_slice(&height.to_be_bytes());
        let sum = crc32(&file[12..29]);
        file[29..33].copy_from_slice(&sum.to_be_bytes());
        Ok(file)
    }

    #[test]
    fn images_that_claim_too_many_pixels_are_refused_before_they_are_decoded() -> Result<(), PreviewError> {
        for (width, height) in [(60_000, 60_000), (33_170_000, 1), (1, 33_170_000), (IMAGE_SIDE + 1, 1)] {
            let file = claims(width, height)?;
            let refused = previews(Cursor::new(&file), ImageFormat::Png);
            assert!(matches!(refused, Err(PreviewError::TooLarge { .. })), "{width} x {height}");
            let refused = memory_needed(Cursor::new(&file), ImageFormat::Png, 0);
            assert!(matches!(refused, Err(PreviewError::TooLarge { .. })), "{width} x {height}");
        }
        Ok(())
    }

    #[test]
    fn the_memory_for_the_largest_image_is_within_what_all_decoders_share() -> Result<(), PreviewError> {
        let largest = claims(7680, 4320)?;
        let needed = memory_needed(Cursor::new(&largest), ImageFormat::Png, IMAGE_BYTES)?;
        assert!(needed <= crate::bounds::IMAGE_MEMORY, "{needed}");
        Ok(())
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(
                sum ^ u32::from(*byte),
                |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 },
            )
        })
    }

    #[test]
    fn broken_images_are_errors() -> Result<(), PreviewError> {
        let mut file = png(RgbImage::new(64, 64))?;
        file.truncate(60);
        assert!(previews(Cursor::new(file), ImageFormat::Png).is_err());
        assert!(previews(Cursor::new(b"GIF89a".to_vec()), ImageFormat::Gif).is_err());
        assert!(previews(Cursor::new(Vec::new()), ImageFormat::Jpeg).is_err());
        Ok(())
    }
}
