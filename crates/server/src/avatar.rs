//! The default profile picture: the user name's first letter on a colour that depends on the name.

use image::{ImageFormat, Rgb, RgbImage};

use crate::error::{AppError, Result};

/// Width and height, in pixels.
const SIDE: u32 = 128;

/// How many pixels of the picture one pixel of the letter takes, in each direction.
const SCALE: u32 = 12;

/// Background colours. White letters on them have a contrast of at least 4.5.
const COLOURS: [[u8; 3]; 8] = [
    [0x1c, 0x58, 0xd9],
    [0x8a, 0x2b, 0x8f],
    [0x0b, 0x6e, 0x69],
    [0xa1, 0x3d, 0x0c],
    [0x3d, 0x5a, 0x1e],
    [0xb0, 0x1e, 0x4a],
    [0x4b, 0x3f, 0xa7],
    [0x5b, 0x4a, 0x3a],
];

/// The digits `0`-`9` and the capitals of `a`-`z`, 5 by 7 pixels: a byte for each row, the left pixel in bit 4.
const LETTERS: [[u8; 7]; 36] = [
    [14, 17, 19, 21, 25, 17, 14],
    [4, 12, 4, 4, 4, 4, 14],
    [14, 17, 1, 2, 4, 8, 31],
    [31, 2, 4, 2, 1, 17, 14],
    [2, 6, 10, 18, 31, 2, 2],
    [31, 16, 30, 1, 1, 17, 14],
    [6, 8, 16, 30, 17, 17, 14],
    [31, 1, 2, 4, 8, 8, 8],
    [14, 17, 17, 14, 17, 17, 14],
    [14, 17, 17, 15, 1, 2, 12],
    [14, 17, 17, 31, 17, 17, 17],
    [30, 17, 17, 30, 17, 17, 30],
    [14, 17, 16, 16, 16, 17, 14],
    [28, 18, 17, 17, 17, 18, 28],
    [31, 16, 16, 30, 16, 16, 31],
    [31, 16, 16, 30, 16, 16, 16],
    [14, 17, 16, 23, 17, 17, 15],
    [17, 17, 17, 31, 17, 17, 17],
    [14, 4, 4, 4, 4, 4, 14],
    [7, 2, 2, 2, 2, 18, 12],
    [17, 18, 20, 24, 20, 18, 17],
    [16, 16, 16, 16, 16, 16, 31],
    [17, 27, 21, 21, 17, 17, 17],
    [17, 17, 25, 21, 19, 17, 17],
    [14, 17, 17, 17, 17, 17, 14],
    [30, 17, 17, 30, 16, 16, 16],
    [14, 17, 17, 17, 21, 18, 13],
    [30, 17, 17, 30, 20, 18, 17],
    [15, 16, 16, 14, 1, 1, 30],
    [31, 4, 4, 4, 4, 4, 4],
    [17, 17, 17, 17, 17, 17, 14],
    [17, 17, 17, 17, 17, 10, 4],
    [17, 17, 17, 21, 21, 21, 10],
    [17, 17, 10, 4, 10, 17, 17],
    [17, 17, 17, 10, 4, 4, 4],
    [31, 1, 2, 4, 8, 16, 31],
];

/// The PNG for the account called `username`. It is the same every time.
pub(crate) fn png(username: &str) -> Result<Vec<u8>> {
    let initial = username.bytes().find(u8::is_ascii_alphanumeric).unwrap_or(b'x');
    let letter = match initial {
        digit @ b'0'..=b'9' => LETTERS[usize::from(digit - b'0')],
        other => LETTERS[usize::from(other.to_ascii_lowercase() - b'a') + 10],
    };
    let sum: usize = username.bytes().map(usize::from).sum();
    let background = Rgb(COLOURS[sum % COLOURS.len()]);
    let (left, top) = ((SIDE - 5 * SCALE) / 2, (SIDE - 7 * SCALE) / 2);
    let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (column, row) = (x.wrapping_sub(left) / SCALE, y.wrapping_sub(top) / SCALE);
        let inked = column < 5 && row < 7 && letter[row as usize] >> (4 - column) & 1 == 1;
        if inked { Rgb([255, 255, 255]) } else { background }
    });
    let mut bytes = Vec::new();
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), ImageFormat::Png).map_err(AppError::internal)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_picture() {
        for name in ["anna", "9lives", "_z", "---", ""] {
            let picture = png(name).ok().and_then(|bytes| image::load_from_memory(&bytes).ok());
            assert_eq!(
                picture.map(|picture| (picture.width(), picture.height())),
                Some((SIDE, SIDE)),
                "{name}"
            );
        }
    }
}
