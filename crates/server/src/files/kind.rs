//! A file's media type, from its first bytes and then its extension, and how to serve it.

/// How many bytes of a file [`media_type`] looks at.
pub(crate) const SNIFFED: usize = 512;

/// First bytes that identify a type.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"\x1f\x8b", "application/gzip"),
];

const EXTENSIONS: &[(&str, &str)] = &[
    ("aac", "audio/aac"),
    ("bmp", "image/bmp"),
    ("c", "text/plain"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/x-icon"),
    ("ics", "text/calendar"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("log", "text/plain"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("pdf", "application/pdf"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("py", "text/x-python"),
    ("rs", "text/plain"),
    ("rtf", "application/rtf"),
    ("sh", "text/x-sh"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "text/plain"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("xhtml", "application/xhtml+xml"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "text/xml"),
    ("yaml", "text/plain"),
    ("yml", "text/plain"),
    ("zip", "application/zip"),
];

/// The media type of a file with this name and these first bytes. The extension of an image type is ignored if the file
/// does not begin like that type.
pub(crate) fn media_type(name: &str, head: &[u8]) -> &'static str {
    let extension = extension(name).to_ascii_lowercase();
    let container = |kind: &[u8]| head.starts_with(b"RIFF") && head.get(8..12) == Some(kind);
    if let Some((_, media_type)) = SIGNATURES.iter().find(|(start, _)| head.starts_with(start)) {
        return media_type;
    }
    if container(b"WEBP") {
        return "image/webp";
    }
    if container(b"WAVE") {
        return "audio/wav";
    }
    if head.get(4..8) == Some(b"ftyp") {
        return match extension.as_str() {
            "m4a" => "audio/mp4",
            "mov" => "video/quicktime",
            _ => "video/mp4",
        };
    }
    if let Ok(at) = EXTENSIONS.binary_search_by_key(&extension.as_str(), |(extension, _)| *extension) {
        return EXTENSIONS[at].1;
    }
    if is_text(head) { "text/plain" } else { "application/octet-stream" }
}

/// Whether `head` is UTF-8 text. Its last character may be incomplete.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid
        && !head.is_empty()
        && !head.iter().any(|byte| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}

/// The extension of a name, without the dot; `""` if it has none.
pub(crate) fn extension(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => extension,
        _ => "",
    }
}

/// The type to serve a file as. Types that a browser would run are served as plain text, as in Mattermost.
pub(crate) fn served_type(media_type: &str) -> &str {
    const RUNS: [&str; 9] = [
        "text/html",
        "application/xhtml+xml",
        "image/svg+xml",
        "text/xml",
        "application/xml",
        "text/javascript",
        "application/javascript",
        "text/css",
        "application/wasm",
    ];
    if RUNS.contains(&media_type) { "text/plain" } else { media_type }
}

/// Whether a browser may show the type in the page; other types are downloaded.
pub(crate) fn is_shown(media_type: &str) -> bool {
    let raster = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"].contains(&media_type);
    raster || media_type.starts_with("video/") || media_type.starts_with("audio/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_sorted() {
        assert!(EXTENSIONS.is_sorted());
    }

    #[test]
    fn content_decides_before_the_name() {
        for (name, head, expected) in [
            ("a.txt", &b"\x89PNG\r\n\x1a\nrest"[..], "image/png"),
            ("a.png", b"<html>", "text/plain"),
            ("a.png", b"\x00\x01", "application/octet-stream"),
            ("a.webp", b"RIFF\0\0\0\0WEBP", "image/webp"),
            ("a.mov", b"\0\0\0\x14ftypqt  ", "video/quicktime"),
            ("a.SVG", b"<svg/>", "image/svg+xml"),
            ("README", b"hello \xc3", "text/plain"),
            ("README", b"hello \xc3x", "application/octet-stream"),
            ("empty", b"", "application/octet-stream"),
            (".gitignore", b"target\n", "text/plain"),
        ] {
            assert_eq!(media_type(name, head), expected, "{name}");
        }
    }

    #[test]
    fn types_that_a_browser_would_run_are_served_as_text_and_not_shown() {
        for media_type in ["text/html", "image/svg+xml", "text/javascript", "application/xhtml+xml"] {
            assert_eq!(served_type(media_type), "text/plain");
            assert!(!is_shown(media_type));
        }
        assert_eq!(served_type("image/png"), "image/png");
        assert!(is_shown("video/mp4") && !is_shown("application/pdf"));
    }
}
