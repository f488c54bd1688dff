//! Files that were emptied: what is in them is gone, as if the file were.

use std::path::Path;

/// Whether there is a file with nothing but white space in it.
pub(crate) fn is_blank(path: &Path) -> bool {
    // A longer one has something in it, or is not worth its reading.
    const MOST: u64 = 4096;
    let short = path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= MOST);
    short && std::fs::read(path).is_ok_and(|bytes| bytes.iter().all(u8::is_ascii_whitespace))
}

/// Whether the file is there, with something in it.
pub(crate) fn is_there(path: &Path) -> bool {
    path.exists() && !is_blank(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_file_is_not_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("mainstay.toml");
        assert!(!is_blank(&file) && !is_there(&file));
        for (text, there) in [("", false), (" \n\t\r\n", false), ("# mine\n", true)] {
            std::fs::write(&file, text).expect("written");
            assert_eq!((is_blank(&file), is_there(&file)), (!there, there), "{text:?}");
        }
    }
}
