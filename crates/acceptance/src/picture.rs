//! A random picture, which no cache can have.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageError};
use rand::RngCore;

/// Bytes of one pixel: red, green, blue.
const PIXEL: u64 = 3;

/// Pixels per side. Noise does not compress, so the file has about 1.5 MB: as much as a photograph, and more than the 1 MB above
/// which nginx refuses a body by default.
const SIDE: u32 = 700;

/// The side of a picture whose file stays below `max_bytes`, the server's limit.
pub(crate) fn side(max_bytes: Option<u64>) -> u32 {
    let Some(max) = max_bytes else { return SIDE };
    // A tenth is reserved for the file format.
    let fits = (max.saturating_mul(9) / 10 / PIXEL).isqrt();
    u32::try_from(fits).unwrap_or(SIDE).clamp(1, SIDE)
}

/// A PNG of random pixels: no cache can answer instead of the server.
pub(crate) fn noise(side: u32) -> Result<Vec<u8>, ImageError> {
    let mut pixels = vec![0; side as usize * side as usize * PIXEL as usize];
    rand::rng().fill_bytes(&mut pixels);
    let mut png = Vec::with_capacity(pixels.len() + pixels.len() / 10);
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::NoFilter).write_image(
        &pixels,
        side,
        side,
        ExtendedColorType::Rgb8,
    )?;
    Ok(png)
}

/// Width and height of a picture of any format that decodes to its last pixel; the reason otherwise.
pub(crate) fn dimensions(bytes: &[u8]) -> Result<(u32, u32), String> {
    let mut reader = image::ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(64 << 20);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| error.to_string())?;
    Ok((picture.width(), picture.height()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_a_png_above_a_megabyte_and_never_the_same() {
        let (one, two) = (noise(SIDE).unwrap(), noise(SIDE).unwrap());
        assert!(one.len() > 1 << 20 && one.len() < 2 << 20, "{}", one.len());
        assert_ne!(one, two);
        assert_eq!(dimensions(&one), Ok((SIDE, SIDE)));
    }

    #[test]
    fn the_picture_fits_the_servers_limit() {
        for max in [1_000_u64, 50_000, 1 << 20, 100 << 20] {
            assert!((noise(side(Some(max))).unwrap().len() as u64) <= max, "limit {max}");
        }
        assert_eq!(side(None), SIDE);
        assert_eq!(side(Some(0)), 1);
    }

    #[test]
    fn half_a_picture_is_an_error() {
        let png = noise(64).unwrap();
        assert!(dimensions(&png[..png.len() / 2]).is_err());
        assert!(dimensions(b"<html>").is_err());
    }
}
