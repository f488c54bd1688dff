//! The client's files, which are compiled in, and the hash that is their version.

use std::collections::HashMap;
use std::io::Write;
use std::sync::LazyLock;

use aws_lc_rs::digest;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::emoji;

/// One file of the client.
pub(super) struct Asset {
    pub(super) plain: &'static [u8],
    pub(super) gzip: Bytes,
    pub(super) media_type: &'static str,
}

struct Assets {
    version: String,
    files: HashMap<&'static str, Asset>,
}

macro_rules! files {
    ($($path:literal),* $(,)?) => { &[$(($path, include_bytes!(concat!("../../web/", $path)))),*] };
}

const FILES: &[(&str, &[u8])] = files![
    "api.js",
    "dom.js",
    "emoji.js",
    "events.js",
    "icon.svg",
    "layout.css",
    "main.js",
    "markdown.js",
    "messages.css",
    "router.js",
    "socket.js",
    "store.js",
    "theme.css",
    "theme.js",
    "time.js",
    "views/account.js",
    "views/attachments.js",
    "views/avatar.js",
    "views/chat.js",
    "views/composer.js",
    "views/dialogs.js",
    "views/emoji.js",
    "views/entry.js",
    "views/files.js",
    "views/mail.js",
    "views/members.js",
    "views/post.js",
    "views/search.js",
    "views/sidebar.js",
    "views/team.js",
    "views/thread.js",
    "views/timeline.js",
];

/// The generated one.
const EMOJI: &str = "emoji.json";

const PAGE: &str = include_str!("../../web/page.html");

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let mut hash = digest::Context::new(&digest::SHA256);
    let emoji = emoji::document();
    hash.update(&emoji);
    for (path, bytes) in FILES {
        hash.update(path.as_bytes());
        hash.update(&(bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    let version = hash.finish().as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut files: HashMap<_, _> = FILES.iter().map(|(path, bytes)| (*path, asset(path, bytes))).collect();
    // Compiled into the program, and there as long as it runs.
    files.insert(EMOJI, asset(EMOJI, emoji.leak()));
    Assets { version, files }
});

fn asset(path: &str, plain: &'static [u8]) -> Asset {
    let media_type = match path.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "json")) => "application/json",
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    };
    Asset { plain, gzip: compressed(plain), media_type }
}

fn compressed(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory cannot fail.
    encoder.write_all(plain).and_then(|()| encoder.finish()).map(Bytes::from).unwrap_or_default()
}

/// The file `path`, if `version` is the current one.
pub(super) fn find(version: &str, path: &str) -> Option<&'static Asset> {
    ASSETS.files.get(path).filter(|_| version == ASSETS.version)
}

/// The page of a site whose paths begin with `root` (`""` or `/chat`). It lists all modules, so that the browser loads
/// them in parallel instead of one import after the other.
pub(super) fn page(root: &str, title: &str) -> String {
    let place = format!("{}/static/{}", escaped(root), ASSETS.version);
    let modules = FILES.iter().filter(|(path, _)| path.ends_with(".js") && *path != "main.js");
    let preload: String =
        modules.map(|(path, _)| format!("<link rel=\"modulepreload\" href=\"{place}/{path}\">\n")).collect();
    PAGE.replace("{{assets}}", &place)
        .replace("{{preload}}\n", &preload)
        .replace("{{title}}", &escaped(title))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_client_is_served() -> std::io::Result<()> {
        let web = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut found = Vec::new();
        for directory in [web.clone(), web.join("views")] {
            for entry in std::fs::read_dir(directory)? {
                let path = entry?.path();
                if path.is_file() {
                    found.push(
                        path.strip_prefix(&web).map(|path| path.display().to_string()).unwrap_or_default(),
                    );
                }
            }
        }
        found.retain(|path| path != "page.html");
        found.sort();
        assert_eq!(found, FILES.iter().map(|(path, _)| *path).collect::<Vec<_>>());
        Ok(())
    }

    #[test]
    fn a_site_name_is_escaped() {
        let page = page("", "<script>x</script>\"&");
        assert!(page.contains("<title>&lt;script&gt;x&lt;/script&gt;&quot;&amp;</title>"));
        assert!(!page.contains("{{"));
    }

    #[test]
    fn the_client_never_turns_text_into_markup_or_code() {
        for (path, bytes) in FILES.iter().filter(|(path, _)| path.ends_with(".js")) {
            let source = String::from_utf8_lossy(bytes);
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
            {
                assert!(!source.contains(forbidden), "{path} uses {forbidden}");
            }
        }
    }
}
