//! Bytes as lines of text: `-----BEGIN PGP ...-----`, Base64, and a checksum that nobody needs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN PGP ";
const END: &str = "-----END PGP ";

/// The packets of a file, which is binary or armored.
pub(super) fn packets(file: &[u8]) -> Result<Vec<u8>, &'static str> {
    match file.first() {
        None => return Err("it is empty"),
        // Every packet begins with this bit, and no text does.
        Some(first) if first & 0x80 != 0 => return Ok(file.to_vec()),
        Some(_) => {}
    }
    let text = std::str::from_utf8(file).map_err(|_| "it is neither binary nor armored")?;
    let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with(BEGIN));
    lines.next().ok_or("it is neither binary nor armored")?;
    // Headers such as `Version: ...` end with an empty line.
    let body: Vec<&str> = lines.skip_while(|line| !line.is_empty()).skip(1).collect();
    let end = body.iter().position(|line| line.starts_with(END)).ok_or("its end is missing")?;
    let encoded: String = body[..end].iter().filter(|line| !line.starts_with('=')).copied().collect();
    STANDARD.decode(encoded).map_err(|_| "its lines are not Base64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armor_is_taken_off() {
        let armored = "some text\n-----BEGIN PGP SIGNATURE-----\nComment: x\n\niQ==\n=abcd\n-----END PGP SIGNATURE-----\n";
        assert_eq!(packets(armored.as_bytes()), Ok(vec![0x89]));
        assert_eq!(packets(&armored.replace('\n', "\r\n").into_bytes()), Ok(vec![0x89]));
        assert_eq!(packets(&[0x89, 0]), Ok(vec![0x89, 0]));
        for (wrong, why) in [
            ("", "empty"),
            ("<html>", "neither"),
            ("-----BEGIN PGP SIGNATURE-----\n\niQ==\n", "end is missing"),
            ("-----BEGIN PGP SIGNATURE-----\n\n!!\n-----END PGP SIGNATURE-----", "Base64"),
        ] {
            assert!(packets(wrong.as_bytes()).unwrap_err().contains(why), "{wrong}");
        }
    }
}
